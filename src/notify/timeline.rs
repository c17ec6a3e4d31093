//! What became of a notification: the intent, how many deliveries stand where, and each with its timeline.

use std::collections::BTreeMap;

use rusqlite::{params_from_iter, types::Value};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{
    Notify,
    collections::{DELIVERIES, NOTIFICATIONS},
    who::audience::Cursor,
};
use crate::{
    db::ReadTx,
    error::{Error, Leaf, Result},
    identity::Caller,
    records::Shape,
    rules::Request,
    schema::Catalog,
};

/// Deliveries on one page.
pub const MAX_PAGE: usize = 200;

/// Columns of a delivery as they are told; those that are JSON, and those that are numbers.
const TEXTS: [&str; 19] = [
    "id",
    "collectionRef",
    "recordRef",
    "address",
    "channel",
    "state",
    "reason",
    "due",
    "wall",
    "digest",
    "digestOf",
    "collapse",
    "sentAt",
    "deliveredAt",
    "openedAt",
    "clickedAt",
    "created",
    "updated",
    "category",
];
const JSONS: [&str; 2] = ["detail", "trail"];
const NUMBERS: [&str; 2] = ["step", "attempts"];

/// A page of it.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// The row of `_notifications`.
    pub notification: Json,
    /// Entries and recipients that were passed over, and why: of the first few.
    pub skipped: u64,
    pub why: Vec<String>,
    /// Number of deliveries by state.
    pub counts: BTreeMap<String, u64>,
    /// By recipient, then channel and step.
    pub deliveries: Vec<Json>,
    /// Asks for the next page; none: this is the last.
    pub next: Option<String>,
}

/// Which deliveries are told.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// At most [`MAX_PAGE`].
    pub limit: usize,
    /// Id of the last delivery of the page before.
    pub after: Option<String>,
    pub state: Option<String>,
    /// `users/ID` or an address.
    pub user: Option<String>,
}

impl Notify {
    /// The timeline of one notification; `NotFound` if there is none of this id.
    pub async fn timeline(&self, id: &str, asked: Asked) -> Result<Timeline> {
        let request = Request { method: "GET".into(), caller: Caller::system(), ..Request::default() };
        let row = self.rooms.records.view(request, NOTIFICATIONS, id, Shape::default()).await?;
        let notification = serde_json::from_slice(&row).map_err(Error::internal)?;
        let (catalog, id) = (self.rooms.schema.catalog(), id.to_owned());
        let read = move |tx: &ReadTx<'_>| {
            let sql = format!("SELECT cursor FROM {NOTIFICATIONS} WHERE id = ?1");
            let cursor: Option<Option<String>> = tx.query_one(&sql, [&id], |row| row.get(0))?;
            let cursor = Cursor::parse(&cursor.flatten().unwrap_or_default());
            let (deliveries, next) = page(tx, &catalog, &id, &asked)?;
            Ok((cursor, counts(tx, &id)?, deliveries, next))
        };
        let (cursor, counts, deliveries, next) = self.rooms.db.read(read).await?;
        Ok(Timeline { notification, skipped: cursor.skipped, why: cursor.why, counts, deliveries, next })
    }
}

fn counts(tx: &ReadTx<'_>, id: &str) -> Result<BTreeMap<String, u64>> {
    let sql = format!("SELECT state, count(*) FROM {DELIVERIES} WHERE notification = ?1 GROUP BY state");
    Ok(tx.query_all(&sql, [id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?.into_iter().collect())
}

/// In the order of the unique index, so that the next page begins where this one ends.
fn page(tx: &ReadTx<'_>, catalog: &Catalog, id: &str, asked: &Asked) -> Result<(Vec<Json>, Option<String>)> {
    const ORDER: &str = "collectionRef, recordRef, address, channel, step";
    let names: Vec<&str> = TEXTS.into_iter().chain(JSONS).chain(NUMBERS).collect();
    let mut sql = format!("SELECT `{}` FROM {DELIVERIES} WHERE notification = ?", names.join("`, `"));
    let mut params = vec![Value::Text(id.to_owned())];
    if let Some(after) = &asked.after {
        sql.push_str(&format!(" AND ({ORDER}) > (SELECT {ORDER} FROM {DELIVERIES} WHERE id = ? AND notification = ?)"));
        params.extend([Value::Text(after.clone()), Value::Text(id.to_owned())]);
    }
    if let Some(user) = &asked.user {
        sql.push_str(" AND collectionRef = ? AND recordRef = ? AND address = ?");
        let account =
            user.split_once('/').and_then(|(name, record)| Some((catalog.find(name)?.id.to_string(), record)));
        let (collection, record, address) = match account {
            Some((collection, record)) => (collection, record.to_owned(), String::new()),
            None => (String::new(), String::new(), user.to_ascii_lowercase()),
        };
        params.extend([collection, record, address].map(Value::Text));
    }
    if let Some(state) = &asked.state {
        sql.push_str(" AND state = ?");
        params.push(Value::Text(state.clone()));
    }
    let limit = asked.limit.clamp(1, MAX_PAGE);
    sql.push_str(&format!(" ORDER BY {ORDER} LIMIT {limit}"));
    let found = tx.query_all(&sql, params_from_iter(&params), |row| delivery(row, &names))?;
    let last = found.last().filter(|_| found.len() == limit);
    let next = last.and_then(|last| last["id"].as_str()).map(str::to_owned);
    Ok((found, next))
}

fn delivery(row: &rusqlite::Row<'_>, names: &[&str]) -> rusqlite::Result<Json> {
    let mut told = Map::new();
    for (index, &name) in names.iter().enumerate() {
        let value = match row.get::<_, Value>(index)? {
            Value::Text(text) if JSONS.contains(&name) => serde_json::from_str(&text).unwrap_or(Json::Null),
            Value::Text(text) => Json::String(text),
            Value::Integer(number) => number.into(),
            Value::Real(number) => (number as i64).into(),
            Value::Null | Value::Blob(_) => Json::Null,
        };
        told.insert(name.to_owned(), value);
    }
    Ok(Json::Object(told))
}

/// The state that a query names, if it names one.
pub fn state(name: Option<&str>) -> Result<Option<String>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    let known = super::State::parse(name).map(|state| Some(state.as_str().to_owned()));
    known.ok_or_else(|| Error::field("state", Leaf::new("validation_invalid_value", "There is no such state.")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        db::testing::TempDir,
        notify::expand::house::{House, to},
    };

    #[tokio::test]
    async fn it_tells_where_each_delivery_stands_a_page_at_a_time() {
        let dir = TempDir::new();
        let house = House::open(&dir);
        house.users(7, "ann").await;
        let id = house.add(to(json!([{"collection": "users"}, "users/nobody"]))).await;
        house.add(to(json!(["users/ann000000"]))).await;
        house.expand().await;
        house.db.write(|tx| tx.execute("UPDATE _deliveries SET state = 'sent' WHERE rowid <= 2", [])).await.unwrap();
        let (mut found, mut after) = (Vec::new(), None);
        for expected in [3, 3, 1] {
            let asked = Asked { limit: 3, after: after.take(), ..Asked::default() };
            let page = house.notify.timeline(&id, asked).await.unwrap();
            assert_eq!(page.notification["state"], "active");
            assert_eq!((page.skipped, page.why.len()), (1, 1));
            assert_eq!(page.counts, [("scheduled".to_owned(), 5), ("sent".to_owned(), 2)].into());
            assert_eq!(page.deliveries.len(), expected);
            found.extend(page.deliveries.iter().map(|delivery| delivery["recordRef"].as_str().unwrap().to_owned()));
            after = page.next;
        }
        assert_eq!(after, None);
        assert_eq!(found, (0..7).map(|index| format!("ann{index:06}")).collect::<Vec<_>>());
        for (asked, count) in [
            (Asked { state: Some("sent".into()), ..Asked::default() }, 2),
            (Asked { state: Some("failed".into()), ..Asked::default() }, 0),
            (Asked { user: Some("users/ann000003".into()), ..Asked::default() }, 1),
            (Asked { user: Some("users/nobody".into()), ..Asked::default() }, 0),
            (Asked { user: Some("a@x.co".into()), ..Asked::default() }, 0),
            (Asked { after: Some("nothing".into()), ..Asked::default() }, 0),
        ] {
            let asked = Asked { limit: 100, ..asked };
            let page = house.notify.timeline(&id, asked.clone()).await.unwrap();
            assert_eq!(page.deliveries.len(), count, "{asked:?}");
        }
        let error = house.notify.timeline("nothing", Asked::default()).await.unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::NotFound);
        assert!(state(Some("lost")).is_err());
        assert_eq!(state(Some("")).unwrap(), None);
    }
}
