//! Why nobody answered, and how far we came.

use std::{error::Error, fmt};

use super::{
    client::describe,
    guard::{Forbidden, Unresolved},
};

/// The steps on the way to somebody's answer. A failure names the one that did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// The URL is one that can be used.
    Url,
    /// Its name has an address.
    Resolve,
    /// The address is one where we may go.
    Address,
    /// Somebody listens there.
    Connect,
    /// They are who they say.
    Tls,
    /// They answer in time, and with no more than we read.
    Answer,
}

impl Hop {
    pub const ALL: [Self; 6] = [Self::Url, Self::Resolve, Self::Address, Self::Connect, Self::Tls, Self::Answer];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Resolve => "resolve",
            Self::Address => "address",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Answer => "answer",
        }
    }
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub hop: Hop,
    /// Without the URL: some are secrets.
    pub why: String,
}

impl Failure {
    pub fn new(hop: Hop, why: impl Into<String>) -> Self {
        Self { hop, why: why.into() }
    }

    /// Whether the same request could be answered another time. A wrong URL and a forbidden address stay what they are.
    pub fn may_pass(&self) -> bool {
        !matches!(self.hop, Hop::Url | Hop::Address)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let found = |is: fn(&(dyn Error + 'static)) -> bool| causes(&error).any(is);
        let hop = if error.is_builder() {
            Hop::Url
        } else if found(|cause| cause.is::<Forbidden>()) {
            Hop::Address
        } else if found(|cause| cause.is::<Unresolved>()) {
            Hop::Resolve
        } else if found(|cause| cause.is::<rustls::Error>()) {
            Hop::Tls
        } else if error.is_connect() {
            Hop::Connect
        } else {
            Hop::Answer
        };
        Self { hop, why: describe(&error) }
    }
}

/// The causes of an error, also those that I/O errors wrap, which are no sources of theirs.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| cause.source())
    })
}
