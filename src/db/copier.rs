//! Copies the write-ahead log back into the database beside the writer, on a connection and a thread of its own.
//!
//! Copying 16 MiB and waiting until they are on the disk takes some 20 ms, in which a writer that does it itself commits
//! nothing. SQLite lets another connection copy meanwhile (a *passive* checkpoint, which holds up nobody); only beginning
//! the log anew is the writer's (`checkpoint.rs`), and then little is left to copy.

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, OpenFlags, Result};

/// Another program may hold the locks of a checkpoint: then this one is left out.
const BUSY: Duration = Duration::from_millis(1);

/// Starts its thread when it is first needed; it ends with it.
pub(super) struct Copier {
    path: PathBuf,
    /// As the writer's: whether the copy is synchronised.
    synchronous: i64,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Held for a look, never while copying.
    order: Mutex<Order>,
    changed: Condvar,
}

#[derive(Default)]
struct Order {
    /// From the order until its result is there.
    busy: bool,
    /// How many pages of the log are in the database, or why that could not be done.
    done: Option<Result<i32>>,
    closed: bool,
}

impl Copier {
    /// For the database of the writer's connection.
    pub fn new(writer: &Connection) -> Result<Self> {
        Ok(Self {
            path: writer.path().unwrap_or_default().into(),
            synchronous: writer.query_row("PRAGMA synchronous", [], |row| row.get(0))?,
            shared: Arc::default(),
            thread: None,
        })
    }

    /// Begins to copy. False when that is impossible: somebody else has to.
    pub fn start(&mut self) -> bool {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            match self.begin() {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => {
                    tracing::warn!(%error, "the write-ahead log is copied back by the writer: there is no thread for it");
                    return false;
                }
            }
        }
        self.shared.order.lock().busy = true;
        self.shared.changed.notify_one();
        true
    }

    fn begin(&self) -> std::io::Result<JoinHandle<()>> {
        let (path, synchronous, shared) = (self.path.clone(), self.synchronous, Arc::clone(&self.shared));
        thread::Builder::new().name("conch-copier".to_owned()).spawn(move || shared.work(&path, synchronous))
    }

    /// A thread that has failed is not waited for.
    pub fn is_busy(&self) -> bool {
        let lives = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        lives && self.shared.order.lock().busy
    }

    /// What the last run has achieved, once.
    pub fn result(&self) -> Option<Result<i32>> {
        self.shared.order.lock().done.take()
    }

    /// Waits for what is under way, and ends.
    pub fn close(&mut self) {
        self.shared.order.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the copier of the write-ahead log ended early");
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn work(&self, path: &std::path::Path, synchronous: i64) {
        let mut connection = None;
        while self.is_wanted() {
            let done = match &connection {
                Some(connection) => copy(connection),
                None => open(path, synchronous).and_then(|opened| copy(connection.insert(opened))),
            };
            let mut order = self.order.lock();
            (order.busy, order.done) = (false, Some(done));
        }
    }

    /// Waits for an order; false when there will be none.
    fn is_wanted(&self) -> bool {
        let mut order = self.order.lock();
        while !order.busy && !order.closed {
            self.changed.wait(&mut order);
        }
        !order.closed
    }
}

fn open(path: &std::path::Path, synchronous: i64) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Nothing is written here but what has been committed already.
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    Ok(connection)
}

fn copy(connection: &Connection) -> Result<i32> {
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |row| row.get(2))
}
