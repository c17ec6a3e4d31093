use serde_json::json;

use super::*;
use crate::{
    db::testing::TempDir,
    error::Kind,
    notify::expand::house::{House, object, to},
};

impl House {
    async fn call_back(&self, body: Json) -> (u64, u64, bool) {
        let done = self.notify.cancel(&object(body.clone())).await.unwrap_or_else(|error| panic!("{body}: {error}"));
        (done.notifications, done.deliveries, done.complete)
    }
}

#[tokio::test]
async fn what_is_pending_is_called_back_by_whatever_names_it() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(500, "ann").await;
    let topic = house.create("_topics", json!({"key": "news"})).await;
    let users = house.notify.rooms.schema.find("users").unwrap().id.to_string();
    let subscription = json!({"topic": topic, "collectionRef": users, "recordRef": "ann000001"});
    house.create("_subscriptions", subscription).await;

    let all = house.add(json!({"to": [{"collection": "users"}], "title": "t", "key": "all"})).await;
    let news = house.add(to(json!(["topic:news", "zoe@example.com"]))).await;
    let one =
        house.add(json!({"to": ["users/ann000002", "zoe@example.com"], "title": "t", "channels": ["email"]})).await;
    house.expand().await;
    let scheduled = async || house.count("state = 'scheduled'").await;
    assert_eq!(scheduled().await, 503);
    for (body, expected, left) in [
        (json!({"user": "users/ann000001"}), (0, 2, true), 501),
        (json!({"user": "ZOE@example.com"}), (0, 1, true), 500),
        (json!({"user": "users/nobody"}), (0, 0, true), 500),
        (json!({"topic": "none"}), (0, 0, true), 500),
        // Its last was called back above: it is done.
        (json!({"topic": "news"}), (0, 0, true), 500),
        (json!({"schedule": "none"}), (0, 0, true), 500),
        (json!({"id": one}), (1, 1, true), 499),
        (json!({"key": "all"}), (1, 499, true), 0),
        (json!({"key": "all"}), (0, 0, true), 0),
    ] {
        assert_eq!(house.call_back(body.clone()).await, expected, "{body}");
        assert_eq!(scheduled().await, left, "{body}");
    }
    for (id, state) in [(&all, "cancelled "), (&news, "done "), (&one, "cancelled ")] {
        assert!(house.standing(id).await.starts_with(state), "{id}");
    }
    for (body, kind) in [
        (json!({}), Kind::Invalid),
        (json!({"id": "a", "key": "b"}), Kind::Invalid),
        (json!({"id": 5}), Kind::Invalid),
        (json!({"id": ""}), Kind::Invalid),
        (json!({"id": "nothing"}), Kind::NotFound),
        (json!({"key": "nothing"}), Kind::NotFound),
        (json!({"user": "_topics/x"}), Kind::Invalid),
        (json!({"user": "x".repeat(600)}), Kind::Invalid),
    ] {
        assert_eq!(house.notify.cancel(&object(body.clone())).await.unwrap_err().kind, kind, "{body}");
    }
}

#[tokio::test]
async fn an_expansion_stops_where_it_is() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(1000, "ann").await;
    let id = house.add(to(json!([{"collection": "users"}]))).await;
    house.round().await;
    let made = house.count("1").await;
    assert!((1..1000).contains(&made));
    // A part of it went out.
    house.db.write(|tx| tx.execute("UPDATE _deliveries SET state = 'sent' WHERE rowid <= 7", [])).await.unwrap();
    assert_eq!(house.call_back(json!({"id": id})).await, (1, made as u64 - 7, true));
    house.expand().await;
    assert_eq!(house.count("1").await, made);
    assert_eq!(house.count("state = 'sent'").await, 7);
}

#[tokio::test]
async fn what_is_on_its_way_is_called_back_if_it_fails() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(2, "ann").await;
    house.add(json!({"to": ["users/ann000001", "zoe@example.com"], "title": "t", "channels": ["email"]})).await;
    house.expand().await;
    let became = async |sql: &'static str| house.db.write(move |tx| tx.execute(sql, [])).await.unwrap();
    became("UPDATE _deliveries SET state = 'sending'").await;
    for user in ["users/ann000001", "zoe@example.com"] {
        let order = house.call_back(json!({"user": user})).await;
        assert_eq!(order, (0, 0, false), "{user}: it may come back");
    }
    assert_eq!(house.count("state = 'sending'").await, 2);
    // Its provider was busy; the job, which is in the queue, asks again.
    became("UPDATE _deliveries SET state = 'scheduled'").await;
    for user in ["users/ann000001", "zoe@example.com"] {
        assert_eq!(house.call_back(json!({"user": user})).await, (0, 1, true), "{user}");
    }
    let jobs = house.db.read(|tx| {
        tx.query_one("SELECT count(*) FROM __conch_jobs WHERE kind = 'notify.cancel'", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(jobs.await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_job_ends_what_a_request_began() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(1000, "ann").await;
    let ids = [house.add(to(json!([{"collection": "users"}]))).await, house.add(to(json!(["users/ann000003"]))).await];
    house.expand().await;
    // As when the process dies after the first transaction.
    let order = Order { what: Selection::Id(ids[0].clone()), until: house.clock.now().millis() };
    let rooms = house.notify.rooms.clone();
    let step = house.db.write(move |tx| order.step(tx, &rooms)).await.unwrap();
    assert!(step.more);
    assert_eq!(house.count("state = 'cancelled'").await, BATCH);
    drop(house);

    let house = House::open(&dir);
    house.notify.take_cancellations(&house.runner);
    house.runner.start();
    house.clock.set(house.clock.now().plus(JOB_AFTER));
    for _ in 0..500 {
        if house.count("state = 'cancelled'").await == 1000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((house.count("state = 'cancelled'").await, house.count("state = 'scheduled'").await), (1000, 1));
    house.runner.stop().await;
}

#[tokio::test]
async fn who_is_still_to_be_told_is_not_told_either() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(1000, "ann").await;
    house.add(to(json!([{"collection": "users"}]))).await;
    house.round().await;
    assert_eq!(house.call_back(json!({"user": "users/ann000999"})).await, (0, 0, false), "it may still come");
    house.expand().await;
    house.clock.set(house.clock.now().plus(Duration::from_millis(1)));
    house.add(to(json!(["users/ann000999"]))).await;
    house.expand().await;
    house.notify.take_cancellations(&house.runner);
    house.runner.start();
    house.clock.set(house.clock.now().plus(JOB_AFTER));
    for _ in 0..500 {
        if house.count("state = 'cancelled'").await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.runner.stop().await;
    assert_eq!(house.count("state = 'cancelled' AND recordRef = 'ann000999'").await, 1);
    assert_eq!(house.count("state = 'scheduled' AND recordRef = 'ann000999'").await, 1, "asked for afterwards");
}
