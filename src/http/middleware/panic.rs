//! A panic in a handler is answered with 500 and ends there: the worker and its other requests go on.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;

use crate::{error::Result, http::reply::Reply};

/// Runs `handler`; a panic becomes an internal error.
pub fn caught(handler: impl Future<Output = Result<Reply>>) -> impl Future<Output = Result<Reply>> {
    // Unwind safe: what the handler owned is dropped, and shared state is behind locks and snapshots of the rooms,
    // none of which is held across an await. No async function: that would hold the handler twice.
    AssertUnwindSafe(handler).catch_unwind().map(|outcome| match outcome {
        Ok(outcome) => outcome,
        Err(payload) => Err(super::panicked(text(payload.as_ref()))),
    })
}

fn text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return text;
    }
    payload.downcast_ref::<String>().map_or("no text", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[actix_web::test]
    async fn a_panic_becomes_an_internal_error() {
        let failure = caught(async { panic!("secret {}", 7) }).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Internal);
        assert!(!failure.message.contains("secret"), "{failure}");
        assert!(failure.to_string().contains("secret 7"), "{failure}");
    }
}
