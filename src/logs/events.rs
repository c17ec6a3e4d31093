//! What the house says with `tracing` becomes rows as well: the subscriber of the process has this layer, and the log of
//! the server that runs in it hears what passes.

use std::{fmt, sync::Arc};

use parking_lot::RwLock;
use serde_json::{Map, Value as Json};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, registry::LookupSpan};

use super::{ERROR, INFO, RequestNumber, Shared, WARN, entry};
use crate::clock::Clock;

/// Longer texts are cut.
const MAX_TEXT: usize = 2000;

/// The log that hears, and its clock. Read for each event, written when a server begins.
static HEARER: RwLock<Option<(Arc<Shared>, Clock)>> = RwLock::new(None);

pub(super) fn heard_by(hearer: Option<(Arc<Shared>, Clock)>) {
    *HEARER.write() = hearer;
}

/// The layer, for the process's subscriber: events of level `info` or more of this house, `warn` or more of others.
///
/// What the log says of itself is left out, or a log that cannot write would make work for itself; and the request log on
/// stderr, whose requests have rows of their own.
pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>() -> impl Layer<S> {
    Rows.with_filter(targets())
}

fn targets() -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("conch", LevelFilter::INFO)
        .with_target("conch::logs", LevelFilter::OFF)
        .with_target("conch::http::middleware::log", LevelFilter::OFF)
        .with_target("actix_http", LevelFilter::OFF)
}

struct Rows;

impl<S: Subscriber> Layer<S> for Rows {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let hearer = HEARER.read();
        let Some((shared, clock)) = &*hearer else { return };
        let level = level(*event.metadata().level());
        if !shared.wants(level) {
            return;
        }
        let mut told = Told::default();
        event.record(&mut told);
        told.data.insert("source".to_owned(), event.metadata().target().into());
        let event = entry::Event::new(clock.now(), level, told.message, told.data, RequestNumber::current());
        shared.push_event(event);
    }
}

fn level(level: Level) -> i64 {
    match level {
        Level::ERROR => ERROR,
        Level::WARN => WARN,
        _ => INFO,
    }
}

/// An event's fields.
#[derive(Default)]
struct Told {
    message: String,
    data: Map<String, Json>,
}

impl Told {
    fn put(&mut self, field: &Field, value: Json) {
        // The number of the request comes from the thread's own knowledge, under the wire's name.
        if field.name() != "request_id" {
            self.data.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Told {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let end = value.floor_char_boundary(MAX_TEXT);
        let text = value.get(..end).unwrap_or_default();
        match field.name() {
            "message" => text.clone_into(&mut self.message),
            _ => self.put(field, text.into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_does_not_hear_itself() {
        for (target, level, expected) in [
            ("conch::jobs", Level::INFO, true),
            ("conch::jobs", Level::DEBUG, false),
            ("conch", Level::ERROR, true),
            ("conch::logs::keeper", Level::ERROR, false),
            ("conch::http::middleware::log", Level::ERROR, false),
            ("conch::http::middleware", Level::ERROR, true),
            ("hyper", Level::INFO, false),
            ("rustls", Level::WARN, true),
            ("actix_http::h1", Level::ERROR, false),
        ] {
            assert_eq!(targets().would_enable(target, &level), expected, "{target} {level}");
        }
    }
}
