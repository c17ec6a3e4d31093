//! Recurring schedules: each of their times sends once, also when the server was away.
//!
//! The next time of a schedule stands in its row. A run is one transaction: the notification, and the time after it. So
//! none is lost, and none is sent twice: a repeated one would have the same key.

use std::{sync::Arc, time::Duration};

use super::{
    definition::{Definition, SetsOff},
    known::{cut, same_definition},
    subject::of_time,
};
use crate::{
    clock::Timestamp,
    db::{ReadTx, Row, Value, WriteTx},
    error::{Error, Result},
    jobs::{
        Alarm,
        cron::{Cron, Missed},
    },
    notify::{
        Rooms,
        collections::{NOTIFICATIONS, SCHEDULES},
    },
    random,
    schema::field::value::{moment, scalar},
};

/// Schedules that are run after one look.
const BATCH: i64 = 50;
/// A time that is over for no longer was not missed: the server was busy, or has just started.
const GRACE: Duration = Duration::from_secs(60);
/// When something could not be written, it is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs what is due.
#[derive(Clone)]
pub(super) struct Recurring {
    pub rooms: Arc<Rooms>,
    pub alarm: Arc<Alarm>,
}

/// What one transaction does to a schedule: from `expected` on to `next`, with a run or without.
struct Turn {
    id: String,
    seen: Arc<Row>,
    expected: String,
    run: Option<Vec<(&'static str, Value)>>,
    next: String,
    error: String,
}

impl Recurring {
    /// Sends for all times that are over. Returns when to look again.
    pub async fn run_due(&self) -> Result<Option<Timestamp>> {
        let now = self.rooms.clock.now();
        let due: Vec<String> = self.rooms.db.read(move |tx| due(tx, now, BATCH)).await?;
        let mut failed = false;
        for id in due {
            if let Err(error) = self.run_one(&id, now).await {
                tracing::warn!(%error, schedule = id, "a schedule cannot be run now");
                failed = true;
            }
        }
        let next = self.rooms.db.read(next).await?;
        Ok(if failed { Some(now.plus(AGAIN)) } else { next })
    }

    /// Whether nothing is due.
    pub async fn is_idle(&self) -> Result<bool> {
        let now = self.rooms.clock.now();
        self.rooms.db.read(move |tx| Ok(due(tx, now, 1)?.is_empty())).await
    }

    async fn run_one(&self, id: &str, now: Timestamp) -> Result<()> {
        let Some(seen) = self.load(id).await? else { return Ok(()) };
        let mut expected = seen.text("next").unwrap_or_default().to_owned();
        let Some(planned) = moment::parse(&expected).filter(|planned| *planned <= now) else { return Ok(()) };
        let turn = |expected: String, run, next: Option<Timestamp>, error: String| Turn {
            id: id.to_owned(),
            seen: seen.clone(),
            expected,
            run,
            next: next.map(|next| next.to_string()).unwrap_or_default(),
            error,
        };
        let definition = self.read(&seen, now);
        let (definition, cron, missed) = match &definition {
            Ok(definition) => match &definition.sets_off {
                SetsOff::Time { cron, missed } => (definition, cron, *missed),
                SetsOff::Change(_) => return Ok(()),
            },
            Err(message) => return self.take(turn(expected, None, None, cut(message).to_owned())).await.map(drop),
        };
        let runs = runs(cron, planned, now, missed);
        let end = cron.next_after(now.max(planned));
        if runs.is_empty() {
            tracing::info!(schedule = id, "a schedule skips what was missed");
            return self.take(turn(expected, None, end, String::new())).await.map(drop);
        }
        for (position, planned) in runs.iter().enumerate() {
            let next = runs.get(position + 1).copied().or(end);
            let columns = of_time(definition, *planned, &planned.to_string());
            let turn = turn(expected, Some(columns), next, String::new());
            expected = turn.next.clone();
            if self.take(turn).await?.is_none() {
                // Somebody has changed the schedule.
                break;
            }
        }
        Ok(())
    }

    /// Sends for now, whatever the time is; the id of the notification. For schedules that follow changes there is no
    /// such thing: it would be about no record.
    pub async fn run_now(&self, id: &str) -> Result<String> {
        let now = self.rooms.clock.now();
        let seen = self.load(id).await?.ok_or_else(Error::not_found)?;
        let definition = self
            .read(&seen, now)
            .map_err(|message| Error::invalid(format!("The schedule cannot be run. {message}")))?;
        if definition.follow().is_some() {
            return Err(Error::invalid("A schedule that follows changes runs when one happens."));
        }
        let key = format!("{now} by hand {}", random::string(random::LOWER_ALPHANUMERIC, 8));
        let columns = of_time(&definition, now, &key);
        let next = seen.text("next").unwrap_or_default().to_owned();
        let turn =
            Turn { id: id.to_owned(), seen, expected: next.clone(), run: Some(columns), next, error: String::new() };
        let changed = || Error::invalid("The schedule was changed at the same time. Try again.");
        self.take(turn).await?.flatten().ok_or_else(changed)
    }

    async fn load(&self, id: &str) -> Result<Option<Arc<Row>>> {
        let collection = self.rooms.schema.find(SCHEDULES)?;
        self.rooms.records.load(&collection, id).await
    }

    fn read(&self, row: &Row, now: Timestamp) -> Result<Definition, String> {
        Definition::read(row, &self.rooms.schema.catalog(), &super::default_zone(&self.rooms), now)
    }

    /// `None`: the schedule is another one now. Else the id of what was sent, unless that was sent before.
    async fn take(&self, turn: Turn) -> Result<Option<Option<String>>> {
        let (records, alarm) = (self.rooms.records.clone(), self.alarm.clone());
        let next = moment::parse(&turn.next);
        let work = move |tx: &mut WriteTx<'_>| {
            let now = tx.now();
            let mut bulk = records.bulk(tx);
            let Some(row) = bulk.load(SCHEDULES, &turn.id)? else { return Ok(None) };
            if !same_definition(&row, &turn.seen) || row.text("next") != Some(&turn.expected) {
                return Ok(None);
            }
            let text = |text: &str| Value::Text(text.to_owned());
            let mut values = vec![("next", text(&turn.next)), ("error", text(&turn.error))];
            let mut sent = None;
            if let Some(columns) = &turn.run {
                sent = bulk.insert_new(NOTIFICATIONS, columns)?;
                let runs = row.get("runs").map_or(0.0, scalar::stored_float);
                values.extend([("last", text(&now.to_string())), ("runs", scalar::float_value(runs + 1.0))]);
            }
            bulk.update(SCHEDULES, &turn.id, &values)?;
            Ok(Some(sent))
        };
        let taken = self.rooms.db.write(work).await?;
        if let Some(next) = next {
            alarm.set(next);
        }
        Ok(taken)
    }
}

/// The times to send for, in order, when `planned` was the next one.
fn runs(cron: &Cron, planned: Timestamp, now: Timestamp, missed: Missed) -> Vec<Timestamp> {
    let before = Timestamp(planned.0 - 1);
    let mut times = match missed {
        Missed::Skip => cron.missed(before, now, Missed::Once),
        other => cron.missed(before, now, other),
    };
    // A time that was set by hand.
    if times.is_empty() {
        times.push(planned);
    }
    if missed == Missed::Skip {
        times.retain(|time| time.until(now) <= GRACE);
    }
    times
}

fn due(tx: &ReadTx<'_>, now: Timestamp, limit: i64) -> Result<Vec<String>> {
    let sql = "SELECT id FROM _schedules
        WHERE active = TRUE AND next > '' AND next <= ?1 AND kind = 'cron' ORDER BY next LIMIT ?2";
    tx.query_all(sql, (now.to_string(), limit), |row| row.get(0))
}

fn next(tx: &ReadTx<'_>) -> Result<Option<Timestamp>> {
    let sql = "SELECT next FROM _schedules WHERE active = TRUE AND next > '' AND kind = 'cron' ORDER BY next LIMIT 1";
    let text: Option<String> = tx.query_one(sql, [], |row| row.get(0))?;
    Ok(text.and_then(|text| moment::parse(&text)))
}
