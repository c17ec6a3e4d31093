//! What is pending about a record, called off as soon as it is of no use: the record is gone, or satisfies what the
//! notification was to be sent unless.

use serde_json::Value as Json;

use crate::{
    db::{ReadTx, Value},
    error::Result,
    notify::{State, collections::NOTIFICATIONS, whether::Reason, withdraw::withdraw as take_back},
    records::{Bulk, Records},
};

/// Notifications about one record that are looked at for one change of it.
const MAX_PENDING: i64 = 50;
/// Deliveries of one notification that are called off at once. The rest end when they are due: they are judged then.
const MAX_DELIVERIES: i64 = 20;
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
pub(super) fn withdraw(bulk: &mut Bulk<'_, '_>, records: &Records, notification: &str, reason: &Reason) -> Result<()> {
    let Some(row) = bulk.load(NOTIFICATIONS, notification)? else { return Ok(()) };
    if !matches!(row.text("state"), Some("" | "new" | "expanding" | "active")) {
        return Ok(());
    }
    let told = reason.to_string();
    let state = Value::Text(State::Cancelled.as_str().to_owned());
    bulk.update(NOTIFICATIONS, notification, &[("state", state), ("reason", Value::Text(told.clone()))])?;
    let sql = "SELECT id FROM _deliveries
        WHERE notification = ?1 AND `state` IN ('scheduled', 'batched', 'sending') AND state != 'sending'
        ORDER BY rowid LIMIT ?2";
    let waiting: Vec<String> = bulk.tx().query_all(sql, (notification, MAX_DELIVERIES), |row| row.get(0))?;
    for id in waiting {
        take_back(bulk.tx(), records, &id, State::Cancelled, &told)?;
    }
    Ok(())
}
