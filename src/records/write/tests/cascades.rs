//! Deletes and what follows from them (`records-api.md` §4.4).

use serde_json::{Value as Json, json};

use crate::{
    db::Kind,
    error,
    records::write::testing::{House, id, superuser},
};

/// A collection of referrers with one relation field `ref` to `targets`, and a target with one referrer.
async fn referrer(relation: Json, value: impl Fn(&str, &str) -> Json) -> (House, String, String) {
    let house = House::new();
    let targets = house.collection(json!({"name": "targets"})).await;
    let mut field = json!({"name": "ref", "type": "relation", "collectionId": targets.id});
    for (key, option) in relation.as_object().unwrap() {
        field[key] = option.clone();
    }
    let dates = json!({"name": "up", "type": "autodate", "onUpdate": true});
    house.collection(json!({"name": "referrers", "fields": [field, dates]})).await;
    let target = house.create(&superuser(), "targets", json!({})).await.unwrap();
    let other = house.create(&superuser(), "targets", json!({})).await.unwrap();
    let made = house.create(&superuser(), "referrers", json!({"ref": value(id(&target), id(&other))})).await.unwrap();
    (house, id(&target).to_owned(), id(&made).to_owned())
}

#[tokio::test]
async fn the_matrix_of_references() {
    let only = |target: &str, _: &str| json!(target);
    let both = |target: &str, other: &str| json!([target, other]);
    type Value = fn(&str, &str) -> Json;
    // Relation options, its value, and what becomes of the referrer: gone, blank, shorter, or the delete refused.
    let cases: [(Json, Value, &str); 8] = [
        (json!({"maxSelect": 1, "cascadeDelete": true}), only, "gone"),
        (json!({"maxSelect": 1, "cascadeDelete": true, "required": true}), only, "gone"),
        (json!({"maxSelect": 1, "required": true}), only, "refused"),
        (json!({"maxSelect": 1}), only, "blank"),
        (json!({"maxSelect": 3, "cascadeDelete": true}), only, "gone"),
        (json!({"maxSelect": 3}), only, "blank"),
        (json!({"maxSelect": 3, "cascadeDelete": true, "required": true}), both, "shorter"),
        (json!({"maxSelect": 3, "required": true}), both, "shorter"),
    ];
    for (options, value, expected) in cases {
        let (house, target, referrer) = referrer(options.clone(), value).await;
        let result = house.delete(&superuser(), "targets", &target).await;
        let after = house.view("referrers", &referrer).await;
        let found = match (&result, &after, &after["ref"]) {
            (Err(error), _, _) if error.kind == error::Kind::Invalid && error.issues.is_empty() => "refused",
            (Ok(()), Json::Null, _) => "gone",
            (Ok(()), _, Json::String(blank)) if blank.is_empty() => "blank",
            (Ok(()), _, Json::Array(list)) if list.is_empty() => "blank",
            (Ok(()), _, Json::Array(list)) if list.len() == 1 && list[0] != json!(target) => "shorter",
            _ => "something else",
        };
        assert_eq!(found, expected, "{options}: {result:?} {after}");
        let left = if expected == "refused" { 2 } else { 1 };
        assert_eq!(house.count("targets").await, left, "{options}");
        if matches!(expected, "blank" | "shorter") {
            assert_eq!(after["up"], "2027-01-15 08:00:00.000Z", "{options}: dates move");
            assert_eq!(house.log().await.last().unwrap().kind, Kind::Update, "{options}: the log knows");
        }
    }
}

#[tokio::test]
async fn cycles_end_and_references_to_oneself_are_not_followed() {
    let house = House::new();
    let nodes = house.collection(json!({"name": "nodes"})).await;
    let next = json!({"name": "next", "type": "relation", "collectionId": nodes.id, "cascadeDelete": true});
    house.change_collection("nodes", json!({"fields": [next]})).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(id(&house.create(&superuser(), "nodes", json!({})).await.unwrap()).to_owned());
    }
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        house.update(&superuser(), "nodes", &ids[from], json!({"next": ids[to]})).await.unwrap();
    }
    let alone = house.create(&superuser(), "nodes", json!({})).await.unwrap();
    house.update(&superuser(), "nodes", id(&alone), json!({"next": id(&alone)})).await.unwrap();
    house.delete(&superuser(), "nodes", id(&alone)).await.unwrap();
    assert_eq!(house.count("nodes").await, 3);
    house.delete(&superuser(), "nodes", &ids[1]).await.unwrap();
    assert_eq!(house.count("nodes").await, 0);
}

#[tokio::test]
async fn a_long_chain_and_a_wide_fan_are_one_transaction() {
    let house = House::new();
    let nodes = house.collection(json!({"name": "nodes"})).await;
    let parent = json!({"name": "parent", "type": "relation", "collectionId": nodes.id, "cascadeDelete": true});
    house.change_collection("nodes", json!({"fields": [parent]})).await;
    let root = house.create(&superuser(), "nodes", json!({})).await.unwrap();
    let root = id(&root).to_owned();
    let fill = "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < ?1)
        INSERT INTO nodes (id, parent) SELECT printf(?2, n), CASE WHEN ?3 AND n > 1 THEN printf(?2, n - 1) ELSE ?4 END
        FROM k";
    let wanted = root.clone();
    house
        .db
        .write(move |tx| {
            tx.execute(fill, rusqlite::params![1500, "chain%010d", true, wanted])?;
            tx.execute(fill, rusqlite::params![1500, "fan%012d", false, wanted])
        })
        .await
        .unwrap();
    assert_eq!(house.count("nodes").await, 3001);
    let before = house.log().await.len();
    house.delete(&superuser(), "nodes", &root).await.unwrap();
    assert_eq!(house.count("nodes").await, 0);
    assert_eq!(house.log().await.len() - before, 3001);
}

#[tokio::test]
async fn a_record_that_goes_itself_forbids_nothing() {
    let house = House::new();
    let targets = house.collection(json!({"name": "targets"})).await;
    let fields = json!([
        {"name": "held", "type": "relation", "collectionId": targets.id, "required": true},
        {"name": "owned", "type": "relation", "collectionId": targets.id, "cascadeDelete": true},
    ]);
    house.collection(json!({"name": "referrers", "fields": fields})).await;
    let target = house.create(&superuser(), "targets", json!({})).await.unwrap();
    let both = json!({"held": id(&target), "owned": id(&target)});
    house.create(&superuser(), "referrers", both).await.unwrap();
    house.delete(&superuser(), "targets", id(&target)).await.unwrap();
    assert_eq!((house.count("targets").await, house.count("referrers").await), (0, 0));
}

#[tokio::test]
async fn values_from_before_a_field_was_multiple_are_found() {
    let (house, target, referrer) = referrer(json!({"maxSelect": 3}), |target, _| json!(target)).await;
    for legacy in [format!("[\"{target}\"]"), target.clone()] {
        let (legacy, key) = (legacy.clone(), referrer.clone());
        house
            .db
            .write(move |tx| tx.execute("UPDATE referrers SET ref = ?1 WHERE id = ?2", [&legacy, &key]))
            .await
            .unwrap();
        let again = target.clone();
        house.db.write(move |tx| tx.execute("INSERT OR IGNORE INTO targets (id) VALUES (?1)", [&again])).await.unwrap();
        house.delete(&superuser(), "targets", &target).await.unwrap();
        assert_eq!(house.stored("referrers", &referrer, "ref").await, "[]");
    }
}

#[tokio::test]
async fn truncate_is_all_or_nothing() {
    let (house, target, referrer) =
        referrer(json!({"maxSelect": 1, "required": true}), |target, _| json!(target)).await;
    let error = house.records.truncate("targets").await.unwrap_err();
    assert_eq!(error.kind, error::Kind::Invalid);
    assert_eq!(house.count("targets").await, 2);
    house.delete(&superuser(), "referrers", &referrer).await.unwrap();
    house.records.truncate("targets").await.unwrap();
    assert_eq!(house.count("targets").await, 0);
    assert_eq!(house.view("targets", &target).await, Json::Null);
}
