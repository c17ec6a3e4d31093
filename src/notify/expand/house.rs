//! A data directory with all that the room stands on, for its tests.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::Expander;
use crate::{
    clock::{Clock, Timestamp},
    db::{Db, Durability, Options, testing::TempDir},
    files::Storage,
    identity::{Caller, Cost, Passwords},
    jobs::{Jobs, Runner},
    mail::Mail,
    notify::{Notify, Rooms, collections::NOTIFICATIONS, intent::Intent, stored},
    records::{Body, Records, Shape},
    rules::{Checker, Request},
    schema::Schema,
    settings,
};

/// 2027-01-15 08:00 UTC
pub(in crate::notify) const START: Timestamp = Timestamp(1_800_000_000_000);

pub(in crate::notify) struct House {
    pub db: Db,
    pub notify: Notify,
    pub runner: Runner,
    pub clock: Clock,
}

impl House {
    /// Over a directory that may have been used before. Nothing runs by itself.
    pub fn open(dir: &TempDir) -> Self {
        let clock = Clock::manual(START);
        let options = Options {
            durability: Durability::Off,
            clock: clock.clone(),
            functions: vec![crate::rules::register],
            ..Options::default()
        };
        let db = Db::open(dir.path(), options).unwrap();
        let settings = settings::Store::open(db.clone(), None).unwrap();
        let schema = Schema::open(db.clone(), Arc::new(Checker)).unwrap();
        let storage = Storage::open(dir.path(), false).unwrap();
        let jobs = Jobs::new(db.clone());
        let runner = Runner::new(jobs.clone());
        let records = Records::new(db.clone(), schema.clone(), storage, Passwords::new(Cost::Cheap), jobs.clone());
        let mail = Mail::new(settings.clone(), clock.clone(), true);
        let rooms =
            Rooms { db: db.clone(), schema, records, settings, mail, jobs, clock: clock.clone(), capture: true };
        Self { db, notify: Notify::new(rooms), runner, clock }
    }

    /// Accounts `u000000`… in `users`, with the given name and no address.
    pub async fn users(&self, count: i64, name: &'static str) {
        self.db
            .write(move |tx| {
                tx.execute(
                    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) \
                     INSERT INTO users (id, name, tokenKey, password) \
                     SELECT printf('%s%06d', ?2, i), ?2, printf('%s%06d', ?2, i), 'x' FROM n",
                    (count, name),
                )
            })
            .await
            .unwrap();
    }

    pub fn expander(&self) -> Expander {
        self.notify.expand.expander()
    }

    /// One round of expansion.
    pub async fn round(&self) {
        self.expander().round().await.unwrap();
    }

    /// All of it.
    pub async fn expand(&self) {
        let mut expander = self.expander();
        while expander.round().await.unwrap() > 0 {
            assert!(expander.is_well(), "something failed");
        }
    }

    /// Adds an intent as a send does; its id.
    pub async fn add(&self, body: Json) -> String {
        let intent = Intent::parse(&object(body), self.clock.now()).unwrap_or_else(|error| panic!("{error}"));
        let records = self.notify.rooms.records.clone();
        let added = self.db.write(move |tx| stored::add(tx, &records, &intent)).await;
        added.unwrap().id
    }

    /// Creates a record as a superuser does, through the ordinary door; its id.
    pub async fn create(&self, collection: &str, values: Json) -> String {
        let request = Request { method: "POST".into(), caller: Caller::system(), ..Request::default() };
        let body = Body { values: object(values), ..Body::default() };
        let records = &self.notify.rooms.records;
        let answer = records.create(request, collection, body, Shape::default()).await;
        let answer: Json = serde_json::from_slice(&answer.unwrap_or_else(|error| panic!("{error}"))).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// The first column of every row, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = sql.to_owned();
        let all = move |tx: &crate::db::ReadTx<'_>| {
            tx.query_all(&sql, [], |row| {
                Ok(match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    rusqlite::types::ValueRef::Real(number) => number.to_string(),
                    other => other.as_str().unwrap_or_default().to_owned(),
                })
            })
        };
        self.db.read(all).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn count(&self, condition: &str) -> usize {
        self.texts(&format!("SELECT count(*) FROM _deliveries WHERE {condition}")).await[0].parse().unwrap()
    }

    /// `state recipients reason` of a notification.
    pub async fn standing(&self, id: &str) -> String {
        let sql = format!(
            "SELECT state || ' ' || CAST(recipients AS INTEGER) || ' ' || reason FROM {NOTIFICATIONS} WHERE id = '{id}'"
        );
        self.texts(&sql).await.remove(0)
    }
}

pub(in crate::notify) fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// A body with these recipients.
pub(in crate::notify) fn to(to: Json) -> Json {
    json!({"to": to, "title": "Hello"})
}
