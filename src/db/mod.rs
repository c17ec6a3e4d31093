//! SQLite, and nothing above it: one writer thread with group commit, two lanes of readers, the change log.
//!
//! The room may touch the data directory and knows no collections: rows are values under column names.
//! Its main type is [`Db`]. Reads see one snapshot; a write is acknowledged after its commit.

pub mod log;
mod tx;

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

pub use log::{Actor, Change, Commit, Kind, LogEntry};
/// A value as SQLite stores it.
pub use rusqlite::types::Value;
pub use tx::{ReadTx, Row, WriteTx};

use crate::{clock::Clock, error::Result};

/// When a commit reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// Every acknowledged write survives a power cut.
    Full,
    /// A power cut may lose the last commits, never the database's integrity.
    Normal,
    /// Nothing is synchronised: for temporary directories only.
    #[value(skip)]
    Off,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    pub durability: Durability,
    pub clock: Clock,
    /// Connections of the bounded lane for slow reads.
    pub slow_readers: u32,
    /// A slow read is interrupted after this.
    pub query_timeout: Duration,
    /// An inline read that takes longer than this is started again on the slow lane.
    pub inline_budget: Duration,
    /// Writes that may wait; one more is answered [`crate::error::Kind::Busy`].
    pub write_queue: usize,
    /// The newest changes that the log keeps at least; older ones go. 0 keeps all.
    pub log_retention: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            clock: Clock::system(),
            slow_readers: 4,
            query_timeout: Duration::from_secs(30),
            inline_budget: Duration::from_millis(4),
            write_queue: 1024,
            log_retention: 1_000_000,
        }
    }
}

/// The database of one data directory. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
}

impl Db {
    /// Takes the directory's lock, opens `data.db` in it (creating it), migrates, starts the writer.
    pub fn open(dir: &Path, options: Options) -> Result<Self> {
        todo!()
    }

    /// Runs `f` on one snapshot: first on this thread's own connection within the inline budget; what exceeds it is
    /// started again on the bounded slow lane, so `f` may run twice.
    pub async fn read<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + Sync + 'static,
    {
        todo!()
    }

    /// Like [`Db::read`] for threads that may block (command line, blocking pool); no inline budget.
    pub fn read_blocking<T>(&self, f: impl Fn(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        todo!()
    }

    /// Queues `f` for the writer: a savepoint in the next group. Returns after COMMIT. `f` may run more than once
    /// (a failed group is rolled back whole and its innocent members run again), so it must only touch `tx`.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        todo!()
    }

    /// Like [`Db::write`], but alone in its transaction: later writes see its effects on caches and catalog.
    pub async fn write_alone<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        todo!()
    }

    /// [`Db::write_alone`] for threads that may block.
    pub fn write_blocking<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        todo!()
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    pub fn clock(&self) -> &Clock {
        todo!()
    }

    /// The random id of this log. A restore or a foreign write starts a new one.
    pub fn epoch(&self) -> Arc<str> {
        todo!()
    }

    /// Up to `limit` log entries after `seq`, oldest first. Fails with `Gone` when retention has passed `seq`.
    pub fn read_after(tx: &ReadTx<'_>, seq: u64, limit: usize) -> Result<log::Page> {
        todo!()
    }

    /// Wakes with the last committed sequence number after every commit.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        todo!()
    }

    /// Calls `listener` on the writer thread for every commit, after COMMIT and before its acknowledgements: to drop
    /// cache entries and to wake live readers. Must be short and must not block.
    pub fn on_commit(&self, listener: impl Fn(&Arc<Commit>) + Send + Sync + 'static) {
        todo!()
    }

    /// Finishes queued writes, checkpoints and closes. Later calls fail as busy.
    pub async fn close(&self) {
        todo!()
    }
}
