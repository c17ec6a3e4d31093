use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::db::Row;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(object) => object,
        other => panic!("{other}"),
    }
}

fn parse(change: Json) -> Result<Intent> {
    let mut body = object(json!({"to": ["users/a"], "title": "Hello"}));
    for (name, value) in object(change) {
        body.insert(name, value);
    }
    Intent::parse(&body, NOW)
}

#[test]
fn what_was_read_is_written_and_read_the_same() {
    for change in [
        json!({}),
        json!({"to": "ann@example.com"}),
        json!({"to": ["users/a", "topic:news", "ann@example.com", {"collection": "users", "filter": "plan='pro'"},
            {"collection": "users"}]}),
        json!({"title": null, "template": "shipped", "link": "https://example.com/{{ id }}", "locale": "pt-BR"}),
        json!({"key": "k", "category": "orders", "priority": "critical", "collapse": "c", "data": {"a": [1, null]}}),
        json!({"channels": ["inbox", "push", {"channel": "email", "after": "90m", "unless": "seen"},
            {"channel": "email", "after": "2d", "unless": "sent"}]}),
        json!({"when": {"at": "2027-02-01T09:00:00+01:00"}}),
        json!({"when": {"after": "2h"}}),
        json!({"track": true}),
        json!({"track": false}),
        json!({"when": {"local": "09:00"}}),
        json!({"when": {"local": "23:59", "date": "2027-03-01", "zone": "Asia/Tokyo"}}),
        json!({"expires": "2h"}),
        json!({"expires": "2027-02-01T09:00:00Z", "quiet": "skip"}),
        json!({"digest": {"key": "comments", "window": "1h"}, "cap": {"count": 3, "window": "1d"}}),
        json!({"unless": {"collection": "orders", "record": "r", "filter": "paid = true"}, "html": "<p>", "body": "b"}),
    ] {
        let intent = parse(change.clone()).unwrap_or_else(|error| panic!("{change}: {error}"));
        let (columns, values): (Vec<std::sync::Arc<str>>, Vec<Value>) =
            intent.columns().into_iter().map(|(name, value)| (name.into(), value)).unzip();
        let row = Row { columns: columns.into(), values };
        let again = Intent::from_row(&row, NOW).unwrap_or_else(|error| panic!("{change}: {error}"));
        assert_eq!(again, intent, "{change}");
        assert_eq!(again.columns(), intent.columns(), "{change}");
    }
}

#[test]
fn failures_are_told_by_member() {
    let many = vec![json!("users/a"); MAX_ENTRIES + 1];
    for (change, expected) in [
        (json!({"to": []}), "to=validation_required"),
        (json!({"to": null}), "to=validation_required"),
        (json!({"to": 5}), "to.0=validation_invalid_value"),
        (json!({"to": many}), "to=validation_too_many_values"),
        (
            json!({"to": ["users/a", "nobody", "users/", "/a", "a/b/c"]}),
            "to.1=validation_invalid_value to.2=validation_invalid_value to.3=validation_invalid_value to.4=validation_invalid_value",
        ),
        (json!({"to": [{"field": "owner"}]}), "to.0.field=validation_unknown_field"),
        (json!({"to": [{"collection": "users", "fliter": ""}]}), "to.0.fliter=validation_unknown_field"),
        (json!({"to": [{"filter": "a=1"}]}), "to.0.collection=validation_required"),
        (json!({"to": ["x".repeat(600)]}), "to.0=validation_length_out_of_range"),
        (json!({"title": ""}), "template=validation_required"),
        (json!({"title": 5}), "title=validation_invalid_value"),
        (json!({"template": "t"}), "title=validation_invalid_value"),
        (json!({"title": "x".repeat(1025)}), "title=validation_length_out_of_range"),
        (json!({"body": "x".repeat(10 << 20)}), "body=validation_length_out_of_range"),
        (json!({"key": "x".repeat(256)}), "key=validation_length_out_of_range"),
        (json!({"data": []}), "data=validation_invalid_value"),
        (json!({"data": {"a": "x".repeat(MAX_DATA)}}), "data=validation_json_size_limit"),
        (json!({"chanels": ["inbox"]}), "chanels=validation_unknown_field"),
        (json!({"channels": "inbox"}), "channels=validation_invalid_value"),
        (json!({"channels": ["sms"]}), "channels.0=validation_invalid_value"),
        (json!({"channels": [{"after": "1m"}]}), "channels.0.channel=validation_required"),
        (
            json!({"channels": ["push", {"channel": "email", "after": "soon"}]}),
            "channels.1.after=validation_invalid_value",
        ),
        (
            json!({"channels": ["push", {"channel": "email", "unless": "read"}]}),
            "channels.1.unless=validation_invalid_value",
        ),
        (json!({"channels": [{"channel": "push", "after": "1h"}, "email"]}), "channels.1=validation_invalid_value"),
        (json!({"channels": ["push", "push"]}), "channels.1=validation_invalid_value"),
        (json!({"channels": vec!["push"; 9]}), "channels=validation_too_many_values"),
        (json!({"priority": "urgent"}), "priority=validation_invalid_value"),
        (json!({"quiet": "never"}), "quiet=validation_invalid_value"),
        (json!({"when": "tomorrow"}), "when=validation_invalid_value"),
        (json!({"when": {"at": "2020-01-01T00:00:00Z"}}), "when.at=validation_in_the_past"),
        (json!({"when": {"at": "2199-01-01T00:00:00Z"}}), "when.at=validation_invalid_value"),
        (json!({"when": {"after": "400d"}}), "when.after=validation_invalid_value"),
        (json!({"when": {"local": "09:00", "date": "2020-01-01"}}), "when.date=validation_in_the_past"),
        (json!({"when": {"local": "09:00", "zone": "Mars/Olympus"}}), "when.zone=validation_unknown_zone"),
        (json!({"when": {"cron": "* * * * *"}}), "when.cron=validation_invalid_value"),
        (json!({"expires": "some day"}), "expires=validation_invalid_value"),
        (json!({"expires": "9999d"}), "expires=validation_invalid_value"),
        (json!({"digest": {"key": "a"}}), "digest.window=validation_required"),
        (json!({"digest": {"key": "a", "window": "0s"}}), "digest.window=validation_invalid_value"),
        (json!({"cap": {"count": 0, "window": "1h"}}), "cap.count=validation_invalid_value"),
        (json!({"cap": {"count": 1.5, "window": "1h"}}), "cap.count=validation_invalid_value"),
        (json!({"unless": {"collection": "orders", "record": "r"}}), "unless.filter=validation_required"),
        (json!({"track": "yes"}), "track=validation_invalid_value"),
        (json!({"locale": "x".repeat(36)}), "locale=validation_length_out_of_range"),
        (json!({"key": 1, "priority": 2}), "key=validation_invalid_value priority=validation_invalid_value"),
    ] {
        let error = parse(change.clone()).expect_err(&change.to_string()[..80.min(change.to_string().len())]);
        let told: Vec<String> =
            error.issues.leaves().into_iter().map(|(name, code)| format!("{name}={code}")).collect();
        assert_eq!(told.join(" "), expected);
    }
}

#[test]
fn only_schedules_name_fields() {
    let body = object(json!({"to": [{"field": "owner"}, "topic:a"], "title": "x"}));
    let intent = Intent::parse_scheduled(&body, NOW).unwrap();
    assert_eq!(intent.to, [To::Field("owner".into()), To::Topic("a".into())]);
    Intent::parse(&body, NOW).unwrap_err();
}

#[test]
fn a_row_that_holds_something_else_is_refused() {
    let row = |to: &str| Row {
        columns: Arc::new(["to".into(), "title".into(), "state".into()]),
        values: vec![Value::Text(to.into()), Value::Text("t".into()), Value::Text("new".into())],
    };
    for (to, good) in [("[\"users/a\"]", true), ("\"users/a\"", true), ("[", false), ("null", false), ("", false)] {
        assert_eq!(Intent::from_row(&row(to), NOW).is_ok(), good, "{to}");
    }
}
