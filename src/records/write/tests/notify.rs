//! Who may do what with the collections of notifications, as they are made.

use serde_json::{Value as Json, json};

use crate::{
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
        ("_notifications", json!({"key": "a", "state": "done"}), json!({"title": "b"}), ["", "", "", ""]),
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
