//! Writes in bulk: one door with all others, and what of deliveries the log keeps.

use serde_json::{Value as Json, json};

use crate::{
    clock::Timestamp,
    db::{Kind, Value},
    error::Result,
    records::{
        Bulk, ListParams, MAX_BULK_ROWS, Shape,
        write::testing::{House, request, superuser},
    },
};

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A delivery to `who` in this state.
fn delivery<'a>(who: &str, state: &str) -> Vec<(&'a str, Value)> {
    vec![
        ("notification", text("n")),
        ("collectionRef", text("members")),
        ("recordRef", text(who)),
        ("channel", text("email")),
        ("state", text(state)),
        ("priority", Value::Integer(1)),
    ]
}

impl House {
    async fn in_bulk<T: Send + 'static>(
        &self,
        script: impl Fn(&mut Bulk<'_, '_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let records = self.records.clone();
        self.db.write(move |tx| script(&mut records.bulk(tx))).await
    }

    async fn set_state(&self, id: &str, state: &'static str) {
        let id = id.to_owned();
        let done = self.in_bulk(move |bulk| bulk.update("_deliveries", &id, &[("state", text(state))])).await;
        assert!(done.unwrap(), "{state}");
    }

    /// What the log tells of deliveries: kind, and state before and after as a replay shows them.
    async fn told(&self) -> Vec<(Kind, String, String)> {
        let (records, catalog) = (self.records.clone(), self.schema.catalog());
        let story = self.db.read(move |tx| records.story(tx, &catalog, 0, 1000)).await.unwrap();
        let deliveries = self.schema.find("_deliveries").unwrap();
        let state = deliveries.field("state").unwrap().id.clone();
        let of = |row: &Option<std::sync::Arc<crate::db::Row>>| {
            row.as_ref().and_then(|row| row.text(&state)).unwrap_or("-").to_owned()
        };
        let ours = story.changes.iter().filter(|(_, change)| change.collection == deliveries.id);
        ours.map(|(_, change)| (change.kind, of(&change.old), of(&change.new))).collect()
    }

    async fn total(&self, filter: &str) -> i64 {
        let mut params = ListParams::default();
        (params.per_page, params.filter) = (1, Some(filter.to_owned()));
        let answer = self.records.list(request(&superuser()), "_deliveries", params, Shape::default()).await.unwrap();
        serde_json::from_slice::<Json>(&answer).unwrap()["totalItems"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn rows_are_whole_and_unique_indexes_decide() {
    let house = House::new();
    let id = house.in_bulk(|bulk| bulk.insert("_deliveries", &delivery("a", "scheduled"))).await.unwrap();
    let seen = house.view("_deliveries", &id).await;
    assert_eq!(id.len(), 15);
    for (key, expected) in
        [("attempts", json!(0)), ("due", json!("")), ("detail", Json::Null), ("priority", json!(1)), ("id", json!(id))]
    {
        assert_eq!(seen[key], expected, "{key}");
    }
    assert_eq!(seen["created"], json!(house.clock.now().to_string()));
    house.clock.set(Timestamp(house.clock.now().millis() + 5000));
    house.set_state(&id, "sending").await;
    let later = house.view("_deliveries", &id).await;
    assert_eq!((&later["created"], &later["updated"]), (&seen["created"], &json!(house.clock.now().to_string())));

    let twice = house.in_bulk(|bulk| {
        let none = bulk.insert_new("_deliveries", &delivery("a", "scheduled"))?;
        let one = bulk.insert_new("_deliveries", &delivery("b", "scheduled"))?;
        Ok((none, one.is_some(), bulk.insert("_deliveries", &delivery("b", "scheduled")).is_err()))
    });
    assert_eq!(twice.await.unwrap(), (None, true, true));
    let given = house.in_bulk(|bulk| {
        let mut values = delivery("c", "sent");
        values.push(("id", text("mine00000000000")));
        bulk.insert("_deliveries", &values)
    });
    assert_eq!(given.await.unwrap(), "mine00000000000");
    assert_eq!(house.count("_deliveries").await, 3);
    let gone = house.in_bulk(|bulk| {
        let gone = bulk.delete("_deliveries", "mine00000000000")?;
        Ok((gone, bulk.delete("_deliveries", "mine00000000000")?, bulk.update("_deliveries", "x", &[])?))
    });
    assert_eq!(gone.await.unwrap(), (true, false, false));
}

#[tokio::test]
async fn what_is_not_for_it_is_refused_and_undone() {
    let house = House::new();
    assert!(house.in_bulk(|bulk| bulk.insert("_superusers", &[])).await.is_err());
    assert!(house.in_bulk(|bulk| bulk.insert("nothing", &[])).await.is_err());
    assert!(house.in_bulk(|bulk| bulk.insert("_inbox", &[("nope", Value::Null)])).await.is_err());
    let many = |rows: usize| {
        move |bulk: &mut Bulk<'_, '_>| {
            (0..rows).try_for_each(|n| bulk.insert("_inbox", &[("title", text(&n.to_string()))]).map(drop))
        }
    };
    assert!(house.in_bulk(many(MAX_BULK_ROWS + 1)).await.is_err());
    assert_eq!(house.count("_inbox").await, 0);
    house.in_bulk(many(MAX_BULK_ROWS)).await.unwrap();
    assert_eq!((house.count("_inbox").await, house.log().await.len()), (1000, 1000));
}

#[tokio::test]
async fn the_log_hears_how_deliveries_end() {
    let house = House::new();
    let (log, heard) = (house.db.watch(), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let start = *log.borrow();
    let listening = heard.clone();
    house.db.on_commit(move |commit| {
        listening.fetch_add(commit.changes.len(), std::sync::atomic::Ordering::SeqCst);
    });
    let id = house.in_bulk(|bulk| bulk.insert("_deliveries", &delivery("a", "scheduled"))).await.unwrap();
    for state in ["batched", "scheduled", "sending", "scheduled", "sending"] {
        house.set_state(&id, state).await;
        assert_eq!(house.view("_deliveries", &id).await["state"], json!(state), "the cache heard");
    }
    assert_eq!((*log.borrow(), heard.load(std::sync::atomic::Ordering::SeqCst)), (start, 0));
    for state in ["failed", "scheduled", "sending", "sent"] {
        house.set_state(&id, state).await;
    }
    // Through another door: the same policy.
    house.update(&superuser(), "_deliveries", &id, json!({"openedAt": "2026-11-22 10:00:00.000Z"})).await.unwrap();
    house.delete(&superuser(), "_deliveries", &id).await.unwrap();
    house.in_bulk(|bulk| bulk.insert("_deliveries", &delivery("b", "suppressed"))).await.unwrap();
    let waiting = house.in_bulk(|bulk| bulk.insert("_deliveries", &delivery("c", "scheduled"))).await.unwrap();
    house.delete(&superuser(), "_deliveries", &waiting).await.unwrap();
    let (old, new) = (|it: &str| it.to_owned(), |it: &str| it.to_owned());
    assert_eq!(
        house.told().await,
        [
            (Kind::Update, old("sending"), new("failed")),
            // What led away from a settled state is told as the row was when the log came back to it.
            (Kind::Update, old("failed"), new("sending")),
            (Kind::Update, old("sending"), new("sent")),
            (Kind::Update, old("sent"), new("sent")),
            (Kind::Delete, old("sent"), new("-")),
            (Kind::Create, old("-"), new("suppressed")),
            (Kind::Delete, old("scheduled"), new("-")),
        ]
    );
    assert_eq!((*log.borrow(), heard.load(std::sync::atomic::Ordering::SeqCst)), (start + 7, 7));
}

#[tokio::test]
async fn what_fails_leaves_no_trace_and_judgements_see_quiet_writes() {
    let house = House::new();
    let id = house.in_bulk(|bulk| bulk.insert("_deliveries", &delivery("a", "scheduled"))).await.unwrap();
    let seq = house.db.announced();
    let deliveries = house.schema.find("_deliveries").unwrap().id.clone();
    let failed = house.in_bulk(|bulk| {
        bulk.insert("_deliveries", &delivery("b", "scheduled"))?;
        bulk.insert("_deliveries", &delivery("b", "scheduled"))
    });
    assert!(failed.await.is_err());
    assert_eq!(house.count("_deliveries").await, 1);
    let (records, collection, record) = (house.records.clone(), deliveries.clone(), id.clone());
    let seen = house.db.write(move |tx| {
        let ask = |tx: &crate::db::WriteTx<'_>| {
            let one = std::slice::from_ref(&collection);
            (tx.changed_since(seq, one), tx.record_changed_since(seq, &collection, &record))
        };
        let undone = tx.savepoint(|tx| {
            records.bulk(tx).update("_deliveries", &record, &[("attempts", Value::Integer(9))])?;
            Err::<(), _>(crate::error::Error::invalid(format!("{:?}", ask(tx))))
        });
        records.bulk(tx).update("_deliveries", &record, &[("attempts", Value::Integer(1))])?;
        Ok((undone.unwrap_err().message, ask(tx)))
    });
    assert_eq!(seen.await.unwrap(), ("(true, true)".into(), (true, true)));
    assert_eq!(house.view("_deliveries", &id).await["attempts"], json!(1));
    let collection = deliveries.clone();
    let later = house.db.write(move |tx| Ok(tx.record_changed_since(seq, &collection, &id)));
    assert!(later.await.unwrap(), "a snapshot with this number may be older than the write");
    // Once the log has gone on, a snapshot that knows that knows the rest.
    house.in_bulk(|bulk| bulk.insert("_topics", &[("key", text("news"))])).await.unwrap();
    let now = house.db.announced();
    let later = house.db.write(move |tx| Ok(tx.changed_since(now, std::slice::from_ref(&deliveries))));
    assert!(!later.await.unwrap());
}

#[tokio::test]
async fn totals_follow_quiet_writes() {
    let house = House::new();
    for n in 0..5 {
        let made = house.in_bulk(move |bulk| bulk.insert("_deliveries", &delivery(&n.to_string(), "scheduled"))).await;
        assert_eq!(house.total("state = 'scheduled'").await, i64::from(n) + 1);
        house.set_state(&made.unwrap(), "sending").await;
        assert_eq!(house.total("state = 'scheduled'").await, i64::from(n));
        let more = house.in_bulk(move |bulk| bulk.insert("_deliveries", &delivery(&format!("+{n}"), "scheduled")));
        more.await.unwrap();
        house.in_bulk(move |bulk| bulk.insert("_topics", &[("key", text(&n.to_string()))])).await.unwrap();
        assert_eq!(house.total("state = 'scheduled'").await, i64::from(n) + 1);
        assert_eq!(house.total("state = 'sending'").await, i64::from(n) + 1);
    }
}
