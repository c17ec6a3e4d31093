//! How long a connection's statements may run: SQLite asks a [`Meter`] every thousand virtual machine steps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::Connection;

/// Steps between two looks at the clock: about 10–20 µs of work.
const STEPS: i32 = 1000;
/// An inline read that did less work than this was not slow, its thread was not scheduled; it is left alone until
/// [`PATIENCE`] budgets have passed.
const INLINE_LOOKS: u32 = 8;
const PATIENCE: u32 = 4;
const NEVER: u64 = u64::MAX;

/// How long the statements of one transaction may run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// A read on an async worker: handed to the slow lane when over.
    Inline(Duration),
    /// Interrupted when over.
    Timeout(Duration),
}

/// Guards one connection. Only the thread that uses the connection starts and stops it; others may cancel.
#[derive(Debug)]
pub(super) struct Meter {
    base: Instant,
    /// Nanoseconds after `base` at which a statement that has worked is interrupted.
    deadline: AtomicU64,
    /// Nanoseconds after `base` at which any statement is interrupted.
    hard_deadline: AtomicU64,
    looks: AtomicU32,
    tripped: AtomicBool,
    /// Set by whoever no longer wants the answer. Held for an instant only.
    cancelled: Mutex<Option<Arc<AtomicBool>>>,
    /// The database is closing: every read ends.
    closing: Arc<AtomicBool>,
}

impl Meter {
    /// Installs a meter on the connection; without a limit it never interrupts.
    pub(super) fn install(connection: &mut Connection, closing: Arc<AtomicBool>) -> rusqlite::Result<Arc<Self>> {
        let meter = Arc::new(Self {
            base: Instant::now(),
            deadline: AtomicU64::new(NEVER),
            hard_deadline: AtomicU64::new(NEVER),
            looks: AtomicU32::new(0),
            tripped: AtomicBool::new(false),
            cancelled: Mutex::new(None),
            closing,
        });
        let looked_at = Arc::clone(&meter);
        connection.progress_handler(STEPS, Some(move || looked_at.look()))?;
        Ok(meter)
    }

    pub(super) fn start(&self, limit: Limit, cancelled: Option<Arc<AtomicBool>>) {
        let now = self.base.elapsed();
        let (soft, hard) = match limit {
            Limit::Inline(budget) => (now + budget, now + budget.saturating_mul(PATIENCE)),
            Limit::Timeout(budget) => (now.saturating_add(budget), now.saturating_add(budget)),
        };
        self.looks.store(if matches!(limit, Limit::Inline(_)) { 0 } else { INLINE_LOOKS }, Relaxed);
        self.tripped.store(false, Relaxed);
        *self.cancelled.lock() = cancelled;
        self.deadline.store(nanos(soft), Relaxed);
        self.hard_deadline.store(nanos(hard), Relaxed);
    }

    /// Lifts the limit; true when it had been reached, so that whatever the closure returned does not count.
    pub(super) fn stop(&self) -> bool {
        self.deadline.store(NEVER, Relaxed);
        self.hard_deadline.store(NEVER, Relaxed);
        self.tripped.load(Relaxed)
    }

    /// Runs `f` under a limit within whatever limit there is; `None` when it was interrupted. Limits nest: the outer one
    /// goes on afterwards.
    pub(super) fn within<T>(&self, limit: Duration, f: impl FnOnce() -> T) -> Option<T> {
        let outer = (self.deadline.load(Relaxed), self.hard_deadline.load(Relaxed));
        let end = nanos(self.base.elapsed().saturating_add(limit));
        self.looks.store(INLINE_LOOKS, Relaxed);
        self.tripped.store(false, Relaxed);
        self.deadline.store(end.min(outer.0), Relaxed);
        self.hard_deadline.store(end.min(outer.1), Relaxed);
        let result = f();
        let tripped = self.tripped.swap(false, Relaxed);
        self.deadline.store(outer.0, Relaxed);
        self.hard_deadline.store(outer.1, Relaxed);
        (!tripped).then_some(result)
    }

    /// SQLite's question; true interrupts the statement.
    fn look(&self) -> bool {
        let deadline = self.deadline.load(Relaxed);
        if deadline == NEVER {
            return false;
        }
        let looks = self.looks.fetch_add(1, Relaxed);
        let now = nanos(self.base.elapsed());
        let over = (now >= deadline && looks >= INLINE_LOOKS)
            || now >= self.hard_deadline.load(Relaxed)
            || self.closing.load(Relaxed)
            || self.cancelled.lock().as_ref().is_some_and(|flag| flag.load(Relaxed));
        if over {
            self.tripped.store(true, Relaxed);
        }
        over
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER - 1).min(NEVER - 1)
}
