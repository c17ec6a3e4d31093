//! `X-Request-Id`: names one request in the answer and in the log.

use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
};
use bytes::Bytes;

use crate::logs::RequestNumber;

static HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the number into the answer.
pub fn set(number: RequestNumber, response: &mut HttpResponse) {
    let text = Bytes::from(number.text());
    let value = HeaderValue::from_maybe_shared(text).expect("numbers are letters, digits and a dash");
    response.headers_mut().insert(HEADER.clone(), value);
}
