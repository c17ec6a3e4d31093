//! The room over a real file: what is told is found, what is not wanted is not, and nobody waits.

use proptest::prelude::*;
use serde_json::{Map, json};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::{
    clock::{Clock, Timestamp},
    db::testing::{TempDir, options},
};

const DAY: i64 = 86_400_000;
/// 2026-11-22
const NOW: Timestamp = Timestamp(1_795_305_600_000);

fn policy(max_days: i64, min_level: i64) -> Policy {
    Policy { max_days, min_level, max_data_size: 0, with_ip: true, with_auth_id: false }
}

fn log_in(dir: &TempDir, policy: Policy) -> Logs {
    let options = db::Options { clock: Clock::manual(NOW), ..options() };
    let logs = Logs::new(dir.path(), options, policy);
    logs.begin().unwrap();
    logs
}

fn event(at: Timestamp, level: i64, message: &str) -> Event {
    Event::new(at, level, message.to_owned(), Map::new(), None)
}

async fn messages(logs: &Logs) -> Vec<String> {
    let read = |tx: &ReadTx<'_>| tx.query_all("SELECT message FROM _logs ORDER BY rowid", [], |row| row.get(0));
    logs.read_for(Asker::HOUSE, read).await.unwrap()
}

#[actix_web::test]
async fn what_was_told_is_found_at_once_and_after_a_restart() {
    let dir = TempDir::new();
    let logs = log_in(&dir, policy(5, 0));
    logs.push_event(event(NOW, INFO, "a"));
    logs.push_event(event(NOW, ERROR, "b"));
    assert_eq!(messages(&logs).await, ["a", "b"]);
    logs.push_event(event(NOW, INFO, "c"));
    logs.close().await;
    logs.push_event(event(NOW, INFO, "late"));
    assert_eq!(logs.counters(), Counters { written: 3, dropped: 1, waiting: 0 });
    let logs = log_in(&dir, policy(5, 0));
    assert_eq!(messages(&logs).await, ["a", "b", "c"]);
    logs.truncate().await.unwrap();
    assert!(messages(&logs).await.is_empty());
}

#[actix_web::test]
async fn what_the_settings_do_not_want_goes_at_once() {
    let dir = TempDir::new();
    let logs = log_in(&dir, policy(5, -10));
    for (age, level) in [(6, 8), (4, 8), (0, 8), (0, 0), (0, -4)] {
        logs.push_event(event(Timestamp(NOW.0 - age * DAY), level, &format!("{age} {level}")));
    }
    assert_eq!(messages(&logs).await.len(), 5);
    for (days, level, left) in [
        (5, 0, vec!["4 8", "0 8", "0 0"]),
        (3, 0, vec!["0 8", "0 0"]),
        (3, 4, vec!["0 8"]),
        (i64::MAX, 0, vec!["0 8"]),
        (0, 0, vec![]),
    ] {
        logs.follow(policy(days, level));
        assert_eq!(messages(&logs).await, left, "{days} {level}");
    }
    logs.push_event(event(NOW, ERROR, "off"));
    assert!(messages(&logs).await.is_empty());
}

#[actix_web::test]
async fn a_flood_is_dropped_counted_and_told() {
    let dir = TempDir::new();
    let logs = Logs::new(dir.path(), options(), policy(5, 0));
    // Nobody writes yet.
    for _ in 0..30_000 {
        logs.push_event(event(NOW, INFO, "x"));
    }
    let Counters { dropped, waiting, .. } = logs.counters();
    assert_eq!((dropped + waiting, waiting), (30_000, 20_000));
    logs.begin().unwrap();
    let found = messages(&logs).await;
    assert_eq!(found.len(), 20_001);
    assert!(found[20_000].contains("rows are missing"), "{}", found[20_000]);
    logs.push_event(event(NOW, INFO, "after"));
    assert_eq!(messages(&logs).await.len(), 20_002, "the hole is told once");
}

#[actix_web::test]
async fn events_of_the_house_are_rows() {
    let dir = TempDir::new();
    let logs = log_in(&dir, policy(5, 0));
    logs.hear_events();
    let number = RequestNumber::next();
    let subscriber = tracing_subscriber::registry().with(events::layer());
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!("too quiet");
        tracing::warn!(target: "conch::logs::keeper", "the log itself");
        let what = "heard here";
        let (error, much) = (anyhow::anyhow!("broken"), "x".repeat(3000));
        tracing::warn!(target: "conch::x", answer = 42, %error, request_id = "x", "{what} {much}");
    });
    let told = numbered(number, async {
        let subscriber = tracing_subscriber::registry().with(events::layer());
        tracing::subscriber::with_default(
            subscriber,
            || tracing::info!(target: "conch::x", "in a request: heard here"),
        );
    });
    told.await;
    let read = |tx: &ReadTx<'_>| {
        let sql = "SELECT level, message, data FROM _logs WHERE message LIKE '%heard here%' ORDER BY rowid";
        tx.query_all(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
    };
    let rows = logs.read_for(Asker::HOUSE, read).await.unwrap();
    let [(warn, long, first), (info, _, second)] = rows.try_into().unwrap();
    assert_eq!((warn, info, long.len()), (WARN, INFO, 2000));
    let data = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(data(&first), json!({ "answer": 42, "error": "broken", "source": "conch::x" }));
    assert_eq!(data(&second), json!({ "requestId": number.to_string(), "source": "conch::x" }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the settings are and however they change: a row that is stored is one that they want.
    #[test]
    fn nothing_is_stored_that_is_not_wanted(
        steps in prop::collection::vec((0i64..3, -5i64..10, prop::collection::vec((-8i64..12, 0i64..4), 0..20)), 1..6),
    ) {
        let dir = TempDir::new();
        let system = actix_web::rt::System::new();
        system.block_on(async {
            let logs = log_in(&dir, policy(0, 0));
            for (days, level, told) in steps {
                logs.follow(policy(days, level));
                for (grave, age) in &told {
                    logs.push_event(event(Timestamp(NOW.0 - age * DAY), *grave, &format!("{grave}")));
                }
                logs.clean_up().await.unwrap();
                let read = |tx: &ReadTx<'_>| {
                    tx.query_all("SELECT level, created FROM _logs", [], |row| Ok((row.get(0)?, row.get(1)?)))
                };
                let rows: Vec<(i64, String)> = logs.read_for(Asker::HOUSE, read).await.unwrap();
                let oldest = Timestamp(NOW.0 - days * DAY).to_string();
                assert!(days > 0 || rows.is_empty(), "switched off");
                assert!(rows.iter().all(|(grave, created)| *grave >= level && *created > oldest), "{rows:?}");
                let wanted = told.iter().filter(|(grave, age)| days > 0 && *grave >= level && *age < days).count();
                assert!(rows.len() >= wanted, "{rows:?}");
            }
            logs.close().await;
        });
    }
}
