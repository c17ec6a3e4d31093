//! Domain error → status and envelope (`docs/wire/services.md` §1.1), in one place.

use actix_web::http::{
    StatusCode,
    header::{HeaderValue, RETRY_AFTER},
};
use serde::Serialize;

use super::reply::Reply;
use crate::error::{Error, Issues, Kind};

/// The status of each kind of failure.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Kind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    data: &'a Issues,
    message: String,
    status: u16,
}

/// The envelope of a failure as JSON text.
pub fn envelope(error: &Error) -> Vec<u8> {
    let status = status(error.kind).as_u16();
    let body = Envelope { data: &error.issues, message: sentence(&error.message), status };
    serde_json::to_vec(&body).expect("issues are strings and JSON values, which always serialise")
}

/// The answer to a failed request. What really happened stays out of it.
pub fn reply(error: &Error) -> Reply {
    let mut reply = Reply::with(status(error.kind), "application/json", envelope(error));
    if let Some(wait) = error.retry_after {
        // Whole seconds, rounded up: a client must not come back too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        reply.headers.push((RETRY_AFTER, HeaderValue::from(seconds.max(1))));
    }
    reply
}

/// `text` with a capital first letter and a final mark.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return "Something went wrong.".to_owned();
    };
    let mut sentence: String = first.to_uppercase().chain(letters).collect();
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Leaf;

    #[test]
    fn failures_have_the_wires_envelope() {
        for (error, expected) in [
            (Error::not_found(), r#"{"data":{},"message":"The requested resource was not found.","status":404}"#),
            (Error::invalid("bad filter"), r#"{"data":{},"message":"Bad filter.","status":400}"#),
            (Error::invalid("éa?"), r#"{"data":{},"message":"Éa?","status":400}"#),
            (Error::forbidden(" "), r#"{"data":{},"message":"Something went wrong.","status":403}"#),
            (
                Error { message: "no".into(), ..Error::field("a", Leaf::required()) },
                r#"{"data":{"a":{"code":"validation_required","message":"Cannot be blank."}},"message":"No.","status":400}"#,
            ),
            (
                Error { message: "no".into(), ..Error::field("a", Leaf::new("x", "y").param("max", 3)) },
                r#"{"data":{"a":{"code":"x","message":"y","params":{"max":3}}},"message":"No.","status":400}"#,
            ),
        ] {
            assert_eq!(String::from_utf8(envelope(&error)).unwrap(), expected);
        }
    }

    #[test]
    fn internal_details_stay_inside() {
        let error = Error::internal(anyhow::anyhow!("UNIQUE constraint failed: secret.table"));
        let text = String::from_utf8(envelope(&error)).unwrap();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.ends_with(r#""status":500}"#), "{text}");
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        for (wait, header) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
            let reply = reply(&Error::busy(Duration::from_millis(wait)));
            assert_eq!(reply.status, 503);
            assert_eq!(reply.headers, [(RETRY_AFTER, HeaderValue::from_static(header))]);
        }
    }
}
