//! The thread that owns `auxiliary.db`: writes what has gathered, removes what is over.
//!
//! It gives way to everything else, so a flood of requests costs rows and not answers. Nothing here may end the thread:
//! what the database refuses is counted and told on stderr, at most once a minute.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde_json::{Map, json};

use super::{
    Event, Shared, WARN,
    entry::Pile,
    pen::Pen,
    queue::{Batch, Order},
    table::{self, Ids},
};
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, Result},
    threads,
};

/// Rows removed in one transaction, so that those on their way need not wait long.
const STEP: u32 = 2000;
/// What the table may take up, in bytes. Beyond it the oldest tenth goes, whatever its age: one server's log must not fill
/// its disk.
const MAX_SIZE: u64 = 1 << 30;
/// How many rows are written between two looks at the size.
const LOOK: u64 = 10_000;
/// How often the same trouble is told.
const TELL: Duration = Duration::from_secs(60);
/// Milliseconds.
const DAY: i64 = 86_400_000;
/// Whoever keeps rows longer keeps them for ever.
const MAX_DAYS: i64 = 1_000_000;
/// Behind the workers: on a machine that has nothing to spare it gets a twentieth of what they get, and rows are dropped
/// rather than requests slowed.
const NICENESS: i32 = 10;

struct Keeper {
    connection: Connection,
    shared: Arc<Shared>,
    clock: Clock,
    ids: Ids,
    pen: Pen,
    /// Dropped entries that the log has told of.
    told: u64,
    complained: Option<Instant>,
    /// Rows written since the last look at the size.
    unseen: u64,
}

/// Starts the thread; it ends when the queue is closed and empty.
pub(super) fn start(connection: Connection, shared: Arc<Shared>, clock: Clock) -> Result<JoinHandle<()>> {
    let (ids, pen) = (Ids::new(), Pen::default());
    let mut keeper = Keeper { connection, shared, clock, ids, pen, told: 0, complained: None, unseen: LOOK };
    Ok(Builder::new().name("conch-logs".into()).spawn(move || {
        threads::give_way(NICENESS);
        keeper.run();
    })?)
}

impl Keeper {
    fn run(&mut self) {
        let mut batch = Batch::default();
        while !batch.last {
            self.shared.queue.take(&mut batch);
            // Its rows are lost then, and the thread is not.
            if catch_unwind(AssertUnwindSafe(|| self.work(&mut batch))).is_err() && !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
    }

    fn work(&mut self, batch: &mut Batch) {
        self.write(&mut batch.pile);
        for order in batch.orders.drain(..) {
            self.carry_out(order);
        }
        if self.unseen >= LOOK {
            self.unseen = 0;
            let kept = self.keep_small();
            self.complain(kept.err());
        }
    }

    fn write(&mut self, pile: &mut Pile) {
        let dropped = self.shared.dropped.load(Relaxed);
        if dropped > self.told {
            pile.add_event(Box::new(missing(self.clock.now(), dropped - self.told)));
        }
        // The policy may have changed since they came.
        pile.entries.retain(|entry| self.shared.wants(entry.level()));
        if pile.entries.is_empty() {
            return;
        }
        let policy = self.shared.policy.load_full();
        let count = pile.entries.len() as u64;
        match table::insert(&self.connection, &mut self.ids, &mut self.pen, pile, &policy) {
            Ok(()) => {
                self.shared.written.fetch_add(count, Relaxed);
                self.unseen += count;
                self.told = dropped;
            }
            Err(error) => {
                self.shared.dropped.fetch_add(count, Relaxed);
                self.complain(Some(error));
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        let (done, reply) = match order {
            Order::Write(reply) => (Ok(()), Some(reply)),
            Order::Truncate(reply) => (table::truncate(&self.connection), Some(reply)),
            Order::CleanUp(reply) => (self.clean_up(), reply),
            Order::Optimize(reply) => (table::optimize(&self.connection), Some(reply)),
        };
        match reply {
            // Whoever asked may be gone.
            Some(reply) => drop(reply.send(done.map_err(Error::from))),
            None => self.complain(done.err()),
        }
    }

    /// Removes what the policy does not want any more (§4.3).
    fn clean_up(&mut self) -> rusqlite::Result<()> {
        let policy = self.shared.policy.load_full();
        if policy.max_days <= 0 {
            return table::truncate(&self.connection);
        }
        let until = Timestamp(self.clock.now().millis() - policy.max_days.min(MAX_DAYS) * DAY);
        while table::remove_old(&self.connection, until, STEP)? == STEP as usize {}
        while table::remove_light(&self.connection, policy.min_level, STEP)? == STEP as usize {}
        Ok(())
    }

    fn keep_small(&mut self) -> rusqlite::Result<()> {
        if table::size(&self.connection)? <= MAX_SIZE {
            return Ok(());
        }
        tracing::warn!("the log has grown beyond {} MiB: its oldest rows are removed", MAX_SIZE >> 20);
        while table::size(&self.connection)? > MAX_SIZE / 10 * 9 && table::remove_oldest(&self.connection, STEP)? > 0 {}
        Ok(())
    }

    fn complain(&mut self, error: Option<rusqlite::Error>) {
        let Some(error) = error else { return };
        if self.complained.is_none_or(|at| at.elapsed() >= TELL) {
            self.complained = Some(Instant::now());
            let dropped = self.shared.dropped.load(Relaxed);
            tracing::warn!(%error, dropped, "the log cannot be kept");
        }
    }
}

/// Says that the log has a hole.
fn missing(now: Timestamp, count: u64) -> Event {
    let mut data = Map::new();
    data.insert("dropped".to_owned(), json!(count));
    Event::new(now, WARN, "More was logged than could be written: rows are missing".to_owned(), data, None)
}
