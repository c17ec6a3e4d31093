//! When the write-ahead log is copied back into the database, so that it stays small under any load.
//!
//! Most of it is copied beside the writer (`copier.rs`). To begin the log anew is the writer's, between groups; when it is
//! worth that, what is left is copied beside it first, so that little keeps it from committing.
//!
//! A checkpoint copies up to the oldest snapshot in use; under a stream of
//! overlapping reads that is never the end of the log, so the log would never begin anew. Therefore the writer waits for
//! the readers of old snapshots: a moment while the log is small, longer and at intervals once it is not (a slow read
//! holds it up until its timeout). New readers wait for nobody meanwhile.
//!
//! While a copy of the database is made (`snapshot.rs`) there is no use in waiting, and nothing is tried. Afterwards what
//! has piled up is copied beside the writer, however much it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Result};

use super::{connect::BUSY, copier::Copier};

/// New pages that are worth a checkpoint: 16 MiB. The longer the wait, the more pages were written again meanwhile and
/// are copied once.
const STEP: i32 = 4000;
/// New pages that are worth copying beside the writer: 4 MiB.
const AHEAD: i32 = 1000;
/// Pages that the writer may copy itself.
const NEAR: i32 = 200;
/// Pages from which on the writer waits longer: 32 MiB.
const ESCALATE: i32 = 8000;
/// How long the writer waits for the readers of old snapshots: point reads and short lists are over by then.
const MOMENT: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(50);
/// Between two long waits, and after a failure: slow reads must not take the writer's time, too.
const PAUSE: Duration = Duration::from_millis(250);
/// An idle writer copies back this many pages.
const IDLE: i32 = 64;
/// So often what has piled up behind a copy is copied beside the writer before it sees to the rest itself.
const CATCH_UPS: u32 = 16;
/// Between two looks at a lock that is held.
const NAP: Duration = Duration::from_micros(200);

pub(super) struct Checkpointer {
    /// Pages in the log after the last commit, as SQLite's hook tells.
    pages: Arc<AtomicI32>,
    /// `pages` as last seen here.
    seen: i32,
    /// The part of them that is in the database already.
    copied: i32,
    /// The number of pages at which to try again.
    next: i32,
    /// The number of pages when the copier last began.
    ordered: i32,
    /// It has copied what was left when the log was long enough to begin anew.
    closed_in: bool,
    /// How often the copier may still run before the log is begun anew, after a copy of the database.
    catch_ups: u32,
    /// Copies of the database that are being made.
    held: Arc<AtomicU32>,
    copier: Copier,
    not_before: Instant,
    /// What the busy handler goes by, in milliseconds: long for another program's write lock, short for readers.
    patience: Arc<AtomicU64>,
}

impl Checkpointer {
    /// Watches the writer's connection and takes over its busy handler.
    pub(super) fn install(connection: &mut Connection, held: Arc<AtomicU32>) -> Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(pages, Relaxed);
            Ok(())
        }))?;
        let patience = Arc::new(AtomicU64::new(millis(BUSY)));
        let limit = Arc::clone(&patience);
        let mut since = Instant::now();
        connection.busy_handler(Some(move |count| {
            if count == 0 {
                since = Instant::now();
            }
            thread::sleep(NAP);
            millis(since.elapsed()) < limit.load(Relaxed)
        }))?;
        let copier = Copier::new(connection)?;
        let not_before = Instant::now();
        Ok(Self {
            pages,
            seen: 0,
            copied: 0,
            next: STEP,
            ordered: 0,
            closed_in: false,
            catch_ups: 0,
            held,
            copier,
            not_before,
            patience,
        })
    }

    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = self.look();
        if self.held.load(Relaxed) > 0 {
            self.catch_ups = CATCH_UPS;
            return;
        }
        if Instant::now() < self.not_before || self.copier.is_busy() {
            return;
        }
        let left = pages - self.copied;
        if self.catch_up(pages) {
            return;
        }
        if pages < self.next {
            if left >= AHEAD && pages - self.ordered >= AHEAD {
                self.order(pages);
            }
            return;
        }
        let long = pages >= ESCALATE;
        if !long && !self.closed_in && left > NEAR && self.order(pages) {
            self.closed_in = true;
            return;
        }
        self.closed_in = false;
        // The more the log has grown over that, the longer, but never so long that a slow read stops the writer.
        let patience = if long { PATIENCE * (pages / ESCALATE).clamp(1, 4).unsigned_abs() } else { MOMENT };
        self.run(connection, "PRAGMA wal_checkpoint(RESTART)", patience);
        if long && self.copied < pages {
            self.not_before = Instant::now() + PAUSE;
        }
        // What a reader held back may be free a little later.
        self.next = pages.saturating_add(if self.copied < pages { STEP / 4 } else { STEP });
    }

    /// How many pages there are in the log, and what has become of them.
    fn look(&mut self) -> i32 {
        let pages = self.pages.load(Relaxed);
        // Everything was copied and SQLite has begun the log anew.
        if pages < self.seen {
            (self.copied, self.next, self.ordered, self.closed_in) = (0, STEP, 0, false);
        }
        self.seen = pages;
        match self.copier.result() {
            // One of the log before would be too large: it only decides who copies.
            Some(Ok(copied)) => self.copied = copied.max(self.copied).min(pages),
            Some(Err(error)) => self.failed(&error),
            None => {}
        }
        pages
    }

    /// Has what piled up behind a copy of the database copied beside the writer. False when there is no such thing, or it
    /// is little enough.
    fn catch_up(&mut self, pages: i32) -> bool {
        let is_behind = self.catch_ups > 0 && pages - self.copied >= AHEAD;
        self.catch_ups = if is_behind { self.catch_ups - 1 } else { 0 };
        is_behind && self.order(pages)
    }

    /// Has what there is copied beside the writer, if that is possible.
    fn order(&mut self, pages: i32) -> bool {
        self.ordered = pages;
        self.copier.start()
    }

    /// Pages in the log after the last commit, and those of them that are in the database.
    pub(super) fn pages(&self) -> (i32, i32) {
        let pages = self.pages.load(Relaxed);
        (pages, self.copied.clamp(0, pages.max(0)))
    }

    /// Nobody has written for a while.
    pub(super) fn when_idle(&mut self, connection: &Connection) {
        let pages = self.look();
        if self.held.load(Relaxed) > 0 || pages - self.copied < IDLE || Instant::now() < self.not_before {
            return;
        }
        if !self.copier.is_busy() && !self.catch_up(pages) {
            self.copy_back(connection);
        }
    }

    /// Copies what no reader holds back.
    pub(super) fn copy_back(&mut self, connection: &Connection) {
        // One at a time: the other would be refused.
        if self.copier.is_busy() {
            return;
        }
        self.run(connection, "PRAGMA wal_checkpoint(PASSIVE)", MOMENT);
    }

    /// Copies everything and empties the log's file, as far as the last readers allow.
    pub(super) fn finish(&mut self, connection: &Connection) {
        self.copier.close();
        self.run(connection, "PRAGMA wal_checkpoint(TRUNCATE)", PATIENCE);
    }

    fn run(&mut self, connection: &Connection, sql: &str, patience: Duration) {
        self.patience.store(millis(patience), Relaxed);
        match checkpoint(connection, sql) {
            // Refused to another program's checkpoint: nothing is known.
            Ok(copied) if copied < 0 => {}
            Ok(copied) => self.copied = copied,
            Err(error) => self.failed(&error),
        }
        self.patience.store(millis(BUSY), Relaxed);
    }

    /// The database file cannot take the pages now (full disk): they stay safe in the log.
    fn failed(&mut self, error: &rusqlite::Error) {
        tracing::warn!(%error, "the write-ahead log could not be checkpointed; trying again later");
        self.not_before = Instant::now() + PAUSE;
    }
}

/// Returns the number of the log's pages that are in the database; "busy" only means fewer of them.
fn checkpoint(connection: &Connection, sql: &str) -> Result<i32> {
    connection.prepare_cached(sql)?.query_row([], |row| row.get(2))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
