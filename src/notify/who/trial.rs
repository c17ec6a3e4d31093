//! "Send me a test": at once, past all queues, with how far it came.

use std::{sync::Arc, time::Duration};

use serde_json::{Value as Json, json};
use tokio::sync::Semaphore;

use super::Recipient;
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    identity::Caller,
    notify::{
        Notify,
        collections::DEVICES,
        how::{Device, Letter, Outcome, Target, Ticket, Tried},
    },
    random,
    windows::{Limit, Windows},
};

/// Tests of one account.
const LIMIT: Limit = Limit { most: 6, span: Duration::from_secs(60) };
/// Accounts that are remembered.
const MAX_ACCOUNTS: usize = 10_000;
/// Tests that wait for providers at the same time.
const AT_ONCE: usize = 16;

/// How often who may ask for tests.
pub struct Trials {
    slots: Semaphore,
    /// By account.
    asked: Windows,
}

impl Default for Trials {
    fn default() -> Self {
        Self { slots: Semaphore::new(AT_ONCE), asked: Windows::new(MAX_ACCOUNTS) }
    }
}

impl Trials {
    /// Counts one test, or says how long to wait.
    fn count(&self, account: &str, now: Timestamp) -> Result<()> {
        let counted = self.asked.count(account, LIMIT, now);
        counted.map_err(|wait| Error::too_many("Too many tests. Wait a moment, then try again.", wait))
    }
}

impl Notify {
    /// Sends a test to a device of whoever asks (superusers: of anybody) and tells how far it came:
    /// `{ok, outcome, failed, status, message, retryAfter, removed, steps: [{step, ok}]}`. A device that is gone is
    /// forgotten, as after any sending.
    pub async fn try_device(&self, caller: &Caller, id: &str) -> Result<Json> {
        let Some(account) = caller.record() else { return Err(Error::unauthorized("Sign in to test a device.")) };
        let (collection, record, device) = self.device(id).await?.ok_or_else(Error::not_found)?;
        if !caller.is_superuser() && !caller.is(&collection, &record) {
            return Err(Error::not_found());
        }
        self.trials.count(&format!("{}/{}", account.collection_id, account.id), self.rooms.clock.now())?;
        let _slot = self.trials.slots.try_acquire().map_err(|_| Error::busy(Duration::from_secs(1)))?;
        let recipient = Recipient::Account { collection: collection.as_str().into(), record: record.as_str().into() };
        let delivery = format!("test{}", random::string(random::LOWER_ALPHANUMERIC, 11));
        let ticket = Ticket { delivery, notification: String::new(), recipient, attempt: 1 };
        let target = Target::Device(Arc::new(device));
        let tried = match self.transports.of(&target) {
            Some(transport) => transport.try_out(&letter(), &target, &ticket).await,
            None => Tried::of(Outcome::Refused("nothing is sent to devices of this kind".to_owned())),
        };
        let gone = matches!(tried.outcome, Outcome::Gone(_));
        let removed = gone && self.forget_device(id).await?;
        // What stands in a private network is not for everybody to read through us.
        let answers = caller.is_superuser() || !self.rooms.settings.current().notify.allow_private;
        Ok(told(&tried, removed, answers))
    }

    async fn device(&self, id: &str) -> Result<Option<(String, String, Device)>> {
        let collection = self.rooms.schema.find(DEVICES)?;
        let row = self.rooms.records.load(&collection, id).await?;
        Ok(row.map(|row| {
            let text = |column| row.text(column).unwrap_or_default().to_owned();
            (text("collectionRef"), text("recordRef"), Device::of_row(&row))
        }))
    }

    async fn forget_device(&self, id: &str) -> Result<bool> {
        let (records, id) = (self.rooms.records.clone(), id.to_owned());
        self.rooms.db.write(move |tx| records.bulk(tx).delete(DEVICES, &id)).await
    }
}

fn letter() -> Letter {
    Letter {
        title: "Test".to_owned(),
        body: "Notifications reach this device.".to_owned(),
        category: "test".to_owned(),
        ..Letter::default()
    }
}

/// `answers`: what the provider said is told, too.
fn told(tried: &Tried, removed: bool, answers: bool) -> Json {
    let (outcome, message, retry_after) = match &tried.outcome {
        Outcome::Sent { receipt } => ("sent", receipt.clone().unwrap_or_default(), None),
        Outcome::Gone(why) => ("gone", why.clone(), None),
        Outcome::Refused(why) => ("refused", why.clone(), None),
        Outcome::Later { why, retry_after } => ("later", why.clone(), *retry_after),
    };
    let message = if answers || tried.status.is_none() { message } else { String::new() };
    let until = tried.steps.iter().position(|step| Some(*step) == tried.failed).unwrap_or(tried.steps.len());
    let steps = tried.steps.iter().take(until + 1).enumerate();
    let steps: Vec<Json> = steps.map(|(index, step)| json!({ "step": step, "ok": index < until })).collect();
    json!({
        "ok": outcome == "sent",
        "outcome": outcome,
        "failed": tried.failed,
        "status": tried.status,
        "message": message,
        "retryAfter": retry_after.map(|wait| wait.as_secs()),
        "removed": removed,
        "steps": steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn tests_are_few() {
        let (trials, now) = (Trials::default(), Timestamp(1_800_000_000_000));
        let at = |millis: i64| Timestamp(now.0 + millis);
        assert!((0..LIMIT.most).all(|_| trials.count("a", now).is_ok()));
        let refused = trials.count("a", at(10_000)).unwrap_err();
        assert_eq!((refused.kind, refused.retry_after), (Kind::TooMany, Some(Duration::from_secs(50))));
        assert!(trials.count("b", now).is_ok() && trials.count("a", at(60_000)).is_ok());
        assert!(trials.count("a", at(-1)).is_ok(), "the clock was set back");
    }

    #[test]
    fn what_is_told_ends_with_the_step_that_failed() {
        let steps = &["a", "b", "c"];
        let told = told(&Tried::later(steps, "b", "words", Some(Duration::from_secs(5))), false, true);
        assert_eq!(told["steps"], json!([{"step": "a", "ok": true}, {"step": "b", "ok": false}]));
        assert_eq!((&told["failed"], &told["retryAfter"], &told["outcome"]), (&json!("b"), &json!(5), &json!("later")));
        let sent = Tried { steps, ..Tried::of(Outcome::Sent { receipt: None }) };
        let told = super::told(&sent, false, true);
        assert_eq!((&told["ok"], told["steps"].as_array().unwrap().len()), (&json!(true), 3));
        let answered = Tried { status: Some(403), ..Tried::refused(steps, "c", "internal words") };
        for (answers, message) in [(true, "internal words"), (false, "")] {
            let told = super::told(&answered, false, answers);
            assert_eq!((&told["message"], &told["status"]), (&json!(message), &json!(403)));
        }
    }
}
