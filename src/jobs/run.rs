//! One run of one job: the handler under a time limit, its panic caught, and what becomes of the job.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use futures_util::FutureExt;

use super::{
    Claimed, Failure, Jobs, Policy,
    history::{self, End},
    recurring::{Overlap, Recurring},
    store::{self, Run},
};
use crate::{db::WriteTx, error::Result};

/// How much longer than a run may take its lease holds: to write down how it ended.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// A result that could not be written down is written again after this.
const WRITE_AGAIN: Duration = Duration::from_millis(500);
/// Bytes that are kept of why a run failed.
const MAX_REASON: usize = 1000;

type Work = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// What to do with the jobs of one kind.
pub(super) struct Handler {
    pub kind: &'static str,
    pub policy: Policy,
    pub work: Box<dyn Fn(Claimed) -> Work + Send + Sync>,
    /// Of a cron. There is none of other jobs.
    pub series: Option<Arc<Series>>,
    /// Of all kinds.
    pub place: usize,
}

/// When a cron runs, which may change while it is there.
pub(super) struct Series {
    /// The next run is added with the end of the last, or with its beginning. `None`: it has no times now.
    recurring: ArcSwapOption<Recurring>,
    /// Counts the changes.
    version: AtomicU64,
}

impl Series {
    pub fn new(recurring: Option<Recurring>) -> Self {
        Self { recurring: ArcSwapOption::from(recurring.map(Arc::new)), version: AtomicU64::new(0) }
    }

    pub fn set(&self, recurring: Option<Recurring>) {
        self.recurring.store(recurring.map(Arc::new));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Number of the change before which `Handler::recurring` is asked.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// How a run ended.
enum Outcome {
    Done,
    Repeat { wait: Duration, why: String },
    Bury { why: String },
}

/// A run that has ended.
struct Ended {
    run: Run,
    took: Duration,
    outcome: Outcome,
}

impl Handler {
    /// When it runs by itself, if it does.
    pub fn recurring(&self) -> Option<Arc<Recurring>> {
        self.series.as_ref()?.recurring.load_full()
    }

    pub fn lease(&self) -> Duration {
        self.policy.timeout.saturating_add(LEASE_MARGIN)
    }

    /// Runs it and sees to the job. Ends within the lease.
    pub async fn run(self: Arc<Self>, jobs: Jobs, run: Run) {
        let claimed = Instant::now();
        let outcome = self.outcome(&run).await;
        let ended = Arc::new(Ended { run, took: claimed.elapsed(), outcome });
        self.tell(&ended);
        loop {
            let written = jobs.db.write({
                let (handler, jobs, ended) = (Arc::clone(&self), jobs.clone(), Arc::clone(&ended));
                move |tx| handler.settle(&jobs, tx, &ended)
            });
            let Err(error) = written.await else { return };
            if claimed.elapsed() + WRITE_AGAIN >= self.lease() {
                let (kind, id) = (self.kind, ended.run.id);
                tracing::error!(kind, id, %error, "how a job ended cannot be written down: it will run again");
                return;
            }
            tokio::time::sleep(WRITE_AGAIN).await;
        }
    }

    async fn outcome(&self, run: &Run) -> Outcome {
        let attempt = run.attempt;
        let Err(failure) = self.work(run).await else { return Outcome::Done };
        let mut why = failure.why;
        why.truncate(why.floor_char_boundary(MAX_REASON));
        if failure.permanent || attempt >= self.policy.attempts {
            return Outcome::Bury { why };
        }
        Outcome::Repeat { wait: self.policy.wait(attempt, failure.retry_after), why }
    }

    async fn work(&self, run: &Run) -> Result<(), Failure> {
        let payload = serde_json::from_str(&run.payload).map_err(Failure::permanent)?;
        let claimed =
            Claimed { id: run.id, kind: self.kind, payload, attempt: run.attempt, scheduled: run.scheduled() };
        // The handler itself may panic before it has made a future: both are caught, and end this run only.
        let work = AssertUnwindSafe(async { (self.work)(claimed).await }).catch_unwind();
        match tokio::time::timeout(self.policy.timeout, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::passing("it panicked")),
            Err(_) => Err(Failure::passing(format_args!("it took longer than {:?}", self.policy.timeout))),
        }
    }

    /// Writes down how the run ended, together with what follows from it.
    fn settle(&self, jobs: &Jobs, tx: &mut WriteTx<'_>, ended: &Ended) -> Result<()> {
        let Run { id, attempt, .. } = ended.run;
        let (settled, end, why) = match &ended.outcome {
            Outcome::Done => (store::finish(tx, id, attempt)?, End::Done, None),
            Outcome::Repeat { wait, why } => {
                let due = tx.now().plus(*wait);
                jobs.wake_at(tx, due);
                (store::repeat(tx, id, attempt, due, why)?, End::Failed, Some(why.as_str()))
            }
            Outcome::Bury { why } => (store::bury(tx, self.kind, id, attempt, why)?, End::Dead, Some(why.as_str())),
        };
        // It is not the current run any more.
        if !settled {
            return Ok(());
        }
        history::note(tx, self.kind, &ended.run, ended.took, end, why)?;
        if end != End::Failed
            && let Some(recurring) = self.recurring()
            && recurring.overlap == Overlap::Skip
            && let Some(scheduled) = ended.run.scheduled()
        {
            let next = recurring.following(scheduled, ended.run.began, tx.now());
            recurring.add(jobs, tx, self.kind, next)?;
        }
        Ok(())
    }

    fn tell(&self, ended: &Ended) {
        let Ended { run: Run { id, attempt, .. }, outcome, .. } = ended;
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
