//! Calling back what has not gone out: one notification, or all that is pending for somebody, for a topic, of a schedule.
//!
//! What was asked first happens first: the intent is marked, and from then on no batch is made of it and nothing of it is
//! sent, because whoever judges a delivery looks at its intent. Its pending deliveries are withdrawn in bounded
//! transactions; a job finishes what the request does not, and what a crash has left.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{
    Notify, Rooms, State,
    collections::NOTIFICATIONS,
    stored::{Stage, reason},
    withdraw::withdraw,
};
use crate::{
    address,
    clock::Timestamp,
    db::{Value, WriteTx},
    error::{Error, Leaf, Result},
    jobs::{Claimed, Failure, NewJob, Policy, Runner},
    schema::Catalog,
};

/// Deliveries that one transaction withdraws.
const BATCH: usize = 200;
/// How long a request works at it; then the job goes on.
const REQUEST: Duration = Duration::from_secs(5);
/// The job lets the request work first.
const JOB_AFTER: Duration = Duration::from_secs(10);
const JOB: &str = "notify.cancel";
/// Bytes of a member.
const MAX_MEMBER: usize = 511;

/// What is called back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Selection {
    /// The notification of this id.
    Id(String),
    /// All that is pending for an account: ids of its collection and of its record.
    Account { collection: String, record: String },
    /// All that is pending for a bare e-mail address.
    Address(String),
    /// All notifications that name this topic.
    Topic(String),
    /// All notifications of the schedule of this id.
    Schedule(String),
}

/// What was called back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    pub notifications: u64,
    pub deliveries: u64,
    /// False: there was more than a request can do; it goes on in the background.
    pub complete: bool,
}

/// A cancellation on its way: of what was asked for until then.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    what: Selection,
    /// Milliseconds since 1970.
    until: i64,
}

/// What one transaction did.
#[derive(Debug, Default)]
struct Step {
    notifications: u64,
    deliveries: u64,
    /// There is more to do, now.
    more: bool,
    /// There will be more to do: intents that are being expanded may still concern somebody, and what is on its way to
    /// them may fail and come back.
    later: bool,
}

/// What is pending for somebody of notifications that were asked for until then. Those whose notification is gone as well.
macro_rules! pending {
    ($whose:literal) => {
        concat!(
            "SELECT d.id FROM _deliveries d LEFT JOIN _notifications n ON n.id = d.notification WHERE ",
            $whose,
            " AND d.state IN ('scheduled', 'batched') AND coalesce(n.created, '') <= ?3 LIMIT ?4"
        )
    };
}

const OF_ACCOUNT: &str = pending!("d.recordRef = ?1 AND d.collectionRef = ?2");
const OF_ADDRESS: &str = pending!("d.address = ?1 AND d.recordRef = ?2 AND d.address != ''");

/// Whether something is on its way to somebody: if it fails, it comes back.
macro_rules! on_its_way {
    ($whose:literal) => {
        concat!(
            "SELECT 1 FROM _deliveries d LEFT JOIN _notifications n ON n.id = d.notification WHERE ",
            $whose,
            " AND d.state = 'sending' AND coalesce(n.created, '') <= ?3 LIMIT 1"
        )
    };
}

const TO_ACCOUNT: &str = on_its_way!("d.recordRef = ?1 AND d.collectionRef = ?2");
const TO_ADDRESS: &str = on_its_way!("d.address = ?1 AND d.recordRef = ?2 AND d.address != ''");

const OF_NOTIFICATION: &str = "
    SELECT id FROM _deliveries
    WHERE notification = ?1 AND `state` IN ('scheduled', 'batched', 'sending') AND state != 'sending' LIMIT ?2";

/// Notifications that go on, or were called back and have still something pending.
macro_rules! going_on {
    ($which:literal) => {
        concat!(
            "SELECT n.id FROM _notifications n WHERE n.created <= ?2 AND ",
            $which,
            " AND (n.state IN ('', 'new', 'expanding', 'active') OR n.state = 'cancelled' AND EXISTS (
                SELECT 1 FROM _deliveries d
                WHERE d.notification = n.id AND d.state IN ('scheduled', 'batched', 'sending') AND d.state != 'sending'
              )) LIMIT 50"
        )
    };
}

const OF_SCHEDULE: &str = going_on!("n.schedule = ?1 AND n.schedule != ''");
const ABOUT_TOPIC: &str = going_on!(
    "EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(n.`to`) THEN n.`to` ELSE '[]' END) WHERE value = ?1)"
);

const ANY_OPEN: &str =
    "SELECT 1 FROM _notifications WHERE `state` IN ('', 'new', 'expanding') AND created <= ?1 LIMIT 1";

impl Notify {
    /// Calls back what the body names: exactly one of `id`, `key`, `user` (`users/ID` or an e-mail address), `topic` and
    /// `schedule`. `NotFound` for a notification that there is not.
    pub async fn cancel(&self, body: &Map<String, Json>) -> Result<Cancelled> {
        let (name, value) = asked(body)?;
        let what = match name {
            "id" | "key" => Selection::Id(self.known(value, name).await?),
            "user" => user(&self.rooms.schema.catalog(), value)?,
            "topic" => Selection::Topic(value.to_owned()),
            _ => Selection::Schedule(value.to_owned()),
        };
        let order = Order { what, until: self.rooms.clock.now().millis() };
        self.carry_out(&order, Some(REQUEST)).await
    }

    /// Says what to do with cancellations that a request did not finish.
    pub fn take_cancellations(&self, runner: &Runner) {
        let notify = self.clone();
        let policy = Policy { timeout: Duration::from_secs(600), concurrency: 1, ..Policy::default() };
        runner.on(JOB, policy, move |job: Claimed| {
            let notify = notify.clone();
            async move {
                let order: Order = serde_json::from_value(job.payload).map_err(Failure::permanent)?;
                notify.carry_out(&order, None).await.map(drop).map_err(Failure::passing)
            }
        });
    }

    async fn known(&self, value: &str, column: &str) -> Result<String> {
        let value = value.to_owned();
        let sql = match column {
            "key" => format!("SELECT id FROM {NOTIFICATIONS} WHERE `key` = ?1 AND `key` != ''"),
            _ => format!("SELECT id FROM {NOTIFICATIONS} WHERE id = ?1"),
        };
        let found = self.rooms.db.read(move |tx| tx.query_one(&sql, [&value], |row| row.get(0))).await?;
        found.ok_or_else(Error::not_found)
    }

    /// One transaction after the other until nothing is left, or the time is over.
    async fn carry_out(&self, order: &Order, limit: Option<Duration>) -> Result<Cancelled> {
        let began = Instant::now();
        let is_over = || limit.is_some_and(|limit| began.elapsed() >= limit);
        let mut done = Cancelled::default();
        let (sql, value) = match &order.what {
            Selection::Topic(key) => (ABOUT_TOPIC, format!("topic:{key}")),
            Selection::Schedule(id) => (OF_SCHEDULE, id.clone()),
            _ => {
                done.complete = self.steps(order, &mut done, &is_over).await?;
                return Ok(done);
            }
        };
        if limit.is_some() {
            let job = order.job(self.rooms.clock.now())?;
            self.rooms.jobs.enqueue(job).await?;
        }
        loop {
            let (value, until) = (value.clone(), Timestamp(order.until).to_string());
            let ids = self.rooms.db.read(move |tx| tx.query_all(sql, (&value, &until), |row| row.get(0))).await?;
            done.complete = ids.is_empty();
            if done.complete || is_over() {
                return Ok(done);
            }
            for id in ids {
                let order = Order { what: Selection::Id(id), until: order.until };
                self.steps(&order, &mut done, &is_over).await?;
            }
        }
    }

    /// Steps until nothing is left (then true) or the time is over.
    async fn steps(&self, order: &Order, done: &mut Cancelled, is_over: &impl Fn() -> bool) -> Result<bool> {
        loop {
            let (rooms, order) = (self.rooms.clone(), order.clone());
            let step = self.rooms.db.write(move |tx| order.step(tx, &rooms)).await?;
            done.notifications += step.notifications;
            done.deliveries += step.deliveries;
            if !step.more || is_over() {
                return Ok(!step.more && !step.later);
            }
        }
    }
}

impl Order {
    /// The job that goes on with it.
    fn job(&self, now: Timestamp) -> Result<NewJob> {
        let payload = serde_json::to_value(self).map_err(Error::internal)?;
        let (due, unique) = (Some(now.plus(JOB_AFTER)), Some(payload.to_string()));
        Ok(NewJob { due, unique, ..NewJob::new(JOB, payload) })
    }

    /// One transaction of it. While there is more, the job is in the same transaction.
    fn step(&self, tx: &mut WriteTx<'_>, rooms: &Rooms) -> Result<Step> {
        let until = Timestamp(self.until).to_string();
        let mut step = Step::default();
        match &self.what {
            Selection::Id(id) => return self.one(tx, rooms, id),
            Selection::Account { collection, record } => {
                let found = pending(tx, OF_ACCOUNT, rusqlite::params![record, collection, until, BATCH as i64])?;
                withdraw_all(tx, rooms, &found, &mut step)?;
                step.later = tx.query_one(TO_ACCOUNT, [record, collection, &until], |_| Ok(()))?.is_some();
            }
            Selection::Address(address) => {
                let found = pending(tx, OF_ADDRESS, rusqlite::params![address, "", until, BATCH as i64])?;
                withdraw_all(tx, rooms, &found, &mut step)?;
                step.later = tx.query_one(TO_ADDRESS, [address, "", &until], |_| Ok(()))?.is_some();
            }
            // Those are many orders of one.
            Selection::Topic(_) | Selection::Schedule(_) => return Ok(step),
        }
        step.later |= tx.query_one(ANY_OPEN, [until], |_| Ok(()))?.is_some();
        if step.more || step.later {
            rooms.jobs.add(tx, &self.job(tx.now())?)?;
        }
        Ok(step)
    }

    /// Of one notification: marks it first, so that nothing more is made of it and nothing of it is sent.
    fn one(&self, tx: &mut WriteTx<'_>, rooms: &Rooms, id: &str) -> Result<Step> {
        let mut step = Step::default();
        let sql = format!("SELECT state FROM {NOTIFICATIONS} WHERE id = ?1");
        let state: Option<String> = tx.query_one(&sql, [id], |row| row.get(0))?;
        let stage = state.and_then(|state| Stage::parse(&state));
        if stage.is_some_and(|stage| stage.is_open() || stage == Stage::Active) {
            let why = reason("cancelled", "It was called back.");
            let columns = [("state", text(Stage::Cancelled.as_str())), ("reason", text(&why))];
            rooms.records.bulk(tx).update(NOTIFICATIONS, id, &columns)?;
            step.notifications = 1;
        }
        let found = pending(tx, OF_NOTIFICATION, rusqlite::params![id, BATCH as i64])?;
        withdraw_all(tx, rooms, &found, &mut step)?;
        if step.more {
            rooms.jobs.add(tx, &self.job(tx.now())?)?;
        }
        Ok(step)
    }
}

fn pending(tx: &WriteTx<'_>, sql: &str, params: impl rusqlite::Params) -> Result<Vec<String>> {
    tx.query_all(sql, params, |row| row.get(0))
}

fn withdraw_all(tx: &mut WriteTx<'_>, rooms: &Rooms, ids: &[String], step: &mut Step) -> Result<()> {
    let why = reason("cancelled", "It was called back.");
    for id in ids {
        step.deliveries += u64::from(withdraw(tx, &rooms.records, id, State::Cancelled, &why)?);
    }
    step.more = ids.len() == BATCH;
    Ok(())
}

/// The one member of a cancellation.
fn asked(body: &Map<String, Json>) -> Result<(&'static str, &str)> {
    const NAMES: [&str; 5] = ["id", "key", "user", "topic", "schedule"];
    let given = |name: &&str| body.get(*name).is_some_and(|value| !value.is_null());
    let given: Vec<&'static str> = NAMES.into_iter().filter(given).collect();
    let [name] = given[..] else {
        return Err(Error::invalid("Exactly one of id, key, user, topic and schedule says what is called back."));
    };
    match body.get(name) {
        Some(Json::String(text)) if text.is_empty() => Err(Error::field(name, Leaf::required())),
        Some(Json::String(text)) if text.len() <= MAX_MEMBER => Ok((name, text)),
        _ => Err(Error::field(name, Leaf::new("validation_invalid_value", "Must be a text of a moderate length."))),
    }
}

fn user(catalog: &Catalog, value: &str) -> Result<Selection> {
    if address::is_email(value) {
        return Ok(Selection::Address(value.to_ascii_lowercase()));
    }
    let found = value.split_once('/').and_then(|(collection, record)| Some((catalog.find(collection)?, record)));
    match found.filter(|(collection, _)| collection.is_auth()) {
        Some((collection, record)) => {
            Ok(Selection::Account { collection: collection.id.to_string(), record: record.to_owned() })
        }
        None => {
            let message = "Must be users/ID, of a collection with accounts, or an e-mail address.";
            Err(Error::field("user", Leaf::new("validation_invalid_value", message)))
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[cfg(test)]
mod tests;
