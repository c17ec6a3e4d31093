//! The log that superusers read (`docs/wire/services.md` §6): a row per request and per event of the house, in a
//! database of its own, `auxiliary.db`.
//!
//! The room may touch that file and knows neither requests nor settings: whoever has something to tell hands in a
//! [`Request`] or an [`Event`], and the settings are followed as a [`Policy`]. Its main type is [`Logs`].
//!
//! Nobody waits for the log. An entry goes into a bounded queue, and a thread of low priority writes what has gathered
//! there. When more comes than it can write, entries are dropped and counted, and the log says so.
//!
//! | file | idea |
//! | --- | --- |
//! | `entry` | what is told, and how it is kept until it is written |
//! | `pen` | what a row says of it |
//! | `mask` | secrets that are not told |
//! | `trim` | `maxDataSize` |
//! | `number` | the number of a request, which the answer, stderr and the row have in common |
//! | `events` | what the house says with `tracing` becomes rows as well |
//! | `queue` | the bounded queue |
//! | `keeper` | the thread that writes and removes |
//! | `table` | `auxiliary.db`: its one table, what is inserted and removed |

mod entry;
pub mod events;
mod keeper;
mod mask;
mod number;
mod pen;
mod queue;
mod table;
#[cfg(test)]
mod tests;
mod trim;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::queue::{Order, Queue};
pub use self::{
    entry::{Addresses, Event, Failure, Request, Who},
    mask::masked,
    number::{RequestNumber, numbered},
    table::COLUMNS,
};
use crate::{
    db::{self, Asker, ReadTx, Side},
    error::{Error, Result},
};

/// The table that filters and sorts are over.
pub const TABLE: &str = "_logs";
/// What went as asked, what to look at, what went wrong: the levels of the wire.
pub const INFO: i64 = 0;
pub const WARN: i64 = 4;
pub const ERROR: i64 = 8;

/// A list waits so long for what is still on its way to the table.
const PATIENCE: Duration = Duration::from_secs(3);
/// At the end of the process the thread has this long to write what is left.
const FAREWELL: Duration = Duration::from_secs(5);

/// What is logged and for how long: the settings' `logs` (`docs/wire/services.md` §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Rows are kept so many days; 0 logs nothing.
    pub max_days: i64,
    /// What is less grave is not logged.
    pub min_level: i64,
    /// A rough limit to a row's `data`, in bytes; 0 is none.
    pub max_data_size: i64,
    /// Whether addresses are logged.
    pub with_ip: bool,
    /// Whether the ids of those who ask are logged.
    pub with_auth_id: bool,
}

impl Policy {
    /// The level from which on rows are stored.
    fn threshold(&self) -> i64 {
        if self.max_days <= 0 { i64::MAX } else { self.min_level }
    }
}

/// How many rows there were since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    pub written: u64,
    /// The queue was full, or the database refused them.
    pub dropped: u64,
    /// On their way.
    pub waiting: u64,
}

/// The log of one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    options: db::Options,
    shared: Arc<Shared>,
    /// There since [`Logs::begin`].
    side: OnceLock<Side>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// What those who tell and the thread that writes have in common.
struct Shared {
    queue: Queue,
    policy: ArcSwap<Policy>,
    /// [`Policy::threshold`] of the policy.
    threshold: AtomicI64,
    written: AtomicU64,
    dropped: AtomicU64,
}

impl Shared {
    fn wants(&self, level: i64) -> bool {
        level >= self.threshold.load(Relaxed)
    }

    fn push_event(&self, event: Event) {
        if self.wants(event.level()) && !self.queue.push_event(event) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    fn push_request(&self, request: Request<'_>) {
        if self.wants(request.level()) && !self.queue.push_request(request) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Logs {
    /// The log of the directory that `options` are for. Nothing is opened or written before [`Logs::begin`].
    pub fn new(dir: &Path, options: db::Options, policy: Policy) -> Self {
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            threshold: AtomicI64::new(policy.threshold()),
            policy: ArcSwap::from_pointee(policy),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let (side, keeper) = (OnceLock::new(), Mutex::new(None));
        Self { inner: Arc::new(Inner { dir: dir.to_owned(), options, shared, side, keeper }) }
    }

    /// Opens `auxiliary.db` and starts the thread that writes. A file that is no database, or a damaged one, is set
    /// aside: a log must not keep a server from starting.
    pub fn begin(&self) -> Result<()> {
        let inner = &self.inner;
        let mut keeper = inner.keeper.lock();
        if inner.side.get().is_some() {
            return Ok(());
        }
        let (connection, side) = table::open(&inner.dir, &inner.options)?;
        let clock = inner.options.clock.clone();
        *keeper = Some(keeper::start(connection, Arc::clone(&inner.shared), clock)?);
        let _ = inner.side.set(side);
        Ok(())
    }

    /// The events of this process become rows of this log; those of any other log before it, no longer of that.
    pub fn hear_events(&self) {
        events::heard_by(Some((Arc::clone(&self.inner.shared), self.inner.options.clock.clone())));
    }

    /// Whether rows of this level are stored. Costs a load.
    pub fn wants(&self, level: i64) -> bool {
        self.inner.shared.wants(level)
    }

    pub fn policy(&self) -> Guard<Arc<Policy>> {
        self.inner.shared.policy.load()
    }

    /// Tells the log of something that happened. Returns at once, whatever becomes of it.
    pub fn push_event(&self, event: Event) {
        self.inner.shared.push_event(event);
    }

    /// Tells the log of a request. Returns at once, whatever becomes of it.
    pub fn push_request(&self, request: Request<'_>) {
        self.inner.shared.push_request(request);
    }

    /// Follows the settings: what they no longer want is neither stored from now on nor kept (§4.3). The rows go soon.
    pub fn follow(&self, policy: Policy) {
        let shared = &self.inner.shared;
        shared.threshold.store(policy.threshold(), Relaxed);
        shared.policy.store(Arc::new(policy));
        shared.queue.order(Order::CleanUp(None));
    }

    /// Removes all rows, those on their way too.
    pub async fn truncate(&self) -> Result<()> {
        self.ordered(Order::Truncate).await
    }

    /// Removes what is too old or not grave enough for the policy.
    pub async fn clean_up(&self) -> Result<()> {
        self.ordered(|reply| Order::CleanUp(Some(reply))).await
    }

    /// Copies the write-ahead log back and refreshes the planner's statistics.
    pub async fn optimize(&self) -> Result<()> {
        self.ordered(Order::Optimize).await
    }

    /// Runs `f` on a snapshot that has all that was told before, unless the thread is far behind.
    pub async fn read_for<T, F>(&self, asker: Asker, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    {
        // What is late is missing from the answer, which is better than none.
        if let Ok(written) = tokio::time::timeout(PATIENCE, self.ordered(Order::Write)).await {
            written?;
        }
        let side = self.inner.side.get().ok_or_else(not_begun)?;
        side.read_for(asker, f).await
    }

    pub fn counters(&self) -> Counters {
        let shared = &self.inner.shared;
        Counters {
            written: shared.written.load(Relaxed),
            dropped: shared.dropped.load(Relaxed),
            waiting: shared.queue.waiting(),
        }
    }

    /// Writes what is on its way and closes the database. Later entries are dropped.
    pub async fn close(&self) {
        let Some(keeper) = self.inner.keeper.lock().take() else { return };
        if let Some(side) = self.inner.side.get() {
            side.close();
        }
        self.inner.shared.queue.close();
        let joined = tokio::task::spawn_blocking(move || keeper.join());
        match tokio::time::timeout(FAREWELL, joined).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) => eprintln!("the log's thread ended with a panic"),
            Err(_) => eprintln!("the log was not written to its end in time"),
        }
    }

    async fn ordered(&self, order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order) -> Result<()> {
        if self.inner.side.get().is_none() {
            return Err(not_begun());
        }
        let (reply, done) = oneshot::channel();
        self.inner.shared.queue.order(order(reply));
        done.await.unwrap_or_else(|_| Err(Error::internal(anyhow::anyhow!("the log's thread has stopped"))))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

fn not_begun() -> Error {
    Error::internal(anyhow::anyhow!("the log was not begun"))
}
