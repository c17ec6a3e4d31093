use serde_json::json;

use super::*;
use crate::{
    db::testing::TempDir,
    notify::expand::house::{House, object, to},
};

impl House {
    async fn send(&self, body: Json) -> Result<Sent> {
        self.notify.send(&object(body)).await
    }
}

#[tokio::test]
async fn asked_again_under_its_key_it_is_the_same_notification() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(3, "ann").await;
    let keyed = || json!({"key": "order-42", "to": ["users/ann000000"], "title": "x"});
    let first = house.send(keyed()).await.unwrap();
    assert_eq!((first.collection, first.state, first.duplicate), ("_notifications", "new", false));
    let again = house.send(keyed()).await.unwrap();
    assert_eq!((&again.id, again.state, again.duplicate), (&first.id, "new", true));
    house.expand().await;
    let later = house.send(json!({"key": "order-42", "to": ["users/ann000001"], "body": "else"})).await.unwrap();
    assert_eq!((&later.id, later.state, later.duplicate), (&first.id, "active", true));
    house.expand().await;
    assert_eq!(house.count("1").await, 1);
    // Those without a key are as many as were asked for; at the same time, too.
    let many = futures_util::future::join_all((0..20).map(|_| house.send(to(json!(["users/ann000000"]))))).await;
    assert!(many.into_iter().all(|sent| !sent.unwrap().duplicate));
    let raced = (0..20).map(|_| house.send(json!({"key": "race", "to": ["users/ann000002"], "title": "x"})));
    let raced = futures_util::future::join_all(raced).await;
    assert_eq!(raced.iter().filter(|sent| !sent.as_ref().unwrap().duplicate).count(), 1);
    house.expand().await;
    assert_eq!(house.count("recordRef = 'ann000002'").await, 1);
}

#[tokio::test]
async fn what_names_something_that_is_not_there_is_refused() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.create("_templates", json!({"key": "shipped", "title": "x"})).await;
    for (body, expected) in [
        (json!({"to": ["users/a"], "template": "shipped"}), ""),
        (json!({"to": ["users/a"], "template": "lost"}), "template=validation_invalid_value"),
        (to(json!(["nowhere/a"])), "to.0=validation_invalid_value"),
        (to(json!(["topic:none", "users/a", "_topics/a"])), "to.2=validation_invalid_value"),
        (to(json!([{"collection": "users", "filter": "plan = 1"}])), "to.0=validation_invalid_value"),
        (to(json!([{"collection": "users", "filter": "verified = true"}])), ""),
        (
            json!({"to": ["users/a"], "title": "x", "unless": {"collection": "orders", "record": "r", "filter": "a=1"}}),
            "unless.collection=validation_invalid_value",
        ),
        (
            json!({"to": ["users/a"], "title": "x", "unless": {"collection": "users", "record": "r", "filter": "a=1"}}),
            "unless.filter=validation_invalid_value",
        ),
        (json!({"to": []}), "template=validation_required to=validation_required"),
        (json!({"to": ["users/a"], "title": "{{ data.a"}), "title=validation_invalid_template"),
        (
            json!({"to": ["nowhere/a"], "title": "x", "html": "<p>\n{% if %}"}),
            "html=validation_invalid_template to.0=validation_invalid_value",
        ),
        (
            json!({"to": ["users/a"], "title": "x", "when": {"cron": "@daily"}, "body": "{% end"}),
            "body=validation_invalid_template",
        ),
    ] {
        let told = match house.send(body.clone()).await {
            Ok(_) => String::new(),
            Err(error) => {
                let leaves = error.issues.leaves();
                leaves.into_iter().map(|(name, code)| format!("{name}={code}")).collect::<Vec<_>>().join(" ")
            }
        };
        assert_eq!(told, expected, "{body}");
    }
}

#[tokio::test]
async fn a_text_that_is_no_template_is_refused_by_its_place() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    for text in ["fine\n\n{{ data.number".to_owned(), format!("{}\n\n{{{{ data.number", "x".repeat(50_000))] {
        let error = house.send(json!({"to": ["users/a"], "body": text})).await.unwrap_err();
        let told = serde_json::to_value(&error.issues).unwrap();
        assert_eq!(told["body"]["params"]["line"], 3, "{told}");
        assert!(told["body"]["message"].as_str().unwrap().starts_with("Line 3: "), "{told}");
    }
    assert_eq!(house.texts("SELECT count(*) FROM _notifications").await, ["0"]);
}

#[tokio::test]
async fn one_that_recurs_is_a_schedule() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    let weekly = |when: Json| json!({"key": "weekly", "to": ["users/a"], "title": "x", "when": when});
    let sent = house.send(weekly(json!({"cron": "0 9 * * 1", "zone": "Europe/Berlin"}))).await.unwrap();
    assert_eq!((sent.collection, sent.state, sent.duplicate), ("_schedules", "scheduled", false));
    let again = house.send(weekly(json!({"cron": "0 9 * * 1", "zone": "Europe/Berlin"}))).await.unwrap();
    assert_eq!((&again.id, again.duplicate), (&sent.id, true));
    let sql = "SELECT name || '|' || active || '|' || kind || '|' || cron || '|' || zone || '|' || missed || '|' || notification FROM _schedules";
    let expected = r#"weekly|1|cron|0 9 * * 1|Europe/Berlin|once|{"to":["users/a"],"title":"x"}"#;
    assert_eq!(house.texts(sql).await, [expected]);
    assert_eq!(house.texts("SELECT count(*) FROM _notifications").await, ["0"]);
    for (when, member) in [
        (json!({"cron": "not a cron"}), "when.cron"),
        (json!({"cron": 5}), "when.cron"),
        (json!({"cron": "0 9 * * 1", "zone": "Mars/Olympus"}), "when.zone"),
        (json!({"cron": "not a cron", "zone": "+02:00"}), "when.zone"),
        (json!({"cron": "0 9 * * 1", "at": "2027-02-01T00:00:00Z"}), "when.at"),
        (json!({"cron": "0 9 * * 1", "missed": "maybe"}), "when.missed"),
    ] {
        let error = house.send(weekly(when.clone())).await.expect_err(&when.to_string());
        assert_eq!(error.issues.leaves()[0].0, member, "{when} {error}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_is_told_with_its_place() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    let told = async |body: Json, path: &str| {
        let error = house.send(body).await.unwrap_err();
        serde_json::to_value(&error.issues).unwrap().pointer(path).cloned().unwrap()
    };
    let entry = |filter: &str| to(json!(["a@b.co", {"collection": "users", "filter": filter}]));
    let fault = told(entry("verified = true && plan = 'pro'"), "/to/1").await;
    assert_eq!(fault["params"], json!({"from": 19, "to": 23}), "{fault}");
    let message = fault["message"].as_str().unwrap();
    assert!(message.contains("character 20") && message.contains("plan"), "{message}");
    assert_eq!(told(entry("verified ="), "/to/1").await["params"]["from"], 10);
    let unless = json!({"collection": "users", "record": "r", "filter": "paid = true"});
    let fault = told(json!({"to": "a@b.co", "title": "x", "unless": unless}), "/unless/filter").await;
    assert_eq!(fault["params"], json!({"from": 0, "to": 4}), "{fault}");
}
