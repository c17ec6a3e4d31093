//! Work that outlives the request that asked for it: a durable queue in the table `__conch_jobs`.
//!
//! A job is added in the transaction of what calls for it, so both happen or neither does. The [`Runner`] claims due
//! jobs with a lease, runs their handlers and finishes, repeats or buries them. A job runs *at least* once: when the
//! process dies in the middle, it runs again in the next one, which owns the directory and so knows that the other is
//! gone.
//!
//! May touch `db` only. Main types: [`Jobs`], through which any room adds jobs, and [`Runner`], which the server starts
//! and nobody else. They are two because handlers own the rooms that add jobs: a queue that owned its handlers would
//! never be dropped.
//!
//! | file | idea |
//! | --- | --- |
//! | `store` | what is done to rows, each a few lines of SQL |
//! | `cron` | recurring times: expressions, zones, what happens when clocks are changed |
//! | `alarm` | when to look again, so that nobody polls |
//! | `policy`, `pace` | how often, how long, how many at once, how fast, how soon again |
//! | `recurring` | series: what follows on a run, what was missed, what overlaps |
//! | `history` | what became of runs |
//! | `stats` | how the queue stands, in numbers |
//! | `desk` | what a superuser sees of the queue, and may do to it |
//! | `runner`, `run` | claiming; one run of one job |

mod alarm;
pub mod cron;
mod desk;
mod history;
mod pace;
mod policy;
mod recurring;
mod run;
mod runner;
mod stats;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value as Json;

use self::pace::Allowance;
pub use self::{
    alarm::Alarm,
    desk::{Entry, PastRun, Search, State},
    policy::{Failure, Policy, Rate},
    recurring::Overlap,
    runner::{CronEntry, Runner, Times},
    stats::{Count, OfKind, Stats},
};
use crate::{
    clock::Timestamp,
    db::{Db, WriteTx},
    error::Result,
};

/// The queue, for whoever adds jobs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    db: Db,
    alarm: Arc<Alarm>,
    allowance: Arc<Allowance>,
}

/// A job to be added.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Names the handler ([`Runner::on`]).
    pub kind: &'static str,
    /// What the handler needs to know, at most 64 KiB as text. No secrets: it lies in the database.
    pub payload: Json,
    /// Not before this time; at once if there is none.
    pub due: Option<Timestamp>,
    /// While a job of this kind and key waits, adding another does nothing: jobs with the same key are taken to do the
    /// same. At most 1 KiB.
    pub unique: Option<String>,
    /// Of those that are due, the more urgent go first.
    pub priority: Priority,
}

/// Which of the jobs of a kind that are due go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    Low = 0,
    #[default]
    Normal = 1,
    High = 2,
}

impl NewJob {
    /// Due at once, however many of its like wait.
    pub fn new(kind: &'static str, payload: Json) -> Self {
        Self { kind, payload, due: None, unique: None, priority: Priority::Normal }
    }
}

/// A job as its handler gets it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Never given to another job: good as an idempotency key towards others.
    pub id: i64,
    pub kind: &'static str,
    pub payload: Json,
    /// 1 in the first run.
    pub attempt: u32,
    /// For which time of its series a recurring job runs; none when it was called for.
    pub scheduled: Option<Timestamp>,
}

impl Jobs {
    pub fn new(db: Db) -> Self {
        Self { db, alarm: Arc::default(), allowance: Arc::default() }
    }

    /// Adds a job in the caller's transaction; it can be claimed as soon as that has committed.
    /// `Busy` while too many of its kind wait.
    pub fn add(&self, tx: &mut WriteTx<'_>, job: &NewJob) -> Result<()> {
        if let Some(due) = store::add(tx, job, &self.allowance)? {
            self.wake_at(tx, due);
        }
        Ok(())
    }

    /// [`Jobs::add`] as a write of its own; returns once the job is safe.
    pub async fn enqueue(&self, job: NewJob) -> Result<()> {
        let jobs = self.clone();
        self.db.write(move |tx| jobs.add(tx, &job)).await
    }

    fn wake_at(&self, tx: &mut WriteTx<'_>, time: Timestamp) {
        let alarm = Arc::clone(&self.alarm);
        tx.after_commit(move || alarm.set(time));
    }
}
