//! Receipts and the way out, over real rooms.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::{
    app::{App, Config},
    db::testing::TempDir,
    identity::Caller,
    notify::{Recipient, collections::SUPPRESSIONS, suppression},
    records::{Body, Shape},
    rules::Request,
};

struct House {
    app: App,
    /// Id of `users`.
    users: String,
    ann: String,
    _dir: TempDir,
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

impl House {
    async fn open() -> Self {
        let dir = TempDir::new();
        let app = App::open(Config { temporary: true, ..Config::new(dir.path().to_owned()) }).unwrap();
        let users = app.schema.find("users").unwrap().id.to_string();
        let mut house = Self { app, users, ann: String::new(), _dir: dir };
        let ann = json!({"email": "ann@x.co", "password": "longenough1", "passwordConfirm": "longenough1"});
        house.ann = house.save(None, "users", ann).await;
        house
    }

    /// Creates or updates a record as the house; its id.
    async fn save(&self, id: Option<&str>, collection: &str, values: Json) -> String {
        let values: Map<String, Json> = values.as_object().unwrap().clone();
        let body = Body { values, uploads: Vec::new() };
        let request = Request { caller: Caller::system(), now: self.app.clock.now(), ..Request::default() };
        let records = &self.app.records;
        let answer = match id {
            Some(id) => records.update(request, collection, id, body, Shape::default()).await.unwrap(),
            None => records.create(request, collection, body, Shape::default()).await.unwrap(),
        };
        serde_json::from_slice::<Json>(&answer).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn account(&self) -> Recipient {
        Recipient::Account { collection: self.users.as_str().into(), record: self.ann.as_str().into() }
    }

    async fn delivery(&self, recipient: &Recipient, notification: &str, channel: &str, state: &str) -> String {
        let (collection, record, address) = recipient.columns();
        let columns = [
            ("notification", text(notification)),
            ("collectionRef", text(collection)),
            ("recordRef", text(record)),
            ("address", text(address)),
            ("channel", text(channel)),
            ("category", text("orders")),
            ("state", text(state)),
            ("due", text("2099-01-01 00:00:00.000Z")),
        ];
        let records = self.app.records.clone();
        self.app.db.write(move |tx| records.bulk(tx).insert(DELIVERIES, &columns)).await.unwrap()
    }

    /// Some columns of a row.
    async fn row(&self, table: &str, id: &str, columns: &str) -> Vec<String> {
        let (sql, id) = (format!("SELECT {columns} FROM `{table}` WHERE id = ?1"), id.to_owned());
        let count = columns.split(',').count();
        let read = move |tx: &ReadTx<'_>| {
            tx.query_one(&sql, [&id], |row| (0..count).map(|index| row.get(index)).collect::<Result<_, _>>())
        };
        self.app.db.read(read).await.unwrap().unwrap()
    }

    /// Which dates of a delivery are set.
    async fn dates(&self, id: &str) -> String {
        let dates = self.row(DELIVERIES, id, "deliveredAt, openedAt, clickedAt").await;
        dates.iter().map(|date| if date.is_empty() { '-' } else { 'x' }).collect()
    }

    async fn suppressions(&self) -> Vec<(String, String, String)> {
        let read = |tx: &ReadTx<'_>| {
            let sql = "SELECT address, reason, note FROM _suppressions ORDER BY address";
            tx.query_all(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        };
        self.app.db.read(read).await.unwrap()
    }
}

#[actix_web::test]
async fn the_first_receipt_counts_and_later_ones_fill_in() {
    let house = House::open().await;
    let (ann, notify) = (house.account(), &house.app.notify);
    for (events, expected) in [
        (vec![Event::Delivered], "x--"),
        (vec![Event::Opened], "xx-"),
        (vec![Event::Clicked], "xxx"),
        (vec![Event::Delivered, Event::Delivered, Event::Opened], "xx-"),
        (vec![Event::Clicked, Event::Opened], "xxx"),
    ] {
        let delivery = house.delivery(&ann, "n", "push", "sent").await;
        let mut first = None;
        for event in &events {
            notify.receive(&delivery, *event).await.unwrap();
            let row = house.row(DELIVERIES, &delivery, "deliveredAt, updated").await;
            assert_eq!(first.get_or_insert(row[0].clone()), &row[0]);
        }
        assert_eq!(house.dates(&delivery).await, expected, "{events:?}");
        let before = house.row(DELIVERIES, &delivery, "updated").await;
        notify.receive(&delivery, events[0]).await.unwrap();
        assert_eq!(house.row(DELIVERIES, &delivery, "updated").await, before, "nothing is written twice");
        // One notification reaches a recipient once through a channel.
        let (records, id) = (house.app.records.clone(), delivery.clone());
        house.app.db.write(move |tx| records.bulk(tx).delete(DELIVERIES, &id)).await.unwrap();
        notify.receive(&delivery, Event::Clicked).await.unwrap();
    }
    for event in Event::ALL {
        assert_eq!(Event::parse(event.as_str()), Some(event));
    }
    house.app.db.close().await;
}

#[actix_web::test]
async fn an_item_that_is_read_was_opened_and_a_link_that_was_followed_reads_it() {
    let house = House::open().await;
    let ann = house.account();
    let item = async |notification: &str, delivery: &str| {
        let values = json!({"collectionRef": house.users, "recordRef": house.ann, "notification": notification,
            "delivery": delivery, "title": "t"});
        house.save(None, INBOX, values).await
    };
    // Read while nobody told: as if the process had been killed then.
    let untold = house.delivery(&ann, "n0", "inbox", "sent").await;
    let lay = item("n0", &untold).await;
    house.save(Some(&lay), INBOX, json!({"read": "2027-01-01 00:00:00.000Z"})).await;
    *house.app.notify.reads.heard.lock().await = mpsc::channel(10).1;
    house.app.notify.reads.start(&house.app.db, &house.app.records);
    while house.dates(&untold).await == "---" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let reads = Reads::listen(&house.app.db, &house.app.schema);
    reads.start(&house.app.db, &house.app.records);
    let inboxed = house.delivery(&ann, "n1", "inbox", "sent").await;
    let lies = item("n1", &inboxed).await;
    house.save(Some(&lies), INBOX, json!({"archived": "2027-01-01 00:00:00.000Z"})).await;
    assert_eq!(house.dates(&inboxed).await, "---");
    house.save(Some(&lies), INBOX, json!({"read": "2027-01-01 00:00:00.000Z"})).await;
    while house.dates(&inboxed).await == "---" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(house.dates(&inboxed).await, "xx-");

    let (mailed, inboxed) =
        (house.delivery(&ann, "n2", "email", "sent").await, house.delivery(&ann, "n2", "inbox", "sent").await);
    let (this, other) = (item("n2", &inboxed).await, item("n3", "").await);
    house.app.notify.receive(&mailed, Event::Opened).await.unwrap();
    assert_eq!(house.row(INBOX, &this, "read").await, [""], "mail programs open pictures by themselves");
    house.app.notify.receive(&mailed, Event::Clicked).await.unwrap();
    assert_ne!(house.row(INBOX, &this, "read").await, [""]);
    assert_eq!(house.row(INBOX, &other, "read").await, [""]);
    while house.dates(&inboxed).await == "---" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    reads.stop();
    house.app.db.close().await;
}

#[actix_web::test]
async fn an_account_that_goes_out_is_not_mailed_what_waits() {
    let house = House::open().await;
    let (ann, notify) = (house.account(), &house.app.notify);
    let mut waiting = Vec::new();
    for number in 0..3 {
        waiting.push(house.delivery(&ann, &format!("n{number}"), "email", "scheduled").await);
    }
    let kept = [
        house.delivery(&ann, "n", "push", "scheduled").await,
        house.delivery(&ann, "m", "email", "sent").await,
        house.delivery(&Recipient::Address("ann@x.co".into()), "n", "email", "scheduled").await,
    ];
    assert!(!notify.is_unsubscribed(&ann, "orders").await.unwrap());
    for _ in 0..2 {
        notify.unsubscribe(&ann, "orders").await.unwrap();
        assert!(notify.is_unsubscribed(&ann, "orders").await.unwrap());
    }
    assert!(!notify.is_unsubscribed(&ann, "news").await.unwrap());
    for id in &waiting {
        let row = house.row(DELIVERIES, id, "state, reason, trail").await;
        assert!(row[0] == "cancelled" && row[1].starts_with("opted_out: "), "{row:?}");
        assert!(row[2].contains("cancelled"), "{row:?}");
    }
    for (id, state) in kept.iter().zip(["scheduled", "sent", "scheduled"]) {
        assert_eq!(house.row(DELIVERIES, id, "state").await, [state]);
    }
    notify.resubscribe(&ann, "orders").await.unwrap();
    assert!(!notify.is_unsubscribed(&ann, "orders").await.unwrap());
    // Who has answered for as many categories as there may be, and leaves one more, has left.
    let all: Map<String, Json> = (0..100).map(|number| (format!("c{number}"), json!({"email": false}))).collect();
    let filter = move |tx: &ReadTx<'_>| tx.query_one("SELECT id FROM _preferences", [], |row| row.get::<_, String>(0));
    let preferences = house.app.db.read(filter).await.unwrap().unwrap();
    house.save(Some(&preferences), "_preferences", json!({"channels": all})).await;
    assert!(!notify.is_unsubscribed(&ann, "more").await.unwrap());
    notify.unsubscribe(&ann, "more").await.unwrap();
    assert!(notify.is_unsubscribed(&ann, "more").await.unwrap());
    // Who is gone has no preferences, and is told the same.
    let gone = Recipient::Account { collection: house.users.as_str().into(), record: "nobody".into() };
    notify.unsubscribe(&gone, "orders").await.unwrap();
    let nowhere = Recipient::Account { collection: "nowhere".into(), record: "nobody".into() };
    notify.unsubscribe(&nowhere, "orders").await.unwrap();
    let count =
        house.app.db.read(|tx| tx.query_one("SELECT count(*) FROM _preferences", [], |row| row.get::<_, i64>(0)));
    assert_eq!(count.await.unwrap(), Some(1));
    house.app.db.close().await;
}

#[actix_web::test]
async fn a_bare_address_has_a_row_of_the_list() {
    let house = House::open().await;
    let (bob, notify) = (Recipient::Address("Bob@x.co".into()), &house.app.notify);
    let waiting = house.delivery(&bob, "n", "email", "scheduled").await;
    let row = |reason: &str, note: &str| vec![("bob@x.co".to_owned(), reason.to_owned(), note.to_owned())];
    notify.unsubscribe(&bob, "orders").await.unwrap();
    assert_eq!(house.suppressions().await, row("unsubscribed", "orders"));
    assert_eq!(house.row(DELIVERIES, &waiting, "state").await, ["cancelled"]);
    notify.unsubscribe(&bob, "news").await.unwrap();
    assert_eq!(house.suppressions().await, row("unsubscribed", "orders\nnews"));
    assert!(notify.is_unsubscribed(&bob, "news").await.unwrap() && !notify.is_unsubscribed(&bob, "x").await.unwrap());
    notify.resubscribe(&bob, "orders").await.unwrap();
    notify.resubscribe(&bob, "orders").await.unwrap();
    assert_eq!(house.suppressions().await, row("unsubscribed", "news"));
    notify.resubscribe(&bob, "news").await.unwrap();
    assert_eq!(house.suppressions().await, []);

    // A mailbox that does not exist is not brought back by a link.
    notify.unsubscribe(&bob, "news").await.unwrap();
    let records = house.app.records.clone();
    let bounced = move |tx: &mut WriteTx<'_>| suppression::bounced(&records, tx, "BOB@x.co", "550\nno");
    house.app.db.write(bounced).await.unwrap();
    assert_eq!(house.suppressions().await, row("bounce", "550 no"));
    notify.resubscribe(&bob, "news").await.unwrap();
    notify.unsubscribe(&bob, "other").await.unwrap();
    assert_eq!(house.suppressions().await, row("bounce", "550 no"));

    // What stops everything stays that way.
    house.save(None, SUPPRESSIONS, json!({"address": "eve@x.co", "reason": "unsubscribed"})).await;
    let eve = Recipient::Address("eve@x.co".into());
    assert!(notify.is_unsubscribed(&eve, "anything").await.unwrap());
    notify.resubscribe(&eve, "anything").await.unwrap();
    assert!(notify.is_unsubscribed(&eve, "anything").await.unwrap());
    house.app.db.close().await;
}
