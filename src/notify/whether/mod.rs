//! Whether a delivery goes out now: preferences, quiet hours, suppression, caps, expiry, conditions.

pub mod facts;
pub mod judge;
pub mod profile;
#[cfg(test)]
mod tests;

pub use self::profile::{Profile, QuietHours, QuietMode, Stored};

use crate::{clock::Timestamp, notify::State};

/// The judgement on one delivery at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Send,
    /// Not before then.
    Wait {
        until: Timestamp,
        reason: Reason,
    },
    /// Not at all: it ends in this state.
    Drop {
        state: State,
        reason: Reason,
    },
}

/// Why something is not sent, or not yet: a code for programs and words for people. Stored as `code: words`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub code: &'static str,
    pub words: String,
}

impl Reason {
    pub fn new(code: &'static str, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.words)
    }
}
