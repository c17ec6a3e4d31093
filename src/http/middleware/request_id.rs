//! `X-Request-Id`: names one request in the answer and in the log.

use std::{
    fmt::Write,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
};
use bytes::Bytes;

use crate::random;

static HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Tells the requests of two runs of the server apart.
static RUN: LazyLock<String> = LazyLock::new(|| random::string(random::LOWER_ALPHANUMERIC, 8));
static COUNTER: AtomicU64 = AtomicU64::new(1);

/// Names one request: the run's random prefix and a counter.
#[derive(Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// An id that no other request has.
    pub fn next() -> Self {
        let mut id = String::with_capacity(RUN.len() + 17);
        id.push_str(&RUN);
        // Writing to a string cannot fail.
        let _ = write!(id, "-{:x}", COUNTER.fetch_add(1, Ordering::Relaxed));
        Self(HeaderValue::from_maybe_shared(Bytes::from(id)).expect("ids are letters, digits and a dash"))
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("ids are ASCII")
    }

    pub fn set(self, response: &mut HttpResponse) {
        response.headers_mut().insert(HEADER.clone(), self.0);
    }
}
