//! Deliveries from their due time to their end, over a whole house with a clock that stands still.

mod storm;

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use crate::notify::{
    State,
    collections::{DELIVERIES, DEVICES, INBOX, NOTIFICATIONS},
    deliveries,
    how::Outcome,
    stats,
    testing::{House, Provider, START},
    whether::facts,
};

fn later(seconds: Option<u64>) -> Option<Outcome> {
    Some(Outcome::Later { why: "busy".to_owned(), retry_after: seconds.map(Duration::from_secs) })
}

fn sent() -> Option<Outcome> {
    Some(Outcome::Sent { receipt: Some("r1".to_owned()) })
}

async fn device(house: &House, user: &str, kind: &str, token: &str) -> String {
    let owner = json!({"collectionRef": house.users, "recordRef": user, "kind": kind, "token": token});
    house.put(DEVICES, owner).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_goes_out_and_the_notification_is_done() {
    let provider = Provider::willing();
    let house = House::open(provider.everywhere());
    let user = house.user().await;
    device(&house, &user, "webpush", "https://push.example.com/1").await;
    device(&house, &user, "webhook", "https://hook.example.com/1").await;
    let send = json!({"title": "Hi {{ user.email }}", "body": "{{ data.n }}", "data": {"n": 7}, "priority": "low",
        "channels": ["inbox", "email", "push", "webhook"]});
    let notification = house.notification(send).await;
    let mut made = Vec::new();
    for channel in ["inbox", "email", "push", "webhook"] {
        made.push(house.delivery(&notification, &user, channel, json!({})).await);
    }
    let tomorrow = START.plus(Duration::from_secs(86_400));
    let other = house.notification(json!({})).await;
    let future = house.delivery(&other, &user, "inbox", json!({"due": tomorrow.to_string()})).await;
    house.notify.start();
    house.idle().await;
    for delivery in &made {
        let row = house.row(DELIVERIES, delivery).await;
        assert_eq!(
            (&row["state"], &row["attempts"], &row["sentAt"]),
            (&json!("sent"), &json!(1), &json!(START.to_string()))
        );
        assert_eq!(row["trail"].as_array().unwrap().len(), 1);
    }
    assert_eq!(house.row(NOTIFICATIONS, &notification).await["state"], "done");
    assert_eq!(house.number("SELECT count(*) FROM _inbox").await, 1);
    let item =
        house.number("SELECT count(*) FROM _inbox WHERE title = 'Hi u0@example.com' AND body = '7' AND read = ''");
    assert_eq!(item.await, 1);
    let to: BTreeSet<String> = provider.calls.lock().iter().map(|call| call.to.clone()).collect();
    assert_eq!(to.len(), 3, "{to:?}");

    // Nothing polls, and nobody is early.
    assert_eq!(house.state(&future).await, "scheduled");
    house.clock.set(tomorrow);
    house.idle().await;
    assert_eq!(house.state(&future).await, "sent");

    // Whoever sets a date by hand is heard, although the log is not told of it.
    let later = tomorrow.plus(Duration::from_secs(86_400));
    let third = house.notification(json!({})).await;
    let future = house.delivery(&third, &user, "inbox", json!({"due": later.to_string()})).await;
    house.idle().await;
    house.update_by_hand(DELIVERIES, &future, json!({"due": tomorrow.to_string()})).await;
    house.idle().await;
    assert_eq!(house.state(&future).await, "sent");
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_repeated_with_the_same_ticket_until_it_is_given_up() {
    let provider = Provider::new(|_, number| later((number == 1).then_some(7200)));
    let house = House::open(provider.everywhere());
    let user = house.user().await;
    let notification = house.notification(json!({"channels": ["email"]})).await;
    let delivery = house.delivery(&notification, &user, "email", json!({})).await;
    house.notify.start();
    let mut waits = Vec::new();
    loop {
        house.idle().await;
        let row = house.row(DELIVERIES, &delivery).await;
        if row["state"] != "scheduled" {
            break;
        }
        let due = crate::schema::field::value::moment::parse(row["due"].as_str().unwrap()).unwrap();
        waits.push(house.clock.now().until(due).as_secs_f64());
        house.clock.set(due);
    }
    assert_eq!(house.state(&delivery).await, "failed failed");
    assert_eq!(house.row(NOTIFICATIONS, &notification).await["state"], "done");
    assert_eq!(waits.len(), 7);
    for (wait, (least, most)) in waits.iter().zip([
        (5., 10.),
        (7200., 7200.),
        (80., 160.),
        (320., 640.),
        (1280., 2560.),
        (1800., 3600.),
        (1800., 3600.),
    ]) {
        assert!((least..=most).contains(wait), "{waits:?}");
    }
    let calls = provider.calls.lock().clone();
    let attempts: Vec<u32> = calls.iter().map(|call| call.ticket.attempt).collect();
    assert_eq!(attempts, (1..=8).collect::<Vec<_>>());
    assert!(calls.iter().all(|call| call.ticket.delivery == delivery && call.ticket.notification == notification));
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_have_it_are_not_told_again_and_dead_ones_are_forgotten() {
    let provider = Provider::new(|call, number| match call.to.as_str() {
        "https://a.example.com/" => sent(),
        "https://b.example.com/" => Some(Outcome::Gone("410".to_owned())),
        "https://c.example.com/" => Some(Outcome::Refused("no".to_owned())),
        _ if number < 4 => later(None),
        _ => sent(),
    });
    let house = House::open(provider.everywhere());
    let user = house.user().await;
    for name in ["a", "b", "c", "d"] {
        device(&house, &user, "webpush", &format!("https://{name}.example.com/")).await;
    }
    let notification = house.notification(json!({"channels": ["push"]})).await;
    let delivery = house.delivery(&notification, &user, "push", json!({})).await;
    house.notify.start();
    house.idle().await;
    let row = house.row(DELIVERIES, &delivery).await;
    assert_eq!((&row["state"], &row["sentAt"]), (&json!("scheduled"), &json!(START.to_string())), "one has it");
    assert_eq!(house.number("SELECT count(*) FROM _devices").await, 3, "the dead one is forgotten");
    house.pass(Duration::from_secs(10));
    house.idle().await;
    let row = house.row(DELIVERIES, &delivery).await;
    assert_eq!(row["state"], "sent");
    let mut states: Vec<String> = row["detail"]["devices"]
        .as_object()
        .unwrap()
        .values()
        .map(|device| device["state"].as_str().unwrap().to_owned())
        .collect();
    states.sort();
    assert_eq!(states, ["gone", "refused", "sent", "sent"]);
    assert_eq!(provider.calls.lock().len(), 5);
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_that_hangs_keeps_nobody_waiting() {
    let provider = Provider::new(|call, _| if call.to.contains("slow") { None } else { sent() });
    let house = House::open(provider.everywhere());
    let (user, other) = (house.user().await, house.user().await);
    device(&house, &user, "webhook", "https://slow.example.com/").await;
    device(&house, &other, "webhook", "https://fast.example.com/").await;
    let fast = house.notification(json!({"channels": ["webhook"], "data": {"fast": true}})).await;
    for step in 0..700 {
        let slow = house.notification(json!({"channels": ["webhook"]})).await;
        house.delivery(&slow, &user, "webhook", json!({})).await;
        if step % 7 == 0 {
            house.delivery(&fast, &other, "webhook", json!({"step": step})).await;
        }
    }
    house.notify.start();
    let all = async {
        while house.number("SELECT count(*) FROM _deliveries WHERE state = 'sent'").await < 100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("the fast one is served");
    let slow = provider.calls.lock().iter().filter(|call| call.to.contains("slow")).count();
    assert!(slow < 64, "{slow}");
    // Those that were not tried have lost nothing.
    let untouched = house.number("SELECT count(*) FROM _deliveries WHERE state = 'scheduled' AND attempts = 0").await;
    assert!(untouched >= 700 - 512, "{untouched}");
    let stopped = tokio::time::timeout(Duration::from_secs(12), house.notify.stop()).await;
    assert!(stopped.is_ok(), "who hangs does not hold up the end");
    assert_eq!(house.number("SELECT count(*) FROM _deliveries WHERE state = 'sending'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_fails_is_left_alone_without_costing_attempts() {
    let house = House::open(Provider::new(|_, _| later(None)).everywhere());
    let user = house.user().await;
    device(&house, &user, "webhook", "https://down.example.com/").await;
    for _ in 0..300 {
        let notification = house.notification(json!({"channels": ["webhook"]})).await;
        house.delivery(&notification, &user, "webhook", json!({})).await;
    }
    house.notify.start();
    house.idle().await;
    let tried = house.number("SELECT count(*) FROM _deliveries WHERE attempts > 0").await;
    assert!((5..=64).contains(&tried), "{tried}");
    assert_eq!(house.number("SELECT count(*) FROM _deliveries WHERE state = 'scheduled'").await, 300);
    let waiting = "SELECT count(*) FROM _deliveries WHERE attempts = 0 AND reason LIKE 'circuit:%'";
    assert_eq!(house.number(waiting).await, 300 - tried);
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_eight_at_a_time() {
    let provider = Provider::slow(Duration::from_millis(5), |_, _| sent());
    let house = House::open(provider.everywhere());
    let user = house.user().await;
    for _ in 0..60 {
        let notification = house.notification(json!({"channels": ["email"]})).await;
        house.delivery(&notification, &user, "email", json!({})).await;
    }
    house.notify.start();
    house.idle().await;
    assert_eq!(provider.busiest.load(std::sync::atomic::Ordering::SeqCst), 8);
    assert_eq!(house.number("SELECT count(*) FROM _deliveries WHERE state = 'sent'").await, 60);
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_tells_all_of_it_once() {
    let provider = Provider::willing();
    let house = House::open(provider.everywhere());
    let user = house.user().await;
    let digest = json!({"key": "comments", "window": "1h"});
    for channel in ["inbox", "email"] {
        let mut leader = String::new();
        let mut made = Vec::new();
        for n in 0..4 {
            let unless = if n == 2 {
                json!({"collection": "users", "record": "nobody", "filter": "id != ''"})
            } else {
                json!(null)
            };
            let send = json!({"title": "{{ count }}: {% for item in items %}{{ item.n }}{% endfor %}", "data": {"n": n},
                "channels": [channel], "digest": digest, "unless": unless});
            let notification = house.notification(send).await;
            let more = match n {
                0 => json!({"digest": "comments"}),
                _ => json!({"state": "batched", "digest": "comments", "digestOf": leader}),
            };
            let delivery = house.delivery(&notification, &user, channel, more).await;
            if n == 0 {
                leader.clone_from(&delivery);
            }
            made.push((notification, delivery));
        }
        if channel == "inbox" {
            house.notify.start();
        } else {
            // Whoever adds deliveries rings.
            let bells = house.notify.bells.clone();
            let ring = house.app.db.write(move |tx| {
                bells.due_at(tx, START);
                Ok(())
            });
            ring.await.unwrap();
        }
        house.idle().await;
        for ((notification, delivery), state) in
            made.iter().zip(["sent", "sent digest", "cancelled condition", "sent digest"])
        {
            assert_eq!(house.state(delivery).await, state, "{channel}");
            assert_eq!(house.row(NOTIFICATIONS, notification).await["state"], "done");
        }
    }
    assert_eq!(house.number("SELECT count(*) FROM _inbox WHERE title = '3: 013'").await, 1);
    assert_eq!(provider.calls.lock().iter().map(|call| call.letter.title.clone()).collect::<Vec<_>>(), ["3: 013"]);
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_goes_on_without_its_first() {
    let house = House::open(Provider::willing().everywhere());
    let user = house.user().await;
    let digest = json!({"key": "k", "window": "1h"});
    let gone = house.notification(json!({"state": "cancelled", "digest": digest})).await;
    let first = house.delivery(&gone, &user, "inbox", json!({"digest": "k"})).await;
    let mut rest = Vec::new();
    for _ in 0..3 {
        let notification = house.notification(json!({"title": "{{ count }}", "digest": digest})).await;
        let more = json!({"state": "batched", "digest": "k", "digestOf": first});
        rest.push(house.delivery(&notification, &user, "inbox", more).await);
    }
    house.notify.start();
    house.idle().await;
    assert_eq!(house.state(&first).await, "cancelled cancelled");
    for (delivery, state) in rest.iter().zip(["sent", "sent digest", "sent digest"]) {
        assert_eq!(house.state(delivery).await, state);
    }
    assert_eq!(house.number("SELECT count(*) FROM _inbox WHERE title = '3'").await, 1);
    house.notify.stop().await;
}

/// More than one message holds, and than one may write, goes on in the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_digest_of_thousands_leaves_nobody_behind() {
    let house = House::open(Provider::willing().everywhere());
    let user = house.user().await;
    let digest = json!({"key": "k", "window": "1h"});
    let mut leader = String::new();
    for n in 0..2100 {
        let notification = house.notification(json!({"title": "{{ count }}", "digest": digest})).await;
        let more = match n {
            0 => json!({"digest": "k"}),
            _ => json!({"state": "batched", "digest": "k", "digestOf": leader}),
        };
        let delivery = house.delivery(&notification, &user, "inbox", more).await;
        if n == 0 {
            leader = delivery;
        }
    }
    house.notify.start();
    house.idle().await;
    assert_eq!(house.number("SELECT count(*) FROM _deliveries WHERE state != 'sent'").await, 0);
    assert_eq!(house.number("SELECT count(*) FROM _notifications WHERE state != 'done'").await, 0);
    assert_eq!(house.number("SELECT count(*) FROM _inbox").await, 3);
    house.app.db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_judge_sees_in_the_database() {
    let provider = Provider::willing();
    let house = House::open(provider.everywhere());
    let user = house.user().await;
    let cap = json!({"count": 2, "window": "1h"});
    let capped = json!({"channels": ["email"], "category": "news", "cap": cap});
    let mut made = Vec::new();
    let mut expect = |delivery: String, state: &'static str| made.push((delivery, state));
    for n in 0..4 {
        let notification = house.notification(capped.clone()).await;
        let delivery = house.delivery(&notification, &user, "email", json!({"category": "news"})).await;
        expect(delivery, if n < 2 { "sent" } else { "suppressed cap_reached" });
    }
    for (send, more, state) in [
        (json!({"channels": ["inbox"]}), json!({"recordRef": "nobody"}), "cancelled user_gone"),
        (json!({"channels": ["push"]}), json!({"channel": "push"}), "skipped no_device"),
        (json!({"template": "nope", "title": ""}), json!({}), "failed template_missing"),
        (json!({"title": "{{ nope() }}"}), json!({}), "failed template"),
        (json!({"expires": "1h"}), json!({"due": "2027-01-15 06:00:00.000Z"}), "expired expired"),
        (
            json!({"unless": {"collection": "users", "record": user, "filter": "verified = false"}}),
            json!({}),
            "cancelled condition",
        ),
        (json!({"unless": {"collection": "users", "record": user, "filter": "verified = true"}}), json!({}), "sent"),
        (
            json!({"unless": {"collection": "users", "record": "x", "filter": "verified = true"}}),
            json!({}),
            "cancelled condition",
        ),
        (
            json!({"unless": {"collection": "users", "record": user, "filter": "nope = 1"}}),
            json!({}),
            "failed condition",
        ),
        (json!({"collapse": "score", "title": "old"}), json!({"collapse": "score"}), "cancelled collapsed"),
        (json!({"collapse": "score", "title": "new"}), json!({"collapse": "score"}), "sent"),
        (
            json!({"channels": ["email"]}),
            json!({"channel": "email", "collectionRef": "", "recordRef": "", "address": "No@example.com"}),
            "suppressed suppressed",
        ),
    ] {
        let notification = house.notification(send).await;
        let delivery = house.delivery(&notification, &user, "inbox", more).await;
        expect(delivery, state);
    }
    house.put("_suppressions", json!({"address": "no@example.com", "reason": "bounce"})).await;
    // A chain: the inbox, then a mail unless that was read.
    let chain = json!({"channels": ["inbox", {"channel": "email", "after": "10m", "unless": "seen"}]});
    let (read, unread) = (house.notification(chain.clone()).await, house.notification(chain).await);
    let after = START.plus(Duration::from_secs(600)).to_string();
    for (notification, state) in [(&read, "skipped seen"), (&unread, "sent")] {
        house.delivery(notification, &user, "inbox", json!({})).await;
        expect(house.delivery(notification, &user, "email", json!({"step": 1, "due": after})).await, state);
    }
    house.notify.start();
    house.idle().await;
    let sql = "UPDATE _inbox SET read = '2027-01-15 08:01:00.000Z' WHERE notification = ?1";
    let notification = read.clone();
    house.app.db.write(move |tx| tx.execute(sql, [&notification])).await.unwrap();
    house.pass(Duration::from_secs(600));
    house.idle().await;
    for (delivery, state) in &made {
        assert_eq!(house.state(delivery).await, *state, "{}", house.row(DELIVERIES, delivery).await);
    }
    assert_eq!(house.number("SELECT count(*) FROM _notifications WHERE state != 'done'").await, 0);
    assert!(house.number("SELECT count(*) FROM _inbox").await > 0, "{INBOX}");
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_put_it_off_and_what_is_critical_passes() {
    let house = House::open(Provider::willing().everywhere());
    let user = house.user().await;
    let quiet = json!({"collectionRef": house.users, "recordRef": user, "zone": "Asia/Tokyo", "quietFrom": "16:00", "quietTo": "18:00"});
    house.put("_preferences", quiet).await;
    // It is 17:00 in Tokyo.
    let mut made = Vec::new();
    for (send, more, state) in [
        (json!({}), json!({}), "scheduled quiet_hours"),
        (json!({"quiet": "skip"}), json!({}), "suppressed quiet_hours"),
        (json!({"quiet": "ignore"}), json!({}), "sent"),
        (json!({"priority": "critical"}), json!({"priority": 2}), "sent"),
        (json!({"expires": "30m"}), json!({}), "expired expired"),
        (json!({"channels": ["inbox"]}), json!({"channel": "inbox"}), "sent"),
    ] {
        let notification = house.notification(json!({"channels": ["email"]})).await;
        house.change(NOTIFICATIONS, &notification, send).await;
        made.push((house.delivery(&notification, &user, "email", more).await, state));
    }
    house.notify.start();
    house.idle().await;
    for (delivery, state) in &made {
        assert_eq!(house.state(delivery).await, *state);
    }
    let row = house.row(DELIVERIES, &made[0].0).await;
    assert_eq!((&row["due"], &row["attempts"]), (&json!("2027-01-15 09:00:00.000Z"), &json!(0)));
    house.pass(Duration::from_secs(3600));
    house.idle().await;
    assert_eq!(house.state(&made[0].0).await, "sent");
    house.notify.stop().await;
}

/// The questions that must not walk over the whole table.
#[tokio::test]
async fn every_question_has_its_index() {
    let house = House::open(Provider::willing().everywhere());
    for (sql, index) in [
        (deliveries::ONE, "sqlite_autoindex__deliveries_1"),
        (deliveries::DUE, "idx__deliveries_due"),
        (deliveries::LAPSED, "idx__deliveries_lease"),
        (deliveries::ITEMS, "idx__deliveries_leader"),
        (deliveries::NEXT_DUE, "idx__deliveries_due"),
        (deliveries::NEXT_LEASE, "idx__deliveries_lease"),
        (deliveries::PENDING, "idx__deliveries_open"),
        (deliveries::DIGEST_TAKEN, "idx__deliveries_digest"),
        (stats::FAILED, "idx__deliveries_failed"),
        (stats::COUNTS, "COVERING INDEX idx__deliveries_state"),
        (facts::DEVICES, "idx__devices_owner"),
        (facts::SUPPRESSION, "idx__suppressions_address"),
        (facts::SIBLINGS, "idx__deliveries_once"),
        (facts::PASSED[0], "idx__deliveries_counted"),
        (facts::PASSED[1], "idx__deliveries_owner"),
        (facts::PASSING[0], "idx__deliveries_counted"),
        (facts::PASSING[1], "idx__deliveries_owner"),
        (facts::NEWER_WAITING, "idx__deliveries_collapse"),
        (facts::NEWER_SENT, "idx__deliveries_collapse"),
    ] {
        let explained = house.app.db.read(move |tx| {
            let mut statement = tx.connection().prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let mut rows = statement.raw_query();
            let mut plan = Vec::new();
            while let Some(row) = rows.next()? {
                plan.push(row.get::<_, String>(3)?);
            }
            Ok(plan.join("\n"))
        });
        let plan = explained.await.unwrap();
        assert!(plan.contains(index), "{sql}\n{plan}");
        let walks = plan.lines().any(|line| line.starts_with("SCAN") && !line.contains("COVERING"));
        assert!(!plan.contains("TEMP B-TREE") && !walks, "{sql}\n{plan}");
    }
    assert!(State::ALL.iter().filter(|state| !state.is_final()).count() == 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_goes_out_once_more() {
    let provider = Provider::new(|call, number| match (call.to.as_str(), number) {
        ("https://b.example.com/", 0..2) => Some(Outcome::Refused("no".to_owned())),
        _ => sent(),
    });
    let house = House::open(provider.everywhere());
    let user = house.user().await;
    device(&house, &user, "webpush", "https://b.example.com/").await;
    let notification = house.notification(json!({"channels": ["push"]})).await;
    let delivery = house.delivery(&notification, &user, "push", json!({})).await;
    house.notify.start();
    house.idle().await;
    for state in ["failed refused", "failed refused", "sent"] {
        assert_eq!(house.state(&delivery).await, state);
        assert_eq!(house.row(NOTIFICATIONS, &notification).await["state"], "done");
        if state != "sent" {
            house.notify.retry(&delivery).await.unwrap();
            house.idle().await;
        }
    }
    assert!(house.notify.retry(&delivery).await.is_err(), "it was sent");
    assert!(house.notify.retry("nope").await.is_err());
    let ids: BTreeSet<String> = provider.calls.lock().iter().map(|call| call.ticket.delivery.clone()).collect();
    assert_eq!(ids.len(), 1, "the same name towards others");
    let stats = serde_json::to_value(house.notify.stats().await.unwrap()).unwrap();
    assert_eq!((&stats["total"], &stats["states"]), (&json!(1), &json!({"sent": 1})));
    assert_eq!(stats["channels"]["push"]["lateness"]["max"], 0);
    house.notify.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_goes_after_a_month() {
    let house = House::open(Provider::willing().everywhere());
    let user = house.user().await;
    let far = START.plus(Duration::from_secs(90 * 86_400));
    let waits = house.notification(json!({"channels": ["inbox", "email"]})).await;
    house.delivery(&waits, &user, "inbox", json!({"due": far.to_string()})).await;
    house.delivery(&waits, &user, "email", json!({})).await;
    for _ in 0..100 {
        let notification = house.notification(json!({})).await;
        house.delivery(&notification, &user, "inbox", json!({})).await;
    }
    house.notify.start();
    house.idle().await;
    let kept = "SELECT (SELECT count(*) FROM _deliveries) * 1000 + (SELECT count(*) FROM _notifications)";
    for (days, deliveries, notifications) in [(29, 102, 101), (2, 1, 1)] {
        house.pass(Duration::from_secs(days * 86_400));
        house.notify.forget_old().await.unwrap();
        assert_eq!(house.number(kept).await, deliveries * 1000 + notifications);
    }
    assert_eq!(house.number("SELECT count(*) FROM _inbox").await, 100, "an inbox is its owner's");
    house.notify.stop().await;
}
