//! Several writes in one transaction (`records-api.md` §9).

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::{
    error::Kind,
    identity::Caller,
    records::{
        BatchAction, BatchFailure, BatchItem, Shape,
        write::testing::{House, account, body, codes, request, superuser},
    },
};

fn item(who: &Caller, action: BatchAction, collection: &str, values: Json) -> BatchItem {
    let collection = collection.to_owned();
    BatchItem { action, collection, body: body(values), shape: Shape::default(), request: request(who) }
}

async fn run(house: &House, items: Vec<BatchItem>) -> Result<Vec<Json>, BatchFailure> {
    let bodies = house.records.batch(items, Duration::from_secs(10)).await?;
    Ok(bodies.into_iter().map(|body| body.map_or(Json::Null, |body| serde_json::from_slice(&body).unwrap())).collect())
}

fn update(id: &str) -> BatchAction {
    BatchAction::Update { id: id.into() }
}

async fn house() -> House {
    let house = House::new();
    let fields = json!([{"name": "t", "type": "text", "required": true}, {"name": "n", "type": "number"}]);
    house.collection(json!({"name": "bt", "fields": fields, "createRule": "", "updateRule": "t='a'"})).await;
    house
}

#[tokio::test]
async fn later_items_see_earlier_ones() {
    let house = house().await;
    let (key, other) = ("a".repeat(15), "b".repeat(15));
    let items = vec![
        item(&Caller::Guest, BatchAction::Create, "bt", json!({"id": key, "t": "a"})),
        item(&Caller::Guest, update(&key), "bt", json!({"n+": 5})),
        item(&superuser(), BatchAction::Upsert, "bt", json!({"id": key, "n+": 2})),
        item(&superuser(), BatchAction::Upsert, "bt", json!({"id": other, "t": "new"})),
        item(&superuser(), BatchAction::Delete { id: other.clone() }, "bt", json!({})),
    ];
    let bodies = run(&house, items).await.unwrap();
    assert_eq!(
        bodies.iter().map(|body| &body["n"]).collect::<Vec<_>>(),
        [&json!(0), &json!(5), &json!(7), &json!(0), &Json::Null]
    );
    assert_eq!((bodies[3]["id"].as_str(), &bodies[4]), (Some(other.as_str()), &Json::Null));
    assert_eq!(house.count("bt").await, 1);
}

#[tokio::test]
async fn the_first_failure_undoes_everything() {
    let house = house().await;
    house
        .change_collection("bt", json!({"indexes": ["CREATE UNIQUE INDEX `one_n` ON `bt` (`n`) WHERE `n` > 1"]}))
        .await;
    let good = || item(&Caller::Guest, BatchAction::Create, "bt", json!({"t": "a", "n": 1}));
    house.create(&superuser(), "bt", json!({"t": "x", "n": 5})).await.unwrap();
    let before = house.log().await.len();
    let twin = || item(&Caller::Guest, BatchAction::Create, "bt", json!({"t": "a", "n": 5}));
    let cases = [
        (item(&Caller::Guest, BatchAction::Create, "bt", json!({})), Kind::Invalid, "t=validation_required"),
        // Grave: a unique violation in a batch answered by an empty 500.
        (twin(), Kind::Invalid, "n=validation_not_unique"),
        (item(&Caller::Guest, update("nobody"), "bt", json!({})), Kind::NotFound, ""),
        (item(&Caller::Guest, BatchAction::Delete { id: "x".into() }, "bt", json!({})), Kind::Forbidden, ""),
        (item(&Caller::Guest, BatchAction::Create, "nowhere", json!({})), Kind::NotFound, ""),
    ];
    for (bad, kind, expected) in cases {
        let failure = run(&house, vec![good(), bad, good()]).await.unwrap_err();
        assert_eq!((failure.index, failure.error.kind), (Some(1), kind), "{expected}");
        assert_eq!(codes(&failure.error).join(" "), expected);
        assert_eq!(house.count("bt").await, 1);
        assert_eq!(house.log().await.len(), before);
    }
}

#[tokio::test]
async fn passwords_and_files_in_a_batch() {
    let house = house().await;
    let files = json!([{"name": "doc", "type": "file", "maxSelect": 1}]);
    let rules = json!({"name": "members", "type": "auth", "fields": files, "createRule": "", "updateRule": ""});
    house.collection(rules).await;
    let key = "m".repeat(15);
    let mut new = account("a@example.com");
    new["id"] = json!(key);
    let change = |old: &str| json!({"password": "second one", "passwordConfirm": "second one", "oldPassword": old});
    let create = || {
        let mut entry = item(&Caller::Guest, BatchAction::Create, "members", new.clone());
        entry.body.uploads.push(house.upload("doc", "doc.txt", b"x"));
        entry
    };
    let wrong = vec![create(), item(&Caller::Guest, update(&key), "members", change("not the first"))];
    let failure = run(&house, wrong).await.unwrap_err();
    assert_eq!(failure.index, Some(1));
    assert_eq!(codes(&failure.error), ["oldPassword=validation_invalid_old_password"]);
    assert_eq!(house.count("members").await, 0);
    let right = vec![create(), item(&Caller::Guest, update(&key), "members", change("first password"))];
    let bodies = run(&house, right).await.unwrap();
    assert!(house.stored("members", &key, "password").await.starts_with("$argon2id$"));
    assert!(house.has_file("members", &key, bodies[1]["doc"].as_str().unwrap(), true).await);
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_undone() {
    let house = house().await;
    let items = vec![item(&superuser(), BatchAction::Create, "bt", json!({"t": "a"}))];
    let failure = house.records.batch(items, Duration::ZERO).await.unwrap_err();
    assert_eq!(failure.error.kind, Kind::Invalid);
    assert_eq!(house.count("bt").await, 0);
}

#[tokio::test]
async fn rules_know_that_it_is_a_batch() {
    let house = house().await;
    house.change_collection("bt", json!({"createRule": "@request.context = 'batch'"})).await;
    let good = item(&Caller::Guest, BatchAction::Create, "bt", json!({"t": "a"}));
    assert!(run(&house, vec![good]).await.is_ok());
    assert!(house.create(&Caller::Guest, "bt", json!({"t": "a"})).await.is_err());
}

#[tokio::test]
async fn a_record_that_is_replaced_in_a_batch_keeps_its_new_file() {
    let house = House::new();
    house.collection(json!({"name": "docs", "fields": [{"name": "doc", "type": "file", "maxSelect": 1}]})).await;
    let key = "d".repeat(15);
    let create = || {
        let mut entry = item(&superuser(), BatchAction::Create, "docs", json!({"id": key}));
        entry.body.uploads.push(house.upload("doc", "doc.txt", b"x"));
        entry
    };
    let first = run(&house, vec![create()]).await.unwrap();
    let delete = item(&superuser(), BatchAction::Delete { id: key.clone() }, "docs", json!({}));
    let second = run(&house, vec![delete, create()]).await.unwrap();
    let (old, new) = (first[0]["doc"].as_str().unwrap(), second[1]["doc"].as_str().unwrap());
    assert!(!house.has_file("docs", &key, old, false).await);
    assert!(house.has_file("docs", &key, new, true).await);
}
