//! One connected client: what waits to be sent to it, and how much of that may be.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::measure::Counter;

/// A client that has so much unsent is dropped, to come back and resume.
const MAX_WAITING_BYTES: usize = 4 << 20;
const MAX_WAITING: usize = 16_384;
/// What waits at all clients together. Who waits for more than [`FREE`] when there is more of it is dropped.
const MAX_BACKLOG: usize = 256 << 20;
/// Bytes of one client that are not counted there: most wait for nothing, or for a moment.
const FREE: usize = 64 << 10;
/// Live events of one client that wait in memory for the end of a replay, in bytes. Beyond it the log keeps them.
const MAX_HELD: usize = 256 << 10;
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
    backlog: Arc<Backlog>,
    waker: AtomicWaker,
    over: AtomicBool,
    /// Wants the number of each change.
    numbered: AtomicBool,
    /// Subscriptions were replaced so many times.
    subscribed: AtomicUsize,
}

#[derive(Default)]
struct Outbox {
    waiting: VecDeque<Arc<Event>>,
    /// Live events while the past is still being told.
    held: Option<Vec<Arc<Event>>>,
    /// Of those, as they will be sent.
    held_bytes: usize,
    /// Of both, as they will be sent.
    bytes: usize,
    /// Of both, each divided among those who wait for it.
    share: usize,
    /// Of `share`, what the backlog knows of.
    counted: usize,
    /// Live events up to this number come from the log instead.
    floor: u64,
}

/// What waits at all clients together.
#[derive(Default)]
pub struct Backlog {
    /// In bytes.
    waiting: AtomicUsize,
    /// Clients that did not keep up and were dropped, since the start.
    dropped: Counter,
}

impl Backlog {
    pub fn bytes(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

/// One event on its way, shared by all who are told it under the same topic. Its frame lacks only the client's id.
#[derive(Debug)]
pub struct Event {
    /// The change that it tells of; 0 if it is none.
    seq: u64,
    /// All after the id (§1).
    frame: Box<[u8]>,
    /// What it costs each of those who wait for it.
    share: usize,
}

impl Event {
    /// `data` is one line of JSON in pieces; `sharers` clients are sent the event.
    pub fn new(seq: u64, topic: &str, data: &[&[u8]], sharers: usize) -> Arc<Self> {
        let mut frame = Vec::with_capacity(17 + topic.len() + data.iter().map(|part| part.len()).sum::<usize>());
        for part in [&[&b"\nevent:"[..], topic.as_bytes(), b"\ndata:"], data, &[b"\n\n"]].concat() {
            frame.extend_from_slice(part);
        }
        let share = size_of::<Arc<Self>>() + frame.len() / sharers.max(1);
        Arc::new(Self { seq, frame: frame.into(), share })
    }
}

impl Outbox {
    fn take(&mut self, event: &Event) {
        self.bytes += event.frame.len();
        self.share += event.share;
    }

    fn give(&mut self, event: &Event) {
        self.bytes -= event.frame.len();
        self.share -= event.share;
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.held.as_ref().map_or(0, Vec::len)
    }

    /// Holds a live event. What is too much to be held is let go of, and then comes from the log like all before it:
    /// held events wait for the replay, so the replay must not wait for room that they take.
    fn hold(&mut self, event: Arc<Event>) {
        let Some(held) = &mut self.held else { return };
        self.held_bytes += event.frame.len();
        let seq = event.seq;
        held.push(event);
        if self.held_bytes > MAX_HELD {
            for event in std::mem::take(held) {
                self.give(&event);
            }
            self.held_bytes = 0;
            self.floor = seq;
        }
    }

    /// Tells the backlog what is above the free part; in steps, as all clients share that one counter.
    fn count(&mut self, backlog: &Backlog) {
        let share = self.share.saturating_sub(FREE);
        if share > self.counted + FREE / 4 || share + FREE / 4 < self.counted || share == 0 && self.counted > 0 {
            backlog.waiting.fetch_add(share, Ordering::Relaxed);
            backlog.waiting.fetch_sub(self.counted, Ordering::Relaxed);
            self.counted = share;
        }
    }
}

impl Client {
    pub fn new(id: ClientId, address: IpAddr, backlog: Arc<Backlog>) -> Self {
        Self {
            id,
            address,
            outbox: Mutex::default(),
            backlog,
            waker: AtomicWaker::new(),
            over: AtomicBool::new(false),
            numbered: AtomicBool::new(false),
            subscribed: AtomicUsize::new(0),
        }
    }

    /// Queues a live event. A client that cannot keep up is ended: what it missed is in the log.
    pub fn send(&self, event: Arc<Event>) {
        self.push(event, true);
    }

    /// Queues an event of the past, before the live ones that are held.
    pub fn send_past(&self, event: Arc<Event>) {
        self.push(event, false);
    }

    fn push(&self, event: Arc<Event>, live: bool) {
        let mut outbox = self.outbox.lock();
        // Under the lock, as whoever ends the stream empties the outbox.
        if self.is_over() || live && event.seq != 0 && event.seq <= outbox.floor {
            return;
        }
        outbox.take(&event);
        match outbox.held {
            Some(_) if live && event.seq != 0 && self.is_numbered() => outbox.hold(event),
            _ => outbox.waiting.push_back(event),
        }
        outbox.count(&self.backlog);
        let too_much = outbox.bytes > MAX_WAITING_BYTES
            || outbox.len() > MAX_WAITING
            || outbox.counted > 0 && self.backlog.waiting.load(Ordering::Relaxed) > MAX_BACKLOG;
        drop(outbox);
        if too_much {
            self.backlog.dropped.add(1);
            tracing::debug!(client = &*self.id, "a realtime client does not keep up and is dropped");
            return self.end_at_once();
        }
        self.waker.wake();
    }

    /// From now on events up to `floor` come from the log, and live ones wait. Whoever holds a client releases it
    /// ([`super::replay::Hold`]).
    pub fn hold(&self, floor: u64) {
        let mut outbox = self.outbox.lock();
        outbox.held.get_or_insert_default();
        outbox.floor = floor;
        // What was told but not yet sent would be told twice.
        let told: Vec<_> = outbox.waiting.iter().filter(|event| event.seq != 0).cloned().collect();
        told.iter().for_each(|event| outbox.give(event));
        outbox.waiting.retain(|event| event.seq == 0);
        outbox.count(&self.backlog);
    }

    pub fn is_held(&self) -> bool {
        self.outbox.lock().held.is_some()
    }

    /// Live events go on after the changes up to `told`. If more than those have to come from the log, nothing happens,
    /// and the number is returned up to which they do.
    pub fn release(&self, told: u64) -> Result<(), u64> {
        let mut outbox = self.outbox.lock();
        if outbox.held.is_some() && outbox.floor > told {
            return Err(outbox.floor);
        }
        let held = outbox.held.take().unwrap_or_default();
        outbox.held_bytes = 0;
        outbox.waiting.extend(held);
        drop(outbox);
        self.waker.wake();
        Ok(())
    }

    pub fn is_numbered(&self) -> bool {
        self.numbered.load(Ordering::Acquire)
    }

    /// Counts the replacements of its subscriptions: whatever was under way for the old ones is void. From now on events
    /// carry their numbers, or no longer; who does not count does not wait for the past.
    pub fn subscribe(&self, numbered: bool) {
        let mut outbox = self.outbox.lock();
        self.numbered.store(numbered, Ordering::Release);
        if !numbered && let Some(held) = &mut outbox.held {
            let held = std::mem::take(held);
            outbox.held_bytes = 0;
            outbox.waiting.extend(held);
        }
        drop(outbox);
        self.waker.wake();
        self.subscribed.fetch_add(1, Ordering::AcqRel);
    }

    pub fn subscribed(&self) -> usize {
        self.subscribed.load(Ordering::Acquire)
    }

    /// Ends the stream after what is queued; what is held, the client never hears of.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ends the stream without what is queued.
    pub fn end_at_once(&self) {
        let mut outbox = self.outbox.lock();
        self.over.store(true, Ordering::Release);
        self.empty(&mut outbox);
        drop(outbox);
        self.waker.wake();
    }

    fn empty(&self, outbox: &mut Outbox) {
        self.backlog.waiting.fetch_sub(outbox.counted, Ordering::Relaxed);
        *outbox = Outbox::default();
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether there is much that its connection could take now; a replay waits until there is not. What is held is
    /// no part of it.
    pub fn is_crowded(&self) -> bool {
        let outbox = self.outbox.lock();
        outbox.bytes - outbox.held_bytes > MAX_WAITING_BYTES / 16 || outbox.waiting.len() > MAX_WAITING / 4
    }

    /// The next piece of the stream; `None` when it has ended.
    pub fn poll(&self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        self.waker.register(context.waker());
        let mut outbox = self.outbox.lock();
        if outbox.waiting.is_empty() {
            return if self.is_over() { Poll::Ready(None) } else { Poll::Pending };
        }
        let name = [b"id:", self.id.as_bytes()].concat();
        let expected = outbox.bytes + name.len() * outbox.waiting.len();
        let mut piece = BytesMut::with_capacity(expected.min(PIECE + PIECE / 16));
        while piece.len() < PIECE
            && let Some(event) = outbox.waiting.pop_front()
        {
            outbox.give(&event);
            piece.extend_from_slice(&name);
            piece.extend_from_slice(&event.frame);
        }
        outbox.count(&self.backlog);
        if outbox.waiting.is_empty() {
            // An idle client keeps no memory.
            outbox.waiting = VecDeque::new();
        }
        Poll::Ready(Some(piece.freeze()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.backlog.waiting.fetch_sub(self.outbox.get_mut().counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, task::Waker};

    use super::*;

    fn client() -> Client {
        client_of(&Arc::default())
    }

    fn client_of(backlog: &Arc<Backlog>) -> Client {
        Client::new("me".into(), Ipv4Addr::LOCALHOST.into(), backlog.clone())
    }

    fn event(data: &str) -> Arc<Event> {
        Event::new(0, "demo/*", &[data.as_bytes()], 1)
    }

    fn change(seq: u64) -> Arc<Event> {
        Event::new(seq, "demo/*", &[seq.to_string().as_bytes()], 1)
    }

    fn poll(client: &Client) -> Poll<Option<Bytes>> {
        client.poll(&Context::from_waker(Waker::noop()))
    }

    /// The data of everything that is sent now.
    fn sent(client: &Client) -> Vec<String> {
        let mut text = String::new();
        while let Poll::Ready(Some(piece)) = poll(client) {
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::to_owned).collect()
    }

    #[test]
    fn frames_have_three_lines() {
        let client = client();
        assert!(poll(&client).is_pending());
        client.send(event("{}"));
        client.send(event("[1]"));
        let expected = "id:me\nevent:demo/*\ndata:{}\n\nid:me\nevent:demo/*\ndata:[1]\n\n";
        assert_eq!(poll(&client), Poll::Ready(Some(Bytes::from_static(expected.as_bytes()))));
        client.send(event("{}"));
        client.end();
        assert!(matches!(poll(&client), Poll::Ready(Some(_))));
        assert_eq!(poll(&client), Poll::Ready(None));
    }

    #[test]
    fn who_does_not_keep_up_is_dropped_and_holds_nothing() {
        for (size, count) in [(MAX_WAITING_BYTES / 4, 5), (2, MAX_WAITING + 1)] {
            let backlog = Arc::default();
            let client = client_of(&backlog);
            for _ in 0..count {
                client.send(event(&"x".repeat(size)));
            }
            assert!(client.is_over());
            assert_eq!(poll(&client), Poll::Ready(None));
            client.send(event("late"));
            assert_eq!(client.outbox.lock().bytes, 0);
            assert_eq!(backlog.waiting.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn all_who_do_not_keep_up_share_one_bound() {
        let backlog = Arc::default();
        let clients: Vec<_> = (0..200).map(|_| client_of(&backlog)).collect();
        let idle = client_of(&backlog);
        let big = event(&"x".repeat(3 << 20));
        for client in &clients {
            client.send(big.clone());
            assert!(backlog.waiting.load(Ordering::Relaxed) <= MAX_BACKLOG);
        }
        let dropped = clients.iter().filter(|client| client.is_over()).count();
        assert!((50..150).contains(&dropped), "{dropped}");
        idle.send(event("small"));
        assert!(!idle.is_over());
        drop(clients);
        assert_eq!(backlog.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_event_for_many_costs_each_of_them_little() {
        let backlog = Arc::default();
        let clients: Vec<_> = (0..1000).map(|_| client_of(&backlog)).collect();
        for _ in 0..20 {
            let shared = Event::new(1, "demo/*", &["x".repeat(100 << 10).as_bytes()], clients.len());
            clients.iter().for_each(|client| client.send(shared.clone()));
        }
        assert!(clients.iter().all(|client| !client.is_over()));
    }

    #[test]
    fn the_past_comes_first_and_nothing_twice() {
        let client = client();
        client.send(change(4));
        client.send(event("signal"));
        client.subscribe(true);
        client.hold(5);
        // A change that the hub was telling meanwhile, and later ones.
        for seq in [5, 6, 7] {
            client.send(change(seq));
        }
        for seq in [3, 4, 5] {
            client.send_past(change(seq));
        }
        assert_eq!(sent(&client), ["signal", "3", "4", "5"]);
        assert_eq!(client.release(5), Ok(()));
        client.send(change(8));
        assert_eq!(sent(&client), ["6", "7", "8"]);
    }

    #[test]
    fn who_no_longer_counts_waits_for_nothing() {
        let client = client();
        client.subscribe(true);
        client.hold(5);
        client.send(change(6));
        client.subscribe(false);
        assert!(client.is_held() && !client.is_numbered(), "the replay has not ended yet");
        client.send(Event::new(7, "demo/*", &["x".repeat(MAX_HELD + 1).as_bytes()], 1));
        client.send(change(8));
        assert_eq!(sent(&client).len(), 3);
    }

    #[test]
    fn what_is_too_much_to_be_held_comes_from_the_log() {
        let big = |seq| Event::new(seq, "demo/*", &["x".repeat(MAX_HELD / 4).as_bytes()], 1);
        let backlog = Arc::default();
        let client = client_of(&backlog);
        client.subscribe(true);
        client.hold(5);
        for seq in 6..100 {
            client.send(big(seq));
            let outbox = client.outbox.lock();
            assert!(outbox.held_bytes <= MAX_HELD && outbox.bytes == outbox.held_bytes, "{seq}");
        }
        assert!(!client.is_crowded() && !client.is_over());
        let floor = client.release(5).unwrap_err();
        assert!((90..100).contains(&floor) && client.is_held());
        // Another topic of the change at which they were let go of.
        client.send(change(floor));
        client.send_past(change(floor));
        assert_eq!(client.release(floor - 1), Err(floor));
        assert_eq!(client.release(floor), Ok(()));
        let expected = 1 + usize::try_from(99 - floor).unwrap();
        assert_eq!(sent(&client).len(), expected);
        assert_eq!((client.outbox.lock().bytes, backlog.waiting.load(Ordering::Relaxed)), (0, 0));
        assert_eq!(client.release(0), Ok(()), "it is not held any more");
    }
}
