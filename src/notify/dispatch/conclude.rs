//! What becomes of a delivery, from what became of its pieces: sent, another attempt, or the end.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json, json};

use crate::{
    clock::Timestamp,
    error::Error,
    notify::{
        State,
        deliveries::Delivery,
        how::{Outcome, Target},
        settle::{Ending, Settlement, reached_any},
    },
    random,
};

/// Attempts of one delivery.
const ATTEMPTS: u32 = 8;
/// The pause after the first failure; four times as long after each further one, up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// What a provider may ask for at most.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);
/// Bytes of what a provider says that are kept.
const MAX_WORDS: usize = 300;

/// How a piece ended.
pub(super) enum Ended {
    Outcome(Outcome),
    /// It was not tried.
    Deferred(Timestamp),
}

/// It could not be prepared: that is an attempt, so that one which never can ends some time.
pub(super) fn failed_here(delivery: &Arc<Delivery>, error: &Error, now: Timestamp) -> Settlement {
    tracing::warn!(%error, delivery = delivery.id, "a delivery cannot be prepared");
    let why = format!("failed: {}", error.message);
    let attempts = delivery.attempts.max(1);
    let ending = again(attempts, now, None, None, why);
    Settlement::new(delivery.clone(), ending)
}

/// Another attempt, as long as there is one left and it would not come too late.
fn again(attempts: u32, now: Timestamp, asked: Option<Duration>, expires: Option<Timestamp>, reason: String) -> Ending {
    if attempts >= ATTEMPTS {
        return Ending::Over { state: State::Failed, reason };
    }
    let pause = FIRST_PAUSE.saturating_mul(4u32.saturating_pow(attempts.saturating_sub(1))).min(LONGEST_PAUSE);
    // Half of it is chance, or all that failed together would come back together.
    let half = u32::try_from(pause.as_millis() / 2).unwrap_or(u32::MAX);
    let pause = Duration::from_millis(u64::from(half) + u64::from(random::below(half.max(1))));
    let due = now.plus(pause.max(asked.unwrap_or_default().min(LONGEST_ASKED)));
    match expires {
        Some(end) if end <= due => Ending::Over { state: State::Expired, reason },
        _ => Ending::Later { due, reason, counts: true },
    }
}

/// All devices it could go to have ended before: what remains is to say how.
pub(super) fn nothing_left(mut settlement: Settlement) -> Settlement {
    if !reached_any(&settlement.detail) {
        let reason = "no_device: None of the devices takes it.".to_owned();
        settlement.ending = Ending::Over { state: State::Failed, reason };
    }
    settlement
}

/// What became of a delivery, from what became of its pieces.
pub(super) fn conclude(
    settlement: &mut Settlement,
    targets: &[Target],
    results: Vec<(usize, Ended)>,
    now: Timestamp,
    expires: Option<Timestamp>,
) {
    let mut sum = Sum::default();
    let mut devices = match settlement.detail.remove("devices") {
        Some(Json::Object(devices)) => devices,
        _ => Map::new(),
    };
    for (target, ended) in results {
        let note = sum.add(ended, now);
        match (targets.get(target), note) {
            (Some(Target::Device(device)), Some((state, words))) => {
                if state == "gone" {
                    settlement.gone.push(device.id.clone());
                }
                let at = now.to_string();
                devices
                    .insert(device.id.clone(), json!({"state": state, "kind": device.kind, "words": words, "at": at}));
            }
            (_, Some((_, words))) if !words.is_empty() => {
                settlement.detail.insert("answer".to_owned(), words.into());
            }
            _ => {}
        }
    }
    if !devices.is_empty() {
        settlement.detail.insert("devices".to_owned(), Json::Object(devices));
    }
    let reached = sum.sent || reached_any(&settlement.detail);
    settlement.ending = match sum {
        Sum { later: Some((why, asked)), .. } => {
            let attempts = settlement.delivery.attempts;
            match again(attempts, now, asked, expires, format!("failed: {why}")) {
                // Some devices have it: it was sent, whatever the others say.
                Ending::Over { .. } if reached => Ending::Sent,
                ending => ending,
            }
        }
        Sum { deferred: Some(due), .. } => {
            let reason = "circuit: The provider does not answer; it waits without being tried.".to_owned();
            match expires {
                Some(end) if end <= due => Ending::Over { state: State::Expired, reason },
                _ => Ending::Later { due, reason, counts: false },
            }
        }
        _ if reached => Ending::Sent,
        Sum { refused: Some(why), .. } => Ending::Over { state: State::Failed, reason: format!("refused: {why}") },
        Sum { gone: Some(why), .. } => Ending::Over { state: State::Failed, reason: format!("gone: {why}") },
        _ => Ending::Over { state: State::Failed, reason: "failed: Nothing was sent.".to_owned() },
    };
}

/// What the pieces of a delivery have in common.
#[derive(Default)]
struct Sum {
    sent: bool,
    gone: Option<String>,
    refused: Option<String>,
    later: Option<(String, Option<Duration>)>,
    deferred: Option<Timestamp>,
}

impl Sum {
    /// What is kept of it: a state and words. Nothing of what was not tried.
    fn add(&mut self, ended: Ended, now: Timestamp) -> Option<(&'static str, String)> {
        let outcome = match ended {
            Ended::Outcome(outcome) => outcome,
            Ended::Deferred(due) => {
                self.deferred = Some(self.deferred.map_or(due, |other| other.max(due)).max(now));
                return None;
            }
        };
        Some(match outcome {
            Outcome::Sent { receipt } => {
                self.sent = true;
                ("sent", cut(receipt.unwrap_or_default()))
            }
            Outcome::Gone(why) => {
                self.gone.get_or_insert_with(|| cut(why.clone()));
                ("gone", cut(why))
            }
            Outcome::Refused(why) => {
                self.refused.get_or_insert_with(|| cut(why.clone()));
                ("refused", cut(why))
            }
            Outcome::Later { why, retry_after } => {
                let why = cut(why);
                let longest = self.later.take().and_then(|(_, asked)| asked).max(retry_after);
                self.later = Some((why.clone(), longest));
                ("later", why)
            }
        })
    }
}

fn cut(mut words: String) -> String {
    words.truncate(words.floor_char_boundary(MAX_WORDS));
    words
}
