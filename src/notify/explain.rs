//! Explain: a dry run. Who would get this, when, through what; and for each who would not, why. Nothing is written.
//!
//! It walks the same audience, makes the same plan and asks the same judge as the engine, each delivery as of the time when
//! it would be due. What only time tells (whether a step was seen, what else was sent by then) is taken as it is now. A
//! large audience is judged for its first part, counted for a larger one, and said to be more beyond that; for the first of
//! all the texts are rendered, too.

#[cfg(test)]
mod tests;
mod wording;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use self::wording::Tried;
use super::{
    Channel, Notify, Recipient, State,
    deliveries::Delivery,
    intent::Intent,
    plan::{Circumstances, Planned, plan},
    send, stored,
    when::zone,
    whether::{
        Verdict,
        facts::{Facts, Reader},
        judge::judge,
    },
    who::audience::{Audience, Cursor},
};
use crate::{
    clock::Timestamp,
    db::ReadTx,
    error::{Error, Leaf, Result},
    schema::Catalog,
};

/// Recipients on one page.
pub const MAX_PAGE: usize = 200;
/// Recipients that are judged.
const MAX_JUDGED: u64 = 2_000;
/// Recipients that are counted.
const MAX_COUNTED: u64 = 100_000;
/// No new batch is begun after this.
const PATIENCE: Duration = Duration::from_secs(3);
/// Recipients that are judged, or counted, in one read.
const JUDGED_AT_ONCE: usize = 50;
const COUNTED_AT_ONCE: usize = 1_000;
/// Bytes of a cursor.
const MAX_CURSOR: usize = 4_096;

/// What a dry run tells.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// It was asked for before under the same key: sent again, it would reach nobody.
    pub duplicate: bool,
    pub totals: Totals,
    pub items: Vec<Item>,
    /// Asks for the next page; none: this is the last.
    pub next: Option<String>,
}

/// Over the whole audience from the page's beginning on, as far as it was walked.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    /// Whoever something would reach, each once.
    pub recipients: u64,
    /// Of these, so many were judged.
    pub judged: u64,
    /// For so many of those whom something would reach the texts were rendered, as they would be.
    pub rendered: u64,
    /// False: there are more than were counted.
    pub complete: bool,
    /// Entries and recipients that are passed over, and why: of the first few.
    pub skipped: u64,
    pub why: Vec<String>,
    /// Deliveries of those who were judged, by what becomes of them: `send`, `wait`, or the state that they end in.
    pub verdicts: BTreeMap<&'static str, u64>,
}

/// One recipient.
#[derive(Debug, Serialize)]
pub struct Item {
    /// Name of the collection; blank for a bare address.
    pub collection: String,
    pub record: String,
    pub address: String,
    pub zone: String,
    pub deliveries: Vec<Would>,
}

/// What would become of one delivery.
#[derive(Debug, Serialize)]
pub struct Would {
    pub channel: &'static str,
    pub step: usize,
    pub due: String,
    /// What the clock on the recipient's wall shows then.
    pub local: String,
    /// Devices that it would go to, where it goes to devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<usize>,
    /// `send`, `wait` or `drop`.
    pub verdict: &'static str,
    /// The state that it ends in, if it is dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// When it is looked at again, if it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// `code: words`; blank if it is sent.
    pub reason: String,
}

/// What one read found.
struct Part {
    /// With the facts of the first delivery that would go out, if any would.
    items: Vec<(Recipient, Item, Option<Facts>)>,
    next: Cursor,
    over: bool,
}

impl Notify {
    /// Explains what a send of this body would do; up to `limit` recipients (at most [`MAX_PAGE`]) from `after` on, which a
    /// page before has told.
    pub async fn explain(&self, body: &Map<String, Json>, limit: usize, after: Option<&str>) -> Result<Explained> {
        let (mut body, now) = (body.clone(), self.rooms.clock.now());
        // One that recurs is explained as if it ran now.
        if let Some(Json::Object(when)) = body.get("when").filter(|when| when.get("cron").is_some()) {
            send::check_recurring(&body, when, now)?;
            body.shift_remove("when");
        }
        let intent = Arc::new(Intent::parse(&body, now)?);
        let asked = intent.clone();
        let read = move |tx: &ReadTx<'_>| {
            let duplicate = stored::find(tx, &asked.key)?.is_some();
            Ok((Arc::new(Intent::clone(&asked).categorised(tx)?), duplicate))
        };
        let (intent, duplicate) = self.check(intent, read).await?;
        let mut cursor = after.map(read_cursor).transpose()?.unwrap_or_default();
        let (began, limit) = (Instant::now(), limit.clamp(1, MAX_PAGE));
        let (mut totals, mut items, mut next) = (Totals::default(), Vec::new(), None);
        let (mut known, mut tried) = (HashSet::new(), Tried::default());
        while !totals.complete && totals.recipients < MAX_COUNTED && began.elapsed() < PATIENCE {
            let judges = items.len() < limit || totals.judged < MAX_JUDGED;
            let most = match (judges, limit - items.len().min(limit)) {
                (true, 0) => JUDGED_AT_ONCE,
                (true, room) => JUDGED_AT_ONCE.min(room),
                (false, _) => COUNTED_AT_ONCE,
            };
            let judged = self.part(intent.clone(), cursor, most, judges).await?;
            let (part, so_far) = self.word(judged, tried).await?;
            tried = so_far;
            for (recipient, item, _) in part.items {
                if !known.insert(recipient) {
                    continue;
                }
                totals.recipients += 1;
                if judges {
                    totals.judged += 1;
                    for would in &item.deliveries {
                        *totals.verdicts.entry(would.state.unwrap_or(would.verdict)).or_default() += 1;
                    }
                }
                if items.len() < limit {
                    items.push(item);
                }
            }
            (cursor, totals.complete) = (part.next, part.over);
            if items.len() == limit && next.is_none() && !totals.complete {
                next = Some(write_cursor(&cursor));
            }
        }
        (totals.skipped, totals.why) = (cursor.skipped, cursor.why);
        totals.rendered = tried.recipients;
        Ok(Explained { duplicate, totals, items, next })
    }

    async fn part(&self, intent: Arc<Intent>, cursor: Cursor, most: usize, judges: bool) -> Result<Part> {
        let catalog = self.rooms.schema.catalog();
        let default_zone = self.rooms.settings.current().notify.default_zone.clone();
        self.rooms.db.read(move |tx| part(tx, &catalog, &default_zone, &intent, &cursor, most, judges)).await
    }
}

fn part(
    tx: &ReadTx<'_>,
    catalog: &Arc<Catalog>,
    default_zone: &str,
    intent: &Arc<Intent>,
    cursor: &Cursor,
    most: usize,
    judges: bool,
) -> Result<Part> {
    let batch = Audience { tx, catalog, to: &intent.to }.batch(cursor, most)?;
    let mut reader = Reader::new(tx, catalog.clone(), default_zone);
    reader.plan_for(intent.clone())?;
    let mut part = Part { items: Vec::new(), next: batch.next, over: batch.over };
    for recipient in batch.recipients {
        let name = match &recipient {
            Recipient::Account { collection, .. } => catalog.by_id(collection).map(|found| found.name.to_string()),
            Recipient::Address(_) => None,
        };
        let (_, record, address) = recipient.columns();
        let mut item = Item {
            collection: name.unwrap_or_default(),
            record: record.to_owned(),
            address: address.to_owned(),
            zone: String::new(),
            deliveries: Vec::new(),
        };
        let circumstances = Circumstances { asked: tx.now(), zone: "", default_zone };
        let planned = plan(intent, &recipient, circumstances);
        if planned.is_empty() {
            part.next.skip(&recipient, "an address is reached by e-mail only");
            continue;
        }
        let goes = match judges {
            true => explain_one(tx, &mut reader, intent, &recipient, planned, default_zone, &mut item)?,
            false => None,
        };
        part.items.push((recipient, item, goes));
    }
    Ok(part)
}

/// Fills in what would become of the deliveries of one recipient. The facts of the first that would go out.
fn explain_one(
    tx: &ReadTx<'_>,
    reader: &mut Reader<'_, '_>,
    intent: &Intent,
    recipient: &Recipient,
    planned: Vec<Planned>,
    default_zone: &str,
    item: &mut Item,
) -> Result<Option<Facts>> {
    let deliveries = |planned: Vec<Planned>| -> Vec<Arc<Delivery>> {
        planned.into_iter().map(|planned| Arc::new(delivery(intent, recipient, &planned, tx.now()))).collect()
    };
    let mut facts = reader.read(&deliveries(planned))?;
    // The facts tell the zone, and the zone the time.
    let zone = facts.first().map(|facts| facts.zone.to_string()).unwrap_or_default();
    let circumstances = Circumstances { asked: tx.now(), zone: &zone, default_zone };
    for (facts, delivery) in facts.iter_mut().zip(deliveries(plan(intent, recipient, circumstances))) {
        facts.delivery = delivery;
    }
    item.deliveries = facts.iter().map(would).collect();
    if let Some(address) = facts.first().and_then(Facts::address) {
        item.address = address.to_owned();
    }
    item.zone = zone;
    let goes = item.deliveries.iter().position(|would| would.state.is_none());
    Ok(goes.and_then(|index| facts.into_iter().nth(index)))
}

/// The delivery that would be made.
fn delivery(intent: &Intent, recipient: &Recipient, planned: &Planned, now: Timestamp) -> Delivery {
    let digest = intent.digest.as_ref();
    Delivery {
        id: String::new(),
        notification: String::new(),
        recipient: recipient.clone(),
        channel: planned.channel,
        category: intent.category.clone(),
        priority: intent.priority,
        state: State::Scheduled,
        reason: String::new(),
        due: planned.due.plus(digest.map(|digest| digest.window).unwrap_or_default()),
        attempts: 0,
        step: planned.step,
        digest: digest.map(|digest| digest.key.clone()).unwrap_or_default(),
        collapse: intent.collapse.clone(),
        detail: Map::new(),
        trail: Vec::new(),
        sent_at: None,
        created: now,
        rowid: i64::MAX,
    }
}

fn would(facts: &Facts) -> Would {
    let delivery = &facts.delivery;
    let (verdict, state, until, reason) = match judge(facts, delivery.due) {
        Verdict::Send => ("send", None, None, String::new()),
        Verdict::Wait { until, reason } => ("wait", None, Some(until.to_string()), reason.to_string()),
        Verdict::Drop { state, reason } => ("drop", Some(state.as_str()), None, reason.to_string()),
    };
    let goes_to_devices = matches!(delivery.channel, Channel::Push | Channel::Webhook);
    Would {
        channel: delivery.channel.as_str(),
        step: delivery.step,
        due: delivery.due.to_string(),
        local: local(&facts.zone, delivery.due),
        devices: goes_to_devices.then_some(facts.devices.len()),
        verdict,
        state,
        until,
        reason,
    }
}

/// What the clock on the wall shows in a zone.
fn local(name: &str, time: Timestamp) -> String {
    let zone = zone::find(name).unwrap_or(jiff::tz::TimeZone::UTC);
    let shown = jiff::Timestamp::from_millisecond(time.millis()).map(|time| zone.to_datetime(time));
    shown.map(|shown| shown.strftime("%Y-%m-%dT%H:%M").to_string()).unwrap_or_default()
}

fn write_cursor(cursor: &Cursor) -> String {
    // What was passed over was told with the page.
    let cursor = Cursor { skipped: 0, why: Vec::new(), ..cursor.clone() };
    URL_SAFE_NO_PAD.encode(cursor.to_text().trim_end())
}

fn read_cursor(text: &str) -> Result<Cursor> {
    let bytes = (text.len() <= MAX_CURSOR).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten();
    let cursor: Option<Cursor> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let cursor = cursor.map(|cursor| Cursor { skipped: 0, why: Vec::new(), ..cursor });
    cursor.ok_or_else(|| Error::field("after", Leaf::new("validation_invalid_value", "Must be what a page has told.")))
}
