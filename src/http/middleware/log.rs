//! The request log: what was asked, what was answered, how long it took; and what really went wrong.

use std::time::Instant;

use actix_web::HttpRequest;

use crate::{
    error::{Kind, Result},
    http::{error, reply::Reply},
};

/// Longer request targets are cut in the log.
const MAX_TARGET: usize = 3000;

/// Logs a finished request: our own failures always, everything else when the log is verbose.
pub fn finished(http: &HttpRequest, id: &str, started: Instant, outcome: &Result<Reply>) {
    let ours = matches!(outcome, Err(failure) if matches!(failure.kind, Kind::Internal | Kind::StorageFull));
    if !ours && !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let status = match outcome {
        Ok(reply) => reply.status.as_u16(),
        Err(failure) => error::status(failure.kind).as_u16(),
    };
    let (method, target) = (http.method().as_str(), http.uri().to_string());
    let target = target.get(..MAX_TARGET).unwrap_or(&target);
    let ms = started.elapsed().as_secs_f64() * 1000.0;
    match outcome {
        Ok(_) => tracing::debug!(request_id = id, method, target, status, ms, "request"),
        Err(failure) if ours => {
            tracing::error!(request_id = id, method, target, status, ms, error = %failure, "request failed");
        }
        Err(failure) => tracing::debug!(request_id = id, method, target, status, ms, error = %failure, "request"),
    }
}
