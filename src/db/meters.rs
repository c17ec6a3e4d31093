//! What the database counts of itself, for whoever runs it.

use std::sync::atomic::{AtomicI32, AtomicU64};

use crate::measure::{Counter, Histogram, Tally};

/// Jobs that were committed together.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Microseconds from the first statement of a group to the end of its COMMIT.
const TIMES: &[u64] =
    &[100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// Counted where it happens; all but the refusals on the writer's thread.
pub(super) struct Meters {
    pub groups: Histogram,
    pub commits: Histogram,
    /// Groups that could not be committed.
    pub failed: Counter,
    /// Writes that found the queue full.
    pub refused: Counter,
    /// Inline reads that took too long and began again in the slow lane.
    pub handed_over: Counter,
    /// Pages in the write-ahead log, and those of them that are in the database.
    pub wal_pages: AtomicI32,
    pub wal_copied: AtomicI32,
    /// The oldest number in the change log.
    pub oldest: AtomicU64,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            groups: Histogram::new(SIZES),
            commits: Histogram::new(TIMES),
            failed: Counter::default(),
            refused: Counter::default(),
            handed_over: Counter::default(),
            wal_pages: AtomicI32::new(0),
            wal_copied: AtomicI32::new(0),
            oldest: AtomicU64::new(0),
        }
    }
}

/// How the database stands.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Writes that wait, of so many that may.
    pub queued: usize,
    pub queue_capacity: usize,
    /// Writes that found the queue full, since the start.
    pub refused: u64,
    /// Writes that were committed together: how many transactions of which size.
    pub groups: Tally,
    /// Microseconds that these transactions took.
    pub commits: Tally,
    pub failed_commits: u64,
    /// Bytes of `data.db` and of its write-ahead log.
    pub database_bytes: u64,
    pub wal_bytes: u64,
    /// Pages in the write-ahead log, and those of them that are in the database already.
    pub wal_pages: u64,
    pub wal_copied_pages: u64,
    /// The newest and the oldest number in the change log; 0 when it is empty.
    pub log_last: u64,
    pub log_oldest: u64,
    /// Reads that took too long on their worker, since the start.
    pub slow_reads: u64,
    /// Reads that run in the slow lane, and wait for a place in it.
    pub slow_running: usize,
    pub slow_waiting: usize,
}
