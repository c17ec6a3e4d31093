//! `conch serve`: opens the data directory, listens, and tells a person what to do next.

use std::{io::IsTerminal, time::Duration};

use anyhow::Context;
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::Place;
use crate::{
    app::{App, Config},
    clock::Clock,
    db::Durability,
    http::server,
};

/// `conch serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "CONCH_HTTP", default_value = "127.0.0.1:8090", value_name = "HOST:PORT")]
    http: String,
    /// Origins that browsers may call from, comma separated; `*` matches any run, `?` one character
    #[arg(long, env = "CONCH_ORIGINS", default_value = "*", value_delimiter = ',', value_name = "ORIGIN,…")]
    origins: Vec<String>,
    /// When a commit reaches the disk: `full` survives a power cut, `normal` may lose the last commits in one
    #[arg(long, env = "CONCH_SYNC", default_value = "full", value_enum, value_name = "MODE")]
    sync: Durability,
    /// A read that takes longer than this many seconds is interrupted
    #[arg(long, env = "CONCH_QUERY_TIMEOUT", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    query_timeout: u64,
    /// Verbose log, and outside effects (mail, pushes) captured instead of sent
    #[arg(long, env = "CONCH_DEV")]
    dev: bool,
}

impl Serve {
    /// Serves until SIGINT or SIGTERM.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        start_log(self.dev);
        let app = App::open(Config {
            dir: place.dir,
            durability: self.sync,
            query_timeout: Duration::from_secs(self.query_timeout),
            encryption_key: place.encryption_key,
            clock: Clock::system(),
            temporary: false,
            dev: self.dev,
        })?;
        let listener = server::listen(&self.http)?;
        let address = listener.local_addr().context("cannot read the address that was bound")?;
        let base = format!("http://{address}");
        server::run(app, listener, server::Options { origins: self.origins }, async move |_app| {
            eprintln!("Conch is listening on {base}");
            eprintln!("  REST API   {base}/api/");
            Ok(())
        })
    }
}

/// Sends the log to stderr: for people on a terminal, as JSON lines otherwise. `RUST_LOG` overrules the level.
pub fn start_log(verbose: bool) {
    let level = if verbose { "info,conch=debug" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        log.with_target(false).compact().try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    // A second subscriber in one process can only come from a test: the first one stays.
    let _ = started;
}
