//! Who may do what with the collections of notifications, as they are made.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::{
    db::{Value, WriteTx},
    error::{Error, Result},
    identity::Caller,
    records::{
        ListParams, Shape,
        write::testing::{House, account, id, request, superuser},
    },
    schema::bootstrap::notify::NAMES,
};

struct App {
    house: House,
    ann: Caller,
    bob: Caller,
    /// An account of another collection with Ann's id.
    twin: Caller,
    members: String,
    ann_id: String,
}

impl App {
    async fn new() -> Self {
        let house = House::new();
        let mut ids = Vec::new();
        for name in ["members", "staff"] {
            let made = house.collection(json!({"name": name, "type": "auth", "createRule": "", "listRule": ""})).await;
            ids.push(made.id.to_string());
        }
        let ann = house.create(&Caller::Guest, "members", account("ann@example.com")).await.unwrap();
        let bob = house.create(&Caller::Guest, "members", account("bob@example.com")).await.unwrap();
        house.create(&superuser(), "staff", account("ann@example.com")).await.unwrap();
        let ann_id = id(&ann).to_owned();
        // No door lets this in; a directory may have it nevertheless.
        let twin = ann_id.clone();
        house.db.write(move |tx| tx.execute("UPDATE staff SET id = ?1", [&twin])).await.unwrap();
        let callers = (house.caller("members", &ann_id).await, house.caller("members", id(&bob)).await);
        let twin = house.caller("staff", &ann_id).await;
        Self { house, ann: callers.0, bob: callers.1, twin, members: ids.swap_remove(0), ann_id }
    }

    /// `values`, belonging to Ann.
    fn anns(&self, mut values: Json) -> Json {
        values["collectionRef"] = json!(self.members);
        values["recordRef"] = json!(self.ann_id);
        values
    }

    async fn made(&self, collection: &str, values: Json) -> String {
        id(&self.house.create(&superuser(), collection, values).await.unwrap()).to_owned()
    }

    /// Which of list, view, create, update and delete the caller may do, as their first letters. `change` is an update
    /// that changes nothing of importance, `new` a create beside the record.
    async fn rights(&self, who: &Caller, collection: &str, record: &str, new: Json, change: Json) -> String {
        let house = &self.house;
        let mut rights = String::new();
        let listed = house.records.list(request(who), collection, ListParams::default(), Shape::default()).await;
        let total = |bytes: &[u8]| serde_json::from_slice::<Json>(bytes).unwrap()["totalItems"].as_i64().unwrap();
        if listed.is_ok_and(|answer| total(&answer) > 0) {
            rights.push('l');
        }
        if house.records.view(request(who), collection, record, Shape::default()).await.is_ok() {
            rights.push('v');
        }
        if let Ok(made) = house.create(who, collection, new).await {
            rights.push('c');
            house.delete(&superuser(), collection, id(&made)).await.unwrap();
        }
        if house.update(who, collection, record, change).await.is_ok() {
            rights.push('u');
        }
        if house.delete(who, collection, record).await.is_ok() {
            rights.push('d');
        }
        rights
    }
}

#[tokio::test]
async fn owners_see_their_own_and_others_nothing() {
    let app = App::new().await;
    let open = app.made("_topics", json!({"key": "open", "open": true})).await;
    let news = app.made("_topics", json!({"key": "news", "open": true})).await;
    let nothing = || json!({});
    let delivery = |step: i64| app.anns(json!({"notification": "n", "channel": "push", "state": "sent", "step": step}));
    let device = |token: &str| app.anns(json!({"kind": "fcm", "token": token}));
    let cases = [
        ("_templates", json!({"key": "a"}), json!({"key": "b"}), ["", "", "", ""]),
        ("_devices", device("a"), device("b"), ["lvd", "", "", ""]),
        ("_topics", json!({"key": "a", "open": true}), json!({"key": "b", "open": true}), ["lv", "lv", "lv", ""]),
        ("_subscriptions", app.anns(json!({"topic": open})), app.anns(json!({"topic": news})), ["lvcd", "", "", ""]),
        ("_preferences", app.anns(nothing()), app.anns(nothing()), ["lv", "", "", ""]),
        ("_schedules", json!({"name": "a", "kind": "cron"}), json!({"name": "b", "kind": "cron"}), ["", "", "", ""]),
        ("_notifications", json!({"key": "a"}), json!({"title": "b"}), ["", "", "", ""]),
        ("_deliveries", delivery(0), delivery(1), ["", "", "", ""]),
        ("_inbox", app.anns(json!({"title": "a"})), app.anns(json!({"title": "b"})), ["lvud", "", "", ""]),
        ("_suppressions", json!({"address": "a@b.c"}), json!({"address": "d@e.f"}), ["", "", "", ""]),
    ];
    assert_eq!(cases.iter().map(|case| case.0).collect::<Vec<_>>(), NAMES);
    for (collection, row, new, expected) in cases {
        let callers = [("Ann", &app.ann), ("Bob", &app.bob), ("Ann's twin", &app.twin), ("a guest", &Caller::Guest)];
        for ((name, who), expected) in callers.into_iter().zip(expected) {
            let record = app.made(collection, row.clone()).await;
            let rights = app.rights(who, collection, &record, new.clone(), json!({})).await;
            assert_eq!(rights, expected, "{collection}: {name}");
            let _ = app.house.delete(&superuser(), collection, &record).await;
        }
    }
}

#[tokio::test]
async fn of_an_item_its_reader_changes_three_dates() {
    let app = App::new().await;
    let said = json!({"title": "t", "body": "b", "link": "/x", "category": "c", "notification": "n", "delivery": "d",
        "data": {"a": 1}});
    let item = app.made("_inbox", app.anns(said)).await;
    let whole = app.house.view("_inbox", &item).await;
    let mut sent_back = whole.clone();
    sent_back["read"] = json!("2026-11-22 10:00:00.000Z");
    sent_back.as_object_mut().unwrap().remove("data");
    for (change, allowed) in [
        (json!({"read": "2026-11-22 10:00:00.000Z"}), true),
        (json!({"archived": "2026-11-22 10:00:00.000Z", "snoozed": ""}), true),
        (json!({"read": ""}), true),
        (sent_back, true),
        (json!({"title": "t", "read": ""}), true),
        (json!({"title": "evil"}), false),
        (json!({"title:autogenerate": "evil"}), false),
        (json!({"title": null}), false),
        (json!({"body": "evil"}), false),
        (json!({"link": "https://evil.example"}), false),
        (json!({"category": ""}), false),
        (json!({"notification": "other"}), false),
        (json!({"delivery": ""}), false),
        (json!({"data": {"a": 2}}), false),
        (json!({"data": null}), false),
        (json!({"recordRef": "someone00000000"}), false),
        (json!({"collectionRef": ""}), false),
        (json!({"read": "2026-11-22 10:00:00.000Z", "body": "evil"}), false),
    ] {
        let done = app.house.update(&app.ann, "_inbox", &item, change.clone()).await;
        assert_eq!(done.is_ok(), allowed, "{change}");
        let now = app.house.view("_inbox", &item).await;
        for key in ["title", "body", "link", "category", "notification", "delivery", "data", "recordRef"] {
            assert_eq!(now[key], whole[key], "{change}");
        }
    }
}

#[tokio::test]
async fn everybody_subscribes_themselves_to_open_topics() {
    let app = App::new().await;
    let open = app.made("_topics", json!({"key": "open", "open": true})).await;
    let closed = app.made("_topics", json!({"key": "closed"})).await;
    let whose = |collection: &str, record: &str, topic: &str| json!({"collectionRef": collection, "recordRef": record, "topic": topic});
    let (members, ann) = (app.members.as_str(), app.ann_id.as_str());
    for (who, name, body, allowed) in [
        (&app.ann, "Ann", whose(members, ann, &closed), false),
        (&app.bob, "Bob", whose(members, ann, &open), false),
        (&app.twin, "Ann's twin", whose(members, ann, &open), false),
        (&Caller::Guest, "a guest", whose(members, ann, &open), false),
        (&app.ann, "Ann", whose(members, "", &open), false),
        (&app.ann, "Ann", json!({"topic": open}), false),
        (&app.ann, "Ann", whose(members, ann, "nothing00000000"), false),
        (&app.ann, "Ann", whose(members, ann, &open), true),
        (&app.ann, "Ann, twice", whose(members, ann, &open), false),
    ] {
        assert_eq!(app.house.create(who, "_subscriptions", body.clone()).await.is_ok(), allowed, "{name} {body}");
    }
    assert_eq!(app.house.count("_subscriptions").await, 1);
    // A topic takes its subscriptions along, an account all that is its own.
    app.house.delete(&superuser(), "_topics", &open).await.unwrap();
    assert_eq!(app.house.count("_subscriptions").await, 0);
    app.made("_devices", app.anns(json!({"kind": "fcm", "token": "t"}))).await;
    app.made("_preferences", app.anns(json!({"zone": "Asia/Tokyo"}))).await;
    app.made("_inbox", app.anns(json!({"title": "t"}))).await;
    app.house.delete(&superuser(), "members", &app.ann_id).await.unwrap();
    for collection in ["_devices", "_preferences", "_inbox"] {
        assert_eq!(app.house.count(collection).await, 0, "{collection}");
    }
}

/// The failed fields with their codes, or nothing.
fn failed<T>(done: Result<T>) -> String {
    let leaves = |error: Error| {
        error.issues.leaves().into_iter().map(|(name, code)| format!("{name}={code}")).collect::<Vec<_>>().join(" ")
    };
    done.err().map_or_else(String::new, leaves)
}

#[tokio::test]
async fn how_far_a_notification_is_only_the_engine_says() {
    let app = App::new().await;
    let said = json!({"to": ["members/x"], "title": "t", "when": {"after": "2h"}});
    let with = |change: Json| {
        let mut values = said.clone();
        values.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        values
    };
    for (change, expected) in [
        (json!({}), ""),
        (json!({"state": "new", "reason": "", "recipients": 0, "cursor": null}), ""),
        (json!({"state": "done"}), "state=validation_not_allowed"),
        (
            json!({"state": "expanding", "cursor": {"entry": 3}}),
            "cursor=validation_not_allowed state=validation_not_allowed",
        ),
        (
            json!({"reason": "why not", "recipients": 7}),
            "reason=validation_not_allowed recipients=validation_not_allowed",
        ),
    ] {
        let made = app.house.create(&superuser(), "_notifications", with(change.clone())).await;
        if let Ok(made) = &made {
            assert_eq!(made["state"], "new", "{change}");
        }
        assert_eq!(failed(made), expected, "{change}");
    }
    let id = app.made("_notifications", said.clone()).await;
    let update = async |change: Json| failed(app.house.update(&superuser(), "_notifications", &id, change).await);
    // Nobody has looked at it: all but how far it is can be changed.
    assert_eq!(update(json!({"when": {"after": "3h"}, "to": ["members/y"], "priority": "low"})).await, "");
    assert_eq!(update(json!({"state": "cancelled"})).await, "state=validation_not_allowed");
    let (engine, row) = (app.house.records.clone(), id.clone());
    let work = move |tx: &mut WriteTx<'_>| {
        engine.bulk(tx).update("_notifications", &row, &[("state", Value::Text("active".into()))])
    };
    app.house.db.write(work).await.unwrap();
    for (change, expected) in [
        (json!({"when": {"after": "4h"}}), "when=validation_decided"),
        (json!({"to": ["members/z"], "channels": ["email"]}), "channels=validation_decided to=validation_decided"),
        (json!({"category": "x", "priority": "critical"}), "category=validation_decided priority=validation_decided"),
        (json!({"state": "new"}), "state=validation_not_allowed"),
        // What is asked for again when a delivery is due, and what is sent back as it was.
        (json!({"title": "better", "expires": "2h"}), ""),
        (app.house.view("_notifications", &id).await, ""),
    ] {
        assert_eq!(update(change.clone()).await, expected, "{change}");
    }
}

#[tokio::test]
async fn an_item_is_put_off_for_a_year_at_most() {
    let app = App::new().await;
    let item = app.made("_inbox", app.anns(json!({"title": "t"}))).await;
    let day = |days: i64| app.house.db.clock().now().plus(Duration::from_secs(86_400) * u32::try_from(days).unwrap());
    for (until, expected) in [
        (day(365).to_string(), ""),
        (day(400).to_string(), "snoozed=validation_invalid_value"),
        ("9999-01-01 00:00:00.000Z".to_owned(), "snoozed=validation_invalid_value"),
        (String::new(), ""),
    ] {
        for who in [&app.ann, &superuser()] {
            let done = app.house.update(who, "_inbox", &item, json!({"snoozed": until})).await;
            assert_eq!(failed(done), expected, "{until}");
        }
    }
    let long = app.anns(json!({"title": "t", "snoozed": day(400).to_string()}));
    assert_eq!(failed(app.house.create(&superuser(), "_inbox", long).await), "snoozed=validation_invalid_value");
}

#[tokio::test]
async fn addresses_and_owners_are_written_as_people_write_them() {
    let app = App::new().await;
    let made =
        app.house.create(&superuser(), "_suppressions", json!({"address": "  Ann@Example.COM\n"})).await.unwrap();
    assert_eq!(made["address"], "ann@example.com");
    let again = json!({"address": "ANN@example.com"});
    assert_eq!(failed(app.house.create(&superuser(), "_suppressions", again).await), "address=validation_not_unique");
    let id = id(&made).to_owned();
    let changed = app.house.update(&superuser(), "_suppressions", &id, json!({"address": "Bob@example.com"})).await;
    assert_eq!(changed.unwrap()["address"], "bob@example.com");
    for address in ["a b@example.com", " "] {
        let made = app.house.create(&superuser(), "_suppressions", json!({"address": address})).await;
        assert!(failed(made).starts_with("address="), "{address:?}");
    }
    // The name of the collection is as good as its id, and passes the rules as that.
    let topic = app.made("_topics", json!({"key": "open", "open": true})).await;
    let named = |collection: &str| json!({"topic": topic, "collectionRef": collection, "recordRef": app.ann_id});
    let own = app.house.create(&app.ann, "_subscriptions", named("members")).await.unwrap();
    assert_eq!(own["collectionRef"], json!(app.members));
    assert!(app.house.create(&app.bob, "_subscriptions", named("members")).await.is_err());
    for (collection, code) in [
        ("nowhere", "collectionRef=validation_invalid_collection_id"),
        ("_topics", "collectionRef=validation_invalid_collection_type"),
    ] {
        assert_eq!(failed(app.house.create(&superuser(), "_subscriptions", named(collection)).await), code);
    }
}

#[tokio::test]
async fn tokens_and_secrets_are_shown_to_nobody_but_superusers() {
    let app = App::new().await;
    let device = app.anns(json!({"kind": "webpush", "token": "https://push.example/x", "secrets": {"auth": "s"}}));
    let device = app.made("_devices", device).await;
    let seen = app.house.records.view(request(&app.ann), "_devices", &device, Shape::default()).await.unwrap();
    let seen: Json = serde_json::from_slice(&seen).unwrap();
    assert_eq!((seen.get("token"), seen.get("secrets"), &seen["kind"]), (None, None, &json!("webpush")));
    let mut guess = ListParams::default();
    guess.filter = Some("token ~ 'push'".to_owned());
    let guessed = app.house.records.list(request(&app.ann), "_devices", guess, Shape::default()).await;
    assert!(guessed.is_err(), "hidden fields cannot be asked about either");
}

/// What the definitions say passes the checks that everybody's definitions pass.
#[tokio::test]
async fn their_definitions_are_valid() {
    let house = House::new();
    for name in NAMES {
        house.change_collection(name, json!({})).await;
        let rules = json!({"listRule": "@request.auth.verified = true", "deleteRule": null});
        house.change_collection(name, rules).await;
    }
}
