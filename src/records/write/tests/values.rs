//! Bodies, modifiers, ids, dates, uniqueness, the log.

use serde_json::{Value as Json, json};

use crate::{
    clock::Timestamp,
    db::Kind,
    error,
    identity::Caller,
    records::write::testing::{House, codes, id, superuser},
};

/// Every type that knows modifiers.
fn fields(people: &str) -> Json {
    json!([
        {"name": "n", "type": "number"},
        {"name": "t", "type": "text"},
        {"name": "gen", "type": "text", "autogeneratePattern": "[0-9]{6}"},
        {"name": "one", "type": "select", "values": ["a", "b", "c"], "maxSelect": 1},
        {"name": "s", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
        {"name": "owner", "type": "relation", "collectionId": people, "maxSelect": 1},
        {"name": "team", "type": "relation", "collectionId": people, "maxSelect": 2},
        {"name": "j", "type": "json"},
        {"name": "cr", "type": "autodate", "onCreate": true},
        {"name": "up", "type": "autodate", "onUpdate": true},
    ])
}

async fn house() -> (House, [String; 3]) {
    let house = House::new();
    let people = house.collection(json!({"name": "people", "fields": [{"name": "name", "type": "text"}]})).await;
    house.collection(json!({"name": "things", "fields": fields(&people.id)})).await;
    let mut ids = Vec::new();
    for name in ["x", "y", "z"] {
        let person = house.create(&superuser(), "people", json!({"name": name})).await.unwrap();
        ids.push(id(&person).to_owned());
    }
    (house, ids.try_into().unwrap())
}

#[tokio::test]
async fn modifiers_work_on_the_stored_value() {
    let (house, [x, y, _]) = house().await;
    let cases = [
        (json!({"n": 5}), json!({"n+": 2}), "n", json!(7)),
        (json!({}), json!({"n": 1, "n+": 5}), "n", json!(6)),
        (json!({"n": 5}), json!({"n-": 2}), "n", json!(3)),
        (json!({"n": 5}), json!({"n+": "x"}), "n", json!(5)),
        (json!({"n": 5}), json!({"+n": 2}), "n", json!(5)),
        (json!({"s": ["a"]}), json!({"s+": ["c", "a"]}), "s", json!(["a", "c"])),
        (json!({"s": ["a", "c"]}), json!({"+s": ["b"]}), "s", json!(["b", "a", "c"])),
        (json!({"s": ["b", "a", "c"]}), json!({"s-": ["a", "zz"]}), "s", json!(["b", "c"])),
        (json!({"one": "a"}), json!({"one+": "b"}), "one", json!("b")),
        (json!({"one": "a"}), json!({"+one": "b"}), "one", json!("a")),
        (json!({"one": "a"}), json!({"one-": "a"}), "one", json!("")),
        (json!({"one": "a"}), json!({"one-": "b"}), "one", json!("a")),
        (json!({"owner": x}), json!({"owner+": y}), "owner", json!(y)),
        (json!({"owner": x}), json!({"+owner": y}), "owner", json!(x)),
        (json!({"team": [x]}), json!({"team+": y}), "team", json!([x, y])),
        (json!({"t": "old"}), json!({"t:autogenerate": "new"}), "t", json!("new")),
        (json!({"t": "old"}), json!({"t+": "new"}), "t", json!("old")),
        (json!({"t": "old"}), json!({"t": 12}), "t", json!("12")),
        (json!({"j": {"a": 1}}), json!({"j": null}), "j", json!(null)),
        (json!({"j": 1}), json!({"j": [1, {"b": 2}]}), "j", json!([1, {"b": 2}])),
        (json!({}), json!({"cr": "2020-01-01 00:00:00.000Z"}), "cr", json!("2027-01-15 08:00:00.000Z")),
    ];
    for (stored, change, field, expected) in cases {
        let before = house.create(&superuser(), "things", stored.clone()).await.unwrap();
        let after = house.update(&superuser(), "things", id(&before), change.clone()).await.unwrap();
        assert_eq!(after[field], expected, "{stored} {change}");
        assert_eq!(house.view("things", id(&before)).await[field], expected, "{stored} {change}, stored");
    }
}

#[tokio::test]
async fn blank_values_with_a_pattern_are_generated_on_create_only() {
    let (house, _) = house().await;
    let made = house.create(&superuser(), "things", json!({})).await.unwrap();
    assert_eq!(made["gen"].as_str().unwrap().len(), 6);
    let prefixed = house.create(&superuser(), "things", json!({"gen:autogenerate": "p"})).await.unwrap();
    assert!(prefixed["gen"].as_str().unwrap().starts_with('p'));
    let cleared = house.update(&superuser(), "things", id(&made), json!({"gen": ""})).await.unwrap();
    assert_eq!(cleared["gen"], "");
}

#[tokio::test]
async fn an_empty_update_still_moves_the_dates() {
    let (house, _) = house().await;
    let made = house.create(&superuser(), "things", json!({})).await.unwrap();
    assert_eq!((&made["cr"], &made["up"]), (&json!("2027-01-15 08:00:00.000Z"), &json!("")));
    house.clock.set(Timestamp(1_800_000_060_000));
    let after = house.update(&superuser(), "things", id(&made), json!({})).await.unwrap();
    assert_eq!((&after["cr"], &after["up"]), (&made["cr"], &json!("2027-01-15 08:01:00.000Z")));
}

#[tokio::test]
async fn all_failing_fields_are_told_together_and_nothing_is_written() {
    let (house, [x, y, z]) = house().await;
    let body = json!({"one": "nope", "s": ["a", "zz"], "owner": "nobody", "team": [x, y, z], "n": "NaN"});
    let error = house.create(&superuser(), "things", body).await.unwrap_err();
    let expected = [
        "n=validation_not_a_number",
        "one=validation_invalid_value",
        "owner=validation_missing_rel_records",
        "s=validation_invalid_value",
        "team=validation_too_many_values",
    ];
    assert_eq!(codes(&error), expected);
    assert_eq!(house.count("things").await, 0);
    let error = house.create(&superuser(), "things", json!({"team": [x, "nobody"]})).await.unwrap_err();
    assert_eq!(codes(&error), ["team=validation_missing_rel_records"]);
}

#[tokio::test]
async fn ids_are_given_checked_and_kept() {
    let house = House::new();
    house.collection(json!({"name": "plain"})).await;
    let id_field = json!({"name": "id", "type": "text", "primaryKey": true, "required": true, "system": true,
        "pattern": "^[A-Za-z.]+$", "min": 2, "max": 8, "autogeneratePattern": ""});
    house.collection(json!({"name": "own", "fields": [id_field]})).await;
    let long = "a".repeat(15);
    let cases = [
        ("plain", json!(long), ""),
        ("plain", json!(long), "id=validation_not_unique"),
        ("plain", json!("short"), "id=validation_min_text_constraint"),
        ("plain", json!("ABCDEFGHIJKLMNO"), "id=validation_invalid_format"),
        ("plain", json!(null), ""),
        ("own", json!("Abc"), ""),
        ("own", json!("aBC"), "id=validation_pk_invalid"),
        ("own", json!("Abc"), "id=validation_pk_invalid"),
        ("own", json!("a.b"), "id=validation_forbidden_pk_character"),
        ("own", json!("con"), "id=validation_reserved_pk"),
        ("own", json!("1"), "id=validation_min_text_constraint"),
        ("own", json!("12"), "id=validation_invalid_format"),
        ("own", json!(""), "id=validation_required"),
    ];
    for (collection, given, expected) in cases {
        let result = house.create(&superuser(), collection, json!({"id": given})).await;
        let found = result.err().map(|error| codes(&error).join(" ")).unwrap_or_default();
        assert_eq!(found, expected, "{collection} {given}");
    }
    house.update(&superuser(), "own", "Abc", json!({"id": "Abc"})).await.unwrap();
    for other in ["Abd", ""] {
        let error = house.update(&superuser(), "own", "Abc", json!({"id": other})).await.unwrap_err();
        assert_eq!(codes(&error), ["id=validation_pk_change"]);
    }
}

#[tokio::test]
async fn a_unique_violation_names_every_column() {
    let house = House::new();
    let fields = json!([{"name": "a", "type": "text"}, {"name": "b", "type": "text"}, {"name": "c", "type": "text"}]);
    let indexes = json!([
        "CREATE UNIQUE INDEX `one` ON `pairs` (`a`, `b`)",
        "CREATE UNIQUE INDEX `two` ON `pairs` (lower(`c`)) WHERE `c` != ''",
    ]);
    house.collection(json!({"name": "pairs", "fields": fields, "indexes": indexes})).await;
    let first = house.create(&superuser(), "pairs", json!({"a": "1", "b": "2", "c": "x"})).await.unwrap();
    let second = house.create(&superuser(), "pairs", json!({"a": "1", "b": "3"})).await.unwrap();
    for (body, expected) in [
        (json!({"a": "1", "b": "2"}), vec!["a=validation_not_unique", "b=validation_not_unique"]),
        // An index over an expression blames no column.
        (json!({"c": "X"}), vec![]),
    ] {
        let error = house.create(&superuser(), "pairs", body.clone()).await.unwrap_err();
        assert_eq!(codes(&error), expected, "create {body}");
        let error = house.update(&superuser(), "pairs", id(&second), body.clone()).await.unwrap_err();
        assert_eq!(codes(&error), expected, "update {body}");
    }
    assert_eq!(house.view("pairs", id(&first)).await["b"], "2");
}

#[tokio::test]
async fn collections_that_cannot_be_written() {
    let house = House::new();
    house.collection(json!({"name": "base"})).await;
    house.collection(json!({"name": "seen", "type": "view", "viewQuery": "SELECT id FROM base"})).await;
    let kind = |result: error::Result<Json>| result.unwrap_err().kind;
    assert_eq!(kind(house.create(&superuser(), "nowhere", json!({})).await), error::Kind::NotFound);
    assert_eq!(kind(house.create(&superuser(), "seen", json!({})).await), error::Kind::Invalid);
    assert_eq!(kind(house.update(&superuser(), "seen", "x", json!({})).await), error::Kind::Invalid);
    assert_eq!(kind(house.update(&superuser(), "base", "x", json!({})).await), error::Kind::NotFound);
    // Locked before anything is looked up.
    assert_eq!(kind(house.update(&Caller::Guest, "base", "x", json!({})).await), error::Kind::Forbidden);
    assert_eq!(kind(house.create(&Caller::Guest, "base", json!({})).await), error::Kind::Forbidden);
    assert_eq!(house.records.truncate("seen").await.unwrap_err().kind, error::Kind::Invalid);
}

#[tokio::test]
async fn every_write_is_one_entry_of_the_log() {
    let (house, _) = house().await;
    let start = house.log().await.len();
    let made = house.create(&superuser(), "things", json!({"n": 1, "t": "first"})).await.unwrap();
    house.update(&superuser(), "things", id(&made), json!({"n+": 1})).await.unwrap();
    house.update(&superuser(), "things", id(&made), json!({"n": "NaN"})).await.unwrap_err();
    house.delete(&superuser(), "things", id(&made)).await.unwrap();
    let log = house.log().await;
    let kinds: Vec<Kind> = log[start..].iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Create, Kind::Update, Kind::Delete]);
    assert!(log.iter().enumerate().all(|(index, entry)| entry.seq == index as u64 + 1), "no gaps");
    let n = house.schema.find("things").unwrap().field("n").unwrap().id.clone();
    let before: Json = serde_json::from_str(log[start + 1].before.as_deref().unwrap()).unwrap();
    assert_eq!(before[&n], 1);
    assert_eq!(log[start].actor.as_ref().unwrap().record.as_ref(), "root00000000000");
}

#[tokio::test]
async fn concurrent_additions_all_count() {
    let (house, _) = house().await;
    let made = house.create(&superuser(), "things", json!({})).await.unwrap();
    let additions = (0..40).map(|_| {
        let (records, id) = (house.records.clone(), id(&made).to_owned());
        tokio::spawn(async move {
            let request = super::super::testing::request(&superuser());
            let body = super::super::testing::body(json!({"n+": 1}));
            records.update(request, "things", &id, body, Default::default()).await.unwrap();
        })
    });
    for addition in additions.collect::<Vec<_>>() {
        addition.await.unwrap();
    }
    assert_eq!(house.view("things", id(&made)).await["n"], 40);
}
