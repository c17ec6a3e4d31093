//! A storm: providers that answer anything, a process that dies at any moment.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::json;

use super::device;
use crate::notify::{
    collections::DELIVERIES,
    how::Outcome,
    testing::{House, Provider},
};

/// The same numbers for the same seed.
struct Dice(Mutex<u64>);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_is_decided_once_whatever_dies() {
    for seed in [1, 2, 3] {
        storm(seed).await;
    }
}

async fn storm(seed: u64) {
    let dice = Arc::new(Dice(Mutex::new(seed)));
    let rolled = dice.clone();
    // Which deliveries somebody took responsibility for.
    let taken = Arc::new(Mutex::new(HashSet::new()));
    let took = taken.clone();
    let provider = Provider::slow(Duration::from_millis(2), move |call, _| match rolled.below(20) {
        0 => Some(Outcome::Gone("gone".to_owned())),
        1 => Some(Outcome::Refused("no".to_owned())),
        2..=4 => Some(Outcome::Later { why: "later".to_owned(), retry_after: None }),
        5 => Some(Outcome::Later { why: "enough".to_owned(), retry_after: Some(Duration::from_secs(30)) }),
        6 => panic!("a provider's fault"),
        _ => {
            took.lock().insert(call.ticket.delivery.clone());
            Some(Outcome::Sent { receipt: None })
        }
    });
    let mut house = House::open(provider.everywhere());
    let mut made = 0;
    for _ in 0..6 {
        let user = house.user().await;
        for name in ["a", "b", "c"] {
            device(&house, &user, "webpush", &format!("https://{name}.example.com/{user}")).await;
        }
        device(&house, &user, "webhook", &format!("https://hook.example.com/{user}")).await;
        for _ in 0..12 {
            let notification = house.notification(json!({"channels": ["inbox", "email", "push", "webhook"]})).await;
            for channel in ["inbox", "email", "push", "webhook"] {
                house.delivery(&notification, &user, channel, json!({})).await;
                made += 1;
            }
        }
    }
    let pending = "SELECT count(*) FROM _deliveries WHERE state IN ('scheduled', 'batched', 'sending')";
    for round in 0.. {
        assert!(round < 400, "it ends");
        house.notify.start();
        if round < 12 {
            tokio::time::sleep(Duration::from_millis(dice.below(40))).await;
            house.notify.dispatch.abandon();
            // What the dead process had handed to the writer is in, or is not.
            tokio::time::sleep(Duration::from_millis(5)).await;
            house.app.db.write_alone(|_| Ok(())).await.unwrap();
            house.notify = House::notify_over(&house.app, provider.everywhere());
        } else {
            house.idle().await;
            if house.number(pending).await == 0 {
                break;
            }
        }
        house.pass(Duration::from_secs(dice.below(1200)));
    }
    house.notify.stop().await;

    let rows: Vec<(String, String, String, i64)> = house
        .app
        .db
        .read(|tx| {
            tx.query_all("SELECT id, state, channel, attempts FROM _deliveries", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
        })
        .await
        .unwrap();
    assert_eq!(rows.len(), made);
    assert_eq!(house.number("SELECT count(*) FROM _notifications WHERE state != 'done'").await, 0);
    let calls = provider.calls.lock().clone();
    let mut tickets: HashMap<&str, HashSet<String>> = HashMap::new();
    for call in &calls {
        let fixed = format!("{} {:?}", call.ticket.notification, call.ticket.recipient);
        tickets.entry(&call.ticket.delivery).or_default().insert(fixed);
        assert!(call.ticket.attempt >= 1);
    }
    for (id, state, channel, attempts) in &rows {
        assert!(["sent", "failed", "skipped"].contains(&state.as_str()), "{state}");
        assert!(*attempts <= 17, "{attempts}");
        if channel != "inbox" {
            let told = tickets.get(id.as_str()).map_or(0, HashSet::len);
            assert!(told == 1 || told == 0 && state == "skipped", "one ticket for all repeats: {told} {state}");
            assert!(state != "sent" || taken.lock().contains(id), "what is sent was taken by somebody");
        }
    }
    // Every decision is in the log once: nothing is decided again.
    assert_eq!(finals_in_log(&house).await, made);
    let inbox = rows.iter().filter(|(_, _, channel, _)| channel == "inbox").count();
    assert_eq!(house.number("SELECT count(*) FROM _inbox").await, i64::try_from(inbox).unwrap());
}

/// Changes of deliveries that the log keeps.
async fn finals_in_log(house: &House) -> usize {
    let collection = house.app.schema.find(DELIVERIES).unwrap().id.clone();
    let page = house.app.db.read(|tx| crate::db::Db::read_after(tx, 0, usize::MAX)).await.unwrap();
    let of_deliveries: Vec<&str> = page
        .entries
        .iter()
        .filter(|entry| entry.collection == *collection)
        .map(|entry| entry.record.as_str())
        .collect();
    let once: HashSet<&str> = of_deliveries.iter().copied().collect();
    assert_eq!(once.len(), of_deliveries.len(), "a delivery was decided twice");
    of_deliveries.len()
}
