//! The log on stderr: always there, so that stdout holds only what a person or a program asked for. The same events
//! become rows of the log that superusers read (`logs::events`).

use std::{fmt, io::IsTerminal};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{self, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::logs::{RequestNumber, events};

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
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let stderr = if std::io::stderr().is_terminal() {
        layer.event_format(Numbered(format::format().with_target(false).compact())).with_filter(filter).boxed()
    } else {
        let json = format::format().json().flatten_event(true);
        layer.fmt_fields(JsonFields::new()).event_format(Numbered(json)).with_filter(filter).boxed()
    };
    let started = tracing_subscriber::registry().with(stderr).with(events::layer()).try_init();
    // A second subscriber in one process can only come from a test: the first one stays.
    if started.is_ok() {
        log_panics();
    }
}

/// Lines of another format, with the number of the request that the event happened in.
struct Numbered<F>(F);

impl<S, N, F> FormatEvent<S, N> for Numbered<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let named = event.metadata().fields().field("request_id").is_some();
        let Some(number) = RequestNumber::current().filter(|_| !named) else {
            return self.0.format_event(context, writer, event);
        };
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        let line = text.trim_end();
        match line.strip_suffix('}') {
            Some(object) if line.starts_with('{') => writeln!(writer, "{object},\"request_id\":\"{number}\"}}"),
            _ => writeln!(writer, "{line} request_id={number}"),
        }
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
