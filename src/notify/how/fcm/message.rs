//! What Google gets: one message that Android, Apple and browsers all understand
//! (<https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages>).

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::{
    clock::Timestamp,
    notify::{
        Priority,
        how::{Letter, Ticket, fit::Fitted, webpush},
    },
};

/// The most bytes of notification and data; 4096 are taken, and how Google counts is not said.
const MOST: usize = 3900;

/// The body of `messages:send` for one registration token.
pub fn compose(letter: &Letter, ticket: &Ticket, token: &str, now: Timestamp) -> Json {
    let fitted = Fitted::new(letter, MOST, |fitted| payload(fitted, letter, ticket).to_string().len());
    let mut message = payload(&fitted, letter, ticket);
    message["token"] = token.into();
    message["android"] = android(letter, ticket, now);
    message["apns"] = apns(letter, ticket);
    message["webpush"] = web(&fitted, letter, ticket, now);
    json!({ "message": message })
}

/// What counts against the limit.
fn payload(fitted: &Fitted, letter: &Letter, ticket: &Ticket) -> Json {
    json!({ "notification": { "title": fitted.title, "body": fitted.body }, "data": data(fitted, letter, ticket) })
}

/// The letter's data as texts, and beside them what the app needs: `id` (the delivery's), `link`, `category`, `receipt`. The
/// letter's own members of such names win. Names that FCM keeps for itself get an underscore before them.
fn data(fitted: &Fitted, letter: &Letter, ticket: &Ticket) -> Map<String, Json> {
    let mut data = Map::new();
    for (name, value) in &fitted.data {
        let text = match value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let name = if is_reserved(name) { format!("_{name}") } else { name.clone() };
        data.insert(name, text.into());
    }
    let mut add = |name: &str, text: &str| {
        if !text.is_empty() && !data.contains_key(name) {
            data.insert(name.to_owned(), text.into());
        }
    };
    add("id", &ticket.delivery);
    if !fitted.bare {
        add("link", &fitted.link);
        add("category", &letter.category);
        add("receipt", &letter.receipt);
        add("cut", if fitted.cut { "true" } else { "" });
    }
    data
}

fn is_reserved(name: &str) -> bool {
    matches!(name, "from" | "message_type" | "collapse_key" | "notification")
        || name.starts_with("google")
        || name.starts_with("gcm")
}

/// People see these messages, so they come at once unless they are of low priority. The tag lets a repeated message replace
/// the first one; a collapse key is only set when asked for, because FCM keeps no more than four of them for a device.
fn android(letter: &Letter, ticket: &Ticket, now: Timestamp) -> Json {
    let priority = if letter.priority == Priority::Low { "NORMAL" } else { "HIGH" };
    let mut android = json!({
        "priority": priority,
        "ttl": format!("{}s", webpush::ttl(letter, now)),
        "notification": { "tag": webpush::topic(letter, ticket) },
    });
    if !letter.collapse.is_empty() {
        android["collapse_key"] = webpush::topic(letter, ticket).into();
    }
    android
}

fn apns(letter: &Letter, ticket: &Ticket) -> Json {
    let priority = if letter.priority == Priority::Low { "5" } else { "10" };
    let mut headers = json!({ "apns-priority": priority, "apns-collapse-id": webpush::topic(letter, ticket) });
    if let Some(expires) = letter.expires {
        headers["apns-expiration"] = expires.plus(Duration::from_millis(999)).seconds().to_string().into();
    }
    json!({ "headers": headers })
}

fn web(fitted: &Fitted, letter: &Letter, ticket: &Ticket, now: Timestamp) -> Json {
    let mut web = json!({ "headers": {
        "TTL": webpush::ttl(letter, now).to_string(),
        "Urgency": webpush::urgency(letter.priority),
        "Topic": webpush::topic(letter, ticket),
    }});
    // Nothing else is taken.
    if fitted.link.starts_with("https://") {
        web["fcm_options"] = json!({ "link": fitted.link });
    }
    web
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::how::testing::ticket;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn a_message_is_for_all_sorts_of_devices() {
        let mut letter = Letter {
            title: "T".to_owned(),
            body: "b".to_owned(),
            link: "https://a.b/c".to_owned(),
            category: "news".to_owned(),
            priority: Priority::Critical,
            collapse: "k".to_owned(),
            expires: Some(Timestamp(NOW.0 + 90_500)),
            ..Letter::default()
        };
        letter.data =
            serde_json::from_str(r#"{"n":5,"o":{"a":[1]},"s":"x","from":"y","google.x":1,"id":"mine"}"#).unwrap();
        let message = &compose(&letter, &ticket(), "tok", NOW)["message"];
        let topic = webpush::topic(&letter, &ticket());
        assert_eq!(topic.len(), 32);
        let expected = json!({
            "notification": {"title": "T", "body": "b"},
            "data": {"n": "5", "o": "{\"a\":[1]}", "s": "x", "_from": "y", "_google.x": "1", "id": "mine",
                "link": "https://a.b/c", "category": "news"},
            "token": "tok",
            "android": {"priority": "HIGH", "ttl": "90s", "notification": {"tag": topic}, "collapse_key": topic},
            "apns": {"headers": {"apns-priority": "10", "apns-collapse-id": topic, "apns-expiration": "1800000091"}},
            "webpush": {"headers": {"TTL": "90", "Urgency": "high", "Topic": topic}, "fcm_options": {"link": "https://a.b/c"}},
        });
        assert_eq!(message, &expected);
    }

    #[test]
    fn a_plain_one_has_no_collapse_key_and_lives_for_four_weeks() {
        let letter = Letter { priority: Priority::Low, link: "/x".to_owned(), ..Letter::default() };
        let message = &compose(&letter, &ticket(), "tok", NOW)["message"];
        assert_eq!(message["android"]["ttl"], "2419200s");
        assert_eq!(message["android"]["priority"], "NORMAL");
        assert!(message["android"].get("collapse_key").is_none() && message["webpush"].get("fcm_options").is_none());
        assert_eq!(message["data"], json!({"id": "d1", "link": "/x"}));
    }

    #[test]
    fn everything_has_an_end() {
        let letter = Letter { title: "t".repeat(9000), body: "b".repeat(9000), ..Letter::default() };
        let message = compose(&letter, &ticket(), "tok", NOW)["message"].clone();
        let length = json!({"notification": message["notification"], "data": message["data"]}).to_string().len();
        assert!((3000..=MOST).contains(&length) && message["data"]["cut"] == "true", "{length}");
    }
}
