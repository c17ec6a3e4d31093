//! One run of one job: the handler under a time limit, its panic caught, and what becomes of the job.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;

use super::{Claimed, Failure, Jobs, NewJob, Policy, store};
use crate::{clock::Timestamp, db::WriteTx, error::Result};

/// How much longer than a run may take its lease holds: to write down how it ended.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// A result that could not be written down is written again after this.
const WRITE_AGAIN: Duration = Duration::from_millis(500);
/// Bytes that are kept of why a run failed.
const MAX_REASON: usize = 1000;
const HOUR: i64 = 3_600_000;

type Work = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// What to do with the jobs of one kind.
pub(super) struct Handler {
    pub kind: &'static str,
    pub policy: Policy,
    pub work: Box<dyn Fn(Claimed) -> Work + Send + Sync>,
    /// The job is there always: its next run is added with the end of the last.
    pub hourly: bool,
}

/// How a run ended.
enum Outcome {
    Done,
    Repeat { wait: Duration, why: String },
    Bury { why: String },
}

impl Handler {
    pub fn lease(&self) -> Duration {
        self.policy.timeout.saturating_add(LEASE_MARGIN)
    }

    /// Adds the next run at minute 0, unless it waits already.
    pub fn recur(&self, jobs: &Jobs, tx: &mut WriteTx<'_>) -> Result<()> {
        if !self.hourly {
            return Ok(());
        }
        let hours = tx.now().0.div_euclid(HOUR);
        let due = Some(Timestamp((hours + 1).saturating_mul(HOUR)));
        let unique = Some("hourly".to_owned());
        jobs.add(tx, &NewJob { kind: self.kind, payload: serde_json::Value::Null, due, unique })
    }

    /// Runs it and sees to the job. Ends within the lease.
    pub async fn run(self: Arc<Self>, jobs: Jobs, run: store::Run) {
        let claimed = Instant::now();
        let (id, attempt) = (run.id, run.attempt);
        let outcome = Arc::new(self.outcome(run).await);
        self.tell(id, attempt, &outcome);
        loop {
            let written = jobs.db.write({
                let (handler, jobs, outcome) = (Arc::clone(&self), jobs.clone(), Arc::clone(&outcome));
                move |tx| handler.settle(&jobs, tx, id, attempt, &outcome)
            });
            let Err(error) = written.await else { return };
            if claimed.elapsed() + WRITE_AGAIN >= self.lease() {
                tracing::error!(kind = self.kind, id, %error, "how a job ended cannot be written down: it will run again");
                return;
            }
            tokio::time::sleep(WRITE_AGAIN).await;
        }
    }

    async fn outcome(&self, run: store::Run) -> Outcome {
        let attempt = run.attempt;
        let Err(failure) = self.work(run).await else { return Outcome::Done };
        let mut why = failure.why;
        why.truncate(why.floor_char_boundary(MAX_REASON));
        if failure.permanent || attempt >= self.policy.attempts {
            return Outcome::Bury { why };
        }
        Outcome::Repeat { wait: self.policy.wait(attempt, failure.retry_after), why }
    }

    async fn work(&self, run: store::Run) -> Result<(), Failure> {
        let payload = serde_json::from_str(&run.payload).map_err(Failure::permanent)?;
        let claimed = Claimed { id: run.id, kind: self.kind, payload, attempt: run.attempt };
        // The handler itself may panic before it has made a future: both are caught, and end this run only.
        let work = AssertUnwindSafe(async { (self.work)(claimed).await }).catch_unwind();
        match tokio::time::timeout(self.policy.timeout, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::passing("it panicked")),
            Err(_) => Err(Failure::passing(format_args!("it took longer than {:?}", self.policy.timeout))),
        }
    }

    /// Writes down how the run ended, together with what follows from it.
    fn settle(&self, jobs: &Jobs, tx: &mut WriteTx<'_>, id: i64, attempt: u32, outcome: &Outcome) -> Result<()> {
        match outcome {
            Outcome::Done => {
                if store::finish(tx, id, attempt)? {
                    self.recur(jobs, tx)?;
                }
            }
            Outcome::Repeat { wait, why } => {
                let due = tx.now().plus(*wait);
                if store::repeat(tx, id, attempt, due, why)? {
                    jobs.wake_at(tx, due);
                }
            }
            Outcome::Bury { why } => {
                if store::bury(tx, self.kind, id, attempt, why)? {
                    self.recur(jobs, tx)?;
                }
            }
        }
        Ok(())
    }

    fn tell(&self, id: i64, attempt: u32, outcome: &Outcome) {
        let kind = self.kind;
        match outcome {
            Outcome::Done => tracing::debug!(kind, id, attempt, "a job is done"),
            Outcome::Repeat { wait, why } => {
                tracing::warn!(kind, id, attempt, ?wait, why, "a job has failed and will run again");
            }
            Outcome::Bury { why } => tracing::error!(kind, id, attempt, why, "a job has failed for good"),
        }
    }
}
