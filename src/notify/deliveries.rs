//! The store of `_deliveries`: what is due, what is on its way, what belongs together. Each a few lines of SQL that walk
//! an index; `tests` holds them to that.

use serde_json::{Map, Value as Json};

use super::{Channel, Priority, State, collections::DELIVERIES, who::Recipient};
use crate::{
    clock::Timestamp,
    db::{ReadTx, Value, WriteTx},
    error::Result,
    records::Records,
    schema::field::value::{moment, scalar},
};

/// Entries of a timeline that are kept: the first, and the newest.
const MAX_TRAIL: usize = 20;
/// Parts of a digest.
pub const MAX_ITEMS: usize = 1000;
/// Sorts behind every moment.
const END_OF_TIME: &str = "~";

/// One row of `_deliveries`, or one that is only planned: then its id is blank.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: String,
    pub notification: String,
    pub recipient: Recipient,
    pub channel: Channel,
    pub category: String,
    pub priority: Priority,
    pub state: State,
    pub reason: String,
    pub due: Timestamp,
    pub attempts: u32,
    pub step: usize,
    pub digest: String,
    pub collapse: String,
    /// What became of it at each device, and since when it was due ([`Delivery::first_due`]).
    pub detail: Map<String, Json>,
    pub trail: Vec<Json>,
    pub sent_at: Option<Timestamp>,
    pub created: Timestamp,
    /// Grows in order of creation.
    pub rowid: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT rowid, id, notification, collectionRef, recordRef, address, channel, category, priority, state, ",
            "reason, due, attempts, step, digest, collapse, detail, trail, sentAt, created FROM _deliveries ",
            $rest
        )
    };
}

pub(super) const ONE: &str = select!("WHERE id = ?1");

/// Due in a channel, of one priority: the longest waiting first.
pub(super) const DUE: &str =
    select!("WHERE state = 'scheduled' AND channel = ?1 AND priority = ?2 AND due <= ?3 ORDER BY due LIMIT ?4");

/// On their way for too long.
pub(super) const LAPSED: &str = select!(
    "INDEXED BY idx__deliveries_lease WHERE state = 'sending' AND lease <= ?1 AND channel = ?2 ORDER BY lease LIMIT ?3"
);

/// What a digest carries besides its first.
pub(super) const ITEMS: &str =
    select!("WHERE digestOf = ?1 AND digestOf != '' AND state = 'batched' ORDER BY rowid LIMIT ?2");

pub(super) const NEXT_DUE: &str =
    "SELECT min(due) FROM _deliveries WHERE state = 'scheduled' AND channel = ?1 AND priority = ?2";

/// SQLite would look for the channel elsewhere, and through all that wait; few are on their way.
pub(super) const NEXT_LEASE: &str = "
    SELECT min(lease) FROM _deliveries INDEXED BY idx__deliveries_lease WHERE state = 'sending' AND channel = ?1";

/// Whether anything of a notification is still to come.
pub(super) const PENDING: &str = "
    SELECT 1 FROM _deliveries
    WHERE notification = ?1 AND state IN ('scheduled', 'batched', 'sending') LIMIT 1";

/// Another that waits under the same digest key.
pub(super) const DIGEST_TAKEN: &str = "
    SELECT 1 FROM _deliveries
    WHERE collectionRef = ?1 AND recordRef = ?2 AND channel = ?3 AND digest = ?4 AND address = ?5
      AND state = 'scheduled' AND digest != '' AND id != ?6 LIMIT 1";

const STANDING: &str = "SELECT state, attempts FROM _deliveries WHERE id = ?1";

/// How long a claim holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub until: Timestamp,
    /// Takes over whatever is on its way: the process that had claimed it is gone.
    pub take_over: bool,
}

/// What a claim brought.
pub(super) struct Claimed {
    pub deliveries: Vec<Delivery>,
    /// So many of them, the first, had been claimed before.
    pub lapsed: usize,
}

impl Delivery {
    /// A row of [`select!`].
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let text = |index| Ok::<_, rusqlite::Error>(scalar::raw_text(row.get_ref(index)?).into_owned());
        let time = |index| Ok::<_, rusqlite::Error>(moment::parse(&scalar::raw_text(row.get_ref(index)?)));
        let number = |index| Ok::<_, rusqlite::Error>(scalar::raw_float(row.get_ref(index)?) as i64);
        let json = |index| Ok::<_, rusqlite::Error>(serde_json::from_str(&scalar::raw_text(row.get_ref(index)?)).ok());
        let (collection, record, address) = (text(3)?, text(4)?, text(5)?);
        let recipient = match record.is_empty() {
            true => Recipient::Address(address.into()),
            false => Recipient::Account { collection: collection.into(), record: record.into() },
        };
        Ok(Self {
            rowid: row.get(0)?,
            id: text(1)?,
            notification: text(2)?,
            recipient,
            // Rows are written by the house and superusers; what is no channel is nobody's.
            channel: Channel::parse(&text(6)?).unwrap_or(Channel::Inbox),
            category: text(7)?,
            priority: Priority::from_number(number(8)?),
            state: State::parse(&text(9)?).unwrap_or(State::Failed),
            reason: text(10)?,
            due: time(11)?.unwrap_or_default(),
            attempts: u32::try_from(number(12)?).unwrap_or(0),
            step: usize::try_from(number(13)?).unwrap_or(0),
            digest: text(14)?,
            collapse: text(15)?,
            detail: match json(16)? {
                Some(Json::Object(detail)) => detail,
                _ => Map::new(),
            },
            trail: match json(17)? {
                Some(Json::Array(trail)) => trail,
                _ => Vec::new(),
            },
            sent_at: time(18)?,
            created: time(19)?.unwrap_or_default(),
        })
    }

    /// When it was due before it was put off for the first time.
    pub fn first_due(&self) -> Timestamp {
        let kept = self.detail.get("due").and_then(Json::as_str).and_then(moment::parse);
        kept.unwrap_or(self.due)
    }

    /// The timeline with one more entry.
    pub fn trail_with(&self, at: Timestamp, state: State, reason: &str) -> Json {
        let mut trail = self.trail.clone();
        trail.push(serde_json::json!({"at": at.to_string(), "state": state.as_str(), "reason": reason}));
        while trail.len() > MAX_TRAIL {
            trail.remove(1);
        }
        Json::Array(trail)
    }
}

/// The delivery of this id.
pub fn load(tx: &ReadTx<'_>, id: &str) -> Result<Option<Delivery>> {
    tx.query_one(ONE, [id], Delivery::read)
}

/// What is due now in a channel: the more urgent first, then the longer waiting.
pub(super) fn due(tx: &ReadTx<'_>, channel: Channel, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
    let mut found = Vec::new();
    for priority in Priority::ALL.into_iter().rev() {
        if found.len() < limit {
            let asked = (channel.as_str(), priority.number(), now.to_string(), (limit - found.len()) as i64);
            found.extend(tx.query_all(DUE, asked, Delivery::read)?);
        }
    }
    Ok(found)
}

/// Claims up to `limit`: what has outlived its lease, unless `held` knows it to be on its way here, and what is due.
pub(super) fn claim(
    tx: &mut WriteTx<'_>,
    records: &Records,
    channel: Channel,
    lease: Lease,
    limit: usize,
    held: &dyn Fn(&str) -> bool,
) -> Result<Claimed> {
    let now = tx.now();
    let until = if lease.take_over { END_OF_TIME.to_owned() } else { now.to_string() };
    let lapsed = tx.query_all(LAPSED, (until, channel.as_str(), limit as i64), Delivery::read)?;
    let (renewed, mut claimed): (Vec<_>, Vec<_>) = lapsed.into_iter().partition(|delivery| held(&delivery.id));
    let lapsed = claimed.len();
    claimed.extend(due(tx, channel, now, limit.saturating_sub(lapsed))?);
    let mut bulk = records.bulk(tx);
    let ends = Value::Text(lease.until.to_string());
    for delivery in renewed {
        bulk.update(DELIVERIES, &delivery.id, &[("lease", ends.clone())])?;
    }
    for delivery in &mut claimed {
        delivery.attempts += 1;
        let attempts = Value::Integer(i64::from(delivery.attempts));
        let state = Value::Text(State::Sending.as_str().to_owned());
        bulk.update(DELIVERIES, &delivery.id, &[("state", state), ("attempts", attempts), ("lease", ends.clone())])?;
        delivery.state = State::Sending;
    }
    Ok(Claimed { deliveries: claimed, lapsed })
}

/// When a channel has something to do next: the earliest that is due, or the end of a lease.
pub(super) fn next(tx: &ReadTx<'_>, channel: Channel) -> Result<Option<Timestamp>> {
    let mut next = tx.query_one(NEXT_LEASE, [channel.as_str()], earliest)?.flatten();
    for priority in Priority::ALL {
        next = [next, next_due(tx, channel, priority)?].into_iter().flatten().min();
    }
    Ok(next)
}

/// The earliest that waits in a channel, of one priority.
pub(super) fn next_due(tx: &ReadTx<'_>, channel: Channel, priority: Priority) -> Result<Option<Timestamp>> {
    Ok(tx.query_one(NEXT_DUE, (channel.as_str(), priority.number()), earliest)?.flatten())
}

fn earliest(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Timestamp>> {
    let found: Option<String> = row.get(0)?;
    // What has no time is due at once.
    Ok(found.map(|text| moment::parse(&text).unwrap_or_default()))
}

/// Whether anything is due or on its way.
pub(super) fn is_busy(tx: &ReadTx<'_>) -> Result<bool> {
    if tx.query_one("SELECT 1 FROM _deliveries WHERE state = 'sending' LIMIT 1", [], |_| Ok(()))?.is_some() {
        return Ok(true);
    }
    for channel in Channel::ALL {
        if !due(tx, channel, tx.now(), 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the digest that `leader` leads carries besides it, oldest first.
pub(super) fn items(tx: &ReadTx<'_>, leader: &str) -> Result<Vec<Delivery>> {
    tx.query_all(ITEMS, (leader, (MAX_ITEMS - 1) as i64), Delivery::read)
}

/// State and attempts as they are stored now.
pub(super) fn standing(tx: &ReadTx<'_>, id: &str) -> Result<Option<(Option<State>, u32)>> {
    tx.query_one(STANDING, [id], |row| {
        let attempts = scalar::raw_float(row.get_ref(1)?) as u32;
        Ok((State::parse(&scalar::raw_text(row.get_ref(0)?)), attempts))
    })
}

/// Whether anything of the notification is still to come.
pub fn is_pending(tx: &ReadTx<'_>, notification: &str) -> Result<bool> {
    Ok(tx.query_one(PENDING, [notification], |_| Ok(()))?.is_some())
}

/// Whether another of the recipient's waits under the digest key.
pub(super) fn digest_is_taken(tx: &ReadTx<'_>, delivery: &Delivery) -> Result<bool> {
    let (collection, record, address) = delivery.recipient.columns();
    let asked = (collection, record, delivery.channel.as_str(), &delivery.digest, address, &delivery.id);
    Ok(tx.query_one(DIGEST_TAKEN, asked, |_| Ok(()))?.is_some())
}
