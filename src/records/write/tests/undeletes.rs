//! Deletes taken back: what comes back as it was, and what stays away and why.

use serde_json::{Value as Json, json};

use crate::{
    db::Kind,
    records::write::testing::{House, account, id, superuser},
};

/// `folders`, `papers` in them (deleted with them) that may follow each other.
async fn house() -> House {
    let house = House::new();
    let folders = house
        .collection(json!({"name": "folders", "fields": [
            {"name": "name", "type": "text"},
            {"name": "created", "type": "autodate", "onCreate": true},
            {"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true},
        ], "indexes": ["CREATE UNIQUE INDEX idx_name ON folders (name)"]}))
        .await;
    house
        .collection(json!({"id": "papers000000000", "name": "papers", "fields": [
            {"name": "folder", "type": "relation", "collectionId": folders.id, "maxSelect": 1, "cascadeDelete": true},
            {"name": "text", "type": "text"}, {"name": "n", "type": "number"}, {"name": "data", "type": "json"},
            {"name": "tags", "type": "select", "values": ["a", "b"], "maxSelect": 2},
            {"name": "at", "type": "geoPoint"},
            {"name": "file", "type": "file", "maxSelect": 1},
        ]}))
        .await;
    house
}

async fn undelete(house: &House, collection: &str, ids: &[&str]) -> (String, String) {
    let ids = ids.iter().map(ToString::to_string).collect();
    let done = house.records.undelete(collection, ids, superuser().actor()).await.unwrap();
    let failed: Vec<String> = done.failed.iter().map(|refused| format!("{}={}", refused.id, refused.reason)).collect();
    (done.restored.join(" "), failed.join(" "))
}

#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    let house = house().await;
    let folder = house.create(&superuser(), "folders", json!({"id": "folder000000000", "name": "one"})).await.unwrap();
    let mut papers = Vec::new();
    for n in 0..3 {
        let values = json!({
            "folder": id(&folder), "text": format!("\u{1f600} {n}"), "n": n, "data": {"deep": [n, null]},
            "tags": ["b", "a"], "at": {"lon": 1.5, "lat": -2},
        });
        papers.push(house.create(&superuser(), "papers", values).await.unwrap());
    }
    house.clock.set(house.clock.now().plus(std::time::Duration::from_secs(60)));
    house.update(&superuser(), "folders", id(&folder), json!({"name": "two"})).await.unwrap();
    let before = house.view("folders", id(&folder)).await;
    house.delete(&superuser(), "folders", id(&folder)).await.unwrap();
    assert_eq!(house.count("papers").await, 0);

    let ids: Vec<&str> = papers.iter().map(id).collect();
    let (restored, failed) = undelete(&house, "papers", &ids).await;
    assert_eq!((restored.as_str(), failed.matches("missing_relation").count()), ("", 3), "{failed}");
    house.clock.set(house.clock.now().plus(std::time::Duration::from_secs(60)));
    assert_eq!(undelete(&house, "folders", &[id(&folder)]).await, (id(&folder).to_owned(), String::new()));
    assert_eq!(undelete(&house, "papers", &ids).await, (ids.join(" "), String::new()));
    assert_eq!(house.view("folders", id(&folder)).await, before, "dates too");
    for paper in &papers {
        assert_eq!(&house.view("papers", id(paper)).await, paper);
    }
    let log = house.log().await;
    assert!(log[log.len() - 4..].iter().all(|entry| entry.kind == Kind::Create && entry.actor.is_some()));
    let (restored, failed) = undelete(&house, "folders", &[id(&folder), "nope"]).await;
    assert_eq!((restored.as_str(), failed.as_str()), ("", "folder000000000=exists nope=not_in_log"));
}

#[tokio::test]
async fn those_that_point_at_each_other_come_back_together() {
    let house = House::new();
    house
        .collection(json!({"id": "links0000000000", "name": "links", "fields": [{"name": "name", "type": "text"}]}))
        .await;
    let to = json!({"name": "to", "type": "relation", "collectionId": "links0000000000", "maxSelect": 9, "cascadeDelete": true});
    house.change_collection("links", json!({"fields": [{"name": "name", "type": "text"}, to]})).await;
    for name in ["a", "b", "c", "d"] {
        house.create(&superuser(), "links", json!({"id": format!("{name}00000000000000")})).await.unwrap();
    }
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")] {
        let to = json!({"to": [format!("{to}00000000000000")]});
        house.update(&superuser(), "links", &format!("{from}00000000000000"), to).await.unwrap();
    }
    house.delete(&superuser(), "links", "a00000000000000").await.unwrap();
    assert_eq!(house.count("links").await, 0);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| format!("{name}00000000000000"));
    let (restored, failed) = undelete(&house, "links", &[&a, &b, &d]).await;
    assert_eq!((restored.as_str(), failed.matches("missing_relation").count()), ("", 3), "without c none has a ground");
    assert_eq!(undelete(&house, "links", &[&d, &c, &b, &a]).await.1, "");
    assert_eq!(house.count("links").await, 4);
}

#[tokio::test]
async fn what_cannot_be_as_it_was_stays_away() {
    let house = house().await;
    let gone = |id: &'static str, values: Json| {
        let house = &house;
        async move {
            let mut values = values;
            values["id"] = id.into();
            let collection = if values.get("text").is_some() { "papers" } else { "folders" };
            house.create(&superuser(), collection, values).await.unwrap();
            house.delete(&superuser(), collection, id).await.unwrap();
        }
    };
    gone("taken0000000000", json!({"name": "one"})).await;
    gone("free00000000000", json!({"name": "two"})).await;
    house.create(&superuser(), "folders", json!({"name": "one"})).await.unwrap();
    let (restored, failed) = undelete(&house, "folders", &["taken0000000000", "free00000000000"]).await;
    assert_eq!((restored.as_str(), failed.as_str()), ("free00000000000", "taken0000000000=not_unique"));

    let mut values = crate::records::write::testing::body(json!({"id": "file00000000000", "text": "x"}));
    values.uploads.push(house.upload("file", "a.txt", b"text"));
    let request = crate::records::write::testing::request(&superuser());
    house.create_with(request, "papers", values).await.unwrap();
    house.delete(&superuser(), "papers", "file00000000000").await.unwrap();
    assert_eq!(undelete(&house, "papers", &["file00000000000"]).await.1, "file00000000000=has_files");

    gone("strict000000000", json!({"text": ""})).await;
    gone("fresh0000000000", json!({"text": "y"})).await;
    house.change_collection("papers", json!({"fields": [
        {"id": house.schema.find("papers").unwrap().field("text").unwrap().id, "name": "words", "type": "text", "required": true},
        {"name": "more", "type": "number"},
    ]})).await;
    let (restored, failed) = undelete(&house, "papers", &["strict000000000", "fresh0000000000"]).await;
    assert_eq!((restored.as_str(), failed.as_str()), ("fresh0000000000", "strict000000000=invalid"));
    assert_eq!(house.view("papers", "fresh0000000000").await["words"], "y", "fields are known by their ids");

    house.collection(json!({"name": "people", "type": "auth"})).await;
    let person = id(&house.create(&superuser(), "people", account("a@example.com")).await.unwrap()).to_owned();
    house.delete(&superuser(), "people", &person).await.unwrap();
    assert!(undelete(&house, "people", &[&person]).await.1.ends_with("=auth_collection"));
    house.collection(json!({"name": "seen", "type": "view", "viewQuery": "SELECT id, name FROM folders"})).await;
    assert!(undelete(&house, "seen", &["free00000000000"]).await.1.ends_with("=view_collection"));
    house.collection(json!({"name": "pins", "fields": [{"name": "pin", "type": "password"}]})).await;
    let pin = id(&house.create(&superuser(), "pins", json!({"pin": "12345678"})).await.unwrap()).to_owned();
    house.delete(&superuser(), "pins", &pin).await.unwrap();
    assert!(undelete(&house, "pins", &[&pin]).await.1.ends_with("=has_secrets"));
    assert!(house.records.undelete("nope", vec![], None).await.is_err());
}
