//! What is pending about a record, called off as soon as it is of no use: the record is gone, or satisfies what the
//! notification was to be sent unless.

use serde_json::{Value as Json, json};

use crate::{
    clock::Timestamp,
    db::{ReadTx, Value},
    error::Result,
    notify::{
        State,
        collections::{DELIVERIES, NOTIFICATIONS},
        whether::Reason,
    },
    records::Bulk,
};

/// Notifications about one record that are looked at for one change of it.
const MAX_PENDING: i64 = 50;
/// Deliveries of one notification that are called off at once. The rest end when they are due: they are judged then.
const MAX_DELIVERIES: i64 = 20;
/// Entries of a timeline.
const MAX_TRAIL: usize = 20;

/// Rows that calling off one notification may write.
pub(super) const MAX_ROWS: usize = 1 + MAX_DELIVERIES as usize;

/// A notification that a change set off and that is not done.
pub(super) struct Pending {
    pub id: String,
    /// The condition under which it is not sent; blank if there is none.
    pub unless: String,
}

/// What is pending about a record, by an index.
pub(super) fn pending(tx: &ReadTx<'_>, collection: &str, record: &str) -> Result<Vec<Pending>> {
    let sql = "SELECT id, \"unless\" FROM _notifications
        WHERE sourceRecord = ?1 AND sourceCollection = ?2 AND sourceRecord != ''
            AND state IN ('', 'new', 'expanding', 'active')
        ORDER BY rowid LIMIT ?3";
    tx.query_all(sql, (record, collection, MAX_PENDING), |row| {
        let unless = row.get_ref(1)?.as_str().ok().and_then(|text| serde_json::from_str::<Json>(text).ok());
        let filter = unless.as_ref().and_then(|unless| unless.get("filter")).and_then(Json::as_str);
        Ok(Pending { id: row.get(0)?, unless: filter.unwrap_or_default().to_owned() })
    })
}

/// Calls off a notification, if it is still pending, and those of its deliveries that wait.
pub(super) fn withdraw(bulk: &mut Bulk<'_, '_>, notification: &str, reason: &Reason, now: Timestamp) -> Result<()> {
    let Some(row) = bulk.load(NOTIFICATIONS, notification)? else { return Ok(()) };
    if !matches!(row.text("state"), Some("" | "new" | "expanding" | "active")) {
        return Ok(());
    }
    let told = Value::Text(reason.to_string());
    let state = Value::Text(State::Cancelled.as_str().to_owned());
    bulk.update(NOTIFICATIONS, notification, &[("state", state.clone()), ("reason", told.clone())])?;
    // Parts of digests belong to others as well: whoever sends the digest leaves this one out.
    let sql = "SELECT id, trail FROM _deliveries
        WHERE notification = ?1 AND state IN ('scheduled', 'batched', 'sending') AND state = 'scheduled' AND digest = ''
        ORDER BY rowid LIMIT ?2";
    let waiting: Vec<(String, String)> =
        bulk.tx().query_all(sql, (notification, MAX_DELIVERIES), |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (id, trail) in waiting {
        let trail = Value::Text(with_end(&trail, reason, now).to_string());
        bulk.update(DELIVERIES, &id, &[("state", state.clone()), ("reason", told.clone()), ("trail", trail)])?;
    }
    Ok(())
}

fn with_end(trail: &str, reason: &Reason, now: Timestamp) -> Json {
    let mut entries = match serde_json::from_str(trail) {
        Ok(Json::Array(entries)) => entries,
        _ => Vec::new(),
    };
    entries.push(json!({"at": now.to_string(), "state": State::Cancelled.as_str(), "reason": reason.to_string()}));
    // The first, and the newest.
    while entries.len() > MAX_TRAIL {
        entries.remove(1);
    }
    Json::Array(entries)
}
