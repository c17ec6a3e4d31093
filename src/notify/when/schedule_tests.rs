//! Schedules over a real directory, with a clock that the tests move: what notifies, how often, and what calls it off.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::{Map, Value as Json, json};

use super::follower::Follower;
use crate::{
    app::{App, Config},
    clock::{Clock, Timestamp},
    db::ReadTx,
    identity::Caller,
    random,
    records::{Body, Shape},
    rules::Request,
};

/// 2026-11-22 12:00 UTC
const START: Timestamp = Timestamp(1_795_348_800_000);
const HOUR: Duration = Duration::from_secs(3600);

struct House {
    dir: PathBuf,
    clock: Clock,
    app: App,
}

impl Drop for House {
    fn drop(&mut self) {
        // A directory that stays behind in the system's temporary one breaks nothing.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn open(dir: &std::path::Path, clock: &Clock, retention: u64) -> App {
    let defaults = Config::new(dir.to_owned());
    App::open(Config { clock: clock.clone(), temporary: true, log_retention: retention, ..defaults }).unwrap()
}

impl House {
    /// `users`, and `orders` with a buyer, an e-mail address, a total, a state and a secret.
    async fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("conch-schedules-{}", random::record_id()));
        std::fs::create_dir_all(&dir).unwrap();
        let clock = Clock::manual(START);
        let house = Self { app: open(&dir, &clock, 0), dir, clock };
        let users = house.app.schema.find("users").unwrap();
        house
            .define(json!({"name": "orders", "type": "base", "fields": [
                {"name": "buyer", "type": "relation", "collectionId": &*users.id, "maxSelect": 3},
                {"name": "mail", "type": "email"}, {"name": "total", "type": "number"},
                {"name": "status", "type": "text"}, {"name": "paid", "type": "bool"},
                {"name": "secret", "type": "text", "hidden": true}]}))
            .await;
        house
    }

    async fn define(&self, definition: Json) {
        self.app.schema.create(object(definition)).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn create(&self, collection: &str, values: Json) -> String {
        let body = Body { values: object(values), uploads: Vec::new() };
        let answer = self.app.records.create(request(), collection, body, Shape::default()).await;
        let made: Json = serde_json::from_slice(&answer.unwrap_or_else(|error| panic!("{error}"))).unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    async fn update(&self, collection: &str, id: &str, values: Json) {
        let body = Body { values: object(values), uploads: Vec::new() };
        self.app.records.update(request(), collection, id, body, Shape::default()).await.unwrap();
    }

    async fn delete(&self, collection: &str, id: &str) {
        self.app.records.delete(request(), collection, id).await.unwrap();
    }

    /// A schedule that follows creates of orders, unless `change` says otherwise.
    async fn schedule(&self, change: Json) -> String {
        let mut values = json!({"name": "s", "active": true, "kind": "change", "collection": "orders",
            "action": "create", "notification": {"to": {"field": "mail"}, "title": "t"}});
        values.as_object_mut().unwrap().extend(object(change));
        self.create("_schedules", values).await
    }

    async fn view(&self, collection: &str, id: &str) -> Json {
        let answer = self.app.records.view(request(), collection, id, Shape::default()).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// What there is to be sent, oldest first, when all that has happened has been decided about.
    async fn sent(&self) -> Vec<Json> {
        self.settle().await;
        let rows = self.app.db.read(|tx| {
            let sql = "SELECT id FROM _notifications ORDER BY rowid";
            tx.query_all(sql, [], |row| row.get::<_, String>(0))
        });
        let mut sent = Vec::new();
        for id in rows.await.unwrap() {
            sent.push(self.view("_notifications", &id).await);
        }
        sent
    }

    async fn settle(&self) {
        for _ in 0..2000 {
            if self.app.notify.schedules.is_idle().await.unwrap() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("schedules do not come to rest");
    }

    async fn pass(&self, time: Duration) {
        self.clock.set(self.clock.now().plus(time));
        // Whoever sleeps until then wakes first.
        tokio::task::yield_now().await;
    }

    /// Ends the process as a kill does, as far as the database can tell: nothing is stored at the end.
    async fn reopen(&mut self, retention: u64) {
        // Only schedules are at work here; what they send stays as it was made.
        self.app.notify.schedules.abandon().await;
        self.app.db.close().await;
        self.app = open(&self.dir, &self.clock, retention);
    }
}

fn request() -> Request {
    Request { method: "POST".into(), caller: Caller::system(), now: START, ..Request::default() }
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(members) => members,
        other => panic!("{other}"),
    }
}

fn to(sent: &[Json]) -> Vec<String> {
    sent.iter().map(|sent| sent["to"].to_string()).collect()
}

#[tokio::test]
async fn changes_notify_whom_their_record_names() {
    let house = House::new().await;
    house.app.notify.schedules.start();
    let mut users = Vec::new();
    for name in ["ann", "bob"] {
        let values =
            json!({"email": format!("{name}@example.com"), "password": "1234567890", "passwordConfirm": "1234567890"});
        users.push(house.create("users", values).await);
    }
    let body = json!({"to": [{"field": "buyer"}, {"field": "mail"}, "boss@example.com"], "title": "Order {{ record.total }}",
        "data": {"own": 1}, "key": "order"});
    let schedule =
        house.schedule(json!({"condition": "total > 10 && buyer.verified = false", "notification": body})).await;
    house.create("orders", json!({"total": 5, "buyer": [users[0]]})).await;
    let order =
        house.create("orders", json!({"total": 50, "buyer": users, "mail": "Carl@Example.com", "secret": "x"})).await;
    let sent = house.sent().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let sent = &sent[0];
    let people =
        json!([format!("users/{}", users[0]), format!("users/{}", users[1]), "carl@example.com", "boss@example.com"]);
    assert_eq!(sent["to"], people);
    assert_eq!(sent["key"], format!("order:{order}"));
    assert_eq!((&sent["schedule"], &sent["sourceRecord"]), (&json!(schedule), &json!(order)));
    let data = &sent["data"];
    assert_eq!((&data["own"], &data["action"], &data["record"]["total"]), (&json!(1), &json!("create"), &json!(50)));
    assert_eq!(data["record"].get("secret"), None, "hidden fields are not told");
    assert_eq!(house.view("_schedules", &schedule).await["error"], "");
}

#[tokio::test]
async fn a_schedule_counts_what_it_has_set_off() {
    let house = House::new().await;
    let body = json!({"to": {"field": "mail"}, "title": "t", "key": "order"});
    let schedule = house.schedule(json!({"condition": "total > 10", "notification": body})).await;
    let idle = house.schedule(json!({"action": "delete"})).await;
    house.app.notify.schedules.start();
    let mut last = String::new();
    for (total, runs) in [(5, 0), (50, 1), (11, 2)] {
        house.pass(Duration::from_secs(60)).await;
        let order = house.create("orders", json!({"total": total, "mail": "a@example.com"})).await;
        // What is not followed sets nothing off.
        house.update("orders", &order, json!({"total": total + 1})).await;
        assert_eq!(house.sent().await.len(), runs);
        if runs > 0 {
            last = house.clock.now().to_string();
        }
        let row = house.view("_schedules", &schedule).await;
        assert_eq!((&row["runs"], &row["last"]), (&json!(runs), &json!(last)), "{total}");
    }
    assert_eq!(house.view("_schedules", &idle).await["runs"], 0);
    // Its own counting sets nothing off and is written once for each transaction, not for each change.
    let written = house.app.db.read(|tx| tx.seq()).await.unwrap();
    house.settle().await;
    assert_eq!(house.app.db.read(|tx| tx.seq()).await.unwrap(), written);
}

#[tokio::test]
async fn updates_and_deletes_are_judged_as_they_were() {
    let house = House::new().await;
    house.app.notify.schedules.start();
    let becomes = "status = 'shipped' && @request.body.status:changed = true";
    house.schedule(json!({"action": "update", "condition": becomes})).await;
    house.schedule(json!({"action": "delete", "condition": "total > 10"})).await;
    let order = house.create("orders", json!({"total": 50, "mail": "a@example.com", "status": "new"})).await;
    for (status, total) in [("shipped", 50), ("shipped", 51), ("lost", 51), ("shipped", 52), ("done", 5)] {
        house.update("orders", &order, json!({"status": status, "total": total})).await;
    }
    house.delete("orders", &order).await;
    let sent = house.sent().await;
    let told: Vec<_> =
        sent.iter().map(|sent| (sent["data"]["action"].clone(), sent["data"]["record"]["total"].clone())).collect();
    assert_eq!(told, [(json!("update"), json!(50)), (json!("update"), json!(52))]);
    // The same with a record that satisfies the condition.
    let order = house.create("orders", json!({"total": 50, "mail": "b@example.com"})).await;
    house.delete("orders", &order).await;
    let sent = house.sent().await;
    assert_eq!((sent.len(), &sent[2]["to"]), (3, &json!(["b@example.com"])));
}

#[tokio::test]
async fn a_day_after_an_order_unless_it_was_paid() {
    let house = House::new().await;
    house.app.notify.schedules.start();
    house.schedule(json!({"delay": "24h", "unless": "paid = true"})).await;
    let mut orders = Vec::new();
    for name in ["paid", "unpaid", "gone"] {
        orders.push(house.create("orders", json!({"mail": format!("{name}@example.com")})).await);
    }
    let due = json!({"at": START.plus(24 * HOUR).to_string()});
    for (sent, order) in house.sent().await.iter().zip(&orders) {
        let unless = json!({"collection": "orders", "record": order, "filter": "paid = true"});
        assert_eq!((&sent["when"], &sent["unless"], &sent["channels"]), (&due, &unless, &json!(["email"])));
        assert_ne!(sent["state"], "cancelled");
    }
    house.pass(HOUR).await;
    house.update("orders", &orders[0], json!({"paid": true})).await;
    house.update("orders", &orders[1], json!({"total": 7})).await;
    house.delete("orders", &orders[2]).await;
    let sent = house.sent().await;
    let told: Vec<_> = sent
        .iter()
        .map(|sent| {
            (sent["state"] == "cancelled", sent["reason"].as_str().unwrap().split(':').next().unwrap().to_owned())
        })
        .collect();
    assert_eq!(told[0], (true, "condition".to_owned()));
    assert!(!told[1].0);
    assert_eq!(told[2], (true, "source_gone".to_owned()));
}

/// With everything at work: who paid hears nothing, who did not hears of it a day later.
#[tokio::test]
async fn what_was_not_called_off_goes_out_when_it_is_due() {
    let house = House::new().await;
    house.app.notify.start();
    house.schedule(json!({"delay": "24h", "unless": "paid = true"})).await;
    let mut orders = Vec::new();
    for name in ["paid", "unpaid", "late", "gone"] {
        orders.push(house.create("orders", json!({"mail": format!("{name}@example.com")})).await);
    }
    let deliveries = || async {
        for _ in 0..2000 {
            if house.app.notify.is_idle().await.unwrap() && house.app.notify.is_idle().await.unwrap() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let read = house.app.db.read(|tx| {
            let sql = "SELECT address, state FROM _deliveries ORDER BY address";
            tx.query_all(sql, [], |row| {
                Ok(format!("{} {}", row.get::<_, String>(0)?.replace("@example.com", ""), row.get::<_, String>(1)?))
            })
        });
        read.await.unwrap()
    };
    assert_eq!(deliveries().await, ["gone scheduled", "late scheduled", "paid scheduled", "unpaid scheduled"]);
    house.pass(HOUR).await;
    house.update("orders", &orders[0], json!({"paid": true})).await;
    house.delete("orders", &orders[3]).await;
    assert_eq!(deliveries().await, ["gone cancelled", "late scheduled", "paid cancelled", "unpaid scheduled"]);
    house.pass(23 * HOUR).await;
    house.app.notify.idle().await.unwrap();
    assert_eq!(deliveries().await, ["gone cancelled", "late sent", "paid cancelled", "unpaid sent"]);
    house.update("orders", &orders[2], json!({"paid": true})).await;
    assert_eq!(deliveries().await, ["gone cancelled", "late sent", "paid cancelled", "unpaid sent"]);
    house.app.notify.stop().await;
}

/// Templates know the record, also one that is gone. What devices and inboxes get besides the texts does not hold it:
/// whoever is told may not be one of those who may see it.
#[tokio::test]
async fn what_is_told_of_a_record_is_what_the_texts_say() {
    let house = House::new().await;
    house.app.notify.start();
    let body =
        json!({"to": {"field": "buyer"}, "title": "{{ record.total }} {{ data.record.total }} {{ data.action }}"});
    house.schedule(json!({"notification": body})).await;
    house.schedule(json!({"action": "delete", "notification": body})).await;
    let values = json!({"email": "ann@example.com", "password": "1234567890", "passwordConfirm": "1234567890"});
    let ann = house.create("users", values).await;
    let order = house.create("orders", json!({"total": 50, "buyer": [ann]})).await;
    let items = |count: usize| {
        let db = house.app.db.clone();
        async move {
            for _ in 0..1000 {
                let read = db.read(|tx| {
                    let sql = "SELECT title, data FROM _inbox ORDER BY rowid";
                    tx.query_all(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
                });
                let items = read.await.unwrap();
                if items.len() == count {
                    return items;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("no {count} items");
        }
    };
    items(1).await;
    house.delete("orders", &order).await;
    let items = items(2).await;
    for ((title, data), expected) in items.iter().zip(["50 50 create", "50 50 delete"]) {
        let data: Json = serde_json::from_str(data).unwrap();
        assert_eq!((title.as_str(), data.get("record")), (expected, None));
        assert_eq!(data["schedule"]["name"], "s");
    }
    house.app.notify.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_left_out_at_last() {
    let house = House::new().await;
    house.schedule(json!({})).await;
    for name in ["a", "b"] {
        house.create("orders", json!({"mail": format!("{name}@example.com")})).await;
    }
    let rename = |sql: &'static str| house.app.db.write_alone(move |tx| tx.execute_batch(sql));
    rename("ALTER TABLE _notifications RENAME COLUMN title TO gone").await.unwrap();
    let open = |careful| Follower::open(house.app.notify.rooms.clone(), Arc::default(), Arc::default(), careful);
    assert!(open(false).await.unwrap().catch_up().await.is_err());
    let mut follower = open(true).await.unwrap();
    follower.catch_up().await.unwrap();
    rename("ALTER TABLE _notifications RENAME COLUMN gone TO title").await.unwrap();
    house.create("orders", json!({"mail": "c@example.com"})).await;
    follower.catch_up().await.unwrap();
    assert_eq!(to(&house.sent().await), ["[\"c@example.com\"]"]);
}

#[tokio::test]
async fn each_change_decides_once_whenever_the_process_ends() {
    let mut house = House::new().await;
    house.schedule(json!({})).await;
    house.app.notify.schedules.start();
    let mut made = 0;
    for round in 0..8 {
        for _ in 0..7 {
            house.create("orders", json!({"mail": format!("m{made}@example.com")})).await;
            made += 1;
        }
        if round % 2 == 0 {
            // Some are decided already.
            tokio::time::sleep(Duration::from_millis(round * 3)).await;
        }
        house.reopen(0).await;
        if round % 3 == 0 {
            // Nobody looks.
            house.create("orders", json!({"mail": format!("m{made}@example.com")})).await;
            made += 1;
        }
        house.app.notify.schedules.start();
    }
    let expected: Vec<String> = (0..made).map(|number| format!("[\"m{number}@example.com\"]")).collect();
    assert_eq!(to(&house.sent().await), expected);
}

#[tokio::test]
async fn schedules_count_from_the_next_change_on() {
    let mut house = House::new().await;
    house.app.notify.schedules.start();
    house.create("orders", json!({"mail": "before@example.com"})).await;
    let schedule = house.schedule(json!({})).await;
    house.create("orders", json!({"mail": "a@example.com"})).await;
    house.settle().await;
    // All of this happens before anybody looks: what counts is what the schedule was at each point.
    house.reopen(0).await;
    house.create("orders", json!({"mail": "b@example.com"})).await;
    house.update("_schedules", &schedule, json!({"condition": "total > 1"})).await;
    house.create("orders", json!({"mail": "no@example.com"})).await;
    house.create("orders", json!({"mail": "c@example.com", "total": 2})).await;
    house.update("_schedules", &schedule, json!({"active": false, "condition": ""})).await;
    house.create("orders", json!({"mail": "no@example.com"})).await;
    house.update("_schedules", &schedule, json!({"active": true})).await;
    house.create("orders", json!({"mail": "d@example.com"})).await;
    house.delete("_schedules", &schedule).await;
    house.create("orders", json!({"mail": "no@example.com"})).await;
    house.app.notify.schedules.start();
    let expected = ["a", "b", "c", "d"].map(|name| format!("[\"{name}@example.com\"]"));
    assert_eq!(to(&house.sent().await), expected);
}

#[tokio::test]
async fn a_schedule_that_makes_no_sense_says_why_and_is_in_nobodys_way() {
    let house = House::new().await;
    house.app.notify.schedules.start();
    let body = |to: Json| json!({"to": to, "title": "t"});
    let cases = [
        (json!({"condition": "nothing = 1"}), "condition"),
        (json!({"unless": "total >"}), "unless"),
        (json!({"collection": "nowhere"}), "collection"),
        (json!({"collection": "_deliveries"}), "collection"),
        (json!({"collection": "_inbox"}), "collection"),
        (json!({"action": ""}), "action"),
        (json!({"action": "delete", "unless": "total = 1"}), "unless"),
        (json!({"delay": "soon"}), "delay"),
        (json!({"notification": body(json!({"field": "total"}))}), "notification.to"),
        (json!({"notification": body(json!({"field": "nothing"}))}), "notification.to"),
        (json!({"notification": body(json!([]))}), "notification.to"),
        (json!({"notification": [1]}), "notification"),
        (json!({"notification": {"to": "a@b.co", "title": "t", "html": "{% if %}"}}), "notification.html"),
        (json!({"kind": "cron", "cron": "61 * * * *", "notification": body(json!("a@example.com"))}), "cron"),
        (json!({"kind": "cron", "cron": "@daily", "zone": "Mars/X", "notification": body(json!("a@b.co"))}), "zone"),
        (json!({"kind": "cron", "cron": "@daily"}), "notification.to"),
    ];
    let mut ids = Vec::new();
    for (change, _) in &cases {
        ids.push(house.schedule(change.clone()).await);
    }
    let good = house.schedule(json!({})).await;
    house.create("orders", json!({"mail": "a@example.com"})).await;
    assert_eq!(house.sent().await.len(), 1);
    for (id, (change, expected)) in ids.iter().zip(&cases) {
        let error = house.view("_schedules", id).await["error"].as_str().unwrap().to_owned();
        assert!(
            error.starts_with(&format!("{expected}:")) || error.starts_with(&format!("{expected}.")),
            "{change}: {error}"
        );
    }
    // What is put right works from then on; what a collection's change breaks says so.
    house.update("_schedules", &ids[0], json!({"condition": "total = 3"})).await;
    house.create("orders", json!({"mail": "b@example.com", "total": 3})).await;
    assert_eq!(house.sent().await.len(), 3);
    assert_eq!(house.view("_schedules", &ids[0]).await["error"], "");
    let fields = house
        .app
        .schema
        .find("orders")
        .unwrap()
        .fields
        .iter()
        .filter(|field| field.name != "total")
        .map(|field| field.to_json())
        .collect::<Vec<_>>();
    house.app.schema.update("orders", object(json!({"fields": fields}))).await.unwrap();
    house.create("orders", json!({"mail": "c@example.com"})).await;
    assert_eq!(house.sent().await.len(), 4, "only the one without a condition");
    for _ in 0..100 {
        if house.view("_schedules", &ids[0]).await["error"] != "" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(house.view("_schedules", &ids[0]).await["error"].as_str().unwrap().starts_with("condition:"));
    assert_eq!(house.view("_schedules", &good).await["error"], "");
}

#[tokio::test]
async fn what_the_log_has_forgotten_is_passed_over() {
    let mut house = House::new().await;
    house.app.notify.schedules.start();
    house.schedule(json!({})).await;
    house.create("orders", json!({"mail": "a@example.com"})).await;
    house.settle().await;
    house.reopen(3).await;
    for _ in 0..40 {
        house.create("orders", json!({"mail": "forgotten@example.com"})).await;
    }
    // The writer forgets when it has nothing else to do.
    for _ in 0..1000 {
        let oldest = |tx: &ReadTx<'_>| tx.query_one("SELECT min(seq) FROM __conch_log", [], |row| row.get::<_, i64>(0));
        if house.app.db.read(oldest).await.unwrap() > Some(30) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.app.notify.schedules.start();
    house.settle().await;
    house.create("orders", json!({"mail": "b@example.com"})).await;
    let sent = to(&house.sent().await);
    assert_eq!(
        (sent.first(), sent.last()),
        (Some(&"[\"a@example.com\"]".to_owned()), Some(&"[\"b@example.com\"]".to_owned()))
    );
    assert_eq!(sent.len(), 2, "{sent:?}");
}

#[tokio::test]
async fn recurring_schedules_send_once_for_each_of_their_times() {
    let house = House::new().await;
    house.app.notify.schedules.start();
    let body = json!({"to": "a@example.com", "title": "t"});
    let id =
        house.schedule(json!({"kind": "cron", "cron": "0 9 * * *", "zone": "Asia/Tokyo", "notification": body})).await;
    house.settle().await;
    for _ in 0..100 {
        if house.view("_schedules", &id).await["next"] != "" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(house.view("_schedules", &id).await["next"], "2026-11-23 00:00:00.000Z");
    for _ in 0..48 {
        house.pass(HOUR).await;
        house.settle().await;
    }
    let sent = house.sent().await;
    let planned: Vec<_> = sent.iter().map(|sent| sent["data"]["schedule"]["planned"].as_str().unwrap()).collect();
    assert_eq!(planned, ["2026-11-23 00:00:00.000Z", "2026-11-24 00:00:00.000Z"]);
    assert_eq!(sent[0]["key"], format!("schedule:{id}:2026-11-23 00:00:00.000Z"));
    let row = house.view("_schedules", &id).await;
    assert_eq!((&row["runs"], &row["last"]), (&json!(2), &json!("2026-11-24 00:00:00.000Z")));
    // Another time of the day, and by hand.
    house.update("_schedules", &id, json!({"cron": "30 9 * * *"})).await;
    house.settle().await;
    assert_eq!(house.view("_schedules", &id).await["next"], "2026-11-25 00:30:00.000Z");
    let sent = house.app.notify.run_schedule(&id).await.unwrap();
    assert_eq!(house.view("_notifications", &sent).await["schedule"], id);
    assert_eq!(house.view("_schedules", &id).await["next"], "2026-11-25 00:30:00.000Z");
    assert!(house.app.notify.run_schedule("nothing").await.is_err());
    let follows = house.schedule(json!({})).await;
    assert!(house.app.notify.run_schedule(&follows).await.is_err());
}

#[tokio::test]
async fn missed_times_are_dealt_with_as_the_schedule_says() {
    for (missed, cron, expected) in [
        ("skip", "0 9 * * *", 0),
        ("once", "0 9 * * *", 1),
        ("", "0 9 * * *", 1),
        ("all", "0 9 * * *", 4),
        ("all", "* * * * *", 100),
        ("skip", "0 * * * *", 1),
    ] {
        let mut house = House::new().await;
        house.app.notify.schedules.start();
        let body = json!({"to": "a@example.com", "title": "t"});
        let id = house.schedule(json!({"kind": "cron", "cron": cron, "missed": missed, "notification": body})).await;
        house.settle().await;
        house.reopen(0).await;
        house.pass(4 * 24 * HOUR).await;
        house.app.notify.schedules.start();
        let sent = house.sent().await;
        assert_eq!(sent.len(), expected, "{missed} {cron}");
        let next = house.view("_schedules", &id).await["next"].as_str().unwrap().to_owned();
        assert!(next > house.clock.now().to_string(), "{next}");
        assert_eq!(house.view("_schedules", &id).await["runs"], json!(expected));
    }
}

/// Each local 02:30 and 09:00 of a year, in zones that do what zones do: once a day, when the clocks show it first or have
/// skipped it.
#[tokio::test]
async fn a_year_of_clock_changes() {
    let house = House::new().await;
    house.app.notify.schedules.start();
    let body = json!({"to": "a@example.com", "title": "t"});
    let mut schedules = Vec::new();
    for zone in super::tests::ZONES {
        for (cron, time) in [("30 2 * * *", "02:30"), ("0 9 * * *", "09:00")] {
            let values = json!({"kind": "cron", "cron": cron, "zone": zone, "missed": "all", "notification": body});
            schedules.push((zone, time, house.schedule(values).await));
        }
    }
    house.settle().await;
    for _ in 0..73 {
        house.pass(5 * 24 * HOUR).await;
        house.settle().await;
    }
    let planned = house.app.db.read(|tx| {
        let sql = "SELECT schedule, json_extract(data, '$.schedule.planned') FROM _notifications ORDER BY rowid";
        tx.query_all(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
    });
    let planned = planned.await.unwrap();
    assert_eq!(planned.len(), 365 * schedules.len());
    for (zone, time, id) in schedules {
        let planned: Vec<_> =
            planned.iter().filter(|(of, _)| *of == id).map(|(_, at)| super::instant(at).unwrap()).collect();
        assert_eq!(planned.len(), 365, "{zone}");
        let first = super::wall::shown(&super::zone::find(zone).unwrap(), planned[0]).date();
        for (planned, date) in planned.iter().zip(first.series(jiff::Span::new().days(1))) {
            let wall = format!("{date}T{time}");
            assert_eq!(super::wall_to_instant(&wall, zone), Some(*planned), "{wall} in {zone}");
        }
    }
}
