//! What becomes of an intent for one recipient: which deliveries, due when. Pure.

use std::time::Duration;

use jiff::{SignedDuration, civil::DateTime};

use crate::{
    clock::Timestamp,
    notify::{
        Channel,
        intent::{Expiry, Intent, Step},
        when::Due,
        who::Recipient,
    },
};

/// One delivery to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub channel: Channel,
    /// Index of its step in the intent's chain.
    pub step: usize,
    pub due: Timestamp,
    /// The wall time that `due` comes from, if it is one: should the recipient move to another zone, it is due there then.
    pub wall: Option<String>,
}

/// Who an intent is planned for: asked at `asked`, with the zone that they told (blank: none) and the house's.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    pub asked: Timestamp,
    pub zone: &'a str,
    pub default_zone: &'a str,
}

/// The deliveries of one recipient, in the order of the chain. None: nothing of it can reach them.
pub fn plan(intent: &Intent, recipient: &Recipient, circumstances: Circumstances<'_>) -> Vec<Planned> {
    let first = start(intent, circumstances);
    let reach = |step: &Step| match recipient {
        Recipient::Account { .. } => true,
        Recipient::Address(_) => step.channel == Channel::Email,
    };
    let planned = |(index, step): (usize, &Step)| {
        reach(step).then(|| Planned {
            channel: step.channel,
            step: index,
            due: first.at.plus(step.after),
            wall: first.wall.as_deref().and_then(|wall| later(wall, step.after)),
        })
    };
    intent.channels.iter().enumerate().filter_map(planned).collect()
}

/// What the clock on the wall shows `after` later, as long as nobody touches it.
fn later(wall: &str, after: Duration) -> Option<String> {
    if after.is_zero() {
        return Some(wall.to_owned());
    }
    let shown = wall.parse::<DateTime>().ok()?.checked_add(SignedDuration::try_from(after).ok()?).ok()?;
    Some(shown.strftime("%Y-%m-%dT%H:%M").to_string())
}

/// When the first step is due: not before it was asked for.
pub fn start(intent: &Intent, circumstances: Circumstances<'_>) -> Due {
    let zone = intent.when.zone(circumstances.zone, circumstances.default_zone);
    let due = intent.when.resolve(circumstances.asked, zone);
    Due { at: due.at.max(circumstances.asked), ..due }
}

/// From when on it is of no use; `start` is when its first step was due.
pub fn expires(intent: &Intent, start: Timestamp) -> Option<Timestamp> {
    match intent.expires? {
        Expiry::At(time) => Some(time),
        Expiry::After(span) => Some(start.plus(span)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn intent(change: Json) -> Intent {
        let mut body = json!({"to": ["users/a"], "title": "t"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Intent::parse(body.as_object().unwrap(), ASKED).unwrap_or_else(|error| panic!("{error}"))
    }

    /// 2026-11-23 12:00 UTC
    const ASKED: Timestamp = Timestamp(1_795_435_200_000);

    fn planned(change: Json, zone: &str, recipient: &Recipient) -> Vec<String> {
        let circumstances = Circumstances { asked: ASKED, zone, default_zone: "Europe/Berlin" };
        let told = |planned: &Planned| {
            let due = &planned.due.to_string()[5..16];
            format!("{} {} {due} {}", planned.step, planned.channel.as_str(), planned.wall.as_deref().unwrap_or("-"))
        };
        plan(&intent(change), recipient, circumstances).iter().map(told).collect()
    }

    #[test]
    fn each_recipient_gets_the_steps_that_reach_them_when_they_are_due() {
        let account = Recipient::Account { collection: "c".into(), record: "r".into() };
        let address = Recipient::Address("ann@example.com".into());
        let chain = json!(["push", {"channel": "email", "after": "90m", "unless": "seen"}]);
        for (change, zone, recipient, expected) in [
            (json!({}), "", &account, &["0 inbox 11-23 12:00 -"][..]),
            (json!({}), "", &address, &[]),
            (json!({"channels": chain}), "", &account, &["0 push 11-23 12:00 -", "1 email 11-23 13:30 -"]),
            (json!({"channels": chain}), "", &address, &["1 email 11-23 13:30 -"]),
            (json!({"when": {"after": "1d"}}), "", &account, &["0 inbox 11-24 12:00 -"]),
            (json!({"when": {"at": "2026-11-23T11:00:00Z"}}), "", &account, &["0 inbox 11-23 12:00 -"]),
            (json!({"when": {"local": "09:00"}}), "Asia/Tokyo", &account, &["0 inbox 11-24 00:00 2026-11-24T09:00"]),
            (
                json!({"when": {"local": "09:00"}}),
                "America/New_York",
                &account,
                &["0 inbox 11-23 14:00 2026-11-23T09:00"],
            ),
            (json!({"when": {"local": "09:00"}}), "", &account, &["0 inbox 11-24 08:00 2026-11-24T09:00"]),
            (json!({"when": {"local": "09:00"}}), "Mars/Olympus", &account, &["0 inbox 11-24 08:00 2026-11-24T09:00"]),
            (
                json!({"when": {"local": "09:00", "zone": "UTC"}}),
                "",
                &account,
                &["0 inbox 11-24 09:00 2026-11-24T09:00"],
            ),
            (
                json!({"when": {"local": "23:30", "date": "2026-11-30"}, "channels": chain}),
                "Asia/Tokyo",
                &account,
                &["0 push 11-30 14:30 2026-11-30T23:30", "1 email 11-30 16:00 2026-12-01T01:00"],
            ),
        ] {
            assert_eq!(planned(change.clone(), zone, recipient), expected, "{change} {zone}");
        }
    }

    #[test]
    fn expiry_counts_from_the_first_step() {
        for (expires, expected) in [
            (json!(null), None),
            (json!("2h"), Some(Timestamp(7_200_500))),
            (json!("2026-11-23T12:00:00Z"), Some(ASKED)),
        ] {
            assert_eq!(super::expires(&intent(json!({"expires": expires})), Timestamp(500)), expected);
        }
    }
}
