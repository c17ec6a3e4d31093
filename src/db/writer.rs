//! The thread that owns the only writable connection and commits waiting writes in groups.
//!
//! A group is one transaction with a savepoint per job: one `fsync` acknowledges all of them. While it runs the next
//! ones pile up, so groups grow by themselves under load and nobody waits for company. SQLite rolls back the *whole*
//! transaction on a full disk, an I/O error or lack of memory: then the job that met it is answered and all others run
//! again; when COMMIT itself fails nobody knows whose fault it was, and each runs in a transaction of its own.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    Commit, ReadTx, Shared, WriteTx,
    budget::Meter,
    checkpoint::Checkpointer,
    group::{Committed, Group},
    ledger::Ledger,
    lock::DirectoryLock,
    log, panic_error,
    queue::{Entry, Found, Place, Queue},
    space,
    statistics::{self, Statistics, Step},
};
use crate::{
    clock::Timestamp,
    error::{Error, Kind, Result},
};

/// Jobs in one transaction.
const GROUP_JOBS: usize = 256;
/// A group that has run this long commits, so that the first of it need not wait for ever later ones. The tests of
/// groups must not depend on how busy the machine is.
const GROUP_TIME: Duration = Duration::from_millis(if cfg!(test) { 60_000 } else { 10 });
/// Whole-group attempts before every job gets a transaction of its own.
const GROUP_ATTEMPTS: u32 = 3;
/// How often an idle writer looks after the log and for foreign writes.
const IDLE: Duration = Duration::from_secs(1);
/// How often it tries whether a full disk takes a write again.
const RETRY_FULL: Duration = Duration::from_millis(200);
/// Entries over the retention that are worth a pruning transaction, and the most that one removes.
const PRUNE_AT: u64 = 1000;
const PRUNE_STEP: u64 = 2000;

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    queue: Arc<Queue>,
    retention: u64,
    meter: Arc<Meter>,
    pub(super) checkpointer: Checkpointer,
    pub(super) statistics: Statistics,
    /// Only the writer itself commits: a closure that would, by COMMIT or after SQLite has rolled back, is refused.
    may_commit: Arc<AtomicBool>,
    pub(super) ledger: Ledger,
    /// Writes so far that did not enter the log.
    quiet: u64,
    /// The oldest number in the log.
    oldest: u64,
    /// SQLite's counter of commits by others.
    data_version: i64,
    /// Taken from the queue, not yet in a group.
    pending: VecDeque<Entry>,
    /// Whether the last attempt found no room on the disk.
    met_full_disk: bool,
    /// Released last.
    _lock: DirectoryLock,
}

/// How an attempt to commit jobs together ended.
enum Attempt {
    /// All are answered.
    Done,
    /// SQLite rolled everything back; these have to run again. `together` is false when COMMIT itself failed.
    Again { jobs: Vec<Entry>, together: bool },
}

impl Writer {
    pub(super) fn new(
        mut connection: Connection,
        shared: Arc<Shared>,
        queue: Arc<Queue>,
        retention: u64,
        lock: DirectoryLock,
    ) -> Result<Self> {
        let meter = Meter::install(&mut connection, Arc::new(AtomicBool::new(false)))?;
        let checkpointer = Checkpointer::install(&mut connection, Arc::clone(&shared.held))?;
        let statistics = Statistics::new(&connection)?;
        let may_commit = Arc::new(AtomicBool::new(false));
        let allowed = Arc::clone(&may_commit);
        connection.commit_hook(Some(move || !allowed.load(Relaxed)))?;
        let tx = ReadTx { connection: &connection, now: Timestamp::default() };
        let (last, oldest) = (log::last(&tx)?, log::oldest(&tx)?);
        let data_version = data_version(&connection)?;
        Ok(Self {
            ledger: Ledger::new(last),
            connection,
            shared,
            queue,
            retention,
            meter,
            checkpointer,
            statistics,
            may_commit,
            quiet: 0,
            oldest,
            data_version,
            pending: VecDeque::new(),
            met_full_disk: false,
            _lock: lock,
        })
    }

    /// Works until the queue is closed and empty; then checkpoints.
    pub(super) fn run(mut self) {
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue));
        loop {
            let patience = if self.shared.space.is_full() { RETRY_FULL } else { IDLE };
            let found = if self.pending.is_empty() {
                self.queue.take(&mut self.pending, GROUP_JOBS, patience)
            } else {
                Found::Jobs
            };
            match found {
                Found::Jobs => {
                    self.notice_foreign_writes();
                    self.work();
                    self.checkpointer.after_commit(&self.connection);
                    if self.shared.optimize.swap(false, Relaxed) {
                        self.statistics.ask_now();
                        self.checkpointer.copy_back(&self.connection);
                    }
                    self.exchange();
                    self.prune(PRUNE_AT);
                    self.refresh_statistics(true);
                }
                Found::Nothing => {
                    self.notice_foreign_writes();
                    self.prune(1);
                    while self.refresh_statistics(false) && self.pending.is_empty() {
                        self.queue.take(&mut self.pending, GROUP_JOBS, Duration::ZERO);
                    }
                    self.checkpointer.when_idle(&self.connection);
                }
                Found::Closed => break,
            }
            self.look_after_space(found == Found::Nothing);
            self.tell_meters();
        }
        self.shared.readers.close();
        let closing = Instant::now();
        self.statistics.ask_now();
        while closing.elapsed() < statistics::FAREWELL && self.refresh_statistics(false) {}
        self.checkpointer.finish(&self.connection);
    }

    /// Whether the disk has room, and has it again.
    fn look_after_space(&mut self, idle: bool) {
        self.shared.space.look();
        if idle && self.shared.space.is_full() {
            self.try_space();
        }
    }

    /// Finds out whether the disk takes any write at all.
    fn try_space(&mut self) {
        let tried = self.own_transaction(leave_a_mark);
        let full = tried.is_err_and(|error| error.kind == Kind::StorageFull);
        self.shared.space.tried(full);
    }

    fn tell_meters(&self) {
        let (meters, (pages, copied)) = (&self.shared.meters, self.checkpointer.pages());
        meters.wal_pages.store(pages, Relaxed);
        meters.wal_copied.store(copied, Relaxed);
        meters.oldest.store(self.oldest, Relaxed);
    }

    /// Commits what is pending: a barrier, or a group up to the next one.
    fn work(&mut self) {
        if self.pending.front().is_some_and(|entry| entry.alone()) {
            let barrier = self.pending.pop_front();
            self.singly(barrier.into_iter().collect());
            return self.statistics.follow_schema(&self.connection);
        }
        let mut again = match self.attempt(Vec::new(), true) {
            Attempt::Done => return,
            Attempt::Again { jobs, together } => (jobs, together),
        };
        for _ in 1..GROUP_ATTEMPTS {
            let (jobs, together) = again;
            if !together || jobs.is_empty() {
                return self.singly(jobs);
            }
            again = match self.attempt(jobs, false) {
                Attempt::Done => return,
                Attempt::Again { jobs, together } => (jobs, together),
            };
        }
        self.singly(again.0);
    }

    /// Each job in a transaction of its own, so that one that cannot be committed harms no other.
    fn singly(&mut self, jobs: Vec<Entry>) {
        for entry in jobs {
            // What does not fit now will not fit for the next one either.
            if self.shared.space.is_full() {
                answer(entry, Err(space::refusal()));
                continue;
            }
            // A job alone is answered by its first attempt, whatever happens.
            if let Attempt::Again { jobs, .. } = self.attempt(vec![entry], false) {
                for entry in jobs {
                    answer(entry, Err(Error::internal(anyhow::anyhow!("a write could not be committed"))));
                }
            }
        }
    }

    /// [`Writer::attempt_once`], after which it is known whether the disk is full.
    fn attempt(&mut self, jobs: Vec<Entry>, open: bool) -> Attempt {
        self.met_full_disk = false;
        let attempt = self.attempt_once(jobs, open);
        if self.met_full_disk {
            self.try_space();
        }
        attempt
    }

    /// Runs `jobs` (and, when `open`, those that are pending) in one transaction, commits and answers them.
    fn attempt_once(&mut self, jobs: Vec<Entry>, open: bool) -> Attempt {
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            self.met_full_disk |= is_full(&error);
            let jobs = if open { self.next_jobs() } else { jobs };
            answer_all(jobs, || begin_error(&error));
            return Attempt::Done;
        }
        let started = Instant::now();
        let now = self.shared.clock.now();
        let mut group = Group::new(self.ledger.last());
        let mut ran: Vec<(Entry, Result<()>)> = Vec::with_capacity(jobs.len());
        let mut again: VecDeque<Entry> = jobs.into();
        // A job that runs alone needs no savepoint: the transaction is its savepoint.
        let alone = !open && again.len() == 1;
        while let Some(mut entry) =
            again.pop_front().or_else(|| if open { self.next_job(ran.len(), started) } else { None })
        {
            let result = self.run_job(&mut entry, &mut group, now, alone);
            if self.connection.is_autocommit() {
                self.rebase();
                let error = result.err().unwrap_or_else(|| {
                    Error::internal(anyhow::anyhow!("a write went on after its transaction had been rolled back"))
                });
                self.met_full_disk |= error.kind == Kind::StorageFull;
                answer(entry, Err(error));
                let jobs = ran.into_iter().map(|(entry, _)| entry).chain(again).collect();
                return Attempt::Again { jobs, together: true };
            }
            ran.push((entry, result));
        }
        if ran.iter().all(|(_, result)| result.is_err()) {
            self.roll_back();
        } else if let Err(error) = self.commit() {
            self.roll_back();
            self.rebase();
            self.shared.meters.failed.add(1);
            // Of a group, each gets another chance before that counts.
            self.met_full_disk |= alone && is_full(&error);
            if alone {
                answer_all(ran.into_iter().map(|(entry, _)| entry).collect(), || commit_error(&error));
                return Attempt::Done;
            }
            let jobs = ran.into_iter().map(|(entry, _)| entry).collect();
            return Attempt::Again { jobs, together: false };
        } else {
            self.shared.meters.groups.note(ran.len() as u64);
            self.shared.meters.commits.note(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
            self.announce(group.committed(), now);
        }
        for (entry, result) in ran {
            answer(entry, result);
        }
        Attempt::Done
    }

    /// The next job of a growing group: what has arrived meanwhile joins, up to a barrier.
    fn next_job(&mut self, in_group: usize, started: Instant) -> Option<Entry> {
        if in_group >= GROUP_JOBS || (in_group > 0 && started.elapsed() >= GROUP_TIME) {
            return None;
        }
        if self.pending.is_empty() {
            if in_group == 0 {
                self.queue.take(&mut self.pending, GROUP_JOBS, Duration::ZERO);
            } else {
                self.queue.take_more(&mut self.pending, GROUP_JOBS - in_group);
            }
        }
        if self.pending.front()?.alone() { None } else { self.pending.pop_front() }
    }

    fn next_jobs(&mut self) -> Vec<Entry> {
        let until = self.pending.iter().position(|entry| entry.alone()).unwrap_or(self.pending.len());
        self.pending.drain(..until).collect()
    }

    /// One job in its savepoint; afterwards the transaction is as before it if it failed, or rolled back as a whole.
    fn run_job(&mut self, entry: &mut Entry, group: &mut Group, now: Timestamp, alone: bool) -> Result<()> {
        let mark = group.mark();
        if !alone {
            self.statement("SAVEPOINT job")?;
        }
        let passes = entry.place == Place::Behind && self.pending.is_empty() && self.queue.len() == 0;
        let others = passes.then_some(&*self.queue);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut tx = WriteTx::new(&self.connection, now, group, &self.ledger, &self.meter).giving_way(others);
            entry.job.run(&mut tx)
        }));
        self.meter.stop();
        let result = ran.unwrap_or_else(|panic| Err(panic_error(panic)));
        if result.is_err() {
            group.rewind(mark);
        }
        // Rolled back by SQLite: there is no savepoint any more.
        if alone || self.connection.is_autocommit() {
            return result;
        }
        let undone = if result.is_err() { self.statement("ROLLBACK TO job") } else { Ok(()) };
        let left = undone.and_then(|()| self.statement("RELEASE job"));
        if let Err(error) = left {
            // What the job did could be neither kept nor undone by itself.
            self.roll_back();
            return result.and(Err(error.into()));
        }
        result
    }

    fn statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_| ())
    }

    fn commit(&self) -> rusqlite::Result<()> {
        self.may_commit.store(true, Relaxed);
        let committed = self.statement("COMMIT");
        self.may_commit.store(false, Relaxed);
        committed
    }

    fn roll_back(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    /// After COMMIT and before the acknowledgements: tells everybody in the house.
    fn announce(&mut self, committed: Committed, at: Timestamp) {
        let Committed { changes, quiet, effects, epoch } = committed;
        if let Some(epoch) = epoch {
            self.begin_epoch(epoch);
        }
        for effect in effects {
            contain("an effect after a commit", effect);
        }
        if changes.is_empty() && quiet.is_empty() {
            return;
        }
        if self.oldest == 0 {
            self.oldest = changes.first().map_or(0, |(seq, _)| *seq);
        }
        // In this order: a change that has a number is newer than what was done quietly beside it.
        self.ledger.record_quiet(&quiet);
        self.ledger.record(&changes);
        self.quiet = self.quiet.saturating_add(quiet.len() as u64);
        let last = changes.last().map(|(last, _)| *last);
        let commit = Arc::new(Commit { changes, quiet, at });
        for listener in self.shared.listeners.read().iter() {
            contain("a listener of commits", || listener(&commit));
        }
        if let Some(last) = last {
            self.shared.watch.send_replace(last);
        }
    }

    pub(super) fn begin_epoch(&mut self, epoch: Arc<str>) {
        let tx = ReadTx { connection: &self.connection, now: Timestamp::default() };
        match log::last(&tx).and_then(|last| Ok((last, log::oldest(&tx)?))) {
            Ok((last, oldest)) => {
                self.ledger.forget(last);
                self.oldest = oldest;
            }
            Err(error) => {
                tracing::error!(%error, "the log could not be read at the start of an epoch");
                self.ledger.forget(self.ledger.last());
            }
        }
        self.shared.epoch.store(Arc::new(Arc::clone(&epoch)));
        for listener in self.shared.epoch_listeners.read().iter() {
            contain("a listener of epochs", || listener(&epoch));
        }
    }

    /// Another program wrote into the file: nothing that we remember holds, and the log does not tell what it did.
    fn notice_foreign_writes(&mut self) {
        let Ok(version) = data_version(&self.connection) else { return };
        if version == self.data_version {
            return;
        }
        tracing::warn!("another program wrote to the database: caches are dropped and the log begins a new epoch");
        // Its rows come first: our own sequence numbers follow them.
        let tx = ReadTx { connection: &self.connection, now: Timestamp::default() };
        if let Ok(last) = log::last(&tx) {
            self.ledger.forget(last);
        }
        let began = self.own_transaction(|tx| tx.new_epoch().map(|_| ()));
        match began {
            Ok(()) => self.data_version = version,
            Err(error) => tracing::error!(%error, "a new epoch could not be stored; trying again"),
        }
    }

    /// Removes what is over the retention, once that is at least `worth` entries.
    fn prune(&mut self, worth: u64) {
        let last = self.ledger.last();
        if self.retention == 0 || self.oldest == 0 || last < self.oldest {
            return;
        }
        let kept = last + 1 - self.oldest;
        if kept < self.retention.max(1).saturating_add(worth) {
            return;
        }
        let (oldest, retention) = (self.oldest, self.retention);
        let mut left = oldest;
        let pruned = self.own_transaction(|tx| {
            left = log::prune(tx, last, oldest, retention, PRUNE_STEP)?;
            Ok(())
        });
        match pruned {
            Ok(()) => self.oldest = left,
            Err(error) => tracing::warn!(%error, "old entries of the change log could not be removed"),
        }
    }

    /// Takes the next step towards good plans; false when there is none.
    fn refresh_statistics(&mut self, busy: bool) -> bool {
        let written = self.ledger.last().saturating_add(self.quiet);
        let Some(step) = self.statistics.next(busy, written) else { return false };
        let (mut wanted, mut looked) = (self.statistics.take(), false);
        let done = match step {
            Step::Ask => self.own_transaction(|tx| {
                wanted = statistics::ask(tx)?;
                Ok(())
            }),
            Step::Look => self.own_transaction(|tx| {
                looked = statistics::look(tx, &mut wanted)?;
                Ok(())
            }),
            Step::Tell => {
                self.shared.readers.plan_anew();
                Ok(())
            }
        };
        self.statistics.want(wanted, looked);
        if let Err(error) = done {
            // The same plans as before, then, and another try later.
            tracing::warn!(%error, "the query planner's statistics could not be refreshed");
        }
        true
    }

    /// A transaction of the writer's own.
    pub(super) fn own_transaction(&mut self, f: impl FnOnce(&mut WriteTx<'_>) -> Result<()>) -> Result<()> {
        let now = self.shared.clock.now();
        let mut group = Group::new(self.ledger.last());
        self.statement("BEGIN IMMEDIATE")?;
        let mut tx = WriteTx::new(&self.connection, now, &mut group, &self.ledger, &self.meter);
        let done = f(&mut tx).and_then(|()| Ok(self.commit()?));
        match done {
            Ok(()) => self.announce(group.committed(), now),
            Err(_) => {
                self.roll_back();
                self.rebase();
            }
        }
        done
    }

    /// A failed transaction may count as somebody else's commit: SQLite drops its page cache for both.
    pub(super) fn rebase(&mut self) {
        if let Ok(version) = data_version(&self.connection) {
            self.data_version = version;
        }
    }
}

/// Whoever still waits when the writer's thread ends is told so.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

fn answer(entry: Entry, result: Result<()>) {
    contain("an answer to a write", || entry.job.answer(result));
}

fn answer_all(entries: Vec<Entry>, error: impl Fn() -> Error) {
    for entry in entries {
        answer(entry, Err(error()));
    }
}

/// Runs other rooms' code: its panic must not end the writer.
pub(super) fn contain(what: &str, f: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
        let error = panic_error(panic);
        tracing::error!(%error, "{what} panicked");
    }
}

/// The smallest write that reaches the disk: what it writes means nothing.
pub(super) fn leave_a_mark(tx: &mut WriteTx<'_>) -> Result<()> {
    let sql = "INSERT INTO __conch_meta (key, value) VALUES ('mark', ?1)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    // SQLite does not write what is there already.
    let mark = crate::random::string(crate::random::LOWER_ALPHANUMERIC, 8);
    tx.execute(sql, [mark]).map(drop)
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// The same failure for each of several jobs.
fn commit_error(error: &rusqlite::Error) -> Error {
    match error.sqlite_error() {
        Some(code) => rusqlite::Error::SqliteFailure(*code, Some(error.to_string())).into(),
        None => Error::internal(anyhow::anyhow!("{error}")),
    }
}

fn begin_error(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        // Another program holds the write lock for longer than the busy handler waits.
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Error::busy(Duration::from_secs(1)).because(anyhow::anyhow!("{error}"))
        }
        _ => commit_error(error),
    }
}
