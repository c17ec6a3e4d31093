use serde_json::json;

use super::*;
use crate::{
    db::testing::TempDir,
    notify::expand::house::{House, object, to},
};

impl House {
    async fn why(&self, body: Json) -> Json {
        let told = self.notify.explain(&object(body.clone()), 200, None).await;
        serde_json::to_value(told.unwrap_or_else(|error| panic!("{body}: {error}"))).unwrap()
    }

    fn users_id(&self) -> String {
        self.notify.rooms.schema.find("users").unwrap().id.to_string()
    }
}

#[tokio::test]
async fn it_tells_who_would_get_it_when_and_why_not() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(3, "ann").await;
    let users = house.users_id();
    let sql = "UPDATE users SET email = 'ann@x.co' WHERE id = 'ann000000'";
    house.db.write(move |tx| tx.execute(sql, [])).await.unwrap();
    let preferences = [
        json!({"recordRef": "ann000000", "zone": "Asia/Tokyo", "quietFrom": "16:00", "quietTo": "20:00"}),
        json!({"recordRef": "ann000001", "zone": "America/New_York", "channels": {"orders": {"inbox": false}}}),
    ];
    for mut row in preferences {
        row["collectionRef"] = json!(users);
        house.create("_preferences", row).await;
    }
    house.create("_suppressions", json!({"address": "zoe@x.co", "reason": "bounce"})).await;
    let body = json!({
        "to": [{"collection": "users"}, "users/ann000001", "zoe@x.co", "users/nobody"], "title": "x", "category": "orders",
        "channels": ["inbox", {"channel": "email", "after": "10m"}, {"channel": "push", "after": "10m"}],
    });
    let told = house.why(body).await;
    let totals = json!({
        "recipients": 4, "judged": 4, "rendered": 2, "complete": true, "skipped": 1, "why": ["users/nobody: there is no such account"],
        "verdicts": {"send": 2, "wait": 1, "skipped": 5, "suppressed": 2},
    });
    assert_eq!(told["totals"], totals);
    assert_eq!(told["next"], Json::Null);
    let of = |index: usize| {
        let deliveries = told["items"][index]["deliveries"].as_array().unwrap().iter();
        let text = |would: &Json, name: &str| would[name].as_str().unwrap_or("-").to_owned();
        deliveries
            .map(|would| {
                let reason = text(would, "reason");
                let code = reason.split(':').next().unwrap_or_default().to_owned();
                format!("{} {} {} {code}", text(would, "channel"), text(would, "local"), text(would, "verdict"))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(told["items"][0]["address"], "ann@x.co");
    assert_eq!(told["items"][0]["zone"], "Asia/Tokyo");
    assert_eq!(
        of(0),
        [
            "inbox 2027-01-15T17:00 send ",
            "email 2027-01-15T17:10 wait quiet_hours",
            "push 2027-01-15T17:10 drop no_device"
        ]
    );
    assert_eq!(told["items"][0]["deliveries"][1]["until"], "2027-01-15 11:00:00.000Z");
    assert_eq!(of(1)[0], "inbox 2027-01-15T03:00 drop opted_out");
    assert_eq!(of(2)[0], "inbox 2027-01-15T08:00 send ");
    assert_eq!(of(3), ["email 2027-01-15T08:10 drop suppressed"]);
    assert_eq!(house.count("1").await, 0);
    assert_eq!(house.texts("SELECT count(*) FROM _notifications").await, ["0"]);
}

#[tokio::test]
async fn a_template_says_what_people_opt_out_of() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(1, "ann").await;
    let (users, opted_out) = (house.users_id(), json!({"promo": {"*": false}}));
    house
        .create("_preferences", json!({"recordRef": "ann000000", "collectionRef": users, "channels": opted_out}))
        .await;
    for (locale, category) in [("", ""), ("de", "promo")] {
        house
            .create("_templates", json!({"key": "sale", "locale": locale, "category": category, "title": "Sale"}))
            .await;
    }
    let verdicts = async |body: Json| house.why(body).await["totals"]["verdicts"].clone();
    let body =
        |category: &str| json!({"to": "users/ann000000", "template": "sale", "category": category, "key": "one"});
    assert_eq!(verdicts(body("")).await, json!({"suppressed": 1}));
    assert_eq!(verdicts(body("orders")).await, json!({"send": 1}), "its own comes first");
    // What explain says is what the engine plans by.
    assert_eq!(house.why(body("")).await["duplicate"], json!(false));
    house.notify.send(&object(body(""))).await.unwrap();
    house.expand().await;
    assert_eq!(house.texts("SELECT category FROM _deliveries").await, ["promo"]);
    assert_eq!(house.why(body("")).await["duplicate"], json!(true));
    let cron = json!({"to": "users/ann000000", "title": "x", "when": {"cron": "junk"}});
    assert!(house.notify.explain(&object(cron), 10, None).await.is_err());
}

#[tokio::test]
async fn what_cannot_be_rendered_would_fail() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(3, "ann").await;
    let users = house.users_id();
    for (record, locale) in [("ann000001", "de"), ("ann000002", "fr")] {
        house.create("_preferences", json!({"recordRef": record, "collectionRef": users, "locale": locale})).await;
    }
    for (locale, body) in [
        ("", "{{ data.number }}"),
        ("de", "Hallo\n{{ data.number | nummer }}"),
        ("fr", "{% for a in data.l %}{% for b in data.l %}{% for c in data.l %}x{% endfor %}{% endfor %}{% endfor %}"),
    ] {
        house.create("_templates", json!({"key": "sale", "locale": locale, "body": body})).await;
    }
    let told = house
        .why(json!({
            "to": [{"collection": "users"}], "template": "sale", "channels": ["inbox", "push"], "data": {"l": vec![1; 60]}
        }))
        .await;
    assert_eq!(told["totals"]["verdicts"], json!({"send": 1, "failed": 2, "skipped": 3}));
    assert_eq!(told["totals"]["rendered"], 3);
    let would = |index: usize| &told["items"][index]["deliveries"][0];
    assert_eq!((&would(0)["verdict"], &would(0)["reason"]), (&json!("send"), &json!("")));
    assert_eq!((&would(1)["verdict"], &would(1)["state"]), (&json!("drop"), &json!("failed")));
    let reason = |index: usize| would(index)["reason"].as_str().unwrap();
    assert!(reason(1).starts_with("template: body line 2: ") && reason(1).contains("nummer"), "{}", reason(1));
    assert!(reason(2).contains("more than 100000 steps"), "{}", reason(2));
    let other = |index: usize| told["items"][index]["deliveries"][1]["reason"].as_str().unwrap();
    assert!(other(1).starts_with("no_device"), "{}", other(1));
    // Of a large audience the first are tried.
    house.users(300, "eve").await;
    let told = house.why(json!({"to": [{"collection": "users"}], "title": "{{ user.name | shout }}"})).await;
    assert_eq!((&told["totals"]["judged"], &told["totals"]["rendered"]), (&json!(303), &json!(200)));
    assert_eq!(told["totals"]["verdicts"], json!({"failed": 200, "send": 103}));
}

#[tokio::test]
async fn wall_times_are_those_of_each_recipient() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(2, "ann").await;
    let row = json!({"collectionRef": house.users_id(), "recordRef": "ann000001", "zone": "Asia/Tokyo"});
    house.create("_preferences", row).await;
    let when = json!({"local": "09:00", "zone": "America/New_York"});
    let told = house.why(json!({"to": [{"collection": "users"}], "title": "x", "when": when})).await;
    let due = |index: usize| told["items"][index]["deliveries"][0]["due"].as_str().unwrap().to_owned();
    assert_eq!(due(0), "2027-01-15 14:00:00.000Z");
    assert_eq!(due(1), "2027-01-16 00:00:00.000Z");
    for index in [0, 1] {
        assert!(told["items"][index]["deliveries"][0]["local"].as_str().unwrap().ends_with("T09:00"));
    }
}

#[tokio::test]
async fn pages_follow_each_other_and_large_audiences_are_only_counted() {
    let dir = TempDir::new();
    let house = House::open(&dir);
    house.users(3000, "ann").await;
    let body = object(to(json!([{"collection": "users", "filter": "name = 'ann'"}])));
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..3 {
        let page = house.notify.explain(&body, 120, after.as_deref()).await.unwrap();
        assert_eq!(page.items.len(), 120);
        found.extend(page.items.into_iter().map(|item| item.record));
        after = page.next;
        assert!(after.is_some());
    }
    let expected: Vec<String> = (0..360).map(|index| format!("ann{index:06}")).collect();
    assert_eq!(found, expected);
    let page = house.notify.explain(&body, 1, None).await.unwrap();
    assert!(page.totals.judged < page.totals.recipients || !page.totals.complete);
    for wrong in ["", "x", "bm90aGluZw", &"A".repeat(9000)] {
        let error = house.notify.explain(&body, 1, Some(wrong)).await.unwrap_err();
        assert!(error.issues.contains("after"), "{wrong}");
    }
}
