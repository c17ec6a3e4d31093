//! SQLite, and nothing above it: one writer thread with group commit, two lanes of readers, the change log.
//!
//! The room may touch the data directory and knows no collections: rows are values under column names.
//! Its main type is [`Db`]. Reads see one snapshot; a write is acknowledged after its commit.
//!
//! Nobody may open `data.db` or its companions by other means than SQLite while a [`Db`] is open in the same process:
//! closing such a file drops the process's POSIX locks on it (<https://sqlite.org/howtocorrupt.html>, 2.2).
//!
//! | file | idea |
//! | --- | --- |
//! | `writer`, `group`, `queue` | the thread that commits waiting writes together |
//! | `reader`, `lane`, `budget` | the lanes of readers, who gets how much of the slow one, how long a read may take |
//! | `tx` | what code may do inside a transaction |
//! | `log`, `image`, `ledger` | the change log, its before-images, what changed when |
//! | `checkpoint`, `copier` | when the write-ahead log is copied back, and most of it beside the writer |
//! | `space` | whether the disk has room, and what becomes of writes when it has not |
//! | `meters` | what is counted, for whoever runs the server |
//! | `statistics` | what the query planner knows of the tables |
//! | `authorizer` | who may compile what |
//! | `side` | a second database, of another room |
//! | `exchange` | the whole database copied out, and put back later, while it is open |
//! | `lock`, `connect`, `migrate`, `functions` | opening a directory |
//! | `snapshot`, `copy` | copying a database of one moment; reading one that nobody writes |

mod authorizer;
mod budget;
mod checkpoint;
mod connect;
mod copier;
mod copy;
mod exchange;
mod functions;
mod group;
mod image;
mod lane;
mod ledger;
mod lock;
pub mod log;
mod meters;
mod migrate;
mod queue;
mod reader;
mod side;
mod snapshot;
mod space;
mod statistics;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tx;
mod writer;

use std::{
    any::Any,
    collections::VecDeque,
    fs::DirBuilder,
    ops::ControlFlow,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use arc_swap::ArcSwap;
pub use authorizer::{Access, Verdict, judged};
pub use connect::{Register, quote_ident};
pub use copy::{Copy, Depth, Owner, damaged, remove_triggers};
pub use lane::Asker;
pub use lock::DirectoryLock;
pub use log::{Actor, Change, Commit, Kind, LogEntry, Touched};
pub use meters::Stats;
pub use migrate::{BeforeUpgrade, Upgrade};
use parking_lot::{Mutex, RwLock};
/// A value as SQLite stores it.
pub use rusqlite::types::Value;
pub use side::Side;
pub use snapshot::{Moment, copy_file};
pub use space::Room;
use tokio::sync::{oneshot, watch};
pub use tx::{ReadTx, Row, WriteTx};

use self::{
    meters::Meters,
    queue::{Entry, Place, Queue, Task},
    reader::{Inline, Readers},
    space::Space,
    writer::Writer,
};
use crate::{
    clock::Clock,
    error::{Error, Kind as ErrorKind, Result},
};

/// When a commit reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every acknowledged write survives a power cut.
    Full,
    /// A power cut may lose the last commits, never the database's integrity.
    Normal,
    /// Nothing is synchronised: for temporary directories only.
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
    /// Bytes that should stay free on the disk: with less nothing should be added ([`Db::room`]).
    pub disk_reserve: u64,
    /// Turns a PocketBase database into ours instead of refusing it: for the copy that an import made.
    pub adopt: bool,
    /// Is called before the tables of an older Conch are changed; its failure leaves them as they are.
    pub before_upgrade: Option<BeforeUpgrade>,
    /// SQL functions of the rooms above, for every connection. The mathematical ones are always there.
    pub functions: Vec<Register>,
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
            disk_reserve: 64 << 20,
            adopt: false,
            before_upgrade: None,
            functions: Vec::new(),
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
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// Turns true when the writer has closed everything.
    ended: watch::Receiver<bool>,
    /// Taken by the last clone, which waits for the thread.
    writer: Mutex<Option<JoinHandle<()>>>,
}

type Listener<T> = Box<dyn Fn(&T) + Send + Sync>;

/// What the writer shares with the handles.
struct Shared {
    clock: Clock,
    readers: Arc<Readers>,
    watch: watch::Sender<u64>,
    epoch: ArcSwap<Arc<str>>,
    /// Written to when a room opens, read by the writer only.
    listeners: RwLock<Vec<Listener<Arc<Commit>>>>,
    epoch_listeners: RwLock<Vec<Listener<Arc<str>>>>,
    /// Asks the writer to see to the planner's statistics and the write-ahead log.
    optimize: AtomicBool,
    /// Copies of the database that are being made.
    held: Arc<AtomicU32>,
    meters: Meters,
    space: Space,
    /// What the writer does between two groups; it is woken for it. Held for a push or a take.
    between: Mutex<VecDeque<exchange::Order>>,
}

impl Db {
    /// Takes the directory's lock, opens `data.db` in it (creating both), migrates, starts the writer.
    ///
    /// Fails as [`ErrorKind::Busy`] when another process owns the directory, and as [`ErrorKind::Invalid`] with a text
    /// for people when the database is PocketBase's (which is not touched), is newer than this executable or is none.
    pub fn open(dir: &Path, options: Options) -> Result<Self> {
        if !options.adopt {
            Self::refuse_foreign(dir)?;
        }
        Self::open_locked(Self::lock(dir)?, dir, options)
    }

    /// Takes the lock of a directory, creating that: for whoever has something to do there before the database is opened.
    /// Fails as [`Db::open`] does.
    pub fn lock(dir: &Path) -> Result<DirectoryLock> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| {
            let message = format!("Cannot create the data directory {}: {source}.", dir.display());
            Error::new(ErrorKind::Invalid, message).because(source)
        })?;
        DirectoryLock::take(dir)
    }

    /// Fails, with what to do instead, if the directory holds the database of PocketBase or of another program; leaves no
    /// trace there. What cannot be told passes.
    pub fn refuse_foreign(dir: &Path) -> Result<()> {
        migrate::refuse_untouched(dir)
    }

    /// [`Db::open`] under a lock that was taken before, and without a first look at whose the directory is.
    pub fn open_locked(lock: DirectoryLock, dir: &Path, options: Options) -> Result<Self> {
        let connection = connect::writer(dir, options.durability, &options.functions)?;
        migrate::run(&connection, dir, &options)?;
        let start = ReadTx { connection: &connection, now: options.clock.now() };
        let (last, epoch) = (log::last(&start)?, log::epoch(&start)?.unwrap_or_default());
        let shared = Arc::new(Shared {
            clock: options.clock.clone(),
            readers: Arc::new(Readers::new(dir.join(connect::FILE), &options)),
            watch: watch::Sender::new(last),
            epoch: ArcSwap::from_pointee(epoch.into()),
            listeners: RwLock::default(),
            epoch_listeners: RwLock::default(),
            optimize: AtomicBool::new(false),
            held: Arc::default(),
            meters: Meters::default(),
            space: Space::new(dir, options.disk_reserve),
            between: Mutex::default(),
        });
        let queue = Arc::new(Queue::new(options.write_queue));
        let writer = Writer::new(connection, Arc::clone(&shared), Arc::clone(&queue), options.log_retention, lock)?;
        let (end, ended) = watch::channel(false);
        let thread = thread::Builder::new().name("conch-writer".into()).spawn(move || {
            writer.run();
            end.send_replace(true);
        })?;
        Ok(Self {
            inner: Arc::new(Inner { dir: dir.to_owned(), shared, queue, ended, writer: Mutex::new(Some(thread)) }),
        })
    }

    /// The process that owns the directory now, if one does (0 when it cannot be told).
    pub fn owner(dir: &Path) -> Result<Option<u32>> {
        lock::owner(dir)
    }

    /// Runs `f` on one snapshot: first on this thread's own connection within the inline budget; what exceeds it is
    /// started again on the bounded slow lane, so `f` may run twice. A panic in `f` becomes an internal error.
    pub async fn read<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.read_for(Asker::HOUSE, f).await
    }

    /// [`Db::read`] for somebody, who may take up only a part of the slow lane.
    pub async fn read_for<T, F>(&self, asker: Asker, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + Sync + 'static,
    {
        match self.inner.shared.readers.inline(&f) {
            Inline::Done(result) => result,
            Inline::HandOver => {
                self.inner.shared.meters.handed_over.add(1);
                self.inner.shared.readers.slow(asker, None, f).await
            }
        }
    }

    /// A read that is known to be slow: on the slow lane at once, and under a time limit of its own.
    pub async fn read_slowly<T, F>(&self, asker: Asker, limit: Duration, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    {
        self.inner.shared.readers.slow(asker, Some(limit), f).await
    }

    /// Like [`Db::read`] for threads that may block (command line, blocking pool); no inline budget.
    pub fn read_blocking<T>(&self, f: impl Fn(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.inner.shared.readers.blocking(f)
    }

    /// Queues `f` for the writer: a savepoint in the next group. Returns after COMMIT. `f` may run more than once
    /// (a failed group is rolled back whole and its innocent members run again), so it must only touch `tx`.
    ///
    /// A write that is queued happens, even when its caller stops waiting. A full queue answers busy at once.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        self.queued(f, Place::InTurn).await
    }

    /// Like [`Db::write`], but alone in its transaction: later writes see its effects on caches and catalog.
    pub async fn write_alone<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        self.queued(f, Place::Alone).await
    }

    /// Like [`Db::write`], for work that nobody waits for: it lets the writes of others pass, though not for long, and
    /// joins no group that somebody waits for. It should be short, since whoever comes while it runs waits for it.
    pub async fn write_behind<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        self.queued(f, Place::Behind).await
    }

    /// [`Db::write_alone`] for threads that may block. Not from inside a write or an effect of one: that would wait
    /// for itself, and is refused.
    pub fn write_blocking<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        if self.inner.is_writer() {
            return Err(Error::internal(anyhow::anyhow!("a write waits for another on the writer's thread")));
        }
        let (reply, answer) = mpsc::sync_channel(1);
        // A caller that is gone is none of the writer's business.
        self.inner.push(Task::entry(f, Place::Alone, move |result| drop(reply.send(result))))?;
        answer.recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.shared.clock
    }

    /// The random id of this log. A restore or a foreign write starts a new one.
    pub fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.inner.shared.epoch.load())
    }

    /// Begins a new epoch by itself; [`WriteTx::new_epoch`] does it together with the write that calls for it.
    pub async fn new_epoch(&self) -> Result<Arc<str>> {
        self.write_alone(|tx| tx.new_epoch()).await
    }

    /// Up to `limit` log entries after `seq`, oldest first; an incomplete page when the log cannot continue `seq`.
    pub fn read_after(tx: &ReadTx<'_>, seq: u64, limit: usize) -> Result<log::Page> {
        log::read_after(tx, seq, limit)
    }

    /// Shows `visit` the updates and deletes of one record after `seq`, newest first, until it breaks off: number, kind
    /// and image before.
    pub fn changes_of(
        tx: &ReadTx<'_>,
        collection: &str,
        record: &str,
        seq: u64,
        visit: impl FnMut(u64, Kind, &str) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        log::changes_of(tx, collection, record, seq, visit)
    }

    /// The newest sequence number that commits have told of. A snapshot that is opened afterwards, by the first SELECT
    /// of a read, has all changes up to it, and costs no query to know so.
    pub fn announced(&self) -> u64 {
        *self.inner.shared.watch.borrow()
    }

    /// Wakes with the last committed sequence number after every commit that has changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.shared.watch.subscribe()
    }

    /// Calls `listener` on the writer thread for every commit that wrote to records, after COMMIT and before its
    /// acknowledgements: to drop cache entries and to wake live readers. Must be short, must not block and must not
    /// hold a `Db` (it lives as long as the database).
    pub fn on_commit(&self, listener: impl Fn(&Arc<Commit>) + Send + Sync + 'static) {
        self.inner.shared.listeners.write().push(Box::new(listener));
    }

    /// Calls `listener` on the writer thread with every new epoch, before anybody else hears of it: whatever was
    /// remembered of the database is void. The same duties as for [`Db::on_commit`].
    pub fn on_new_epoch(&self, listener: impl Fn(&Arc<str>) + Send + Sync + 'static) {
        self.inner.shared.epoch_listeners.write().push(Box::new(listener));
    }

    /// Has the writer look for tables whose statistics are old, and copy the write-ahead log back as far as readers let
    /// it. It would do both by itself sooner or later.
    pub async fn optimize(&self) -> Result<()> {
        self.inner.shared.optimize.store(true, Relaxed);
        // For it to wake up.
        self.write(|_| Ok(())).await
    }

    /// How much room the disk has, as the writer saw it within the last second. When it is scarce, whoever would add
    /// something should be refused; when it is full, every write is.
    pub fn room(&self) -> Room {
        self.inner.shared.space.room()
    }

    /// Whether nothing should be added for want of room: [`Room::scarce`]. Costs two loads.
    pub fn is_scarce(&self) -> bool {
        self.inner.shared.space.is_scarce()
    }

    /// Writes a few bytes that mean nothing, and tells whether they have been committed.
    pub async fn try_writing(&self) -> Result<()> {
        self.write(writer::leave_a_mark).await
    }

    /// How it stands, in numbers. Reads no data; looks at the sizes of files.
    pub fn stats(&self) -> Stats {
        let (shared, dir) = (&self.inner.shared, &self.inner.dir);
        let meters = &shared.meters;
        // Their sizes are asked for by name: opening them would be wrong (see above).
        let size = |name: &str| dir.join(name).metadata().map_or(0, |file| file.len());
        let pages = |pages: &std::sync::atomic::AtomicI32| u64::try_from(pages.load(Relaxed)).unwrap_or(0);
        let (slow_running, slow_waiting) = shared.readers.slow_reads();
        Stats {
            queued: self.inner.queue.len(),
            queue_capacity: self.inner.queue.capacity(),
            refused: meters.refused.get(),
            groups: meters.groups.tally(),
            commits: meters.commits.tally(),
            failed_commits: meters.failed.get(),
            database_bytes: size(connect::FILE),
            wal_bytes: size(connect::WAL),
            wal_pages: pages(&meters.wal_pages),
            wal_copied_pages: pages(&meters.wal_copied),
            log_last: *shared.watch.borrow(),
            log_oldest: meters.oldest.load(Relaxed),
            slow_reads: meters.handed_over.get(),
            slow_running,
            slow_waiting,
        }
    }

    /// Finishes queued writes, checkpoints and closes. Later calls fail as busy.
    pub async fn close(&self) {
        self.inner.queue.close();
        // An error means that the writer's thread has ended without saying so.
        let _ = self.inner.ended.clone().wait_for(|ended| *ended).await;
    }

    async fn queued<T, F>(&self, f: F, place: Place) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        // A caller that is gone is none of the writer's business.
        self.inner.push(Task::entry(f, place, move |result| drop(reply.send(result))))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Inner {
    fn push(&self, entry: Entry) -> Result<()> {
        if self.shared.space.is_full() {
            return Err(space::refusal());
        }
        let pushed = self.queue.push(entry);
        if pushed.is_err() {
            self.shared.meters.refused.add(1);
        }
        pushed
    }

    fn is_writer(&self) -> bool {
        self.writer.lock().as_ref().is_some_and(|writer| writer.thread().id() == thread::current().id())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        // The last clone may have lived in a write: then the writer drops it, and ends by itself.
        if !self.is_writer()
            && let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the database's writer ended with a panic");
        }
    }
}

fn stopped() -> Error {
    Error::internal(anyhow::anyhow!("the database's writer has stopped"))
}

/// A caught panic as the error of the call it happened in.
fn panic_error(panic: Box<dyn Any + Send>) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Error::internal(anyhow::anyhow!("panicked: {text}"))
}
