//! Why a mail did not go out, and whether trying again is worth anything.

use crate::error::Error;

/// The cause behind the [`Error`] of a mail that was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Undelivered {
    /// For the log and the owner; may have the mail server's own words.
    pub what: String,
    /// This mail will not go out however often it is tried: the server refuses it, or it has no usable address.
    pub permanent: bool,
    /// It is the address that was refused: no other mail will reach it either.
    pub dead_address: bool,
}

impl Undelivered {
    /// No use in trying again.
    pub fn for_good(what: impl Into<String>) -> Self {
        Self { what: what.into(), permanent: true, dead_address: false }
    }

    /// It may go better another time: the network, a busy server, settings that somebody will correct.
    pub fn for_now(what: impl Into<String>) -> Self {
        Self { what: what.into(), permanent: false, dead_address: false }
    }

    /// The cause of `error`, if a mail that was not sent is.
    pub fn behind(error: &Error) -> Option<&Self> {
        error.source.as_ref()?.downcast_ref()
    }
}

/// 400 without fields; clients learn nothing of the cause.
impl From<Undelivered> for Error {
    fn from(cause: Undelivered) -> Self {
        Error::invalid("The mail could not be sent.").because(cause)
    }
}

/// True when sending the same mail again cannot help.
pub fn is_permanent(error: &Error) -> bool {
    Undelivered::behind(error).is_some_and(|cause| cause.permanent)
}

/// True when the server refused the address of the recipient, and not this mail or whoever sent it.
pub fn is_dead_address(error: &Error) -> bool {
    Undelivered::behind(error).is_some_and(|cause| cause.permanent && cause.dead_address)
}
