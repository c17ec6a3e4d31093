//! Reading connections in two lanes: one per async worker for what is quick, a bounded pool for what is not.
//!
//! Every read is one snapshot. A worker's own connection costs no queue, no lock that anybody waits for and no thread
//! switch, but whoever uses it stops the worker: a budget interrupts it, and the read starts again in the slow lane.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{
    Asker, Options, ReadTx, Register,
    budget::{Limit, Meter},
    connect,
    lane::{Lane, RETRY_AFTER, closed},
    panic_error,
    tx::interrupted,
};
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, Result},
};

/// Pooled connections beyond the slow lane's, for [`Readers::blocking`].
const BLOCKING_CONNECTIONS: u32 = 4;

/// A worker's connection, shared with nobody but the one who closes the database.
type Slot = Arc<Mutex<Option<Reader>>>;

thread_local! {
    /// This thread's connection to each open database, by [`Readers::id`].
    static MINE: RefCell<Vec<(u64, Slot)>> = const { RefCell::new(Vec::new()) };
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// All reading connections of one database.
pub(super) struct Readers {
    id: u64,
    source: Source,
    clock: Clock,
    inline_budget: Duration,
    query_timeout: Duration,
    lane: Arc<Lane>,
    slow_readers: u32,
    /// The workers' connections, for closing them. Held when a thread reads for the first time, and at the end.
    inline: Mutex<Vec<Weak<Mutex<Option<Reader>>>>>,
    /// Opened by the first slow read.
    pool: Mutex<Option<r2d2::Pool<Source>>>,
    closing: Arc<AtomicBool>,
}

/// How an inline read ended.
pub(super) enum Inline<T> {
    Done(Result<T>),
    /// It took too long, or this thread's connection is not to be had: the slow lane's turn.
    HandOver,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: &Options) -> Self {
        let closing = Arc::new(AtomicBool::new(false));
        let slow_readers = options.slow_readers.max(1);
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            source: Source {
                path,
                functions: options.functions.clone().into(),
                closing: Arc::clone(&closing),
                plans: Arc::default(),
            },
            clock: options.clock.clone(),
            inline_budget: options.inline_budget,
            query_timeout: options.query_timeout,
            lane: Arc::new(Lane::new(slow_readers)),
            slow_readers,
            inline: Mutex::default(),
            pool: Mutex::new(None),
            closing,
        }
    }

    /// Reads on this thread's own connection, within the inline budget.
    pub(super) fn inline<T>(&self, f: impl Fn(&ReadTx<'_>) -> Result<T>) -> Inline<T> {
        let slot = match self.slot() {
            Ok(slot) => slot,
            Err(error) => return Inline::Done(Err(error)),
        };
        // Taken only while the database closes.
        let Some(held) = slot.try_lock() else { return Inline::HandOver };
        let Some(reader) = held.as_ref() else { return Inline::Done(Err(closed())) };
        match reader.run(self.clock.now(), Limit::Inline(self.inline_budget), None, f) {
            Some(result) => Inline::Done(result),
            None => Inline::HandOver,
        }
    }

    /// Reads on the blocking pool, as one of a bounded number, of which `asker` has a share. Dropping the future
    /// interrupts the statement. It may take as long as `limit`, or as any read.
    pub(super) async fn slow<T, F>(self: &Arc<Self>, asker: Asker, limit: Option<Duration>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    {
        let turn = self.lane.turn(asker, self.query_timeout).await?;
        let caller = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let cancelled = Arc::clone(&caller.0);
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            readers.pooled(Some(cancelled), limit, f)
        });
        reading.await.unwrap_or_else(|failed| Err(Error::internal(failed)))
    }

    /// Reads on this thread, which may block.
    pub(super) fn blocking<T>(&self, f: impl Fn(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.pooled(None, None, f)
    }

    /// Reads that run in the slow lane, and that wait for it.
    pub(super) fn slow_reads(&self) -> (usize, usize) {
        self.lane.load()
    }

    /// Every connection makes the plans of its statements anew before its next read: the planner knows more than before.
    pub(super) fn plan_anew(&self) {
        self.source.plans.fetch_add(1, Relaxed);
    }

    /// Ends running reads and closes every connection.
    pub(super) fn close(&self) {
        self.closing.store(true, Relaxed);
        self.lane.close();
        *self.pool.lock() = None;
        for slot in self.inline.lock().drain(..).filter_map(|slot| slot.upgrade()) {
            *slot.lock() = None;
        }
    }

    fn pooled<T>(
        &self,
        cancelled: Option<Arc<AtomicBool>>,
        limit: Option<Duration>,
        f: impl Fn(&ReadTx<'_>) -> Result<T>,
    ) -> Result<T> {
        let limit = limit.unwrap_or(self.query_timeout);
        let pool = self.pool()?;
        let reader = pool.get().map_err(|error| Error::busy(RETRY_AFTER).because(error))?;
        match reader.run(self.clock.now(), Limit::Timeout(limit), cancelled, f) {
            Some(result) => result,
            None if self.closing.load(Relaxed) => Err(closed()),
            None => Err(interrupted()),
        }
    }

    fn pool(&self) -> Result<r2d2::Pool<Source>> {
        let mut pool = self.pool.lock();
        if self.closing.load(Relaxed) {
            return Err(closed());
        }
        if let Some(pool) = &*pool {
            return Ok(pool.clone());
        }
        let built = r2d2::Pool::builder()
            .max_size(self.slow_readers + BLOCKING_CONNECTIONS)
            .min_idle(Some(0))
            .idle_timeout(Some(Duration::from_secs(60)))
            .connection_timeout(self.query_timeout)
            .test_on_check_out(false)
            .build(self.source.clone())
            .map_err(Error::internal)?;
        *pool = Some(built.clone());
        Ok(built)
    }

    /// This thread's connection, opened when it reads for the first time.
    fn slot(&self) -> Result<Slot> {
        MINE.with_borrow_mut(|mine| {
            if let Some((_, slot)) = mine.iter().find(|(id, _)| *id == self.id) {
                return Ok(Arc::clone(slot));
            }
            mine.retain(|(_, slot)| slot.lock().is_some());
            let mut all = self.inline.lock();
            if self.closing.load(Relaxed) {
                return Err(closed());
            }
            let slot: Slot = Arc::new(Mutex::new(Some(self.source.open()?)));
            all.retain(|slot| slot.strong_count() > 0);
            all.push(Arc::downgrade(&slot));
            mine.push((self.id, Arc::clone(&slot)));
            Ok(slot)
        })
    }
}

/// What a reading connection is made from: the pool's manager.
#[derive(Clone)]
struct Source {
    path: PathBuf,
    functions: Arc<[Register]>,
    closing: Arc<AtomicBool>,
    /// Counts the calls of [`Readers::plan_anew`].
    plans: Arc<AtomicU64>,
}

impl Source {
    fn open(&self) -> rusqlite::Result<Reader> {
        let mut connection = connect::reader(&self.path, &self.functions)?;
        let meter = Meter::install(&mut connection, Arc::clone(&self.closing))?;
        let planned = Cell::new(self.plans.load(Relaxed));
        Ok(Reader { connection, meter, plans: Arc::clone(&self.plans), planned })
    }
}

impl r2d2::ManageConnection for Source {
    type Connection = Reader;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<Reader> {
        self.open()
    }

    fn is_valid(&self, _: &mut Reader) -> rusqlite::Result<()> {
        Ok(())
    }

    fn has_broken(&self, reader: &mut Reader) -> bool {
        !reader.connection.is_autocommit()
    }
}

/// One connection that can only read, and the meter that guards it.
struct Reader {
    connection: Connection,
    meter: Arc<Meter>,
    plans: Arc<AtomicU64>,
    /// `plans` when the statements of this connection were planned.
    planned: Cell<u64>,
}

impl Reader {
    /// Runs `f` on one snapshot; `None` when it was interrupted, whatever `f` made of that. A panic becomes an error
    /// and leaves the connection usable.
    fn run<T>(
        &self,
        now: Timestamp,
        limit: Limit,
        cancelled: Option<Arc<AtomicBool>>,
        f: impl Fn(&ReadTx<'_>) -> Result<T>,
    ) -> Option<Result<T>> {
        self.follow_plans();
        self.meter.start(limit, cancelled);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.connection.prepare_cached("BEGIN")?.execute([])?;
            f(&ReadTx { connection: &self.connection, now })
        }));
        let interrupted = self.meter.stop();
        let ended = self.end();
        match ran {
            Err(panic) => Some(Err(panic_error(panic))),
            Ok(_) if interrupted => None,
            Ok(Ok(value)) => Some(ended.map(|()| value).map_err(Error::from)),
            Ok(Err(error)) => Some(Err(error)),
        }
    }

    /// A connection reads the statistics together with the schema, and only when that has changed or is reset.
    fn follow_plans(&self) {
        let newest = self.plans.load(Relaxed);
        if self.planned.replace(newest) == newest {
            return;
        }
        let reset = "PRAGMA writable_schema = RESET; SELECT 1 FROM sqlite_schema LIMIT 0;";
        if let Err(error) = self.connection.execute_batch(reset) {
            tracing::debug!(%error, "a reader goes on with its old plans");
        }
    }

    fn end(&self) -> rusqlite::Result<()> {
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }
}

/// Tells a running read that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
