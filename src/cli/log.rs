//! The log: always on stderr, so that stdout holds only what a person or a program asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How much is told; `RUST_LOG` overrules it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For commands that report by themselves.
    Quiet,
    Normal,
    /// `--dev`
    Verbose,
}

/// Starts the log: for people on a terminal, as JSON lines otherwise.
pub fn start(level: Level) {
    let level = match level {
        Level::Quiet => "error",
        Level::Normal => "warn,actix_http=off,conch=info",
        Level::Verbose => "warn,actix_http=off,conch=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        log.with_target(false).compact().try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    // A second subscriber in one process can only come from a test: the first one stays.
    if started.is_ok() {
        log_panics();
    }
}

/// Panics go to the log like everything else; who catches them says what happened to the request.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no text");
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked: {text}");
    }));
}
