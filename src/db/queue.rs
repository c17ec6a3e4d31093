//! The bounded queue before the writer, and the jobs in it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::WriteTx;
use crate::error::{Error, Result};

/// One queued write. It may run several times; it is answered once.
pub(super) trait Job: Send {
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()>;
    fn answer(self: Box<Self>, outcome: Result<()>);
}

pub(super) struct Entry {
    pub job: Box<dyn Job>,
    /// A barrier: alone in its transaction.
    pub alone: bool,
}

/// A closure with the place its answer goes to. The caller may be gone by then; the write still happens.
pub(super) struct Task<T, F, R> {
    f: F,
    value: Option<T>,
    reply: R,
}

impl<T, F, R> Task<T, F, R>
where
    T: Send + 'static,
    F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    R: FnOnce(Result<T>) + Send + 'static,
{
    pub(super) fn entry(f: F, alone: bool, reply: R) -> Entry {
        Entry { job: Box::new(Self { f, value: None, reply }), alone }
    }
}

impl<T, F, R> Job for Task<T, F, R>
where
    T: Send + 'static,
    F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    R: FnOnce(Result<T>) + Send + 'static,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        self.value = None;
        self.value = Some((self.f)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<()>) {
        let Self { f, value, reply } = *self;
        let result =
            outcome.and_then(|()| value.ok_or_else(|| Error::internal(anyhow::anyhow!("a write has not run"))));
        // What the closure captured is dropped here, on the writer thread: a panic in it must stay here.
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(f)));
        if dropped.is_err() {
            tracing::error!("a write's captured values panicked when dropped");
        }
        reply(result);
    }
}

/// What the writer found when it looked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Jobs,
    /// Nothing came within the time.
    Nothing,
    /// Closed, and every job was taken.
    Closed,
}

pub(super) struct Queue {
    capacity: usize,
    /// Held for a push or for moving jobs out; never while one runs.
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default(), arrived: Condvar::new() }
    }

    /// Fails as busy when the queue is full or closed.
    pub(super) fn push(&self, entry: Entry) -> Result<()> {
        let mut state = self.state.lock();
        if state.closed || state.waiting.len() >= self.capacity {
            return Err(Error::busy(Duration::from_secs(1)));
        }
        state.waiting.push_back(entry);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Moves up to `max` jobs to the end of `into`, waiting for the first one as long as `patience`.
    pub(super) fn take(&self, into: &mut VecDeque<Entry>, max: usize, patience: Duration) -> Found {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && !state.closed && !patience.is_zero() {
            self.arrived.wait_while_for(&mut state, |state| state.waiting.is_empty() && !state.closed, patience);
        }
        if state.waiting.is_empty() {
            return if state.closed { Found::Closed } else { Found::Nothing };
        }
        let count = max.min(state.waiting.len());
        into.extend(state.waiting.drain(..count));
        Found::Jobs
    }

    /// Refuses further jobs; those that wait are still taken.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Refuses further jobs and forgets those that wait: the writer is gone.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }
}
