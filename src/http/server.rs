//! Listening, workers and graceful shutdown.

use std::{net::TcpListener, rc::Rc, time::Duration};

use actix_web::{HttpRequest, HttpServer, rt::System, web};
use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{Wire, middleware, socket};
use crate::{
    app::App,
    life::{Ending, Life},
    records::Records,
};

/// A client has this long to send the head of a request (`docs/wire/services.md` §2.8).
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// After an answer that ends the connection the client has this long to hang up.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that one worker serves at once; more wait in the backlog.
const CONNECTIONS_PER_WORKER: usize = 20_000;
/// Running requests have this long to finish after SIGTERM (§2.8), in seconds.
const SHUTDOWN_SECONDS: u64 = 1;

/// How the wire behaves; the command line fills it.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--origins` patterns (`docs/wire/services.md` §2.1).
    pub origins: Vec<String>,
}

/// Binds `address` (`host:port`, `:port` for every interface).
pub fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    TcpListener::bind(&address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is already in use: stop what listens there or choose another with --http")
        }
        std::io::ErrorKind::InvalidInput => {
            anyhow::anyhow!("cannot listen on '{address}': give HOST:PORT, such as 127.0.0.1:8090")
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

/// Serves on `listener` and runs jobs until SIGINT or SIGTERM, or until [`App::life`] is ended; then finishes running
/// requests and jobs, closes the database and tells what is to follow. `ready` runs once connections are accepted.
pub fn run(
    app: App,
    listener: TcpListener,
    options: Options,
    ready: impl AsyncFnOnce(App) -> anyhow::Result<()>,
) -> anyhow::Result<Ending> {
    raise_file_limit();
    System::new().block_on(async move {
        listen_for_signals(app.life.clone())?;
        let (worker_app, hub, life) = (app.clone(), app.realtime.clone(), app.life.clone());
        let stopping = async move {
            life.ended().await;
            // Streams would go on for ever.
            hub.close();
        };
        let server = HttpServer::new(move || {
            // One service for everything: the route table is ours, see `routes`.
            let wire = Rc::new(Wire::new(worker_app.clone(), &options));
            actix_web::App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
                middleware::answer(wire.clone(), request, payload.into_inner())
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
        .shutdown_signal(stopping)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .listen(listener)
        .context("cannot listen")?
        .run();
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        app.runner.start();
        app.notify.start();
        tidy(app.records.clone());
        let hub = app.realtime.clone();
        actix_web::rt::spawn(async move { hub.run().await });
        // Dropping the server without a word would leave workers behind: whatever happens, it is stopped.
        let announced = ready(app.clone()).await;
        if announced.is_err() {
            handle.stop(false).await;
        }
        let served = serving.await.context("the server's task ended early")?;
        app.notify.stop().await;
        app.runner.stop().await;
        app.db.close().await;
        announced?;
        served.context("the server failed")?;
        Ok(app.life.ending().unwrap_or(Ending::Stop))
    })
}

/// Removes what an earlier process left of writes that never committed, beside everything else.
fn tidy(records: Records) {
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

/// SIGINT and SIGTERM stop the process. Listens from this call on.
fn listen_for_signals(life: Life) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    actix_web::rt::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        life.end(Ending::Stop);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let first = listen("127.0.0.1:0").unwrap();
        let error = listen(&first.local_addr().unwrap().to_string()).unwrap_err();
        assert!(error.to_string().contains("already in use"), "{error}");
        assert!(listen("nonsense").is_err());
    }
}
