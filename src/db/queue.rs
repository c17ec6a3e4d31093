//! The bounded queue before the writer, and the jobs in it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::WriteTx;
use crate::error::{Error, Result};

/// One queued write. It may run several times; it is answered once.
pub(super) trait Job: Send {
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()>;
    fn answer(self: Box<Self>, outcome: Result<()>);
}

/// A job that lets others pass has its turn after this at the latest. The tests must not depend on how busy the machine is.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 30_000 } else { 50 });

pub(super) struct Entry {
    pub job: Box<dyn Job>,
    pub place: Place,
}

/// Where a job stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In its turn.
    InTurn,
    /// A barrier in its turn: alone in its transaction.
    Alone,
    /// After all that wait, and never second in a group: somebody waits for those, and nobody for this one.
    Behind,
}

impl Entry {
    pub(super) fn alone(&self) -> bool {
        self.place == Place::Alone
    }
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
    pub(super) fn entry(f: F, place: Place, reply: R) -> Entry {
        Entry { job: Box::new(Self { f, value: None, reply }), place }
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
    /// Those that let others pass, and since when.
    behind: VecDeque<(Entry, Instant)>,
    closed: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.behind.is_empty()
    }

    /// The first of those that let others pass, if nobody is left to pass or it has waited long enough.
    fn take_behind(&mut self) -> Option<Entry> {
        let (_, since) = self.behind.front()?;
        let has_turn = self.waiting.is_empty() || since.elapsed() >= PATIENCE;
        if has_turn { self.behind.pop_front().map(|(entry, _)| entry) } else { None }
    }
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default(), arrived: Condvar::new() }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Jobs that wait.
    pub(super) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Fails as busy when the queue is full or closed.
    pub(super) fn push(&self, entry: Entry) -> Result<()> {
        let mut state = self.state.lock();
        if state.closed || state.waiting.len() + state.behind.len() >= self.capacity {
            return Err(Error::busy(Duration::from_secs(1)));
        }
        match entry.place {
            Place::Behind => state.behind.push_back((entry, Instant::now())),
            Place::InTurn | Place::Alone => state.waiting.push_back(entry),
        }
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Moves up to `max` jobs for a new group to the end of `into`, waiting for the first one as long as `patience`. One of
    /// those that let others pass comes first, if it has its turn: what is in a group with it came later.
    pub(super) fn take(&self, into: &mut VecDeque<Entry>, max: usize, patience: Duration) -> Found {
        let mut state = self.state.lock();
        if state.is_empty() && !state.closed && !patience.is_zero() {
            self.arrived.wait_while_for(&mut state, |state| state.is_empty() && !state.closed, patience);
        }
        if state.is_empty() {
            return if state.closed { Found::Closed } else { Found::Nothing };
        }
        into.extend(state.take_behind());
        let count = max.min(state.waiting.len());
        into.extend(state.waiting.drain(..count));
        Found::Jobs
    }

    /// Moves up to `max` jobs that have arrived meanwhile to the end of `into`, for a group that grows: none of those that
    /// let others pass, for which the others in it would have to wait.
    pub(super) fn take_more(&self, into: &mut VecDeque<Entry>, max: usize) {
        let mut state = self.state.lock();
        let count = max.min(state.waiting.len());
        into.extend(state.waiting.drain(..count));
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
        let (waiting, behind) = (std::mem::take(&mut state.waiting), std::mem::take(&mut state.behind));
        drop(state);
        drop((waiting, behind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, place: Place) {
        queue.push(Task::entry(|_| Ok(()), place, |_| {})).unwrap();
    }

    #[test]
    fn who_lets_others_pass_has_its_turn() {
        let queue = Queue::new(8);
        let taken = |max| {
            let mut into = VecDeque::new();
            let found = queue.take(&mut into, max, Duration::ZERO);
            (found, into.iter().map(|entry| entry.place).collect::<Vec<_>>())
        };
        for place in [Place::Behind, Place::InTurn, Place::Behind, Place::Alone] {
            push(&queue, place);
        }
        assert_eq!(taken(8), (Found::Jobs, vec![Place::InTurn, Place::Alone]));
        assert_eq!(taken(8), (Found::Jobs, vec![Place::Behind]));
        // It has waited long enough, so the others come after it.
        push(&queue, Place::InTurn);
        queue.state.lock().behind[0].1 -= PATIENCE;
        assert_eq!(taken(8), (Found::Jobs, vec![Place::Behind, Place::InTurn]));
        assert_eq!(taken(8), (Found::Nothing, vec![]));
        // A group that grows takes none of them.
        push(&queue, Place::Behind);
        let mut into = VecDeque::new();
        queue.take_more(&mut into, 8);
        assert!(into.is_empty());
        queue.close();
        assert_eq!(taken(8), (Found::Jobs, vec![Place::Behind]));
        assert_eq!(taken(8), (Found::Closed, vec![]));
    }

    #[test]
    fn both_lines_are_bounded_together() {
        let queue = Queue::new(2);
        push(&queue, Place::Behind);
        push(&queue, Place::InTurn);
        for place in [Place::Behind, Place::InTurn] {
            assert!(queue.push(Task::entry(|_| Ok(()), place, |_| {})).is_err());
        }
    }
}
