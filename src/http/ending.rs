//! The end of a server: who asks for it, how long what is under way may take, and what is done when that is too long.
//!
//! No new connections, idle ones go, running requests end and are answered, streams are closed; meanwhile background work
//! comes to rest. When all that is over, or its time is, the database is checkpointed and closed. Whoever cannot wait says
//! so by a second signal; nothing that was acknowledged is lost by that, or by the last resort.

use std::time::{Duration, Instant};

use actix_web::rt;
use anyhow::Context;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

use super::health::Health;
use crate::{
    app::App,
    life::{Ending, Life},
};

/// After the time for requests, all else has to be over within this.
const LAST_RESORT: Duration = Duration::from_secs(30);
/// How often it is looked whether anything is still under way.
const LOOK: Duration = Duration::from_millis(100);
/// So long nothing may be under way before connections that are only open are cut: what was answered is sent by then.
const QUIET: Duration = Duration::from_secs(1);

/// SIGINT and SIGTERM stop the process: the first one gracefully, the second at once. SIGHUP, which a terminal sends that
/// is closed, does the same, unless `reloads`: then it asks for a new start. Listens from this call on.
pub fn listen_for_signals(life: Life, reloads: Option<bool>) -> anyhow::Result<()> {
    let listen = |kind: SignalKind, name: &str| signal(kind).with_context(|| format!("cannot listen for {name}"));
    let mut interrupt = listen(SignalKind::interrupt(), "SIGINT")?;
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM")?;
    let mut hangup = reloads.map(|_| listen(SignalKind::hangup(), "SIGHUP")).transpose()?;
    rt::spawn(async move {
        let mut asked = false;
        loop {
            let (number, wish) = tokio::select! {
                _ = interrupt.recv() => (libc::SIGINT, Ending::Stop),
                _ = terminate.recv() => (libc::SIGTERM, Ending::Stop),
                () = received(&mut hangup) => {
                    (libc::SIGHUP, if reloads == Some(true) { Ending::Restart } else { Ending::Stop })
                }
            };
            if asked && wish == Ending::Stop {
                tracing::warn!("asked to stop a second time: stopping at once");
                // Every commit that was acknowledged is in the write-ahead log, which the next start takes up.
                std::process::exit(128 + number);
            }
            tracing::info!("{}", if wish == Ending::Stop { "stopping" } else { "starting again" });
            asked |= wish == Ending::Stop;
            life.end(wish);
        }
    });
    Ok(())
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Ends the process when it should end and cannot: a disk that hangs must not keep it for ever.
pub fn watch_over(life: Life, budget: Duration) {
    rt::spawn(async move {
        life.ended().await;
        let limit = budget + LAST_RESORT;
        let spawned = std::thread::Builder::new().name("conch-ending".to_owned()).spawn(move || {
            std::thread::sleep(limit);
            tracing::error!(
                seconds = limit.as_secs(),
                "the server could not end within its time: it ends without waiting"
            );
            std::process::exit(1);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "nobody watches over the end");
        }
    });
}

/// Brings background work to rest when the server is asked to end, beside the last requests.
pub fn rest(app: &App) -> JoinHandle<()> {
    let app = app.clone();
    rt::spawn(async move {
        app.life.ended().await;
        tokio::join!(app.backups.stop(), app.notify.stop(), app.runner.stop());
    })
}

/// Waits until the server has ended, which is given `budget` for what is under way. Connections over HTTP/2 stay open
/// though nothing is asked of them: they are cut when everything is quiet.
pub async fn served(
    mut serving: JoinHandle<std::io::Result<()>>,
    life: &Life,
    health: &Health,
) -> anyhow::Result<std::io::Result<()>> {
    tokio::select! {
        served = &mut serving => return served.context("the server's task ended early"),
        () = quiet(life, health) => {}
    }
    // Dropping the server ends its workers.
    serving.abort();
    match serving.await {
        Ok(served) => Ok(served),
        Err(ended) if ended.is_cancelled() => Ok(Ok(())),
        Err(failed) => Err(failed).context("the server's task ended early"),
    }
}

async fn quiet(life: &Life, health: &Health) {
    life.ended().await;
    let mut since = Instant::now();
    loop {
        rt::time::sleep(LOOK).await;
        if !health.multiplexes() || health.running() > 0 {
            since = Instant::now();
        } else if since.elapsed() >= QUIET {
            return;
        }
    }
}
