//! From what is due to what goes out: facts, judgement and text of a whole batch, in one snapshot.

use std::{collections::HashMap, sync::Arc};

use serde_json::Map;
use tokio::task;

use super::{Desk, conclude::failed_here};
use crate::{
    clock::Timestamp,
    db::ReadTx,
    error::{Error, Result},
    notify::{
        Channel, State,
        deliveries::{self, Delivery},
        how::{Letter, Target, Ticket},
        letter,
        settle::{Ending, Settlement, reached_any},
        token::Signer,
        whether::{
            Reason, Verdict,
            facts::{Facts, Reader, same_cap},
            judge::{expires, judge, judge_item},
        },
    },
    settings::Settings,
};

/// Reasons that concern this delivery and not its recipient: the rest of its digest may still go out.
const ITS_OWN: [&str; 8] =
    ["cancelled", "unreadable", "expired", "condition", "collapsed", "template_missing", "seen", "sent"];

/// What comes of a delivery that is due.
pub(super) enum Prepared {
    /// It is decided already.
    Decided(Settlement),
    Goes(Box<Outgoing>),
}

/// What is to be sent.
pub(super) struct Outgoing {
    /// Filled with what becomes of it.
    pub settlement: Settlement,
    pub letter: Letter,
    /// Where it has not been yet.
    pub targets: Vec<Target>,
}

/// Judges these and renders those that go out.
fn prepare(desk: &Desk, tx: &ReadTx<'_>, signer: &Signer, deliveries: &[Arc<Delivery>]) -> Result<Vec<Prepared>> {
    let settings = desk.rooms.settings.current();
    let catalog = desk.rooms.schema.catalog();
    let mut reader = Reader::new(tx, catalog, &settings.notify.default_zone);
    let mut passed: HashMap<_, u32> = HashMap::new();
    let mut prepared = Vec::with_capacity(deliveries.len());
    for mut facts in reader.read(deliveries)? {
        let items = deliveries::items(tx, &facts.delivery.id)?;
        let capped = facts.intent().is_some_and(|intent| intent.cap.is_some());
        if capped {
            facts.passed += passed.get(&same_cap(&facts.delivery)).copied().unwrap_or(0);
        }
        let mut settlement = Settlement::new(facts.delivery.clone(), Ending::Sent);
        match judge(&facts, tx.now()) {
            Verdict::Send => {
                if capped {
                    *passed.entry(same_cap(&facts.delivery)).or_default() += 1;
                }
                let (carried, items) = judge_items(&mut reader, tx, items)?;
                settlement.items = items;
                let mut rendered = render(desk, &settings, tx.now(), &facts, &carried, settlement);
                if let Prepared::Goes(outgoing) = &mut rendered {
                    outgoing.letter.receipt = signer.receipt(&facts.delivery.id);
                }
                prepared.push(rendered);
                continue;
            }
            Verdict::Wait { until, reason } => {
                let reason = reason.to_string();
                settlement.items = whole(items);
                settlement.ending = Ending::Later { due: until, reason, counts: false };
            }
            Verdict::Drop { state, reason } => {
                settlement.leaves_digest = ITS_OWN.contains(&reason.code);
                settlement.items = whole(items);
                // Some devices have it: what keeps it from the others does not undo that.
                if !reached_any(&facts.delivery.detail) {
                    settlement.ending = Ending::Over { state, reason: reason.to_string() };
                }
            }
        }
        prepared.push(Prepared::Decided(settlement));
    }
    Ok(prepared)
}

type Items = Vec<(Arc<Delivery>, Option<Ending>)>;

fn whole(items: Vec<Delivery>) -> Items {
    items.into_iter().map(|item| (Arc::new(item), None)).collect()
}

/// Which parts of a digest are still wanted, and what becomes of each.
fn judge_items(reader: &mut Reader<'_, '_>, tx: &ReadTx<'_>, items: Vec<Delivery>) -> Result<(Vec<Facts>, Items)> {
    let items: Vec<Arc<Delivery>> = items.into_iter().map(Arc::new).collect();
    let (mut carried, mut judged) = (Vec::new(), Vec::new());
    for facts in reader.read(&items)? {
        let own = match judge_item(&facts, tx.now()) {
            Verdict::Drop { state, reason } => Some(Ending::Over { state, reason: reason.to_string() }),
            Verdict::Send | Verdict::Wait { .. } => None,
        };
        judged.push((facts.delivery.clone(), own.clone()));
        if own.is_none() {
            carried.push(facts);
        }
    }
    Ok((carried, judged))
}

fn render(
    desk: &Desk,
    settings: &Settings,
    now: Timestamp,
    facts: &Facts,
    items: &[Facts],
    mut settlement: Settlement,
) -> Prepared {
    let Some(intent) = facts.intent() else { return Prepared::Decided(settlement) };
    let mut letter = match letter::compose(&desk.rooms.records, settings, now, facts, items) {
        Ok(letter) => letter,
        Err(broken) => {
            let reason = Reason::from(&broken).to_string();
            settlement.ending = Ending::Over { state: State::Failed, reason };
            return Prepared::Decided(settlement);
        }
    };
    letter.track = intent.track;
    letter.category.clone_from(&facts.delivery.category);
    letter.priority = facts.delivery.priority;
    letter.collapse.clone_from(&facts.delivery.collapse);
    letter.expires = expires(facts, intent);
    Prepared::Goes(Box::new(Outgoing { targets: targets(facts), settlement, letter }))
}

/// The ways to the recipient that are still to be gone.
fn targets(facts: &Facts) -> Vec<Target> {
    match facts.delivery.channel {
        Channel::Inbox => vec![Target::Inbox],
        Channel::Email => {
            facts.address().map(|address| Target::Email { address: address.to_owned() }).into_iter().collect()
        }
        Channel::Push | Channel::Webhook => {
            let none = Map::new();
            let done = facts.delivery.detail.get("devices").and_then(serde_json::Value::as_object).unwrap_or(&none);
            let open = |id: &str| done.get(id).is_none_or(|device| device["state"] == "later");
            facts.devices.iter().filter(|device| open(&device.id)).cloned().map(Target::Device).collect()
        }
    }
}

/// Judges and renders a batch on the blocking pool. When that fails each is tried by itself, so that none spoils the
/// others.
pub(super) async fn prepare_all(desk: &Arc<Desk>, claimed: Vec<Arc<Delivery>>) -> Vec<Prepared> {
    if claimed.is_empty() {
        return Vec::new();
    }
    let failed = |claimed: &[Arc<Delivery>], error: &Error| -> Vec<Prepared> {
        let now = desk.rooms.clock.now();
        claimed.iter().map(|delivery| Prepared::Decided(failed_here(delivery, error, now))).collect()
    };
    let signer = match desk.links.signer().await {
        Ok(signer) => signer,
        Err(error) => return failed(&claimed, &error),
    };
    let (desk, kept) = (desk.clone(), claimed.clone());
    let prepared = task::spawn_blocking(move || {
        let in_one = |batch: &[Arc<Delivery>]| desk.rooms.db.read_blocking(|tx| prepare(&desk, tx, &signer, batch));
        in_one(&claimed).unwrap_or_else(|_| {
            let each = claimed.iter().flat_map(|delivery| match in_one(std::slice::from_ref(delivery)) {
                Ok(prepared) => prepared,
                Err(error) => vec![Prepared::Decided(failed_here(delivery, &error, desk.rooms.clock.now()))],
            });
            each.collect()
        })
    });
    prepared.await.unwrap_or_else(|error| failed(&kept, &Error::internal(error)))
}

/// What names this sending towards others.
pub(super) fn ticket(delivery: &Delivery) -> Ticket {
    Ticket {
        delivery: delivery.id.clone(),
        notification: delivery.notification.clone(),
        recipient: delivery.recipient.clone(),
        attempt: delivery.attempts,
    }
}
