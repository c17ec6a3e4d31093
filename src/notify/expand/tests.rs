use serde_json::{Value as Json, json};

use super::*;
use crate::{
    db::testing::TempDir,
    identity::Caller,
    notify::expand::house::{House, START, object, to},
    records::{Body, Shape},
    rules::Request,
};

fn with(mut body: Json, change: Json) -> Json {
    body.as_object_mut().unwrap().extend(object(change));
    body
}

#[tokio::test]
async fn each_recipient_is_told_once_whatever_the_entries() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(30, "ann").await;
    house.users(20, "bob").await;
    let topic = house.create("_topics", json!({"key": "news"})).await;
    let users = house.notify.rooms.schema.find("users").unwrap().id.to_string();
    for record in ["ann000001", "bob000003", "bob000004", "gone"] {
        let subscription = json!({"topic": topic, "collectionRef": users, "recordRef": record});
        house.create("_subscriptions", subscription).await;
    }
    let entries = json!([
        "users/ann000000", "topic:news", {"collection": "users", "filter": "name = 'ann'"}, "users/nobody", "topic:none",
        {"collection": "_topics"}, {"collection": "nowhere", "filter": "a = 1"}, {"collection": "users", "filter": "b ="},
        "zoe@example.com", "ZOE@example.com", {"collection": users}, "_topics/x",
    ]);
    let id = house.add(with(to(entries), json!({"channels": ["push", {"channel": "email", "after": "10m"}]}))).await;
    house.expand().await;
    let standing = house.standing(&id).await;
    let told = standing.strip_prefix("active 51 skipped: 7 passed over. ").unwrap_or_else(|| panic!("{standing}"));
    for why in [
        "subscriber gone: the account is gone",
        "users/nobody: there is no such account",
        "topic:none: there is no such topic",
        "all of _topics: the collection has no accounts",
        "nowhere where a = 1: there is no such collection",
        "users where b =: the filter is not valid",
        "_topics/x: the collection has no accounts",
    ] {
        assert!(told.contains(why), "{why} in {told}");
    }
    assert_eq!(house.count("1").await, 101);
    assert_eq!(house.count("address = 'zoe@example.com' AND channel = 'email' AND step = 1").await, 1);
    let once = "SELECT count(DISTINCT recordRef || address || channel) FROM _deliveries";
    assert_eq!(house.texts(once).await, ["101"]);
    let later = "SELECT DISTINCT due FROM _deliveries WHERE step = 1";
    assert_eq!(house.texts(later).await, [START.plus(Duration::from_secs(600)).to_string()]);
}

#[tokio::test]
async fn a_crash_between_batches_costs_and_repeats_nothing() {
    let dir = TempDir::new();
    let id = {
        let house = House::open(&dir);
        house.users(1000, "ann").await;
        let filter = json!({"collection": "users", "filter": "name = 'ann'"});
        house.add(to(json!(["users/ann000007", filter, "users/ann000008"]))).await
    };
    for lives in 1.. {
        let house = House::open(&dir);
        let mut expander = house.expander();
        // Work that was read and is written twice, as by a process that takes over too early.
        let (catalog, intent) = (house.notify.rooms.schema.catalog(), id.clone());
        let stale = house.db.read(move |tx| Work::read(tx, &catalog, "UTC", &intent, 50)).await.unwrap();
        let more = expander.round().await.unwrap() > 0;
        if let Some(stale) = stale {
            let (rooms, bells) = (house.notify.rooms.clone(), house.notify.bells.clone());
            house.db.write(move |tx| stale.write(tx, &rooms.records, &bells)).await.unwrap();
        }
        if !more {
            assert!(lives > 3, "several batches");
            break;
        }
        house.db.close().await;
    }
    let house = House::open(&dir);
    assert_eq!(house.standing(&id).await, "active 1000 ");
    assert_eq!(house.count("1").await, 1000);
    assert_eq!(house.texts("SELECT count(DISTINCT recordRef) FROM _deliveries").await, ["1000"]);
}

#[tokio::test]
async fn fifty_thousand_are_read_a_batch_at_a_time() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(50_000, "ann").await;
    let id = house.add(to(json!([{"collection": "users", "filter": "name = 'ann'"}]))).await;
    let mut expander = house.expander();
    let (mut rounds, mut before) = (0, 0);
    let began = std::time::Instant::now();
    while expander.round().await.unwrap() > 0 {
        rounds += 1;
        if rounds % 100 == 0 {
            let now = house.count("1").await;
            assert!(now - before <= 100 * audience::BATCH, "a batch has {} at most", audience::BATCH);
            before = now;
        }
    }
    println!("{rounds} rounds in {:?}", began.elapsed());
    assert_eq!(house.standing(&id).await, "active 50000 ");
    assert_eq!(house.count("1").await, 50_000);
}

#[tokio::test]
async fn nine_oclock_is_where_the_recipient_is() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(4, "ann").await;
    let users = house.notify.rooms.schema.find("users").unwrap().id.to_string();
    for (record, zone) in
        [("ann000000", "Asia/Tokyo"), ("ann000001", "America/New_York"), ("ann000002", "Mars/Olympus")]
    {
        let preferences = json!({"collectionRef": users, "recordRef": record, "zone": zone});
        house.create("_preferences", preferences).await;
    }
    house
        .add(with(to(json!([{"collection": "users"}])), json!({"when": {"local": "09:00", "zone": "Asia/Kolkata"}})))
        .await;
    house.expand().await;
    let sql = "SELECT recordRef || ' ' || due || ' ' || wall FROM _deliveries ORDER BY recordRef";
    assert_eq!(
        house.texts(sql).await,
        [
            "ann000000 2027-01-16 00:00:00.000Z 2027-01-16T09:00",
            "ann000001 2027-01-15 14:00:00.000Z 2027-01-15T09:00",
            "ann000002 2027-01-16 03:30:00.000Z 2027-01-16T09:00",
            "ann000003 2027-01-16 03:30:00.000Z 2027-01-16T09:00",
        ]
    );
}

#[tokio::test]
async fn a_large_one_keeps_nobody_waiting() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(3000, "ann").await;
    let all = || to(json!([{"collection": "users"}]));
    let mut large = Vec::new();
    for _ in 0..20 {
        large.push(house.add(with(all(), json!({"priority": "critical"}))).await);
    }
    let huge = house.add(all()).await;
    let small = house.add(to(json!(["users/ann000001"]))).await;
    let low = house.add(with(to(json!(["users/ann000002"])), json!({"priority": "low"}))).await;
    let mut expander = house.expander();
    house.clock.set(START.plus(Duration::from_millis(1)));
    expander.round().await.unwrap();
    for id in [&small, &low] {
        assert_eq!(house.standing(id).await, "active 1 ");
    }
    assert!(house.standing(&huge).await.starts_with("expanding "));
    // Those that had no place in the first round have one in the second.
    house.clock.set(START.plus(Duration::from_millis(2)));
    expander.round().await.unwrap();
    for id in &large {
        assert!(house.standing(id).await.starts_with("expanding "), "{id}");
    }
}

#[test]
fn critical_ones_go_first_but_never_alone() {
    let named = |prefix: &str, count: usize| (0..count).map(|index| format!("{prefix}{index}")).collect::<Vec<_>>();
    for (critical, normal, low, expected) in [
        (0, 0, 0, (0, 0, 0)),
        (30, 0, 0, (16, 0, 0)),
        (30, 30, 0, (12, 4, 0)),
        (30, 30, 30, (12, 3, 1)),
        (30, 0, 30, (12, 0, 4)),
        (30, 1, 0, (15, 1, 0)),
        (30, 1, 1, (14, 1, 1)),
        (2, 30, 30, (2, 13, 1)),
        (0, 5, 30, (0, 5, 11)),
        (1, 1, 1, (1, 1, 1)),
    ] {
        let open = Open { critical: named("c", critical), normal: named("n", normal), low: named("l", low) };
        let chosen = choose(open);
        let of = |letter: char| chosen.iter().filter(|id| id.starts_with(letter)).count();
        assert_eq!((of('c'), of('n'), of('l')), expected, "{critical} {normal} {low}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_fails_with_a_reason_through_any_door() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(1, "ann").await;
    for (row, expected) in [
        (json!({"title": "x"}), "failed 0 invalid: The notification is not valid. to: validation_required;"),
        (
            json!({"to": ["users/ann000000"]}),
            "failed 0 invalid: The notification is not valid. template: validation_required;",
        ),
        (
            json!({"to": ["users/ann000000"], "title": "x", "when": {"at": "2020-01-01T00:00:00Z"}}),
            "failed 0 invalid: The notification is not valid. when.at: validation_in_the_past;",
        ),
        (
            json!({"to": ["users/nobody"], "title": "x"}),
            "done 0 nobody: 1 passed over. users/nobody: there is no such account",
        ),
        (json!({"to": ["users/ann000000"], "title": "x"}), "active 1 "),
        (json!({"to": ["users/ann000000"], "title": "x", "state": "new"}), "active 1 "),
        (
            json!({"to": ["a@x.co", "users/ann000000"], "title": "x"}),
            "active 1 skipped: 1 passed over. a@x.co: an address is reached by e-mail only",
        ),
    ] {
        let id = house.create("_notifications", row.clone()).await;
        house.expand().await;
        assert_eq!(house.standing(&id).await, expected, "{row}");
    }
}

#[tokio::test]
async fn what_is_changed_at_the_last_moment_is_heeded() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(2, "ann").await;
    let id = house.create("_notifications", to(json!(["users/ann000000"]))).await;
    let (catalog, read) = (house.notify.rooms.schema.catalog(), id.clone());
    let work = house.db.read(move |tx| batch::Work::read(tx, &catalog, "UTC", &read, 200)).await.unwrap().unwrap();
    house.clock.set(START.plus(Duration::from_millis(1)));
    let request = Request { method: "PATCH".into(), caller: Caller::system(), ..Request::default() };
    let body = Body { values: object(json!({"to": ["users/ann000001"]})), ..Body::default() };
    let records = house.notify.rooms.records.clone();
    records.update(request, "_notifications", &id, body, Shape::default()).await.unwrap();
    let bells = house.notify.bells.clone();
    house.db.write(move |tx| work.write(tx, &records, &bells)).await.unwrap();
    assert_eq!(house.count("1").await, 0);
    house.expand().await;
    assert_eq!(house.texts("SELECT recordRef FROM _deliveries").await, ["ann000001"]);
}

#[tokio::test]
async fn a_newer_one_replaces_what_is_pending_under_its_key() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(2, "ann").await;
    let body =
        |channels: Json| with(to(json!([{"collection": "users"}])), json!({"collapse": "score", "channels": channels}));
    let first = house.add(body(json!(["push", "inbox"]))).await;
    house.expand().await;
    let other = house.add(with(body(json!(["push"])), json!({"collapse": "else"}))).await;
    let second = house.add(body(json!(["push"]))).await;
    house.expand().await;
    let of = async |id: &str, state: &str| house.count(&format!("notification = '{id}' AND state = '{state}'")).await;
    assert_eq!((of(&first, "cancelled").await, of(&first, "scheduled").await), (2, 2), "push only");
    assert_eq!((of(&other, "scheduled").await, of(&second, "scheduled").await), (2, 2));
    let why = "SELECT DISTINCT reason FROM _deliveries WHERE state = 'cancelled'";
    assert_eq!(house.texts(why).await, ["collapsed: A newer one took its place."]);
}

#[tokio::test]
async fn digests_are_joined_while_they_are_open() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(1, "ann").await;
    let body = |key: &str| {
        with(
            to(json!(["users/ann000000", "a@x.co", "b@x.co"])),
            json!({"channels": ["email"], "digest": {"key": key, "window": "1h"}}),
        )
    };
    let first = house.add(body("one")).await;
    house.expand().await;
    house.clock.set(START.plus(Duration::from_secs(60)));
    for key in ["one", "two", "one"] {
        house.add(body(key)).await;
        house.expand().await;
    }
    assert_eq!(house.count("state = 'scheduled'").await, 6, "a digest for each key and recipient");
    let due = START.plus(Duration::from_secs(3600)).to_string();
    assert_eq!(house.count(&format!("state = 'scheduled' AND digest = 'one' AND due = '{due}'")).await, 3);
    let joined = "state = 'batched' AND digest = '' AND digestOf IN (SELECT id FROM _deliveries WHERE digest = 'one')";
    assert_eq!(house.count(joined).await, 6);
    // Who led goes; the rest goes on.
    let cancelled = house.notify.cancel(&object(json!({"id": first}))).await.unwrap();
    assert_eq!((cancelled.notifications, cancelled.deliveries, cancelled.complete), (1, 3, true));
    assert_eq!(house.count("state = 'scheduled'").await, 6);
    assert_eq!(house.count("state = 'batched'").await, 3);
    let orphans = "state = 'batched' AND digestOf NOT IN (SELECT id FROM _deliveries WHERE state = 'scheduled')";
    assert_eq!(house.count(orphans).await, 0);
}

#[tokio::test]
async fn the_loop_wakes_when_an_intent_commits_and_stops_when_told() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(500, "ann").await;
    house.notify.expand.start();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(house.add(to(json!([{"collection": "users"}]))).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for id in ids {
        for _ in 0..500 {
            if house.standing(&id).await == "active 500 " {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(house.standing(&id).await, "active 500 ");
    }
    assert!(house.notify.expand.is_idle().await.unwrap());
    house.notify.expand.stop().await;
    let late = house.add(to(json!(["users/ann000000"]))).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(house.standing(&late).await, "new 0 ");
    assert!(!house.notify.expand.is_idle().await.unwrap());
    house.notify.expand.start();
    for _ in 0..500 {
        if house.standing(&late).await == "active 1 " {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(house.standing(&late).await, "active 1 ");
    house.notify.expand.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_tried_again_and_given_up_in_the_end() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(1, "ann").await;
    let (busy, slow) =
        (house.add(to(json!(["users/ann000000"]))).await, house.add(to(json!(["users/ann000000"]))).await);
    let mut expander = house.expander();
    for _ in 0..20 {
        let now = house.clock.now();
        expander.put_off(&busy, Error::busy(Duration::ZERO), now).await;
        expander.put_off(&slow, Error::invalid("The query took too long."), now).await;
    }
    assert_eq!(house.standing(&busy).await, "new 0 ");
    assert_eq!(house.standing(&slow).await, "failed 0 failed: The query took too long.");
    assert_eq!(expander.round().await.unwrap(), 0, "not before its time");
    house.clock.set(house.clock.now().plus(AGAIN_AT_MOST));
    assert_eq!(expander.round().await.unwrap(), 1);
    assert!(house.standing(&busy).await.starts_with("active 1"));
    assert!(expander.waiting.is_empty(), "who was given up is forgotten");
}
