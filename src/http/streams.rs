//! Requests that come at once on one HTTP/2 connection. actix puts no limit on them, nor on the size of their heads;
//! on HTTP/1.1 there is one at a time, and its head is bounded.

use std::{cell::Cell, rc::Rc};

use actix_web::{HttpRequest, HttpResponse, dev::Extensions};

use crate::error::{Error, Kind, Result};

/// Requests of one connection that are answered at once, streams that stay open among them. Browsers ask for a hundred.
const AT_ONCE: u32 = 256;
/// Header lines, and bytes of them, as on HTTP/1.1.
const HEADERS: usize = 96;
const HEADER_BYTES: usize = 128 << 10;

/// The requests of one connection that are being answered.
#[derive(Clone, Default)]
struct Count(Rc<Cell<u32>>);

/// One of them.
pub struct Turn(Count);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

impl Turn {
    /// Ends with the response: its body may be sent long after its head.
    pub fn lasts_with(self, response: &mut HttpResponse) {
        // Lives in the head, which the connection drops after the body.
        response.extensions_mut().insert(self);
    }
}

/// Bytes of memory in the answers of one connection that its client has not taken yet.
#[derive(Clone, Default)]
pub struct Held(Rc<Cell<u64>>);

impl Held {
    pub fn bytes(&self) -> u64 {
        self.0.get()
    }

    /// One more answer, for as long as what is returned lives.
    pub fn with(&self, bytes: u64) -> Share {
        self.0.set(self.0.get() + bytes);
        Share { held: self.clone(), bytes }
    }
}

/// One answer's part of it.
pub struct Share {
    held: Held,
    bytes: u64,
}

impl Share {
    /// What all answers of its connection hold together.
    pub fn of_all(&self) -> &Held {
        &self.held
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.0.set(self.held.0.get() - self.bytes);
    }
}

/// Begins to count the requests of a connection, and what they hold.
pub fn note(extensions: &mut Extensions) {
    extensions.insert(Count::default());
    extensions.insert(Held::default());
}

/// What the answers of a request's connection hold; `None` on one that has no streams.
pub fn held(http: &HttpRequest) -> Option<Held> {
    http.conn_data::<Held>().cloned()
}

/// Whether one more request of its connection is answered.
pub fn enter(http: &HttpRequest) -> Result<Turn> {
    let headers = http.headers();
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    let target = http.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if headers.len() > HEADERS || bytes + target > HEADER_BYTES {
        return Err(Error::new(Kind::TooLarge, "The head of the request is too large."));
    }
    let count = http.conn_data::<Count>().cloned().unwrap_or_default();
    if count.0.get() >= AT_ONCE {
        return Err(Error::new(Kind::TooMany, "Too many requests at once on one connection. Wait for some answers."));
    }
    count.0.set(count.0.get() + 1);
    Ok(Turn(count))
}
