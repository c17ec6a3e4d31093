//! Threads for long computations: few, of low priority, behind a bounded queue.
//!
//! Hashing a password is slow on purpose, and shrinking a picture just is. On threads of their own, which give way to all
//! others, a flood of logins delays logins and never reads.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{
    error::{Error, Result},
    memory,
};

/// How many may wait for a thread; one more is answered [`crate::error::Kind::Busy`].
const QUEUE: usize = 256;
/// How many of one asker: who sends more at once must not keep everybody else from signing in.
const SHARE: usize = QUEUE / 2;
/// Where the machine is busy these threads get about a tenth of what others get: logins still go on.
const NICENESS: libc::c_int = 10;

/// Starts its threads when they are first needed; they end with it.
pub struct Threads {
    /// What their names say they are for.
    purpose: &'static str,
    most: usize,
    shared: Arc<Shared>,
}

struct Shared {
    /// Held for a push or a pop, never while working.
    state: Mutex<State>,
    /// Told of each new task, and of the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Task>,
    started: usize,
    idle: usize,
    closed: bool,
}

struct Task {
    /// Gone when nobody waits for the answer any more.
    caller: Weak<()>,
    /// Who is to be told from others; `None` is not.
    asker: Option<u64>,
    work: Box<dyn FnOnce() + Send>,
}

impl Threads {
    /// At most so many, called `conch-<purpose>-<number>`.
    pub fn new(purpose: &'static str, most: usize) -> Self {
        Self { purpose, most, shared: Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }) }
    }

    /// Runs `work` on one of the threads, first come, first served. A caller that goes away leaves the queue. `Busy` when
    /// too many wait; a panic in `work` becomes an internal error.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.run_for(None, work).await
    }

    /// The same for somebody who may have half of the queue and no more.
    pub async fn run_for<T: Send + 'static>(
        &self,
        asker: Option<u64>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        // Lives as long as this call is waited for.
        let here = Arc::new(());
        self.push(Task {
            caller: Arc::downgrade(&here),
            asker,
            // Nobody waits any more when the reply cannot be given.
            work: Box::new(move || drop(reply.send(work()))),
        })?;
        answer.await.map_err(|_| Error::internal(anyhow::anyhow!("a computation panicked")))
    }

    fn push(&self, task: Task) -> Result<()> {
        let mut state = self.shared.state.lock();
        if state.is_full_for(task.asker) {
            state.waiting.retain(Task::is_wanted);
            if state.is_full_for(task.asker) {
                return Err(Error::busy(Duration::from_secs(1)));
            }
        }
        if state.idle <= state.waiting.len() && state.started < self.most {
            let shared = Arc::clone(&self.shared);
            let name = format!("conch-{}-{}", self.purpose, state.started);
            let begun = thread::Builder::new().name(name).spawn(move || shared.work());
            match begun {
                Ok(_) => state.started += 1,
                // With one thread at least it only takes longer.
                Err(error) if state.started > 0 => tracing::warn!(%error, "cannot start another thread"),
                Err(error) => return Err(error.into()),
            }
        }
        state.waiting.push_back(task);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("most", &self.most).finish_non_exhaustive()
    }
}

impl State {
    fn is_full_for(&self, asker: Option<u64>) -> bool {
        let waiting = &self.waiting;
        let share = || waiting.iter().filter(|task| task.asker == asker).count();
        waiting.len() >= QUEUE || asker.is_some() && waiting.len() >= SHARE && share() >= SHARE
    }
}

impl Task {
    fn is_wanted(&self) -> bool {
        self.caller.strong_count() > 0
    }
}

impl Shared {
    fn work(&self) {
        give_way(NICENESS);
        while let Some(task) = self.next() {
            // Its reply is dropped with it, which tells the caller.
            if catch_unwind(AssertUnwindSafe(task.work)).is_err() {
                tracing::error!("a computation panicked");
            }
        }
    }

    /// The next task that somebody still waits for; `None` when there will be no more.
    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            while let Some(task) = state.waiting.pop_front() {
                if task.is_wanted() {
                    return Some(task);
                }
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            parking_lot::MutexGuard::unlocked(&mut state, memory::give_back);
            // What has come meanwhile may have told nobody.
            if state.waiting.is_empty() && !state.closed {
                self.changed.wait(&mut state);
            }
            state.idle -= 1;
        }
    }
}

/// The cores of this machine but one, which is left to everybody else; at least one.
pub fn spare_cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

/// Puts this thread behind others, the further the higher `niceness` is (up to 19). A kernel that refuses changes nothing
/// but speed.
pub fn give_way(niceness: i32) {
    // SAFETY: takes numbers only. On Linux a thread's id names that thread alone.
    unsafe {
        let this = libc::gettid().unsigned_abs();
        libc::setpriority(libc::PRIO_PROCESS, this, niceness);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use futures_util::FutureExt;

    use super::*;
    use crate::error::Kind;

    /// Holds one thread until the sender is dropped.
    fn hold(threads: &Arc<Threads>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<()>>) {
        let (release, held) = mpsc::channel::<()>();
        let (running, runs) = mpsc::channel();
        let threads = Arc::clone(threads);
        let handle = tokio::spawn(async move {
            let work = move || {
                let _ = running.send(());
                let _ = held.recv();
            };
            threads.run(work).await
        });
        tokio::task::block_in_place(|| runs.recv().unwrap());
        (release, handle)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_is_busy_and_recovers_and_who_goes_away_makes_room() {
        let threads = Arc::new(Threads::new("test", 1));
        let (release, held) = hold(&threads);
        let mut waiting: Vec<_> = (0..QUEUE).map(|n| Box::pin(threads.run(move || n))).collect();
        for call in &mut waiting {
            assert!(call.now_or_never().is_none(), "the first poll queues");
        }
        let refused = threads.run(|| 0).await.unwrap_err();
        assert_eq!((refused.kind, refused.retry_after.is_some()), (Kind::Busy, true));
        drop(waiting.remove(7));
        let mut late = Box::pin(threads.run(|| QUEUE));
        assert!((&mut late).now_or_never().is_none(), "there is room for one");
        assert_eq!(threads.run(|| 0).await.unwrap_err().kind, Kind::Busy);
        drop(release);
        held.await.unwrap().unwrap();
        let mut answers = Vec::new();
        for call in waiting {
            answers.push(call.await.unwrap());
        }
        answers.push(late.await.unwrap());
        assert_eq!(answers, (0..=QUEUE).filter(|&n| n != 7).collect::<Vec<_>>());
        assert_eq!(threads.run(|| 5).await.unwrap(), 5);
        assert_eq!(threads.shared.state.lock().started, 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_asker_gets_half_of_the_queue() {
        let threads = Arc::new(Threads::new("work", 1));
        let (release, held) = hold(&threads);
        let mut waiting: Vec<_> = (0..SHARE).map(|n| Box::pin(threads.run_for(Some(1), move || n))).collect();
        for call in &mut waiting {
            assert!(call.now_or_never().is_none());
        }
        assert_eq!(threads.run_for(Some(1), || 0).await.unwrap_err().kind, Kind::Busy);
        let mut other = Box::pin(threads.run_for(Some(2), || 7));
        assert!((&mut other).now_or_never().is_none(), "there is room for others");
        drop(waiting.pop());
        let mut again = Box::pin(threads.run_for(Some(1), || 8));
        assert!((&mut again).now_or_never().is_none(), "who goes away makes room");
        drop(release);
        held.await.unwrap().unwrap();
        assert_eq!((other.await.unwrap(), again.await.unwrap()), (7, 8));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn threads_start_when_they_are_needed_up_to_their_number() {
        let threads = Arc::new(Threads::new("test", 3));
        assert_eq!(threads.shared.state.lock().started, 0);
        for _ in 0..5 {
            threads.run(|| ()).await.unwrap();
            let started = Instant::now();
            while threads.shared.state.lock().idle == 0 && started.elapsed() < Duration::from_secs(5) {
                thread::yield_now();
            }
        }
        assert_eq!(threads.shared.state.lock().started, 1, "one after the other needs one");
        let held: Vec<_> = (0..3).map(|_| hold(&threads)).collect();
        assert_eq!(threads.shared.state.lock().started, 3);
        let mut fourth = Box::pin(threads.run(|| ()));
        assert!((&mut fourth).now_or_never().is_none());
        assert_eq!(threads.shared.state.lock().started, 3);
        drop(held);
        fourth.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_ends_one_call_and_no_thread() {
        let threads = Threads::new("test", 1);
        let panicked = threads.run::<()>(|| panic!("in a computation")).await;
        assert_eq!(panicked.unwrap_err().kind, Kind::Internal);
        assert_eq!(threads.run(|| 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn they_give_way_and_end_with_their_owner() {
        let threads = Threads::new("test", 1);
        let niceness = threads.run(|| {
            let name = thread::current().name().map(str::to_owned);
            // SAFETY: takes numbers only.
            (name, unsafe { libc::getpriority(libc::PRIO_PROCESS, libc::gettid().unsigned_abs()) })
        });
        assert_eq!(niceness.await.unwrap(), (Some("conch-test-0".into()), NICENESS));
        // SAFETY: as above.
        assert!(unsafe { libc::getpriority(libc::PRIO_PROCESS, libc::gettid().unsigned_abs()) } < NICENESS);
        let shared = Arc::downgrade(&threads.shared);
        drop(threads);
        let started = Instant::now();
        while shared.strong_count() > 0 {
            assert!(started.elapsed() < Duration::from_secs(5), "its thread goes on");
            thread::sleep(Duration::from_millis(2));
        }
    }
}
