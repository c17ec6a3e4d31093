//! What the log is told, kept small until the thread that writes makes a row of it.
//!
//! Whoever tells of a request has it copied and nothing more: its texts go one after the other into memory that is used
//! again and again, so telling allocates nothing and the thread frees nothing.

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

use super::{ERROR, INFO, RequestNumber};
use crate::clock::Timestamp;

/// Longer request targets, and longer other texts, are cut (`docs/wire/services.md` §6.3).
const MAX_URL: usize = 3000;
const MAX_TEXT: usize = 2000;
/// Method, target, referer, agent, collection and id of who asks.
const TEXTS: usize = 6;

/// A finished request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its end.
    pub at: Timestamp,
    pub took: Duration,
    pub number: RequestNumber,
    pub status: u16,
    pub method: &'a str,
    pub target: &'a str,
    /// These headers are blank where there were none.
    pub referer: &'a [u8],
    pub agent: &'a [u8],
    pub who: Option<&'a Who>,
    pub addresses: Option<Addresses>,
    pub failure: Option<Failure>,
}

/// Who asked, when it was somebody.
#[derive(Debug, Clone)]
pub struct Who {
    pub collection: Arc<str>,
    /// When the policy wants it.
    pub id: Option<Arc<str>>,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Behind trusted proxies.
    pub client: IpAddr,
    /// The other end of the connection.
    pub peer: IpAddr,
}

/// Why a request failed.
#[derive(Debug)]
pub struct Failure {
    /// What the client was told.
    pub message: String,
    /// What it was not: a text, or texts by field.
    pub details: Json,
}

/// Something that happened.
#[derive(Debug)]
pub struct Event {
    pub(super) at: Timestamp,
    pub(super) level: i64,
    pub(super) message: String,
    /// Its keys are sorted.
    pub(super) data: Map<String, Json>,
    weight: usize,
}

/// One row to be.
#[derive(Debug)]
pub(super) enum Entry {
    Request(Kept),
    Event(Box<Event>),
}

/// A request whose texts lie in its [`Pile`].
#[derive(Debug)]
pub(super) struct Kept {
    pub at: Timestamp,
    pub took: Duration,
    pub number: RequestNumber,
    pub status: u16,
    pub addresses: Option<Addresses>,
    pub failure: Option<Box<Failure>>,
    start: usize,
    lengths: [u16; TEXTS],
}

/// The texts of a request.
#[derive(Debug, Default)]
pub(super) struct Texts<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub referer: &'a str,
    pub agent: &'a str,
    pub collection: &'a str,
    pub id: &'a str,
}

/// Entries in the order in which they were told, with their texts.
#[derive(Debug, Default)]
pub(super) struct Pile {
    pub entries: Vec<Entry>,
    texts: String,
    /// What the rest of them takes up.
    beside: usize,
}

impl Event {
    /// With what is known of it under names, and the request that it happened in.
    pub fn new(
        at: Timestamp,
        level: i64,
        message: String,
        mut data: Map<String, Json>,
        number: Option<RequestNumber>,
    ) -> Self {
        if let Some(number) = number {
            data.insert("requestId".to_owned(), number.to_string().into());
        }
        data.sort_keys();
        let texts = data.iter().map(|(key, value)| key.len() + value.as_str().map_or(16, str::len) + 64);
        let weight = size_of::<Self>() + message.len() + texts.sum::<usize>();
        Self { at, level, message, data, weight }
    }

    pub(super) fn level(&self) -> i64 {
        self.level
    }
}

impl Request<'_> {
    pub(super) fn level(&self) -> i64 {
        if self.failure.is_some() { ERROR } else { INFO }
    }
}

impl Entry {
    pub(super) fn level(&self) -> i64 {
        match self {
            Self::Request(kept) if kept.failure.is_some() => ERROR,
            Self::Request(_) => INFO,
            Self::Event(event) => event.level,
        }
    }

    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Request(kept) => kept.at,
            Self::Event(event) => event.at,
        }
    }
}

impl Pile {
    /// Roughly its bytes in memory.
    pub(super) fn weight(&self) -> usize {
        self.entries.len() * size_of::<Entry>() + self.texts.len() + self.beside
    }

    pub(super) fn add_event(&mut self, event: Box<Event>) {
        self.beside += event.weight;
        self.entries.push(Entry::Event(event));
    }

    pub(super) fn add_request(&mut self, request: Request<'_>) {
        let start = self.texts.len();
        let (referer, agent) = (String::from_utf8_lossy(request.referer), String::from_utf8_lossy(request.agent));
        let collection = request.who.map_or("", |who| &who.collection);
        let id = request.who.and_then(|who| who.id.as_deref()).unwrap_or_default();
        let texts = [request.method, request.target, &referer, &agent, collection, id];
        let mut lengths = [0; TEXTS];
        for (place, (text, length)) in texts.into_iter().zip(&mut lengths).enumerate() {
            *length = self.add_text(text, if place == 1 { MAX_URL } else { MAX_TEXT });
        }
        let failure = request.failure.map(Box::new);
        self.beside += failure.as_deref().map_or(0, |failure| 256 + 2 * failure.message.len());
        let Request { at, took, number, status, addresses, .. } = request;
        self.entries.push(Entry::Request(Kept { at, took, number, status, addresses, failure, start, lengths }));
    }

    /// At most `max` bytes of it, and what says that there were more.
    fn add_text(&mut self, text: &str, max: usize) -> u16 {
        let before = self.texts.len();
        if text.len() <= max {
            self.texts.push_str(text);
        } else {
            self.texts.push_str(&text[..text.floor_char_boundary(max)]);
            self.texts.push_str("...");
        }
        u16::try_from(self.texts.len() - before).expect("it was cut")
    }

    pub(super) fn texts(&self, kept: &Kept) -> Texts<'_> {
        let mut rest = self.texts.get(kept.start..).unwrap_or_default();
        let mut next = kept.lengths.iter().map(|&length| {
            let (text, after) = rest.split_at_checked(length.into()).unwrap_or_default();
            rest = after;
            text
        });
        let [method, target, referer, agent, collection, id] = std::array::from_fn(|_| next.next().unwrap_or_default());
        Texts { method, target, referer, agent, collection, id }
    }

    /// Its memory is used again, unless it was an unusual lot.
    pub(super) fn clear(&mut self) {
        /// Entries, and bytes of texts.
        const USUAL: (usize, usize) = (8 << 10, 1 << 20);
        let unusual = self.entries.capacity() > 2 * USUAL.0 || self.texts.capacity() > 2 * USUAL.1;
        let small = self.entries.len() <= USUAL.0 && self.texts.len() <= USUAL.1;
        self.entries.clear();
        self.texts.clear();
        self.beside = 0;
        if unusual && small {
            self.entries.shrink_to(USUAL.0);
            self.texts.shrink_to(USUAL.1);
        }
    }
}
