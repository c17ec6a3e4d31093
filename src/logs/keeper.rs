//! The thread that owns `auxiliary.db`: writes what has gathered, removes what is over.
//!
//! It gives way to everything else, so a flood of requests costs rows and not answers. What may take long is done in
//! steps, between which it writes what has come meanwhile. Nothing here may end the thread: what the database refuses is
//! counted and told on stderr, at most once a minute.

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

/// Rows removed in one step, so that those on their way need not wait long.
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
/// Behind everybody: on a machine that has nothing to spare it gets next to nothing, and rows are dropped rather than
/// requests slowed.
const NICENESS: i32 = 19;

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
    /// [`MAX_SIZE`]
    most: u64,
}

/// Starts the thread; it ends when the queue is closed and empty.
pub(super) fn start(connection: Connection, shared: Arc<Shared>, clock: Clock) -> Result<JoinHandle<()>> {
    let mut keeper = Keeper::new(connection, shared, clock);
    Ok(Builder::new().name("conch-logs".into()).spawn(move || {
        threads::give_way(NICENESS);
        keeper.run();
    })?)
}

impl Keeper {
    fn new(connection: Connection, shared: Arc<Shared>, clock: Clock) -> Self {
        let (ids, pen) = (Ids::new(), Pen::default());
        Self { connection, shared, clock, ids, pen, told: 0, complained: None, unseen: LOOK, most: MAX_SIZE }
    }

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
            let looked = self.look_at_size();
            self.complain(looked.err());
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
            Order::CleanUp(reply) => match self.clean_up() {
                // Behind what has come meanwhile. Whoever waits goes on waiting, unless nothing comes any more.
                Ok(true) => return self.shared.queue.order(Order::CleanUp(reply)),
                done => (done.map(drop), reply),
            },
            Order::KeepSmall => match self.keep_small() {
                Ok(true) => return self.shared.queue.order(Order::KeepSmall),
                done => (done.map(drop), None),
            },
            Order::Optimize(reply) => (table::optimize(&self.connection), Some(reply)),
        };
        match reply {
            // Whoever asked may be gone.
            Some(reply) => drop(reply.send(done.map_err(Error::from))),
            None => self.complain(done.err()),
        }
    }

    /// Removes some of what the policy does not want any more (§4.3); whether there may be more.
    fn clean_up(&mut self) -> rusqlite::Result<bool> {
        let policy = self.shared.policy.load_full();
        if policy.max_days <= 0 {
            return table::truncate(&self.connection).map(|()| false);
        }
        let until = Timestamp(self.clock.now().millis() - policy.max_days.min(MAX_DAYS) * DAY);
        let removed = table::remove_old(&self.connection, until, STEP)?;
        Ok(removed == STEP as usize || table::remove_light(&self.connection, policy.min_level, STEP)? == STEP as usize)
    }

    fn look_at_size(&self) -> rusqlite::Result<()> {
        if table::size(&self.connection)? > self.most {
            tracing::warn!("the log has grown beyond {} MiB: its oldest rows are removed", self.most >> 20);
            self.shared.queue.order(Order::KeepSmall);
        }
        Ok(())
    }

    /// Removes some of the oldest rows if it is worth it; whether there may be more.
    fn keep_small(&self) -> rusqlite::Result<bool> {
        let large = table::size(&self.connection)? > self.most / 10 * 9;
        Ok(large && table::remove_oldest(&self.connection, STEP)? > 0)
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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        db::testing::{TempDir, options},
        logs::{ERROR, Logs, Policy},
    };

    const OLD: i64 = 10 * DAY;

    /// A keeper whose table holds so many rows of the beginning of time, ten days ago.
    fn keeper(dir: &TempDir, rows: u32) -> Keeper {
        let policy = Policy { max_days: 5, min_level: 0, max_data_size: 0, with_ip: true, with_auth_id: true };
        let logs = Logs::new(dir.path(), options(), policy);
        let shared = Arc::clone(&logs.inner.shared);
        // Its end would close the queue.
        std::mem::forget(logs);
        let (connection, _side) = table::open(dir.path(), &options()).unwrap();
        let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
                   INSERT INTO _logs (level, message, created) SELECT 0, 'old ' || n, ?2 FROM n";
        connection.execute(sql, (rows, Timestamp(0).to_string())).unwrap();
        Keeper { unseen: 0, ..Keeper::new(connection, shared, Clock::manual(Timestamp(OLD))) }
    }

    /// What is told while rows are removed, and how many rows there are after each turn.
    fn turns(keeper: &mut Keeper, mut go_on: impl FnMut(&Keeper) -> bool) -> Vec<i64> {
        let (mut batch, mut counts) = (Batch::default(), Vec::new());
        while go_on(keeper) {
            let event = Event::new(Timestamp(OLD), ERROR, "new".to_owned(), Map::new(), None);
            keeper.shared.push_event(event);
            keeper.shared.queue.take(&mut batch);
            keeper.work(&mut batch);
            let sql = "SELECT count(*), count(*) FILTER (WHERE message = 'new') FROM _logs";
            let (all, new): (i64, i64) =
                keeper.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            counts.push(all - new);
            assert_eq!(new, counts.len() as i64, "what came meanwhile is written in the same turn");
        }
        counts
    }

    #[test]
    fn a_large_clean_up_goes_on_in_steps() {
        let dir = TempDir::new();
        let mut keeper = keeper(&dir, 2 * STEP + 5);
        let (reply, mut done) = oneshot::channel();
        keeper.shared.queue.order(Order::CleanUp(Some(reply)));
        let left = turns(&mut keeper, |_| done.try_recv().is_err());
        assert_eq!(left, [i64::from(STEP) + 5, 5, 0]);
    }

    #[test]
    fn a_log_that_is_too_large_is_made_smaller_in_steps() {
        let dir = TempDir::new();
        let mut keeper = keeper(&dir, 5 * STEP);
        let full = table::size(&keeper.connection).unwrap();
        (keeper.most, keeper.unseen) = (full / 2, LOOK);
        let mut turn = 0;
        let left = turns(&mut keeper, |_| {
            turn += 1;
            turn <= 6
        });
        // The first turn looks, and it ends below nine tenths of what is allowed.
        assert_eq!(left[..3], [5, 4, 3].map(|steps| steps * i64::from(STEP)));
        assert_eq!(left[4], left[5], "{left:?}");
        let size = table::size(&keeper.connection).unwrap();
        assert!(size <= full / 20 * 9 && size > full / 5, "{size} of {full}");
    }
}
