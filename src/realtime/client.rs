//! One connected client: its identity, what it listens to, and what waits to be sent to it.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// A client that has so much unsent is dropped, to come back and resume.
const MAX_WAITING_BYTES: usize = 1 << 20;
const MAX_WAITING: usize = 4096;
/// Frames are handed to the connection in pieces of about this size.
const PIECE: usize = 64 << 10;

/// The name that a client is known by; unguessable, as it is a guest's only credential (§1).
pub type ClientId = Arc<str>;

/// The sending half of a connection.
pub struct Client {
    pub id: ClientId,
    /// Where the stream was opened from; subscriptions have to come from there, too (§2).
    pub address: IpAddr,
    outbox: Mutex<Outbox>,
    waker: AtomicWaker,
    over: AtomicBool,
    /// Wants the number of each change.
    numbered: AtomicBool,
}

#[derive(Default)]
struct Outbox {
    waiting: VecDeque<Event>,
    /// Live events while the past is still being told.
    held: Option<Vec<Event>>,
    /// Of both.
    bytes: usize,
}

/// One event on its way: the topic as the client wrote it, and a line of JSON that others may share.
#[derive(Debug, Clone)]
pub struct Event {
    pub topic: Arc<str>,
    pub data: Bytes,
}

impl Event {
    /// Bytes, roughly.
    fn weight(&self) -> usize {
        self.data.len() + self.topic.len()
    }
}

impl Client {
    pub fn new(id: ClientId, address: IpAddr) -> Self {
        Self {
            id,
            address,
            outbox: Mutex::default(),
            waker: AtomicWaker::new(),
            over: AtomicBool::new(false),
            numbered: AtomicBool::new(false),
        }
    }

    /// Queues live events. A client that cannot keep up is ended: what it missed is in the log.
    pub fn send(&self, events: impl IntoIterator<Item = Event>) {
        self.push(events, true);
    }

    /// Queues events of the past, before the live ones that are held.
    pub fn send_past(&self, events: impl IntoIterator<Item = Event>) {
        self.push(events, false);
    }

    fn push(&self, events: impl IntoIterator<Item = Event>, live: bool) {
        if self.is_over() {
            return;
        }
        let mut outbox = self.outbox.lock();
        for event in events {
            outbox.bytes += event.weight();
            match &mut outbox.held {
                Some(held) if live => held.push(event),
                _ => outbox.waiting.push_back(event),
            }
        }
        let waiting = outbox.waiting.len() + outbox.held.as_ref().map_or(0, Vec::len);
        let too_much = outbox.bytes > MAX_WAITING_BYTES || waiting > MAX_WAITING;
        drop(outbox);
        if too_much {
            tracing::debug!(client = &*self.id, "a realtime client does not keep up and is dropped");
            return self.end_at_once();
        }
        self.waker.wake();
    }

    /// Live events wait from now on.
    pub fn hold(&self) {
        self.outbox.lock().held.get_or_insert_default();
    }

    pub fn is_held(&self) -> bool {
        self.outbox.lock().held.is_some()
    }

    /// Live events go on.
    pub fn release(&self) {
        let mut outbox = self.outbox.lock();
        let held = outbox.held.take().unwrap_or_default();
        outbox.waiting.extend(held);
        drop(outbox);
        self.waker.wake();
    }

    /// From now on events carry their numbers.
    pub fn number(&self) {
        self.numbered.store(true, Ordering::Release);
    }

    pub fn is_numbered(&self) -> bool {
        self.numbered.load(Ordering::Acquire)
    }

    /// Ends the stream after what is queued.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ends the stream without what is queued.
    pub fn end_at_once(&self) {
        self.over.store(true, Ordering::Release);
        *self.outbox.lock() = Outbox::default();
        self.waker.wake();
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether more would be dropped rather than sent; a replay waits until it would not.
    pub fn is_crowded(&self) -> bool {
        let outbox = self.outbox.lock();
        outbox.bytes > MAX_WAITING_BYTES / 4 || outbox.waiting.len() > MAX_WAITING / 4
    }

    /// The next piece of the stream; `None` when it has ended.
    pub fn poll(&self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        self.waker.register(context.waker());
        let mut outbox = self.outbox.lock();
        if outbox.waiting.is_empty() {
            return if self.is_over() { Poll::Ready(None) } else { Poll::Pending };
        }
        let mut piece = BytesMut::with_capacity((outbox.bytes + 64 * outbox.waiting.len()).min(PIECE + 4096));
        while piece.len() < PIECE
            && let Some(event) = outbox.waiting.pop_front()
        {
            outbox.bytes -= event.weight();
            self.frame(&event, &mut piece);
        }
        if outbox.waiting.is_empty() {
            // An idle client keeps no memory.
            outbox.waiting = VecDeque::new();
        }
        Poll::Ready(Some(piece.freeze()))
    }

    /// Exactly three lines and a blank one (§1).
    fn frame(&self, event: &Event, out: &mut BytesMut) {
        for part in [b"id:", self.id.as_bytes(), b"\nevent:", event.topic.as_bytes(), b"\ndata:", &*event.data, b"\n\n"]
        {
            out.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, task::Waker};

    use super::*;

    fn client() -> Client {
        Client::new("me".into(), Ipv4Addr::LOCALHOST.into())
    }

    fn event(data: &str) -> Event {
        Event { topic: "demo/*".into(), data: Bytes::copy_from_slice(data.as_bytes()) }
    }

    fn poll(client: &Client) -> Poll<Option<Bytes>> {
        client.poll(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn frames_have_three_lines() {
        let client = client();
        assert!(poll(&client).is_pending());
        client.send([event("{}"), event("[1]")]);
        let expected = "id:me\nevent:demo/*\ndata:{}\n\nid:me\nevent:demo/*\ndata:[1]\n\n";
        assert_eq!(poll(&client), Poll::Ready(Some(Bytes::from_static(expected.as_bytes()))));
        client.send([event("{}")]);
        client.end();
        assert!(matches!(poll(&client), Poll::Ready(Some(_))));
        assert_eq!(poll(&client), Poll::Ready(None));
    }

    #[test]
    fn who_does_not_keep_up_is_dropped_and_holds_nothing() {
        for (size, count) in [(MAX_WAITING_BYTES / 4, 5), (2, MAX_WAITING + 1)] {
            let client = client();
            for _ in 0..count {
                client.send([event(&"x".repeat(size))]);
            }
            assert!(client.is_over());
            assert_eq!(poll(&client), Poll::Ready(None));
            client.send([event("late")]);
            assert_eq!(client.outbox.lock().bytes, 0);
        }
    }
}
