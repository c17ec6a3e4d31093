//! Listening, workers and graceful shutdown.

use std::net::TcpListener;

use anyhow::Context;

use crate::app::App;

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
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

/// Serves on `listener` until SIGINT or SIGTERM, then finishes running requests and closes the database. `ready`
/// runs once connections are accepted.
pub fn run(
    app: App,
    listener: TcpListener,
    options: Options,
    ready: impl AsyncFnOnce(App) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let _ = options;
    actix_web::rt::System::new().block_on(async move {
        let server = actix_web::HttpServer::new(actix_web::App::new).listen(listener).context("cannot listen")?.run();
        ready(app.clone()).await?;
        server.await?;
        app.db.close().await;
        Ok(())
    })
}
