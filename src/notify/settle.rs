//! What became of deliveries, written in bulk: each is decided once, in one transaction with all that follows from it.
//!
//! A settlement names the state and the attempt that it was made for. A delivery that has moved on meanwhile (called
//! back, claimed again) is left as it is: somebody else has decided.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    Channel, State,
    collections::{DELIVERIES, DEVICES, INBOX, NOTIFICATIONS},
    deliveries::{self, Delivery, MAX_ITEMS},
};
use crate::{
    clock::Timestamp,
    db::{Value, WriteTx},
    error::Result,
    records::Records,
};

/// Bytes of a reason that are kept.
const MAX_REASON: usize = 500;

/// How it ends, or goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// Somebody took it.
    Sent,
    /// It ends in this state, for this reason (`code: words`).
    Over { state: State, reason: String },
    /// It waits again.
    Later {
        due: Timestamp,
        reason: String,
        /// Whether what was done counts as an attempt.
        counts: bool,
    },
}

/// What is to be written about one delivery.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub delivery: Arc<Delivery>,
    pub ending: Ending,
    /// What became of it at each device.
    pub detail: Map<String, Json>,
    /// The rest of its digest. What has an ending of its own ends so, the others like the first.
    pub items: Vec<(Arc<Delivery>, Option<Ending>)>,
    /// The rest of the digest goes without it: the next becomes the first.
    pub leaves_digest: bool,
    /// Ids of devices that are gone for good.
    pub gone: Vec<String>,
    /// The row of `_inbox` that is made with it.
    pub inbox: Option<Vec<(&'static str, Value)>>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Settled {
    /// How many of them, from the first.
    pub count: usize,
    /// How late those were that were sent as they were planned, by channel, in milliseconds.
    pub lateness: Vec<(Channel, u64)>,
    /// The next that somebody has to do, by channel.
    pub due: Vec<(Channel, Timestamp)>,
}

impl Settlement {
    pub fn new(delivery: Arc<Delivery>, ending: Ending) -> Self {
        let detail = delivery.detail.clone();
        Self { delivery, ending, detail, items: Vec::new(), leaves_digest: false, gone: Vec::new(), inbox: None }
    }
}

/// Writes those that still hold, at least the first; no more of them once somebody waits for the transaction.
pub(super) fn apply(tx: &mut WriteTx<'_>, records: &Records, settlements: &[Settlement]) -> Result<Settled> {
    let mut settled = Settled::default();
    let mut touched = BTreeSet::new();
    for settlement in settlements {
        if settled.count > 0 && tx.should_end() {
            break;
        }
        settled.count += 1;
        if !holds(tx, settlement)? {
            continue;
        }
        one(tx, records, settlement, &mut settled)?;
        touched.insert(&*settlement.delivery.notification);
        touched.extend(settlement.items.iter().map(|(item, _)| &*item.notification));
    }
    close_finished(tx, records, touched)?;
    Ok(settled)
}

/// The notifications that are expanded and of which nothing is to come any more are done.
pub fn close_finished<'n>(
    tx: &mut WriteTx<'_>,
    records: &Records,
    notifications: impl IntoIterator<Item = &'n str>,
) -> Result<()> {
    let mut done = Vec::new();
    for notification in notifications {
        let sql = "SELECT 1 FROM _notifications WHERE id = ?1 AND state = 'active'";
        if !deliveries::is_pending(tx, notification)? && tx.query_one(sql, [notification], |_| Ok(()))?.is_some() {
            done.push(notification);
        }
    }
    for notification in done {
        // As many as a digest carries: more than one bulk may write.
        records.bulk(tx).update(NOTIFICATIONS, notification, &[("state", text("done"))])?;
    }
    Ok(())
}

/// A digest whose first does not go out goes on without it: the oldest of the rest becomes the first, due now. Under its
/// key another digest may have begun since.
fn leave_digest(tx: &mut WriteTx<'_>, records: &Records, leader: &str) -> Result<Option<(Channel, Timestamp)>> {
    let now = tx.now();
    Ok(pass_on(tx, records, leader, "", now)?.map(|channel| (channel, now)))
}

/// Makes the oldest of what a digest carries its first, under this key and due then. What is more than one digest holds
/// gets a first of its own.
pub fn pass_on(
    tx: &mut WriteTx<'_>,
    records: &Records,
    leader: &str,
    digest: &str,
    due: Timestamp,
) -> Result<Option<Channel>> {
    let (mut channel, mut digest) = (None, digest);
    loop {
        let rest = deliveries::items(tx, leader)?;
        let Some((first, others)) = rest.split_first() else { return Ok(channel) };
        let mut bulk = records.bulk(tx);
        let state = text(State::Scheduled.as_str());
        let due = text(&due.to_string());
        let columns = [("state", state), ("digestOf", text("")), ("digest", text(digest)), ("due", due)];
        bulk.update(DELIVERIES, &first.id, &columns)?;
        for other in others {
            bulk.update(DELIVERIES, &other.id, &[("digestOf", text(&first.id))])?;
        }
        channel = Some(first.channel);
        // The key is that of one.
        digest = "";
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Whether the delivery is still what it was when this was decided.
fn holds(tx: &WriteTx<'_>, settlement: &Settlement) -> Result<bool> {
    let delivery = &settlement.delivery;
    if deliveries::standing(tx, &delivery.id)? != Some((Some(delivery.state), delivery.attempts)) {
        return Ok(false);
    }
    // What is not claimed can still be joined.
    let open = delivery.state == State::Scheduled && !delivery.digest.is_empty();
    Ok(!open || deliveries::items(tx, &delivery.id)?.len() == settlement.items.len())
}

fn one(tx: &mut WriteTx<'_>, records: &Records, settlement: &Settlement, settled: &mut Settled) -> Result<()> {
    let (now, delivery) = (tx.now(), &settlement.delivery);
    let key_is_taken = matches!(settlement.ending, Ending::Later { .. })
        && !delivery.digest.is_empty()
        && deliveries::digest_is_taken(tx, delivery)?;
    let mut columns = columns(delivery, &settlement.ending, &settlement.detail, now);
    if key_is_taken {
        columns.push(("digest", text("")));
    }
    let mut bulk = records.bulk(tx);
    for device in &settlement.gone {
        bulk.delete(DEVICES, device)?;
    }
    if let (Ending::Sent, Some(inbox)) = (&settlement.ending, &settlement.inbox) {
        bulk.insert_new(INBOX, inbox)?;
    }
    bulk.update(DELIVERIES, &delivery.id, &columns)?;
    let over = !matches!(settlement.ending, Ending::Later { .. });
    if over && !settlement.leaves_digest {
        // A digest alone may fill what one may write.
        let mut bulk = records.bulk(tx);
        for (item, own) in &settlement.items {
            let ending = own.as_ref().unwrap_or(&settlement.ending);
            let mut columns = self::columns(item, ending, &item.detail, now);
            if own.is_none() {
                columns.retain(|(name, _)| *name != "reason");
                columns.push(("reason", text(&format!("digest: It went with {}.", delivery.id))));
            }
            bulk.update(DELIVERIES, &item.id, &columns)?;
        }
    }
    let more = settlement.items.len() + 1 >= MAX_ITEMS;
    if over && (settlement.leaves_digest || more) {
        settled.due.extend(leave_digest(tx, records, &delivery.id)?);
    }
    match &settlement.ending {
        Ending::Sent if delivery.attempts <= 1 && !delivery.detail.contains_key("due") => {
            let late = delivery.due.until(now).as_millis();
            settled.lateness.push((delivery.channel, u64::try_from(late).unwrap_or(u64::MAX)));
        }
        Ending::Later { due, .. } => settled.due.push((delivery.channel, *due)),
        _ => {}
    }
    Ok(())
}

/// What changes of a delivery.
fn columns(
    delivery: &Delivery,
    ending: &Ending,
    detail: &Map<String, Json>,
    now: Timestamp,
) -> Vec<(&'static str, Value)> {
    let mut detail = detail.clone();
    let (state, reason) = match ending {
        Ending::Sent => (State::Sent, ""),
        Ending::Over { state, reason } => (*state, cut(reason)),
        Ending::Later { reason, .. } => (State::Scheduled, cut(reason)),
    };
    let mut columns = vec![("state", text(state.as_str())), ("reason", text(reason)), ("lease", text(""))];
    match ending {
        Ending::Sent => {
            if delivery.sent_at.is_none() {
                columns.push(("sentAt", text(&now.to_string())));
            }
            if delivery.state != State::Sending {
                columns.push(("attempts", Value::Integer(i64::from(delivery.attempts) + 1)));
            }
        }
        Ending::Later { due, counts, .. } => {
            columns.push(("due", text(&due.to_string())));
            if !counts && delivery.state == State::Sending {
                let attempts = delivery.attempts.saturating_sub(1);
                columns.push(("attempts", Value::Integer(i64::from(attempts))));
            }
            // Some devices have it: that counts for those who ask whether it was sent.
            if delivery.sent_at.is_none() && reached_any(&detail) {
                columns.push(("sentAt", text(&now.to_string())));
            }
            detail.entry("due").or_insert_with(|| Json::String(delivery.due.to_string()));
        }
        Ending::Over { .. } => {}
    }
    if !detail.is_empty() && detail != delivery.detail {
        columns.push(("detail", text(&Json::Object(detail).to_string())));
    }
    columns.push(("trail", text(&delivery.trail_with(now, state, reason).to_string())));
    columns
}

/// Whether any device has it, by what is kept of each.
pub(super) fn reached_any(detail: &Map<String, Json>) -> bool {
    let devices = detail.get("devices").and_then(Json::as_object);
    devices.is_some_and(|devices| devices.values().any(|device| device["state"] == "sent"))
}

fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
