//! Listening, workers and graceful shutdown.

use std::{
    future::{Future, poll_fn},
    net::TcpListener,
    path::PathBuf,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse, HttpServer,
    dev::Payload,
    http::{StatusCode, Version},
    rt::System,
    web,
};
use anyhow::Context;
use serde::Serialize;

use super::{
    Shared, Wire, ending, error,
    health::Health,
    left::Left,
    middleware, socket, streams,
    tls::{HANDSHAKE_TIMEOUT, Tls},
};
use crate::{app::App, backups::Backups, life::Ending, records::Records};

/// A client has this long to send the head of a request (`docs/wire/services.md` §2.8).
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// After an answer that ends the connection the client has this long to hang up.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that one worker serves at once; more wait in the backlog.
const CONNECTIONS_PER_WORKER: usize = 20_000;

/// How the wire behaves; the command line fills it.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--origins` patterns (`docs/wire/services.md` §2.1).
    pub origins: Vec<String>,
    /// Running requests have this long to finish when the server is asked to end (§2.8).
    pub shutdown_timeout: Duration,
    /// Who shows this may see numbers (`/metrics`, and all of `/readyz`).
    pub metrics_token: Option<String>,
    /// Addresses and CIDR ranges that may see them without it; without both, this machine may.
    pub metrics_from: Vec<String>,
    /// Whether SIGHUP asks for a new start instead of the end; `None`: it is not listened to.
    pub reloads: Option<bool>,
    /// The hosts whose `www.` twins are redirected to them (§2.7).
    pub hosts: Vec<String>,
    /// What is served where no route is (§3.1); it need not exist.
    pub public_dir: Option<PathBuf>,
    /// Whether its `index.html` stands for what is missing.
    pub index_fallback: bool,
    /// What the process was started with, for superusers who ask.
    pub given: Vec<Given>,
}

/// An option of the process, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Without dashes, such as `http`.
    pub key: String,
    /// `flag`, `environment` or `default`
    pub origin: &'static str,
    /// The flag or the variable that it was given by.
    pub name: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origins: vec!["*".to_owned()],
            shutdown_timeout: Duration::from_secs(10),
            metrics_token: None,
            metrics_from: Vec::new(),
            reloads: None,
            hosts: Vec::new(),
            public_dir: None,
            index_fallback: true,
            given: Vec::new(),
        }
    }
}

/// Tells whether the server lives.
#[derive(Clone)]
pub struct Pulse(Health);

impl Pulse {
    /// Whether every worker has lately said so.
    pub fn is_felt(&self) -> bool {
        self.0.is_alive()
    }
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// The whole wire, or beside TLS only the way there (§11.1).
    pub http: TcpListener,
    /// The whole wire, encrypted.
    pub https: Option<(TcpListener, Tls)>,
}

/// Binds `address` (`host:port`, `:port` for every interface), which was given with `option`.
pub fn listen(address: &str, option: &str) -> anyhow::Result<TcpListener> {
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    TcpListener::bind(&address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is already in use: stop what listens there or choose another with {option}")
        }
        std::io::ErrorKind::PermissionDenied => anyhow::anyhow!(
            "{address} is not for everybody: give the executable the right with 'setcap cap_net_bind_service=+ep', or the \
             service with 'AmbientCapabilities=CAP_NET_BIND_SERVICE', or choose a port above 1023 with {option}"
        ),
        std::io::ErrorKind::InvalidInput => {
            anyhow::anyhow!("cannot listen on '{address}': give HOST:PORT, such as 127.0.0.1:8090")
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

/// Serves on `listeners` and runs jobs until SIGINT or SIGTERM, or until [`App::life`] is ended; then finishes running
/// requests and jobs, closes the database and tells what is to follow. `ready` runs once connections are accepted.
pub fn run(
    app: App,
    listeners: Listeners,
    options: Options,
    ready: impl AsyncFnOnce(App, Pulse) -> anyhow::Result<()>,
) -> anyhow::Result<Ending> {
    raise_file_limit();
    System::new().block_on(async move {
        ending::listen_for_signals(app.life.clone(), options.reloads)?;
        ending::watch_over(app.life.clone(), options.shutdown_timeout);
        let health = Health::new(app.clone(), options.metrics_token.as_deref(), &options.metrics_from);
        let (budget, worker_health) = (options.shutdown_timeout.as_secs(), health.clone());
        app.logs.begin().map_err(anyhow::Error::new)?;
        app.logs.hear_events();
        let (worker_app, hub, life) = (app.clone(), app.realtime.clone(), app.life.clone());
        let stopping = async move {
            life.ended().await;
            // Streams would go on for ever.
            hub.close();
        };
        let shared = Shared::new(&app, &options);
        let Listeners { http, https } = listeners;
        let https_port = https.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
        let plain = https.as_ref().zip(https_port).map(|((_, tls), address)| tls.plain(address.port()));
        let mut server = HttpServer::new(move || {
            // One service for everything: the route table is ours, see `routes`.
            let wire = Rc::new(Wire::new(worker_app.clone(), worker_health.clone(), shared.clone()));
            let plain = plain.clone().map(Rc::new);
            actix_web::App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
                let (wire, plain) = (wire.clone(), plain.clone());
                async move {
                    match plain.filter(|plain| !request.app_config().secure() && !plain.lets_pass(&request)) {
                        Some(plain) => plain.answer(&request),
                        None => answer(wire, request, payload.into_inner()).await,
                    }
                }
            }))
        })
        .on_connect(socket::note)
        .workers(std::thread::available_parallelism().map_or(2, usize::from))
        .max_connections(CONNECTIONS_PER_WORKER)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        // Who hangs up wants no answer any more: its query is interrupted.
        .h1_allow_half_closed(false)
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true)
        // A client in its handshake counts as any other: fewer, and silent ones would keep everybody out.
        .max_connection_rate(CONNECTIONS_PER_WORKER)
        .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
        .shutdown_signal(stopping)
        .shutdown_timeout(budget)
        .listen(http)
        .context("cannot listen")?;
        if let Some((listener, tls)) = https {
            server = server.listen_rustls_0_23(listener, tls.server_config()?).context("cannot listen")?;
            health.observe(tls.in_use());
            // Authorities may ask as soon as somebody is there to answer them.
            tls.start();
        }
        let server = server.run();
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        app.runner.start();
        app.notify.start();
        tidy(app.records.clone(), app.backups.clone());
        let hub = app.realtime.clone();
        actix_web::rt::spawn(async move { hub.run().await });
        // Dropping the server without a word would leave workers behind: whatever happens, it is stopped.
        let resting = ending::rest(&app);
        let announced = ready(app.clone(), Pulse(health.clone())).await;
        if announced.is_err() {
            handle.stop(false).await;
        }
        let served = ending::served(serving, &app.life, &health).await;
        // It may have ended by itself.
        let ending = app.life.ending().unwrap_or(Ending::Stop);
        app.life.end(ending);
        resting.await.context("what works in the background ended early")?;
        app.db.close().await;
        app.logs.close().await;
        let served = served?;
        announced?;
        served.context("the server failed")?;
        Ok(ending)
    })
}

/// Answers a request.
async fn answer(wire: Rc<Wire>, request: HttpRequest, payload: Payload) -> HttpResponse {
    if request.version() == Version::HTTP_2 {
        // In a box of its own, or all futures would be as large as both ways.
        return Box::pin(multiplexed(wire, request, payload)).await;
    }
    middleware::answer(wire, request, payload).await
}

/// Answers a request that may have others beside it on its connection, unless there are too many. What HTTP/1.1 has by
/// itself: limits, and an end to work for those who have left.
async fn multiplexed(wire: Rc<Wire>, request: HttpRequest, mut payload: Payload) -> HttpResponse {
    let turn = match streams::enter(&request) {
        Ok(turn) => turn,
        Err(failure) => return error::reply(&failure).into_response(),
    };
    let mut left = Left::of(&request, &mut payload);
    let mut answer = pin!(middleware::answer(wire, request, payload));
    let answered = poll_fn(|context| {
        if let Poll::Ready(response) = answer.as_mut().poll(context) {
            return Poll::Ready(Some(response));
        }
        let left = left.as_mut().map_or(Poll::Pending, |left| left.poll(context));
        left.map(|()| None)
    });
    // Nobody reads what those get who have left.
    let Some(response) = answered.await else { return HttpResponse::new(StatusCode::NO_CONTENT) };
    let mut response = match left {
        Some(left) => left.lasts_with(response),
        None => response,
    };
    turn.lasts_with(&mut response);
    response
}

/// Removes what an earlier process left of writes that never committed, beside everything else.
fn tidy(records: Records, backups: Backups) {
    actix_web::rt::spawn(async move {
        // A bucket that is away is asked again when the next backup goes there.
        if let Err(error) = backups.tidy().await {
            tracing::warn!(%error, "parts of an earlier process's backups stay in the bucket for now");
        }
    });
    actix_web::rt::spawn(async move {
        if let Err(error) = records.tidy_files().await {
            tracing::warn!(%error, "what an earlier process left will be removed within the hour");
        }
    });
}

/// Lets this process hold as many connections as the system permits it: the usual soft limit is 1024 open files.
fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write only `limit`, which lives here. Failing changes nothing.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let first = listen("127.0.0.1:0", "--http").unwrap();
        let error = listen(&first.local_addr().unwrap().to_string(), "--https").unwrap_err();
        assert!(error.to_string().contains("already in use"), "{error}");
        assert!(error.to_string().contains("--https"), "{error}");
        assert!(listen("nonsense", "--http").is_err());
    }
}
