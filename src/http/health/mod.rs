//! How the server is, for whoever watches it: `/livez`, `/readyz` and `/metrics` (`docs/DEPLOY.md`).
//!
//! They stand before everything else that a request passes: no limit, no account and no redirect is in the way of whoever
//! asks whether the server lives. Main type: [`Health`].

mod guard;
mod history;
mod kept;
mod metrics;
mod overview;
mod page;
mod process;
mod ready;
mod routes;
mod warnings;
mod worker;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix_web::{
    HttpRequest,
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, WWW_AUTHENTICATE},
    },
};
use parking_lot::Mutex;
use serde_json::json;

use self::{
    guard::{Entrance, Guard},
    worker::Shard,
};
pub use self::{routes::Route, worker::Worker};
use super::{reply::Reply, tls::InUse};
use crate::app::App;

/// A worker that has not said for so long that it lives is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// What all workers know of the server's health. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    app: App,
    guard: Guard,
    /// One for each worker that ever was. Held when one begins, and for a look.
    shards: Mutex<Vec<Arc<Shard>>>,
    ready: ready::Finder,
    rarely: metrics::Rarely,
    /// The requests of the last hour. Held for a look.
    history: Mutex<history::History>,
    overview: overview::Rarely,
    started: f64,
    /// Of a server with TLS.
    certificates: OnceLock<InUse>,
}

impl Health {
    /// `token` and `from` say who may see numbers: see [`super::server::Options`].
    pub fn new(app: App, token: Option<&str>, from: &[String]) -> Self {
        let (shards, ready, rarely) = Default::default();
        let (history, overview) = Default::default();
        let (guard, started, certificates) = (Guard::new(token, from), process::start(), OnceLock::new());
        let inner = Inner { app, guard, shards, ready, rarely, history, overview, started, certificates };
        Self { inner: Arc::new(inner) }
    }

    /// Has the numbers tell of these certificates. The first ones stay.
    pub fn observe(&self, certificates: InUse) {
        let _ = self.inner.certificates.set(certificates);
    }

    /// A new worker, on its own thread.
    pub fn worker(&self) -> Worker {
        let shard = Arc::<Shard>::default();
        let mut shards = self.inner.shards.lock();
        if shards.is_empty() {
            // The first one looks at all, as long as there is a server.
            overview::follow(&self.inner);
        }
        shards.push(shard.clone());
        drop(shards);
        Worker::begin(shard)
    }

    /// Requests that are not over, of all workers.
    pub fn running(&self) -> u64 {
        self.inner.shards.lock().iter().map(|shard| shard.running()).sum()
    }

    /// Whether anybody has come with HTTP/2: such connections stay open without being asked anything.
    pub fn multiplexes(&self) -> bool {
        self.inner.shards.lock().iter().any(|shard| shard.multiplexes())
    }

    /// Whether every worker has lately said that it lives.
    pub fn is_alive(&self) -> bool {
        let shards = self.inner.shards.lock();
        shards.iter().filter_map(|shard| shard.silent()).all(|silent| silent < STUCK_AFTER)
    }

    /// Answers a request for one of the three; `None` for all others.
    pub async fn answer(&self, http: &HttpRequest) -> Option<Reply> {
        let path = http.uri().path();
        // Most requests are for longer paths, and go on at once.
        if path.len() > 8 || !matches!(*http.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let reply = match path {
            "/livez" => self.livez(),
            "/readyz" => self.readyz(http).await,
            "/metrics" => self.metrics(http).await,
            _ => return None,
        };
        Some(reply.header(CACHE_CONTROL, "no-store"))
    }

    fn livez(&self) -> Reply {
        match self.is_alive() {
            true => told(StatusCode::OK, &json!({ "alive": true })),
            false => told(StatusCode::SERVICE_UNAVAILABLE, &json!({ "alive": false })),
        }
    }

    async fn readyz(&self, http: &HttpRequest) -> Reply {
        // Whoever hangs up does not break it off: the next one would begin anew, and each time something is written.
        let inner = self.inner.clone();
        let finding = actix_web::rt::spawn(async move { inner.ready.readiness(&inner.app).await });
        let Ok(readiness) = finding.await else {
            // It panicked, which the log tells, or this worker ends.
            let body =
                json!({ "message": "Whether the server is ready could not be found out.", "status": 503, "data": {} });
            return told(StatusCode::SERVICE_UNAVAILABLE, &body);
        };
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let readiness = match self.judge(http) {
            Entrance::Admitted => readiness,
            Entrance::NeedsToken | Entrance::Elsewhere => readiness.in_short(),
        };
        told(status, &readiness)
    }

    async fn metrics(&self, http: &HttpRequest) -> Reply {
        match self.judge(http) {
            Entrance::Admitted => self.numbers().await,
            Entrance::NeedsToken => told(
                StatusCode::UNAUTHORIZED,
                &json!({ "message": "Show the token of --metrics-token as \"Authorization: Bearer TOKEN\".", "status": 401, "data": {} }),
            )
            .header(WWW_AUTHENTICATE, "Bearer"),
            Entrance::Elsewhere => told(
                StatusCode::FORBIDDEN,
                &json!({ "message": "Numbers are for this machine only: see --metrics-token and --metrics-from.", "status": 403, "data": {} }),
            ),
        }
    }

    fn judge(&self, http: &HttpRequest) -> Entrance {
        self.inner.guard.judge(http, &self.inner.app.settings.current().trusted_proxy)
    }
}

fn told(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    Reply::with(status, "application/json", serde_json::to_vec(value).unwrap_or_default())
}
