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

use crate::random;

static HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Tells the requests of two runs of the server apart.
static RUN: LazyLock<String> = LazyLock::new(|| random::string(random::LOWER_ALPHANUMERIC, 8));
static COUNTER: AtomicU64 = AtomicU64::new(1);

/// An id that no other request has: the run's random prefix and a counter.
pub fn next() -> String {
    let mut id = String::with_capacity(24);
    id.push_str(&RUN);
    // Writing to a string cannot fail.
    let _ = write!(id, "-{:x}", COUNTER.fetch_add(1, Ordering::Relaxed));
    id
}

pub fn set(response: &mut HttpResponse, id: &str) {
    let value = HeaderValue::from_str(id).expect("ids are letters, digits and a dash");
    response.headers_mut().insert(HEADER.clone(), value);
}
