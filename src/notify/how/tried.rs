//! One sending, with how far it came: for those who want to know why nothing arrives.

use std::time::Duration;

use reqwest::StatusCode;

use super::Outcome;
use crate::{
    clock::Timestamp,
    outgoing::{Answer, Failure},
};

/// What others say is told up to so many characters.
const MOST: usize = 1000;

/// An outcome with the steps that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub outcome: Outcome,
    /// All steps of this way, in order; none if it has no more than one.
    pub steps: &'static [&'static str],
    /// The one that failed.
    pub failed: Option<&'static str>,
    /// HTTP status of the provider's answer.
    pub status: Option<u16>,
}

impl Tried {
    /// An outcome that nothing else is known of.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, steps: &[], failed: None, status: None }
    }

    /// Failed before anybody was asked, and always will.
    pub fn refused(steps: &'static [&'static str], step: &'static str, why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused(why.into()), steps, failed: Some(step), status: None }
    }

    /// Failed before anybody was asked, this time.
    pub fn later(
        steps: &'static [&'static str],
        step: &'static str,
        why: impl Into<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self { outcome: Outcome::Later { why: why.into(), retry_after }, steps, failed: Some(step), status: None }
    }

    /// Nobody answered.
    pub fn unanswered(steps: &'static [&'static str], failure: Failure) -> Self {
        let (step, passes) = (failure.hop.as_str(), failure.may_pass());
        if passes { Self::later(steps, step, failure.why, None) } else { Self::refused(steps, step, failure.why) }
    }

    /// The provider answered; what that means.
    pub fn answered(steps: &'static [&'static str], answer: &Answer, outcome: Outcome) -> Self {
        let failed = (!matches!(outcome, Outcome::Sent { .. })).then_some("accepted");
        Self { outcome, steps, failed, status: Some(answer.status.as_u16()) }
    }
}

/// What an answer means that has no meaning of its own: a success, a later time, or never.
pub fn by_status(answer: &Answer, now: Timestamp) -> Outcome {
    match answer.status {
        status if status.is_success() => Outcome::Sent { receipt: None },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => later(answer, now),
        status if status.is_server_error() => later(answer, now),
        _ => Outcome::Refused(answer.said()),
    }
}

/// Not now, but when they said.
pub fn later(answer: &Answer, now: Timestamp) -> Outcome {
    Outcome::Later { why: answer.said(), retry_after: answer.retry_after(now) }
}

/// A name that a provider gave.
pub fn bounded(text: &str) -> String {
    text.chars().take(MOST).collect()
}
