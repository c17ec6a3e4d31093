//! The request log: a row for superusers (`docs/wire/services.md` §6.3), and a line on stderr for what really went wrong.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    time::Instant,
};

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, REFERER, USER_AGENT},
};
use serde_json::{Map, Value as Json};

use super::client_address;
use crate::{
    error::{Error, Kind, Result},
    http::{Wire, error, reply::Reply},
    identity::Caller,
    logs::{self, Addresses, Failure, Request, RequestNumber, Who},
};

/// Longer request targets are cut on stderr.
const MAX_TARGET: usize = 3000;

/// What is said of a request whose client did not wait for the answer.
const GONE: u16 = 499;

/// One request on its way through the house, as the log will tell it. Dropped before [`Trace::finish`], its client has
/// hung up; what it asked for may have been done all the same.
pub struct Trace {
    number: RequestNumber,
    wire: Rc<Wire>,
    http: HttpRequest,
    started: Instant,
    /// Who asks, once that is known, and if the log wants to know.
    who: OnceCell<Who>,
    told: Cell<bool>,
}

impl Trace {
    pub fn start(number: RequestNumber, wire: Rc<Wire>, http: HttpRequest, started: Instant) -> Self {
        Self { number, wire, http, started, who: OnceCell::new(), told: Cell::new(false) }
    }

    /// Remembers who asks.
    pub fn met(&self, caller: &Caller) {
        let logs = &self.wire.app.logs;
        if let Some(record) = caller.record().filter(|_| logs.wants(logs::ERROR)) {
            let id = logs.policy().with_auth_id.then(|| record.id.clone());
            let _ = self.who.set(Who { collection: record.collection_name.clone(), id });
        }
    }

    /// Tells of the request, now that it is finished.
    pub fn finish(&self, outcome: &Result<Reply>) {
        self.told.set(true);
        self.tell_stderr(outcome);
        let app = &self.wire.app;
        let wanted = match outcome {
            // The last of a disk is not for telling what everybody did on it.
            Err(failure) if failure.kind == Kind::Internal => app.logs.wants(logs::ERROR),
            _ if app.db.is_scarce() => false,
            Ok(reply) => !reply.unlogged && self.is_news(),
            Err(_) => app.logs.wants(logs::ERROR),
        };
        if wanted {
            self.tell_log(status(outcome), outcome.as_ref().err().map(failure));
        }
    }

    /// Whether something that did not fail is worth a row.
    fn is_news(&self) -> bool {
        self.wire.app.logs.wants(logs::INFO) && !is_quiet(self.http.uri().path())
    }

    fn tell_log(&self, status: u16, failure: Option<Failure>) {
        let (app, http) = (&self.wire.app, &self.http);
        let header = |name: HeaderName| http.headers().get(name).map_or(&[][..], |value| value.as_bytes());
        let uri = http.uri();
        let addresses = app.logs.policy().with_ip.then(|| Addresses {
            client: app.settings.with(|settings| client_address::of(http, &settings.trusted_proxy)),
            peer: client_address::peer(http).to_canonical(),
        });
        app.logs.push_request(Request {
            at: app.clock.now(),
            took: self.started.elapsed(),
            number: self.number,
            status,
            method: http.method().as_str(),
            target: uri.path_and_query().map_or(uri.path(), |target| target.as_str()),
            referer: header(REFERER),
            agent: header(USER_AGENT),
            who: self.who.get(),
            addresses,
            failure,
        });
    }

    /// Our own failures always, everything else when stderr is verbose.
    fn tell_stderr(&self, outcome: &Result<Reply>) {
        let ours = match outcome {
            Err(failure) => failure.kind == Kind::Internal || met_full_disk(failure),
            Ok(_) => false,
        };
        if !ours && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (request_id, status) = (self.number.to_string(), status(outcome));
        let (method, asked) = (self.http.method().as_str(), self.http.uri().to_string());
        let target = logs::masked(&asked);
        let target = &target[..target.floor_char_boundary(MAX_TARGET)];
        let ms = self.started.elapsed().as_secs_f64() * 1000.0;
        match outcome {
            Ok(_) => tracing::debug!(request_id, method, target, status, ms, "request"),
            Err(failure) if ours => {
                tracing::error!(request_id, method, target, status, ms, error = %failure, "request failed");
            }
            Err(failure) => tracing::debug!(request_id, method, target, status, ms, error = %failure, "request"),
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if !self.told.get() && !self.wire.app.db.is_scarce() && self.is_news() {
            self.tell_log(GONE, None);
        }
    }
}

/// What is refused because the disk is known to be full has no cause of its own, and was told when it became so.
fn met_full_disk(failure: &Error) -> bool {
    failure.kind == Kind::StorageFull && failure.source.is_some()
}

fn status(outcome: &Result<Reply>) -> u16 {
    match outcome {
        Ok(reply) => reply.status.as_u16(),
        Err(failure) => error::status(failure.kind).as_u16(),
    }
}

/// Whether success there is not worth a row: what looks at the log or asks again and again, streams, and everything outside the API.
fn is_quiet(path: &str) -> bool {
    let Some(route) = path.strip_prefix("/api/") else { return true };
    matches!(route, "logs" | "realtime" | "oauth2-redirect" | "overview" | "backups/progress")
        || route.starts_with("logs/")
}

/// What the client was told, and what it was not.
fn failure(error: &Error) -> Failure {
    let cause = error.source.as_ref().map(|cause| format!("{cause:#}"));
    let mut fields: Map<String, Json> =
        error.issues.leaves().into_iter().map(|(path, code)| (path, Json::from(code))).collect();
    let details = match cause {
        cause if fields.is_empty() => cause.map_or(Json::Null, Json::from),
        cause => {
            fields.extend(cause.map(|cause| ("cause".to_owned(), cause.into())));
            Json::Object(fields)
        }
    };
    Failure { message: error::sentence(&error.message), details }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Leaf;

    #[test]
    fn some_successes_are_no_news() {
        for (path, quiet) in [
            ("/api/logs", true),
            ("/api/logs/stats", true),
            ("/api/logsx", false),
            ("/api/realtime", true),
            ("/api/realtimes", false),
            ("/api/oauth2-redirect", true),
            ("/api/overview", true),
            ("/_/", true),
            ("/index.html", true),
            ("/api", true),
            ("/api/health", false),
            ("/api/collections/logs/records", false),
        ] {
            assert_eq!(is_quiet(path), quiet, "{path}");
        }
    }

    #[test]
    fn the_log_knows_more_than_the_client() {
        let cause = || anyhow::anyhow!("disk on fire").context("cannot write");
        for (error, message, details) in [
            (Error::not_found(), "The requested resource was not found.", serde_json::json!(null)),
            (Error::internal(cause()), "Something went wrong on our side.", "cannot write: disk on fire".into()),
            (
                Error::field("a", Leaf::required()),
                "Something in the request is not valid.",
                serde_json::json!({ "a": "validation_required" }),
            ),
            (
                Error::field("a", Leaf::required()).because(cause()),
                "Something in the request is not valid.",
                serde_json::json!({ "a": "validation_required", "cause": "cannot write: disk on fire" }),
            ),
        ] {
            let failure = failure(&error);
            assert_eq!((failure.message.as_str(), failure.details), (message, details));
        }
    }
}
