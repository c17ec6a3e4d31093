//! What is remembered is never older than what was acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use serde_json::{Value as Json, json};

use super::{
    super::{Body, Shape},
    gallery::{Gallery, keys, object},
};
use crate::{identity::Caller, rules::Request};

/// Readers hammer a record through the cache while a writer counts up: none may read behind an acknowledged write.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_row_cache_is_never_behind_an_acknowledgement() {
    let gallery = Arc::new(Gallery::open().await);
    let (acknowledged, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    gallery.set("cmts", "x", "score", json!(0)).await;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (gallery, acknowledged, stop) = (gallery.clone(), acknowledged.clone(), stop.clone());
            tokio::spawn(async move {
                let mut reads = 0;
                while !stop.load(Ordering::SeqCst) {
                    let known = acknowledged.load(Ordering::SeqCst);
                    let seen = gallery.view(&Caller::Guest, "cmts", "x", ("", "")).await.unwrap();
                    assert!(seen["score"].as_i64().unwrap() >= known, "{seen} after {known}");
                    reads += 1;
                    tokio::task::yield_now().await;
                }
                reads
            })
        })
        .collect();
    for n in 1..500 {
        gallery.set("cmts", "x", "score", json!(n)).await;
        acknowledged.store(n, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    let collection = gallery.schema.find("cmts").unwrap();
    gallery.records.load(&collection, "x").await.unwrap();
    assert!(gallery.records.rows.get(&collection.id, "x").is_some(), "the cache was used");
}

/// Totals may come from memory: they are those of some moment between the question and the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn totals_are_never_behind_an_acknowledgement() {
    let gallery = Arc::new(Gallery::open().await);
    let (begun, done, stop) =
        (Arc::new(AtomicI64::new(3)), Arc::new(AtomicI64::new(3)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = ["", "score > 0", "art.title != ''"]
        .map(|filter| {
            let (gallery, begun, done, stop) = (gallery.clone(), begun.clone(), done.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let known = done.load(Ordering::SeqCst);
                    let query = [("perPage", "1"), ("filter", filter)];
                    let page = gallery.list(&Caller::Guest, "cmts", &query).await.unwrap();
                    let (total, begun) = (page["totalItems"].as_i64().unwrap(), begun.load(Ordering::SeqCst));
                    assert!((known..=begun).contains(&total), "{total} is not in {known}..={begun}");
                    tokio::task::yield_now().await;
                }
            })
        })
        .into();
    for n in 4..300 {
        begun.store(n, Ordering::SeqCst);
        gallery.insert("cmts", json!({"id": format!("c{n}"), "score": 1, "art": "a1"})).await;
        done.store(n, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    // A change of the related collection counts as well.
    let query = [("perPage", "1"), ("filter", "art.title = 'new'")];
    for (title, total) in [("old", 0), ("new", 298), ("old", 0)] {
        gallery.set("arts", "a1", "title", title.into()).await;
        for _ in 0..2 {
            let page = gallery.list(&Caller::Guest, "cmts", &query).await.unwrap();
            assert_eq!(page["totalItems"], total, "{title}");
        }
    }
}

#[tokio::test]
async fn a_schema_change_never_serves_a_row_of_the_old_columns() {
    let gallery = Gallery::open().await;
    let guest = Caller::Guest;
    assert_eq!(gallery.view(&guest, "meta", "m1", ("", "")).await.unwrap()["note"], "n1");
    let mut fields = gallery.schema.find("meta").unwrap().to_json()["fields"].as_array().unwrap().clone();
    let note = fields.iter_mut().find(|field| field["name"] == "note").unwrap();
    note["name"] = "remark".into();
    gallery.schema.update("meta", object(json!({"fields": fields}))).await.unwrap();
    let seen = gallery.view(&guest, "meta", "m1", ("", "")).await.unwrap();
    assert_eq!(keys(&seen), "art collectionId collectionName id remark");
    assert_eq!(seen["remark"], "n1");
    let mut fields = fields.clone();
    fields.iter_mut().find(|field| field["name"] == "remark").unwrap()["hidden"] = true.into();
    gallery.schema.update("meta", object(json!({"fields": fields}))).await.unwrap();
    assert_eq!(
        keys(&gallery.view(&guest, "meta", "m1", ("", "")).await.unwrap()),
        "art collectionId collectionName id"
    );
}

/// Between COMMIT and the new catalog a read still goes by the old one: it must not fail for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_read_survives_the_moment_before_the_new_catalog() {
    let gallery = Arc::new(Gallery::open().await);
    gallery.rules("cmts", json!({"updateRule": "art.title = 'a1'"})).await;
    let id = gallery.schema.find("cmts").unwrap().id.clone();
    let (committed, reached) = std::sync::mpsc::channel();
    gallery.schema.on_rename(move |tx, _| {
        let committed = committed.clone();
        tx.after_commit(move || {
            let _ = committed.send(());
            std::thread::sleep(std::time::Duration::from_millis(200));
        });
        Ok(())
    });
    let renaming = tokio::spawn({
        let gallery = gallery.clone();
        async move { gallery.schema.update("cmts", object(json!({"name": "notes"}))).await }
    });
    tokio::task::spawn_blocking(move || reached.recv()).await.unwrap().unwrap();
    let old = gallery.schema.find("cmts").expect("the old catalog still stands");
    let (request, score) = (Request::default(), Body { values: object(json!({"score": 7})), uploads: Vec::new() });
    let (list, row, matches, updated) = tokio::join!(
        gallery.list(&Caller::Guest, &id, &[]),
        gallery.records.load(&old, "x"),
        gallery.records.matches(&request, &old, "x", "art.title = 'a1'"),
        gallery.records.update(Request::default(), &id, "y", score, Shape::default()),
    );
    assert_eq!(list.unwrap()["items"][0]["collectionName"], "notes");
    assert_eq!(row.unwrap().unwrap().text("text"), Some("x"));
    assert!(matches.unwrap());
    let updated: Json = serde_json::from_slice(&updated.unwrap()).unwrap();
    assert_eq!((&updated["score"], &updated["collectionName"]), (&json!(7), &json!("notes")));
    renaming.await.unwrap().unwrap();
}
