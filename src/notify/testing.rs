//! What the room's tests build on: a whole house with a clock that stands still, and providers that do as they are told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Map, Value as Json, json};

use super::{
    Notify, Rooms,
    collections::{DELIVERIES, NOTIFICATIONS},
    how::{Letter, Outcome, Sending, Target, Ticket, Transport, Transports},
};
use crate::{
    app::{App, Config},
    clock::{Clock, Timestamp},
    db::{Row, Value, testing::TempDir},
    identity::{AuthRecord, Caller, SUPERUSERS_ID},
    records::{Body, Shape},
    rules::Request,
};

/// 2027-01-15 08:00:00 UTC
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) struct House {
    pub clock: Clock,
    pub app: App,
    pub notify: Notify,
    /// Id of `users`.
    pub users: String,
    made: AtomicUsize,
    /// Goes last.
    _dir: TempDir,
}

impl House {
    /// Nothing is begun yet.
    pub fn open(transports: Transports) -> Self {
        let dir = TempDir::new();
        let clock = Clock::manual(START);
        let config = Config { clock: clock.clone(), temporary: true, ..Config::new(dir.path().to_owned()) };
        let app = App::open(config).unwrap();
        let users = app.schema.find("users").unwrap().id.to_string();
        let notify = Self::notify_over(&app, transports);
        Self { clock, app, notify, users, made: AtomicUsize::new(0), _dir: dir }
    }

    /// Another one over the same house, as after a restart.
    pub fn notify_over(app: &App, transports: Transports) -> Notify {
        let rooms = Rooms {
            db: app.db.clone(),
            schema: app.schema.clone(),
            records: app.records.clone(),
            settings: app.settings.clone(),
            mail: app.mail.clone(),
            jobs: crate::jobs::Jobs::new(app.db.clone()),
            clock: app.clock.clone(),
            capture: true,
        };
        let links = super::Links::new(app.db.clone(), app.settings.clone());
        Notify::with_transports(rooms, links, transports)
    }

    /// So much later.
    pub fn pass(&self, duration: Duration) {
        self.clock.set(self.clock.now().plus(duration));
    }

    /// Waits until nothing is due; fails when that takes long.
    pub async fn idle(&self) {
        tokio::time::timeout(Duration::from_secs(30), self.notify.idle()).await.expect("it comes to rest").unwrap();
    }

    /// A record made by a superuser; returns its id.
    pub async fn create(&self, collection: &str, values: Json) -> String {
        let request =
            Request { caller: crate::identity::Caller::system(), now: self.clock.now(), ..Request::default() };
        let body = Body { values: values.as_object().unwrap().clone(), ..Body::default() };
        let made = self.app.records.create(request, collection, body, Shape::default()).await;
        let made: Json =
            serde_json::from_slice(&made.unwrap_or_else(|error| panic!("{collection}: {error:?}"))).unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    /// An update by a superuser.
    pub async fn update_by_hand(&self, collection: &str, id: &str, values: Json) {
        let row = Arc::new(Row { columns: Arc::new([]), values: Vec::new() });
        let (collection_id, collection_name) = (SUPERUSERS_ID.into(), "_superusers".into());
        let root = AuthRecord { collection_id, collection_name, id: "root00000000000".into(), row };
        let caller = Caller::Superuser(Arc::new(root));
        let request = Request { caller, now: self.clock.now(), ..Request::default() };
        let body = Body { values: values.as_object().unwrap().clone(), ..Body::default() };
        self.app.records.update(request, collection, id, body, Shape::default()).await.unwrap();
    }

    pub async fn user(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let values =
            json!({"email": format!("u{number}@example.com"), "password": "12345678", "passwordConfirm": "12345678"});
        self.create("users", values).await
    }

    /// A row of the house's own, as it is stored; returns its id.
    pub async fn put(&self, collection: &'static str, values: Json) -> String {
        let records = self.app.records.clone();
        let values = stored(values);
        let put = self.app.db.write(move |tx| {
            let values: Vec<(&str, Value)> =
                values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            records.bulk(tx).insert(collection, &values)
        });
        put.await.unwrap_or_else(|error| panic!("{collection}: {error:?}"))
    }

    pub async fn change(&self, collection: &'static str, id: &str, values: Json) {
        let (records, id, values) = (self.app.records.clone(), id.to_owned(), stored(values));
        let change = self.app.db.write(move |tx| {
            let values: Vec<(&str, Value)> =
                values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            records.bulk(tx).update(collection, &id, &values)
        });
        assert!(change.await.unwrap());
    }

    /// An expanded notification over these members of a send.
    pub async fn notification(&self, send: Json) -> String {
        let mut values = json!({"state": "active", "title": "Hello", "to": ["users/x"], "channels": ["inbox"]});
        merge(&mut values, send);
        self.put(NOTIFICATIONS, values).await
    }

    /// A delivery to an account, due now.
    pub async fn delivery(&self, notification: &str, user: &str, channel: &str, more: Json) -> String {
        let mut values = json!({"notification": notification, "collectionRef": self.users, "recordRef": user,
            "channel": channel, "priority": 1, "state": "scheduled", "due": self.clock.now().to_string()});
        merge(&mut values, more);
        self.put(DELIVERIES, values).await
    }

    /// A row as superusers see it.
    pub async fn row(&self, collection: &str, id: &str) -> Json {
        let request =
            Request { caller: crate::identity::Caller::system(), now: self.clock.now(), ..Request::default() };
        let row = self.app.records.view(request, collection, id, Shape::default()).await.unwrap();
        serde_json::from_slice(&row).unwrap()
    }

    /// `state reason-code` of a delivery.
    pub async fn state(&self, delivery: &str) -> String {
        let row = self.row(DELIVERIES, delivery).await;
        let code = row["reason"].as_str().unwrap().split(':').next().unwrap_or_default().to_owned();
        format!("{} {code}", row["state"].as_str().unwrap()).trim_end().to_owned()
    }

    /// One number out of the database.
    pub async fn number(&self, sql: &'static str) -> i64 {
        self.app.db.read(move |tx| tx.query_one(sql, [], |row| row.get(0))).await.unwrap().unwrap_or(0)
    }
}

fn merge(values: &mut Json, more: Json) {
    let more = more.as_object().cloned().unwrap_or_default();
    values.as_object_mut().unwrap().extend(more);
}

fn stored(values: Json) -> Vec<(String, Value)> {
    let value = |json: Json| match json {
        Json::String(text) => Value::Text(text),
        Json::Number(number) => Value::Integer(number.as_i64().unwrap()),
        Json::Bool(flag) => Value::Integer(i64::from(flag)),
        other => Value::Text(other.to_string()),
    };
    let values: Map<String, Json> = values.as_object().cloned().unwrap();
    values.into_iter().map(|(name, json)| (name, value(json))).collect()
}

/// What a provider was asked.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub ticket: Ticket,
    pub letter: Letter,
    /// Address, or token of the device.
    pub to: String,
}

type Answer = Box<dyn Fn(&Call, usize) -> Option<Outcome> + Send + Sync>;

/// A provider that answers as it is told, and remembers.
pub(crate) struct Provider {
    pub calls: Mutex<Vec<Call>>,
    answer: Answer,
    /// How many are on their way, and the most that were.
    pub busy: AtomicUsize,
    pub busiest: AtomicUsize,
    pause: Duration,
}

impl Provider {
    /// `answer` is given the call and its number from 0; nothing means that it hangs.
    pub fn new(answer: impl Fn(&Call, usize) -> Option<Outcome> + Send + Sync + 'static) -> Arc<Self> {
        Self::slow(Duration::ZERO, answer)
    }

    pub fn slow(
        pause: Duration,
        answer: impl Fn(&Call, usize) -> Option<Outcome> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            answer: Box::new(answer),
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
            pause,
        })
    }

    /// Takes whatever it is given.
    pub fn willing() -> Arc<Self> {
        Self::new(|_, _| Some(Outcome::Sent { receipt: None }))
    }

    /// For every route.
    pub fn everywhere(self: &Arc<Self>) -> Transports {
        let routes = ["email", "webpush", "fcm", "webhook"];
        routes.into_iter().fold(Transports::default(), |all, route| all.with(route, self.clone()))
    }
}

struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Transport for Provider {
    fn send<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Sending<'a> {
        Box::pin(async move {
            let to = match target {
                Target::Inbox => String::new(),
                Target::Email { address } => address.clone(),
                Target::Device(device) => device.token.clone(),
            };
            let call = Call { ticket: ticket.clone(), letter: letter.clone(), to };
            let number = {
                let mut calls = self.calls.lock();
                calls.push(call.clone());
                calls.len() - 1
            };
            let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
            let _busy = Busy(&self.busy);
            self.busiest.fetch_max(busy, Ordering::SeqCst);
            tokio::time::sleep(self.pause).await;
            match (self.answer)(&call, number) {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        })
    }
}
