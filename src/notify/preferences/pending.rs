//! What changed preferences mean for deliveries that are on their way to be due.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::{
    clock::Timestamp,
    db::{ReadTx, Value, WriteTx},
    error::Result,
    notify::{
        Priority, State,
        collections::DELIVERIES,
        deliveries::{self, Delivery},
        when::{When, wall_to_instant},
        whether::{Profile, Reason},
        who::Owner,
        withdraw::withdraw,
    },
    records::Records,
};

/// Deliveries that one transaction looks at.
pub(super) const AT_ONCE: usize = 200;

/// How far it came.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The last one that was looked at; none: that was all.
    pub next: Option<String>,
    /// When the earliest is due of those that are due at another time now.
    pub due: Option<Timestamp>,
}

/// Brings the pending deliveries of an account after `after` (by id) into line with what it wants: what it opted out of
/// is cancelled, and wall times are those of its zone.
pub(super) fn bring_into_line(
    tx: &mut WriteTx<'_>,
    records: &Records,
    owner: &Owner,
    profile: &Profile,
    default_zone: &str,
    after: &str,
) -> Result<Done> {
    let found = pending(tx, owner, after)?;
    let mut done = Done { next: found.last().filter(|_| found.len() == AT_ONCE).cloned(), due: None };
    let mut earliest = |time: Timestamp| done.due = Some(done.due.map_or(time, |due: Timestamp| due.min(time)));
    let mut whens = HashMap::new();
    for id in &found {
        // One before it may have been its digest's first.
        let Some(delivery) = deliveries::load(tx, id)? else { continue };
        if !matches!(delivery.state, State::Scheduled | State::Batched) {
            continue;
        }
        let must_know = delivery.priority == Priority::Critical && delivery.category.is_empty();
        if !must_know && !profile.wants(&delivery.category, delivery.channel) {
            let reason = Reason::new("opted_out", "They opted out while it was pending.").to_string();
            withdraw(tx, records, id, State::Cancelled, &reason)?;
        } else if let Some(due) = moved(tx, &delivery, profile, default_zone, &mut whens)? {
            records.bulk(tx).update(DELIVERIES, id, &[("due", Value::Text(due.to_string()))])?;
            earliest(due);
        }
    }
    Ok(done)
}

fn pending(tx: &ReadTx<'_>, owner: &Owner, after: &str) -> Result<Vec<String>> {
    let sql = "
        SELECT id FROM _deliveries
        WHERE recordRef = ?1 AND collectionRef = ?2 AND state IN ('scheduled', 'batched') AND id > ?3
        ORDER BY id LIMIT ?4";
    let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    tx.query_all(sql, (&owner.record, &owner.collection, after, limit), |row| row.get(0))
}

/// When a wall time is in the recipient's zone of now; none if that is when it is due anyway.
fn moved(
    tx: &ReadTx<'_>,
    delivery: &Delivery,
    profile: &Profile,
    default_zone: &str,
    whens: &mut HashMap<String, When>,
) -> Result<Option<Timestamp>> {
    let sql = "SELECT wall FROM _deliveries WHERE id = ?1 AND state = 'scheduled' AND wall != ''";
    let Some(wall) = tx.query_one(sql, [&delivery.id], |row| row.get::<_, String>(0))? else { return Ok(None) };
    let own = profile.zone.as_ref().and_then(|zone| zone.iana_name()).unwrap_or_default();
    if !whens.contains_key(&delivery.notification) {
        let sql = "SELECT `when` FROM _notifications WHERE id = ?1";
        let json: Option<Option<String>> = tx.query_one(sql, [&delivery.notification], |row| row.get(0))?;
        let json: Json = json.flatten().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        whens.insert(delivery.notification.clone(), When::parse(&json).unwrap_or_default());
    }
    let when = &whens[&delivery.notification];
    let due = wall_to_instant(&wall, when.zone(own, default_zone));
    Ok(due.filter(|&due| due != delivery.first_due()))
}
