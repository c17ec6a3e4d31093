//! Every reason why something is not sent, or not yet, as a table.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json, json};

use super::{
    Profile, Verdict,
    facts::{Condition, Facts, Intended, Record, Siblings},
    judge::{judge, judge_item},
    profile::Stored,
};
use crate::{
    clock::Timestamp,
    db::Row,
    notify::{
        Channel, Priority, State,
        deliveries::Delivery,
        how::Device,
        intent::Intent,
        what::{Texts, Variants},
        who::Recipient,
    },
    schema::{Collection, collection::Options},
};

/// 2027-01-15 08:00:00 UTC
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn intent(more: &Json) -> Arc<Intent> {
    let mut body = json!({"to": ["users/u1"], "title": "t", "channels": ["email"]});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    Arc::new(Intent::parse(body.as_object().unwrap(), NOW).unwrap_or_else(|error| panic!("{error:?}")))
}

/// A mail to somebody who wants it, of an intent with these members.
fn facts(send: &Json) -> Facts {
    let intent = intent(send);
    let columns: Arc<[Arc<str>]> = Arc::new(["id".into(), "email".into()]);
    let values = ["u1", "ann@example.com"].map(|text| crate::db::Value::Text(text.to_owned())).to_vec();
    let collection = Arc::new(Collection::new("users", "users", Options::Base));
    let channel = intent.channels[0].channel;
    let device = Device { id: "d".into(), kind: "fcm".into(), token: "t".into(), secrets: Map::new() };
    Facts {
        delivery: Arc::new(Delivery {
            id: "d1".into(),
            notification: "n1".into(),
            recipient: Recipient::Account { collection: "users".into(), record: "u1".into() },
            channel,
            category: intent.category.clone(),
            priority: intent.priority,
            state: State::Sending,
            reason: String::new(),
            due: NOW,
            attempts: 1,
            step: 0,
            digest: String::new(),
            collapse: String::new(),
            detail: Map::new(),
            trail: Vec::new(),
            sent_at: None,
            created: NOW,
            rowid: 1,
        }),
        intent: Intended::There(intent),
        source: None,
        set_off: false,
        account: Some(Arc::new(Record { collection, row: Row { columns, values } })),
        profile: Arc::default(),
        zone: "Asia/Tokyo".into(),
        devices: vec![Arc::new(device)],
        suppressed: None,
        siblings: Siblings::default(),
        passed: 0,
        condition: Condition::None,
        template: Some(Arc::new(Variants::inline(Texts::default()))),
        superseded: false,
    }
}

fn delivery(facts: &mut Facts) -> &mut Delivery {
    Arc::make_mut(&mut facts.delivery)
}

fn profile(facts: &mut Facts, stored: &Stored<'_>) {
    facts.profile = Arc::new(Profile::parse(stored));
}

/// `send`, `wait code until`, `state code`.
fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Send => "send".to_owned(),
        Verdict::Wait { until, reason } => format!("wait {} {until}", reason.code),
        Verdict::Drop { state, reason } => format!("{} {}", state.as_str(), reason.code),
    }
}

/// It is 17:00 in Tokyo.
const QUIET: Stored<'_> =
    Stored { zone: "Asia/Tokyo", quiet_from: "16:00", quiet_to: "18:00", quiet_mode: "", locale: "", channels: "" };

/// Members of a send, what is different, and the verdict.
type Case<'a> = (Json, Box<dyn Fn(&mut Facts) + 'a>, &'a str);
type Change = fn(&mut Facts);

#[test]
fn every_reason_has_its_verdict() {
    let no_news = r#"{"news": {"email": false}}"#;
    let nothing = r#"{"*": {"*": false}}"#;
    let cases: Vec<Case> = vec![
        (json!({}), Box::new(|_| {}), "send"),
        // Its sender does not want it any more.
        (json!({}), Box::new(|f| f.intent = Intended::Gone), "cancelled cancelled"),
        (json!({}), Box::new(|f| f.intent = Intended::Cancelled), "cancelled cancelled"),
        (json!({}), Box::new(|f| f.intent = Intended::Unreadable("x".into())), "failed unreadable"),
        (json!({}), Box::new(|f| f.superseded = true), "cancelled collapsed"),
        (json!({}), Box::new(|f| f.condition = Condition::Holds), "cancelled condition"),
        (json!({}), Box::new(|f| f.condition = Condition::RecordGone), "cancelled condition"),
        (json!({}), Box::new(|f| f.condition = Condition::HoldsNot), "send"),
        (json!({}), Box::new(|f| f.condition = Condition::Unjudged("x".into())), "failed condition"),
        // It would come too late: counted from when it was first due, whatever put it off.
        (json!({"expires": "1h"}), Box::new(|f| delivery(f).due = Timestamp(NOW.0 - 3_599_999)), "send"),
        (json!({"expires": "1h"}), Box::new(|f| delivery(f).due = Timestamp(NOW.0 - 3_600_000)), "expired expired"),
        (
            json!({"expires": "1h"}),
            Box::new(|f| {
                let before = Timestamp(NOW.0 - 3_600_000).to_string();
                delivery(f).detail.insert("due".into(), before.into());
            }),
            "expired expired",
        ),
        (json!({"expires": "2027-01-15T08:00:01Z"}), Box::new(|_| {}), "send"),
        (json!({"expires": "2027-01-15T08:00:01Z"}), Box::new(|f| delivery(f).due = Timestamp(0)), "send"),
        // There is nobody, or no way to them.
        (json!({}), Box::new(|f| f.account = None), "cancelled user_gone"),
        (
            json!({}),
            Box::new(|f| {
                f.account = None;
                delivery(f).recipient = Recipient::Address("ann@example.com".into());
            }),
            "send",
        ),
        (
            json!({"channels": ["inbox"]}),
            Box::new(|f| {
                f.account = None;
                delivery(f).recipient = Recipient::Address("ann@example.com".into());
            }),
            "skipped no_account",
        ),
        (
            json!({}),
            Box::new(|f| {
                let record = f.account.take().unwrap();
                let mut row = record.row.clone();
                row.values[1] = crate::db::Value::Text(String::new());
                f.account = Some(Arc::new(Record { collection: record.collection.clone(), row }));
            }),
            "skipped no_address",
        ),
        (json!({"channels": ["push"]}), Box::new(|_| {}), "send"),
        (json!({"channels": ["push"]}), Box::new(|f| f.devices.clear()), "skipped no_device"),
        (json!({"channels": ["webhook"]}), Box::new(|f| f.devices.clear()), "skipped no_device"),
        (json!({}), Box::new(|f| f.template = None), "failed template_missing"),
        // They do not want it.
        (json!({}), Box::new(|f| f.suppressed = Some("bounce".into())), "suppressed suppressed"),
        (json!({"priority": "critical"}), Box::new(|f| f.suppressed = Some("bounce".into())), "suppressed suppressed"),
        (
            json!({"category": "news"}),
            Box::new(|f| profile(f, &Stored { channels: no_news, ..QUIET })),
            "suppressed opted_out",
        ),
        (
            json!({"category": "news", "priority": "critical"}),
            Box::new(|f| profile(f, &Stored { channels: no_news, ..QUIET })),
            "suppressed opted_out",
        ),
        (json!({"priority": "critical"}), Box::new(|f| profile(f, &Stored { channels: nothing, ..QUIET })), "send"),
        (
            json!({}),
            Box::new(|f| profile(f, &Stored { channels: nothing, ..Stored::default() })),
            "suppressed opted_out",
        ),
        // Another step has done it.
        (json!({}), Box::new(|f| f.siblings = Siblings { seen: true, sent: true }), "send"),
        (
            json!({"channels": [{"channel": "email", "unless": "seen"}]}),
            Box::new(|f| f.siblings = Siblings { seen: true, sent: true }),
            "skipped seen",
        ),
        (
            json!({"channels": [{"channel": "email", "unless": "seen"}]}),
            Box::new(|f| f.siblings = Siblings { seen: false, sent: true }),
            "send",
        ),
        (
            json!({"channels": [{"channel": "email", "unless": "sent"}]}),
            Box::new(|f| f.siblings = Siblings { seen: false, sent: true }),
            "skipped sent",
        ),
        // This is not the time.
        (json!({}), Box::new(|f| profile(f, &QUIET)), "wait quiet_hours 2027-01-15 09:00:00.000Z"),
        (json!({}), Box::new(|f| profile(f, &Stored { quiet_mode: "skip", ..QUIET })), "suppressed quiet_hours"),
        (json!({"quiet": "skip"}), Box::new(|f| profile(f, &QUIET)), "suppressed quiet_hours"),
        (
            json!({"quiet": "defer"}),
            Box::new(|f| profile(f, &Stored { quiet_mode: "skip", ..QUIET })),
            "wait quiet_hours 2027-01-15 09:00:00.000Z",
        ),
        (json!({"quiet": "ignore"}), Box::new(|f| profile(f, &QUIET)), "send"),
        (json!({"priority": "critical"}), Box::new(|f| profile(f, &QUIET)), "send"),
        (json!({"channels": ["inbox"]}), Box::new(|f| profile(f, &QUIET)), "send"),
        (json!({"expires": "30m"}), Box::new(|f| profile(f, &QUIET)), "expired expired"),
        (json!({"cap": {"count": 3, "window": "1h"}}), Box::new(|f| f.passed = 2), "send"),
        (json!({"cap": {"count": 3, "window": "1h"}}), Box::new(|f| f.passed = 3), "suppressed cap_reached"),
        (json!({"cap": {"count": 3, "window": "1h"}, "priority": "critical"}), Box::new(|f| f.passed = 3), "send"),
    ];
    for (number, (send, change, expected)) in cases.iter().enumerate() {
        let mut facts = facts(send);
        change(&mut facts);
        assert_eq!(told(&judge(&facts, NOW)), *expected, "{number}: {send}");
    }
}

#[test]
fn a_part_of_a_digest_is_only_asked_whether_its_sender_wants_it() {
    let cases: [(Change, &str); 6] = [
        (|_| {}, "send"),
        (|f| f.condition = Condition::Holds, "cancelled condition"),
        (|f| f.intent = Intended::Cancelled, "cancelled cancelled"),
        (|f| f.suppressed = Some("bounce".into()), "send"),
        (|f| profile(f, &QUIET), "send"),
        (|f| f.template = None, "send"),
    ];
    for (change, expected) in cases {
        let mut facts = facts(&json!({}));
        change(&mut facts);
        assert_eq!(told(&judge_item(&facts, NOW)), expected);
    }
}

#[test]
fn a_later_step_expires_with_the_first() {
    let chain = json!({"channels": ["email", {"channel": "email", "after": "50m"}], "expires": "1h"});
    for (after_due, expected) in [(Duration::from_secs(599), "send"), (Duration::from_secs(600), "expired expired")] {
        let mut facts = facts(&chain);
        delivery(&mut facts).step = 1;
        assert_eq!(told(&judge(&facts, NOW.plus(after_due))), expected);
    }
    assert_eq!((Channel::ALL.len(), Priority::ALL.len()), (4, 3));
}
