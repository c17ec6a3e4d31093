//! The bounded queue before the thread that writes. Whoever tells something takes a lock for an instant, and wakes the
//! thread only when there is reason: for the first entry, for a full batch, for an order.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::Entry;
use crate::error::Result;

/// Entries that are worth a transaction (§6.1).
const BATCH: usize = 200;
/// Fewer are written when the first of them has waited so long (§6.1).
const WAIT: Duration = Duration::from_secs(3);
/// Entries that may wait, and what they may weigh together, in bytes.
const MAX_ENTRIES: usize = 20_000;
const MAX_BYTES: usize = 16 << 20;

/// Something to be done between two batches, and whom to tell that it is done.
pub(super) enum Order {
    /// Write what waits.
    Write(Reply),
    Truncate(Reply),
    CleanUp(Option<Reply>),
    Optimize(Reply),
}

type Reply = oneshot::Sender<Result<()>>;

/// What the thread is to do next.
#[derive(Default)]
pub(super) struct Batch {
    pub entries: Vec<Entry>,
    /// For after the entries.
    pub orders: Vec<Order>,
    /// Nothing comes after it.
    pub last: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    /// Held for a push or an exchange, never while anything is written.
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    bytes: usize,
    /// When the first of them came.
    since: Option<Instant>,
    orders: Vec<Order>,
    closed: bool,
}

impl Queue {
    /// False when the entry has to be dropped.
    pub(super) fn push(&self, entry: Entry) -> bool {
        let weight = entry.weight();
        let mut state = self.state.lock();
        if state.closed || state.entries.len() >= MAX_ENTRIES || state.bytes + weight > MAX_BYTES {
            return false;
        }
        state.entries.push(entry);
        state.bytes += weight;
        let count = state.entries.len();
        if count == 1 {
            state.since = Some(Instant::now());
        }
        drop(state);
        if count == 1 || count == BATCH {
            self.woken.notify_one();
        }
        true
    }

    pub(super) fn order(&self, order: Order) {
        let mut state = self.state.lock();
        if !state.closed {
            state.orders.push(order);
        }
        drop(state);
        self.woken.notify_one();
    }

    pub(super) fn waiting(&self) -> u64 {
        self.state.lock().entries.len() as u64
    }

    /// Whoever waits for an order is told that it will not be done.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.woken.notify_one();
    }

    /// Waits until there is something to do and moves it to `batch`, whose own list of entries is used again.
    pub(super) fn take(&self, batch: &mut Batch) {
        let mut state = self.state.lock();
        loop {
            let waited = state.since.map(|since| since.elapsed());
            let due = state.entries.len() >= BATCH || waited.is_some_and(|waited| waited >= WAIT);
            if due || state.closed || !state.orders.is_empty() {
                break;
            }
            match waited {
                Some(waited) => drop(self.woken.wait_for(&mut state, WAIT.saturating_sub(waited))),
                None => self.woken.wait(&mut state),
            }
        }
        batch.entries.clear();
        std::mem::swap(&mut batch.entries, &mut state.entries);
        batch.orders = std::mem::take(&mut state.orders);
        batch.last = state.closed;
        state.bytes = 0;
        state.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, logs::INFO};

    fn entry(text: &str) -> Entry {
        Entry::event(Timestamp(0), INFO, text.to_owned(), serde_json::Map::new(), None)
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let queue = Queue::default();
        for _ in 0..MAX_ENTRIES {
            assert!(queue.push(entry("")));
        }
        assert!(!queue.push(entry("")));
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert_eq!(batch.entries.len(), MAX_ENTRIES);
        let large = "x".repeat(1 << 20);
        let taken = (0..100).filter(|_| queue.push(entry(&large))).count();
        assert_eq!(taken, (MAX_BYTES >> 20) - 1, "an entry weighs more than its text");
    }

    #[test]
    fn an_order_comes_after_what_was_told_before_it() {
        let queue = Queue::default();
        queue.push(entry("a"));
        let (reply, _) = oneshot::channel();
        queue.order(Order::Write(reply));
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert_eq!((batch.entries.len(), batch.orders.len(), batch.last), (1, 1, false));
        queue.close();
        assert!(!queue.push(entry("late")));
        queue.take(&mut batch);
        assert_eq!((batch.entries.len(), batch.last), (0, true));
    }
}
