//! Preferences of one account: read, changed by their owner, and what a change means for what is pending.
//!
//! A change is one transaction: the row of `_preferences`, and up to [`pending::AT_ONCE`] pending deliveries of the
//! account brought into line with it. Whoever has more pending gets a job in that same transaction, which goes on with
//! the rest. Until it has come to a delivery nothing wrong happens to that one: the opt-outs are asked again when it is
//! due.

mod form;
mod pending;

use serde_json::{Map, Value as Json, json};

use self::form::Preferences;
use super::{
    Notify,
    collections::{PREFERENCES, TEMPLATES},
};
use crate::{
    db::{ReadTx, Value, WriteTx},
    error::Result,
    jobs::{Claimed, Failure, NewJob, Policy, Runner},
    notify::{Channel, who::Owner},
};

/// The job that goes on with what is pending.
const JOB: &str = "notify-preferences";
/// Categories that an answer names.
const MAX_CATEGORIES: usize = 200;

impl Notify {
    /// What an account wants, as `GET /api/notify/preferences` tells it: `{zone, locale, quietFrom, quietTo, quietMode,
    /// channels}`, blank where they never said; `defaultZone`; the `categories` of all templates, for whoever draws a
    /// page of switches.
    pub async fn preferences(&self, owner: Owner) -> Result<Json> {
        let default_zone = self.rooms.settings.current().notify.default_zone.clone();
        self.rooms
            .db
            .read(move |tx| {
                let mut answer = stored(tx, &owner)?.map(|(_, stored)| stored).unwrap_or_default().to_json();
                answer.insert("defaultZone".to_owned(), default_zone.as_str().into());
                answer.insert("categories".to_owned(), categories(tx)?.into());
                answer.insert("available".to_owned(), json!(Channel::ALL.map(Channel::as_str)));
                Ok(Json::Object(answer))
            })
            .await
    }

    /// Changes what `patch` names and leaves the rest. In `channels` it does so down to the single answer, and `null` takes one
    /// back (RFC 7386).
    pub async fn change_preferences(&self, owner: Owner, patch: &Map<String, Json>) -> Result<Json> {
        let patch = form::Patch::parse(patch)?;
        let (notify, changed) = (self.clone(), owner.clone());
        self.rooms.db.write(move |tx| notify.store_preferences(tx, &changed, &patch)).await?;
        self.preferences(owner).await
    }

    /// In its transaction.
    fn store_preferences(&self, tx: &mut WriteTx<'_>, owner: &Owner, patch: &form::Patch) -> Result<()> {
        let found = stored(tx, owner)?;
        let before = found.as_ref().map(|(_, stored)| stored.clone()).unwrap_or_default();
        let after = before.with(patch)?;
        if after == before {
            return Ok(());
        }
        let columns = after.columns();
        let mut bulk = self.rooms.records.bulk(tx);
        match &found {
            Some((id, _)) => _ = bulk.update(PREFERENCES, id, &columns)?,
            None => {
                let text = |text: &str| Value::Text(text.to_owned());
                let owned = [("collectionRef", text(&owner.collection)), ("recordRef", text(&owner.record))];
                let row: Vec<(&str, Value)> = owned.into_iter().chain(columns).collect();
                bulk.insert(PREFERENCES, &row)?;
            }
        }
        // Quiet hours and language are asked for when something is due.
        if (&before.zone, &before.channels) != (&after.zone, &after.channels) {
            self.bring_into_line(tx, owner, "")?;
        }
        Ok(())
    }

    /// Some of what is pending after the delivery `after`, and a job for the rest.
    fn bring_into_line(&self, tx: &mut WriteTx<'_>, owner: &Owner, after: &str) -> Result<()> {
        let profile = stored(tx, owner)?.map(|(_, stored)| stored.profile()).unwrap_or_default();
        let default_zone = &self.rooms.settings.current().notify.default_zone;
        let done = pending::bring_into_line(tx, &self.rooms.records, owner, &profile, default_zone, after)?;
        if let Some(due) = done.due {
            self.bells.due_at(tx, due);
        }
        match done.next {
            None => Ok(()),
            Some(next) => {
                let Owner { collection, record } = owner;
                let payload = json!({"collection": collection, "record": record, "after": next});
                self.rooms.jobs.add(tx, &NewJob::new(JOB, payload))
            }
        }
    }

    /// Says what to do with what a change of preferences left to be done.
    pub fn take_preferences(&self, runner: &Runner) {
        let notify = self.clone();
        let policy = Policy { concurrency: 1, ..Policy::default() };
        runner.on(JOB, policy, move |job| {
            let notify = notify.clone();
            async move { notify.go_on(&job).await }
        });
    }

    async fn go_on(&self, job: &Claimed) -> Result<(), Failure> {
        let text = |name: &str| job.payload[name].as_str().unwrap_or_default().to_owned();
        let owner = Owner { collection: text("collection"), record: text("record") };
        let (notify, after) = (self.clone(), text("after"));
        let done = self.rooms.db.write(move |tx| notify.bring_into_line(tx, &owner, &after)).await;
        done.map_err(Failure::passing)
    }
}

/// The row of the account, with its id.
fn stored(tx: &ReadTx<'_>, owner: &Owner) -> Result<Option<(String, Preferences)>> {
    let sql = format!(
        "SELECT id, zone, locale, quietFrom, quietTo, quietMode, channels FROM `{PREFERENCES}` \
         WHERE collectionRef = ?1 AND recordRef = ?2"
    );
    tx.query_one(&sql, [&owner.collection, &owner.record], |row| {
        let text = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(index)?.unwrap_or_default());
        let stored = Preferences {
            zone: text(1)?,
            locale: text(2)?,
            quiet_from: text(3)?,
            quiet_to: text(4)?,
            quiet_mode: text(5)?,
            channels: serde_json::from_str(&text(6)?).unwrap_or_default(),
        };
        Ok((text(0)?, stored))
    })
}

fn categories(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT DISTINCT category FROM `{TEMPLATES}` WHERE category != '' ORDER BY category LIMIT {MAX_CATEGORIES}"
    );
    tx.query_all(&sql, [], |row| row.get(0))
}
