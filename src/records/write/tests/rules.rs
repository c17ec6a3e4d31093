//! Create, update and delete rules (`records-filter.md` §9).

use serde_json::{Map, Value as Json, json};

use crate::{
    error::Kind,
    identity::Caller,
    records::write::testing::{House, body, codes, id, request, superuser},
};

async fn house() -> (House, [String; 2]) {
    let house = House::new();
    let people = house.collection(json!({"name": "people", "fields": [{"name": "name", "type": "text"}]})).await;
    let fields = json!([
        {"name": "t", "type": "text"},
        {"name": "n", "type": "number"},
        {"name": "s", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
        {"name": "owner", "type": "relation", "collectionId": people.id, "maxSelect": 1},
        {"name": "hid", "type": "text", "hidden": true},
        {"name": "pin", "type": "password"},
        {"name": "gen", "type": "text", "autogeneratePattern": "[a-z]{5}"},
        {"name": "cr", "type": "autodate", "onCreate": true},
    ]);
    house.collection(json!({"name": "things", "fields": fields, "createRule": "", "updateRule": ""})).await;
    let mut ids = Vec::new();
    for name in ["u1", "u2"] {
        ids.push(id(&house.create(&superuser(), "people", json!({"name": name})).await.unwrap()).to_owned());
    }
    (house, ids.try_into().unwrap())
}

#[tokio::test]
async fn create_rules_see_the_new_row_before_it_exists() {
    let (house, [u1, u2]) = house().await;
    let cases = [
        ("@request.body.t:isset=false", json!({}), true),
        ("@request.body.t:isset=false", json!({"t": ""}), false),
        ("@request.body.n:isset=false", json!({"n+": 1}), false),
        ("@request.body.n>2", json!({"n": "3"}), true),
        ("@request.body.n='3'", json!({"n": 3}), false),
        ("@request.body.zz.a=5", json!({"zz": {"a": 5}}), true),
        ("@request.body.s:each='a'", json!({"s": ["a", "b"]}), false),
        ("@request.body.s:each='a'", json!({}), false),
        ("@request.body.s:length=0", json!({}), true),
        ("@request.body.t:changed=true", json!({"t": "x"}), false),
        ("@request.body.owner.name='u1'", json!({"owner": u1}), true),
        ("@request.body.owner.name='u1'", json!({"owner": u2}), false),
        ("@request.body.hid:isset=false", json!({"hid": "x"}), true),
        ("@request.body.pin='1234'", json!({"pin": "1234"}), true),
        ("@request.auth.zzz=''", json!({}), true),
        ("cr=''", json!({}), true),
        ("gen=''", json!({}), true),
        ("id!=''", json!({}), true),
        ("owner.name='u1'", json!({"owner": u1}), true),
        ("owner.name='u1'", json!({"owner": u2}), false),
        ("n='5'", json!({"n": 5}), false),
        ("t='x'", json!({"t": "x"}), true),
        ("@collection.things.id?=id", json!({}), false),
    ];
    for (rule, values, passes) in cases {
        house.change_collection("things", json!({"createRule": rule})).await;
        let result = house.create(&Caller::Guest, "things", values.clone()).await;
        assert_eq!(result.is_ok(), passes, "{rule} {values} {:?}", result.as_ref().err());
        if let Err(error) = result {
            assert_eq!((error.kind, error.issues.is_empty()), (Kind::Invalid, true), "{rule} {values}");
        }
    }
}

#[tokio::test]
async fn a_query_value_is_text() {
    let (house, _) = house().await;
    for (rule, passes) in [("@request.query.q=1", false), ("@request.query.q='1'", true)] {
        house.change_collection("things", json!({"createRule": rule})).await;
        let mut asked = request(&Caller::Guest);
        asked.query = Map::from_iter([("q".to_owned(), json!("1"))]);
        assert_eq!(house.create_with(asked, "things", body(json!({}))).await.is_ok(), passes, "{rule}");
    }
}

#[tokio::test]
async fn a_rule_is_told_before_any_field() {
    let (house, _) = house().await;
    house.change_collection("things", json!({"createRule": "t='never'"})).await;
    let error = house.create(&Caller::Guest, "things", json!({"s": ["nope"]})).await.unwrap_err();
    assert!(error.issues.is_empty());
}

#[tokio::test]
async fn update_rules_see_the_stored_row_and_the_new_body() {
    let (house, _) = house().await;
    let cases = [
        ("t='x'", json!({"t": "x"}), json!({"t": "y"}), true),
        ("t='y'", json!({"t": "x"}), json!({"t": "y"}), false),
        ("@request.body.t='y'", json!({"t": "x"}), json!({"t": "y"}), true),
        ("@request.body.t:changed=false", json!({"t": "x"}), json!({"n": 1}), true),
        ("@request.body.t:changed=false", json!({"t": "x"}), json!({"t": "x"}), true),
        ("@request.body.t:changed=false", json!({"t": "x"}), json!({"t": "y"}), false),
        ("@request.body.s:changed=true", json!({"s": ["a", "b"]}), json!({"s": ["b", "a"]}), true),
        ("@request.body.n:changed=true", json!({"n": 1}), json!({"n": "1"}), false),
        ("@request.body.n=2", json!({"n": 1}), json!({"n+": 1}), true),
        ("@request.body.s:length=2", json!({"s": ["a"]}), json!({"s+": "b"}), true),
        ("owner.name=''", json!({}), json!({}), true),
        ("owner.name='u1'", json!({}), json!({}), false),
    ];
    for (rule, stored, change, passes) in cases {
        house.change_collection("things", json!({"updateRule": rule, "deleteRule": rule})).await;
        let made = house.create(&superuser(), "things", stored.clone()).await.unwrap();
        let result = house.update(&Caller::Guest, "things", id(&made), change.clone()).await;
        assert_eq!(result.is_ok(), passes, "{rule} {stored} {change} {:?}", result.as_ref().err());
        if let Err(error) = result {
            assert_eq!(error.kind, Kind::NotFound, "{rule} {stored} {change}");
        }
    }
}

#[tokio::test]
async fn delete_rules_hide_the_record() {
    let (house, _) = house().await;
    let made = house.create(&superuser(), "things", json!({"t": "x"})).await.unwrap();
    for (rule, expected) in [
        (Json::Null, Some(Kind::Forbidden)),
        (json!("t='y'"), Some(Kind::NotFound)),
        (json!("owner.name='u1'"), Some(Kind::NotFound)),
        (json!("t='x'"), None),
    ] {
        house.change_collection("things", json!({"deleteRule": rule})).await;
        let result = house.delete(&Caller::Guest, "things", id(&made)).await;
        assert_eq!(result.err().map(|error| error.kind), expected, "{rule}");
    }
    assert_eq!(house.view("things", id(&made)).await, Json::Null);
}

#[tokio::test]
async fn hidden_fields_are_the_superusers() {
    let (house, _) = house().await;
    let made = house.create(&Caller::Guest, "things", json!({"hid": "guest", "hid+": "x", "t": "t"})).await.unwrap();
    assert_eq!(house.stored("things", id(&made), "hid").await, "");
    house.update(&superuser(), "things", id(&made), json!({"hid": "set"})).await.unwrap();
    house.update(&Caller::Guest, "things", id(&made), json!({"hid": "guest"})).await.unwrap();
    assert_eq!(house.stored("things", id(&made), "hid").await, "set");
}

/// Grave: "a rule checked in one transaction and the write done in another".
#[tokio::test]
async fn a_rule_is_judged_again_when_what_it_read_has_changed() {
    let house = House::new();
    house.collection(json!({"name": "gates", "fields": [{"name": "open", "type": "bool"}]})).await;
    let rule = "@collection.gates.open ?= true";
    let fields = json!([{"name": "gate", "type": "relation", "collectionId": house.schema.find("gates").unwrap().id}]);
    let rules = json!({"name": "rooms", "createRule": rule, "updateRule": rule, "deleteRule": rule, "fields": fields});
    house.collection(rules).await;
    let gate = house.create(&superuser(), "gates", json!({"open": true})).await.unwrap();
    let room = house.create(&superuser(), "rooms", json!({"gate": id(&gate)})).await.unwrap();
    let (root, guest) = (superuser(), Caller::Guest);
    let key = id(&room);
    // While the writer is held up everything is judged with the gate open; what shuts it is queued first.
    let hold = house.hold_writer();
    let (shut, created, updated, deleted, ()) = tokio::join!(
        house.update(&root, "gates", id(&gate), json!({"open": false})),
        house.create(&guest, "rooms", json!({})),
        house.update(&guest, "rooms", key, json!({"gate": ""})),
        house.delete(&guest, "rooms", key),
        hold.release_later(),
    );
    shut.unwrap();
    assert_eq!(created.unwrap_err().kind, Kind::Invalid);
    assert_eq!(updated.unwrap_err().kind, Kind::NotFound);
    assert_eq!(deleted.unwrap_err().kind, Kind::NotFound);
    assert_eq!(house.count("rooms").await, 1);
}

#[tokio::test]
async fn a_related_record_that_goes_meanwhile_is_missed() {
    let house = House::new();
    let targets = house.collection(json!({"name": "targets"})).await;
    let field = json!({"name": "ref", "type": "relation", "collectionId": targets.id});
    house.collection(json!({"name": "referrers", "fields": [field]})).await;
    let target = house.create(&superuser(), "targets", json!({})).await.unwrap();
    let root = superuser();
    let hold = house.hold_writer();
    let (gone, created, ()) = tokio::join!(
        house.delete(&root, "targets", id(&target)),
        house.create(&root, "referrers", json!({"ref": id(&target)})),
        hold.release_later(),
    );
    gone.unwrap();
    assert_eq!(codes(&created.unwrap_err()), ["ref=validation_missing_rel_records"]);
}
