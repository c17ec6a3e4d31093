//! The bounded queue before the thread that writes. Whoever tells something takes a lock for an instant, and wakes the
//! thread only when there is reason: for the first entry, for a full batch, for an order.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Event, Request, entry::Pile};
use crate::error::Result;

/// Entries that are worth a transaction: more than PocketBase's (§6.1), because pages of indexes that two rows have in
/// common are then written once.
const BATCH: usize = 2000;
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
    /// Removes the oldest rows while there are too many.
    KeepSmall,
    Optimize(Reply),
}

type Reply = oneshot::Sender<Result<()>>;

/// What the thread is to do next.
#[derive(Default)]
pub(super) struct Batch {
    pub pile: Pile,
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
    /// Something was refused since the thread was here last, or it will not come again. Saves those whom it refuses the
    /// lock.
    full: AtomicBool,
}

#[derive(Default)]
struct State {
    pile: Pile,
    /// When the first of them came.
    since: Option<Instant>,
    orders: Vec<Order>,
    closed: bool,
}

impl Queue {
    /// False when it has to be dropped.
    pub(super) fn push_event(&self, event: Event) -> bool {
        let event = Box::new(event);
        self.push(move |pile| pile.add_event(event))
    }

    /// False when it has to be dropped.
    pub(super) fn push_request(&self, request: Request<'_>) -> bool {
        self.push(move |pile| pile.add_request(request))
    }

    fn push(&self, add: impl FnOnce(&mut Pile)) -> bool {
        if self.full.load(Relaxed) {
            return false;
        }
        let mut state = self.state.lock();
        if state.closed || state.pile.entries.len() >= MAX_ENTRIES || state.pile.weight() > MAX_BYTES {
            self.full.store(true, Relaxed);
            return false;
        }
        add(&mut state.pile);
        let count = state.pile.entries.len();
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
        self.state.lock().pile.entries.len() as u64
    }

    /// Whoever waits for an order is told that it will not be done.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.woken.notify_one();
    }

    /// Waits until there is something to do and moves it to `batch`, whose own pile is used again.
    pub(super) fn take(&self, batch: &mut Batch) {
        batch.pile.clear();
        let mut state = self.state.lock();
        loop {
            let waited = state.since.map(|since| since.elapsed());
            let due = state.pile.entries.len() >= BATCH || waited.is_some_and(|waited| waited >= WAIT);
            if due || state.closed || !state.orders.is_empty() {
                break;
            }
            match waited {
                Some(waited) => drop(self.woken.wait_for(&mut state, WAIT.saturating_sub(waited))),
                None => self.woken.wait(&mut state),
            }
        }
        std::mem::swap(&mut batch.pile, &mut state.pile);
        batch.orders = std::mem::take(&mut state.orders);
        batch.last = state.closed;
        state.since = None;
        self.full.store(state.closed, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, logs::INFO};

    fn push(queue: &Queue, text: &str) -> bool {
        queue.push_event(Event::new(Timestamp(0), INFO, text.to_owned(), serde_json::Map::new(), None))
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let queue = Queue::default();
        for _ in 0..MAX_ENTRIES {
            assert!(push(&queue, ""));
        }
        assert!(!push(&queue, ""));
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert_eq!(batch.pile.entries.len(), MAX_ENTRIES);
        let large = "x".repeat(1 << 20);
        let taken = (0..100).filter(|_| push(&queue, &large)).count();
        assert_eq!(taken, MAX_BYTES >> 20, "an entry weighs more than its text");
    }

    #[test]
    fn an_order_comes_after_what_was_told_before_it() {
        let queue = Queue::default();
        push(&queue, "a");
        let (reply, _) = oneshot::channel();
        queue.order(Order::Write(reply));
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert_eq!((batch.pile.entries.len(), batch.orders.len(), batch.last), (1, 1, false));
        queue.close();
        assert!(!push(&queue, "late"));
        queue.take(&mut batch);
        assert_eq!((batch.pile.entries.len(), batch.last), (0, true));
        assert!(!push(&queue, "later"));
    }
}
