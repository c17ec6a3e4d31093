//! The runner: one task that claims what is due and starts it, and sleeps exactly until there is something to claim.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    task::{self, JoinHandle, JoinSet},
};

use super::{Claimed, Failure, Jobs, Policy, run::Handler, store};
use crate::{clock::Timestamp, db::WriteTx, error::Result};

/// Runs of one kind that are claimed in one transaction.
const BATCH: u32 = 32;
/// When the queue could not be looked at, it is tried again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Running handlers have this long to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Knows what to do with each kind of job, and does it between [`Runner::start`] and [`Runner::stop`]. Cheap to clone.
///
/// Jobs of a kind that nobody handles wait until somebody does, and are in nobody's way.
#[derive(Clone)]
pub struct Runner {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: Jobs,
    /// Guards only the map, never held across an await.
    handlers: Mutex<Handlers>,
    /// What `stop` needs. The same.
    started: Mutex<Option<Started>>,
}

type Handlers = BTreeMap<&'static str, Arc<Handler>>;

struct Started {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Runner {
    pub fn new(jobs: Jobs) -> Self {
        Self { inner: Arc::new(Inner { jobs, handlers: Mutex::default(), started: Mutex::default() }) }
    }

    /// Says what to do with the jobs of a kind, before [`Runner::start`]. Runs of the handler are futures on the
    /// server's main thread: what blocks or computes for long belongs on the blocking pool. It may be dropped at any
    /// await (time limit, stop), and run again.
    pub fn on<F, W>(&self, kind: &'static str, policy: Policy, handler: F)
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.register(kind, policy, handler, false);
    }

    /// Runs `handler` at minute 0 of every hour; once for all hours that were missed. A failed run is repeated within
    /// the hour as by [`Policy::default`].
    pub fn hourly<F, W>(&self, kind: &'static str, handler: F)
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let policy = Policy { attempts: 4, timeout: Duration::from_secs(300), concurrency: 1, ..Policy::default() };
        self.register(kind, policy, handler, true);
    }

    fn register<F, W>(&self, kind: &'static str, policy: Policy, handler: F, hourly: bool)
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let work = Box::new(move |claimed| -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(handler(claimed))
        });
        let known = self.inner.handlers.lock().insert(kind, Arc::new(Handler { kind, policy, work, hourly }));
        debug_assert!(known.is_none(), "two handlers for {kind}");
    }

    /// Begins to run jobs, as a task of the current runtime. Does nothing when it has begun already.
    pub fn start(&self) {
        let mut started = self.inner.started.lock();
        if started.is_some() {
            return;
        }
        let (stop, stopped) = oneshot::channel();
        let shift = Shift {
            jobs: self.inner.jobs.clone(),
            handlers: self.inner.handlers.lock().clone(),
            running: JoinSet::new(),
            held: HashMap::new(),
        };
        *started = Some(Started { stop, task: tokio::spawn(shift.work(stopped)) });
    }

    /// Whether no job of a kind that is handled here is due or runs.
    pub async fn is_idle(&self) -> Result<bool> {
        let kinds: Vec<_> = self.inner.handlers.lock().keys().copied().collect();
        let clock = self.inner.jobs.db.clock().clone();
        let read = self.inner.jobs.db.read(move |tx| {
            let now = clock.now();
            let mut idle = true;
            for kind in &kinds {
                idle &= store::is_idle(tx, kind, now)?;
            }
            Ok(idle)
        });
        read.await
    }

    /// Claims nothing more, gives running handlers a moment to end, then breaks them off and gives their jobs back.
    pub async fn stop(&self) {
        let started = self.inner.started.lock().take();
        let Some(Started { stop, task }) = started else { return };
        // An error means that it has ended, which the task tells.
        let _ = stop.send(());
        if let Err(error) = task.await {
            tracing::error!(%error, "the runner of jobs ended early");
        }
    }
}

#[cfg(test)]
impl Runner {
    /// Goes as the process goes when it is killed.
    pub(super) fn abandon(&self) {
        let started = self.inner.started.lock().take();
        started.expect("only what has begun can be killed").task.abort();
    }
}

/// What the task of the runner owns.
struct Shift {
    jobs: Jobs,
    handlers: Handlers,
    running: JoinSet<()>,
    held: HashMap<task::Id, Held>,
}

/// A run in progress.
struct Held {
    handler: Arc<Handler>,
    id: i64,
    attempt: u32,
}

/// What one look at the queue found.
#[derive(Default)]
struct Found {
    runs: Vec<(Arc<Handler>, store::Run)>,
    next: Option<Timestamp>,
}

impl Shift {
    async fn work(mut self, mut stopped: oneshot::Receiver<()>) {
        let clock = self.jobs.db.clock().clone();
        let alarm = Arc::clone(&self.jobs.alarm);
        alarm.set(Timestamp::default());
        loop {
            tokio::select! {
                // An error means that nobody is left who could stop us.
                _ = &mut stopped => break,
                () = alarm.rings(&clock) => self.claim().await,
                Some(ended) = self.running.join_next_with_id() => self.release(&ended),
            }
        }
        self.finish().await;
    }

    /// Claims what is due of every kind that has room for another run, and starts it.
    async fn claim(&mut self) {
        self.jobs.alarm.clear();
        let kinds: Vec<_> = self
            .handlers
            .values()
            .filter_map(|handler| {
                let free = handler.policy.concurrency.max(1).saturating_sub(self.running_of(handler.kind));
                (free > 0).then(|| (Arc::clone(handler), free))
            })
            .collect();
        let jobs = self.jobs.clone();
        match self.jobs.db.write(move |tx| look(&jobs, tx, &kinds)).await {
            Ok(found) => {
                for (handler, run) in found.runs {
                    self.begin(handler, run);
                }
                if let Some(next) = found.next {
                    self.jobs.alarm.set(next);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "jobs cannot be claimed now");
                self.jobs.alarm.set(self.jobs.db.clock().now().plus(LOOK_AGAIN));
            }
        }
    }

    fn begin(&mut self, handler: Arc<Handler>, run: store::Run) {
        let held = Held { handler: Arc::clone(&handler), id: run.id, attempt: run.attempt };
        let begun = self.running.spawn(handler.run(self.jobs.clone(), run));
        self.held.insert(begun.id(), held);
    }

    /// A run has ended: where its kind was at its limit, there is room for the next.
    fn release(&mut self, ended: &Result<(task::Id, ()), task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(held) = self.held.remove(&id) else { return };
        if self.running_of(held.handler.kind) + 1 >= held.handler.policy.concurrency {
            self.jobs.alarm.set(Timestamp::default());
        }
    }

    fn running_of(&self, kind: &str) -> u32 {
        let running = self.held.values().filter(|held| held.handler.kind == kind).count();
        u32::try_from(running).unwrap_or(u32::MAX)
    }

    async fn finish(mut self) {
        let all_ended = async {
            while let Some(ended) = self.running.join_next_with_id().await {
                self.held.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
        };
        if tokio::time::timeout(STOP_PATIENCE, all_ended).await.is_ok() {
            return;
        }
        self.running.shutdown().await;
        let broken_off: Vec<_> = self.held.drain().map(|(_, held)| (held.id, held.attempt)).collect();
        let given_back = self
            .jobs
            .db
            .write(move |tx| broken_off.iter().try_for_each(|&(id, attempt)| store::give_back(tx, id, attempt)));
        if let Err(error) = given_back.await {
            tracing::warn!(%error, "jobs that were broken off run again when their leases have run out");
        }
    }
}

fn look(jobs: &Jobs, tx: &mut WriteTx<'_>, kinds: &[(Arc<Handler>, u32)]) -> Result<Found> {
    let mut found = Found::default();
    for (handler, free) in kinds {
        if store::bury_endless(tx, handler.kind, handler.policy.attempts)? > 0 {
            tracing::error!(kind = handler.kind, "jobs whose runs never end were buried");
        }
        if handler.hourly && !store::is_there(tx, handler.kind)? {
            handler.recur(jobs, tx)?;
        }
        let runs = store::claim(tx, handler.kind, handler.lease(), BATCH.min(*free))?;
        // A kind that is at its limit now is looked at again when one of its runs has ended.
        if runs.len() < *free as usize
            && let Some(next) = store::next(tx, handler.kind)?
        {
            found.next = Some(found.next.map_or(next, |earlier| earlier.min(next)));
        }
        found.runs.extend(runs.into_iter().map(|run| (Arc::clone(handler), run)));
    }
    Ok(found)
}
