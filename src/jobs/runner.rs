//! The runner: one task that claims what is due and starts it, and sleeps exactly until there is something to claim.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    task::{self, JoinHandle, JoinSet},
};

use serde::Serialize;

use super::{
    Alarm, Claimed, Failure, Jobs, NewJob, Policy,
    cron::{Cron, Missed},
    history::{self, End},
    pace::Pace,
    recurring::{Overlap, Recurring},
    run::{Handler, Series},
    store,
};
use crate::{clock::Timestamp, db::WriteTx, error::Result};

/// Runs of one kind that are claimed in one transaction.
const BATCH: u32 = 32;
/// When the queue could not be looked at, it is tried again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether the clock was set back, and a step back that is worth looking anew.
const CLOCK_LOOK: Duration = Duration::from_secs(60);
const STEP_BACK: Duration = Duration::from_secs(60);
/// Running handlers have this long to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Runs of a series that may overlap.
const MAX_OVERLAP: u32 = 8;
/// The crons of the wire come after all others.
const WIRE_PREFIX: &str = "__pb";
/// The key of a cron's run that was called for.
const CALLED: &str = "called";

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

/// The times of a cron that may be given others while it is there. Owns nothing of what the cron does.
pub struct Times {
    series: Arc<Series>,
    alarm: Arc<Alarm>,
}

impl Times {
    /// From now on these, or none: then it is not among the crons. Neither blocks nor writes: the runner sees to it, once
    /// it has started.
    pub fn set(&self, cron: Option<Cron>) {
        self.series.set(cron.map(|cron| Recurring { cron, missed: Missed::Once, overlap: Overlap::Skip }));
        self.alarm.set(Timestamp::default());
    }
}

/// A cron as the wire lists it (`docs/wire/services.md` §7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CronEntry {
    pub id: &'static str,
    pub expression: String,
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

    /// The queue that it works on.
    pub fn jobs(&self) -> &Jobs {
        &self.inner.jobs
    }

    /// Says what to do with the jobs of a kind, before [`Runner::start`]. Runs of the handler are futures on the
    /// server's main thread: what blocks or computes for long belongs on the blocking pool. It may be dropped at any
    /// await (time limit, stop), and run again.
    pub fn on<F, W>(&self, kind: &'static str, policy: Policy, handler: F)
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.register(kind, policy, handler, None);
    }

    /// Runs `handler` whenever `cron` says so. `missed`: what becomes of the times at which the server was not there (a
    /// minute late is not missed); `overlap`: and of those at which the last run was not at its end. A failed run is
    /// repeated within the hour; a series ends never.
    pub fn cron<F, W>(&self, id: &'static str, cron: Cron, missed: Missed, overlap: Overlap, handler: F)
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let concurrency = if overlap == Overlap::Allow { MAX_OVERLAP } else { 1 };
        let policy = Policy { attempts: 4, timeout: Duration::from_secs(300), concurrency, ..Policy::default() };
        self.register(id, policy, handler, Some(Arc::new(Series::new(Some(Recurring { cron, missed, overlap })))));
    }

    /// A cron whose times are told later, and which has none until then. Its runs follow on one another, and of all times
    /// that were missed one is made up for.
    pub fn cron_later<F, W>(&self, id: &'static str, policy: Policy, handler: F) -> Times
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let series = Arc::new(Series::new(None));
        let times = Times { series: Arc::clone(&series), alarm: Arc::clone(&self.inner.jobs.alarm) };
        self.register(id, Policy { concurrency: 1, ..policy }, handler, Some(series));
        times
    }

    /// Runs `handler` at minute 0 of every hour; once for all hours that were missed.
    pub fn hourly<F, W>(&self, id: &'static str, handler: F)
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.cron(id, Cron::utc("0 * * * *"), Missed::Once, Overlap::Skip, handler);
    }

    fn register<F, W>(&self, kind: &'static str, policy: Policy, handler: F, series: Option<Arc<Series>>)
    where
        F: Fn(Claimed) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let work = Box::new(move |claimed| -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(handler(claimed))
        });
        let mut handlers = self.inner.handlers.lock();
        let place = handlers.len();
        let known = handlers.insert(kind, Arc::new(Handler { kind, policy, work, series, place }));
        debug_assert!(known.is_none(), "two handlers for {kind}");
    }

    /// All crons: the house's by their ids, then those of the wire in its order.
    pub fn crons(&self) -> Vec<CronEntry> {
        let handlers = self.inner.handlers.lock();
        let mut crons: Vec<_> = handlers.values().filter_map(|handler| Some((handler, handler.recurring()?))).collect();
        crons.sort_by_key(|(handler, _)| {
            handler.kind.starts_with(WIRE_PREFIX).then_some(handler.place).map_or((0, 0), |place| (1, place))
        });
        crons
            .into_iter()
            .map(|(handler, recurring)| CronEntry { id: handler.kind, expression: recurring.cron.expression().into() })
            .collect()
    }

    /// Has a cron run now, besides its series. False when there is none with this id.
    pub async fn run_cron(&self, id: &str) -> Result<bool> {
        let known = self.inner.handlers.lock().get(id).cloned();
        let Some(handler) = known.filter(|handler| handler.recurring().is_some()) else { return Ok(false) };
        let unique = Some(CALLED.to_owned());
        self.inner.jobs.enqueue(NewJob { unique, ..NewJob::new(handler.kind, serde_json::Value::Null) }).await?;
        Ok(true)
    }

    /// What is handled here.
    pub(super) fn kinds(&self) -> Vec<&'static str> {
        self.inner.handlers.lock().keys().copied().collect()
    }

    /// Begins to run jobs, as a task of the current runtime. Does nothing when it has begun already.
    pub fn start(&self) {
        let mut started = self.inner.started.lock();
        if started.is_some() {
            return;
        }
        let (stop, stopped) = oneshot::channel();
        let handlers = self.inner.handlers.lock().clone();
        let now = Instant::now();
        let paces = handlers.values().filter_map(|handler| Some((handler.kind, Pace::new(handler.policy.rate?, now))));
        let shift = Shift {
            jobs: self.inner.jobs.clone(),
            paces: paces.collect(),
            handlers,
            running: JoinSet::new(),
            held: HashMap::new(),
            ended: HashMap::new(),
            resume: None,
            versions: HashMap::new(),
            seen: self.inner.jobs.db.clock().now(),
        };
        *started = Some(Started { stop, task: tokio::spawn(shift.work(stopped)) });
    }

    /// Whether no job of a kind that is handled here is due or runs.
    pub async fn is_idle(&self) -> Result<bool> {
        let kinds = self.kinds();
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
    /// Of the kinds that may only run so fast.
    paces: HashMap<&'static str, Pace>,
    /// When a run of a series ended last.
    ended: HashMap<&'static str, Timestamp>,
    /// When a kind that was too fast may go on.
    resume: Option<Instant>,
    /// The times of which crons the queue knows.
    versions: HashMap<&'static str, u64>,
    /// What the clock showed at the last look.
    seen: Timestamp,
}

/// A run in progress.
struct Held {
    handler: Arc<Handler>,
    id: i64,
    attempt: u32,
}

/// A kind that may begin runs.
struct Room {
    handler: Arc<Handler>,
    /// So many.
    free: u32,
    /// Its pace lets no more begin.
    is_paced: bool,
    /// When the last run of its series ended.
    ended: Timestamp,
    /// Of its times.
    version: u64,
    /// Whether that is another one than at the last look.
    renewed: bool,
}

/// What one look at the queue found.
#[derive(Default)]
struct Found {
    runs: Vec<(Arc<Handler>, store::Run)>,
    next: Option<Timestamp>,
    /// Kinds of which as many begin as their pace lets: there may be more.
    paced: Vec<&'static str>,
}

impl Shift {
    async fn work(mut self, mut stopped: oneshot::Receiver<()>) {
        let clock = self.jobs.db.clock().clone();
        let alarm = Arc::clone(&self.jobs.alarm);
        tokio::select! {
            _ = &mut stopped => return,
            () = self.recover() => {}
        }
        alarm.set(Timestamp::default());
        loop {
            let resume = self.resume;
            tokio::select! {
                // An error means that nobody is left who could stop us.
                _ = &mut stopped => break,
                () = alarm.rings(&clock) => self.claim().await,
                Some(ended) = self.running.join_next_with_id() => self.release(&ended),
                () = tokio::time::sleep(CLOCK_LOOK) => {
                    if self.was_set_back() {
                        self.claim().await;
                    }
                }
                () = reached(resume) => {
                    self.resume = None;
                    alarm.set(Timestamp::default());
                }
            }
        }
        self.finish().await;
    }

    /// Sees to what another process has left, until that is done.
    async fn recover(&self) {
        let handlers = self.handlers.clone();
        loop {
            let handlers = handlers.clone();
            let recovered = self.jobs.db.write(move |tx| {
                let policies: Vec<_> =
                    handlers.values().map(|handler| (handler.kind, handler.policy.attempts)).collect();
                let lost = store::recover(tx, &policies)?;
                for handler in handlers.values() {
                    if handler.series.is_some() {
                        renew(tx, handler)?;
                    }
                }
                Ok(lost)
            });
            match recovered.await {
                Ok(0) => return,
                Ok(lost) => return tracing::info!(lost, "jobs that another process had begun run again"),
                Err(error) => tracing::warn!(%error, "the queue of jobs cannot be looked through now"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Claims what is due of every kind that has room for another run, and starts it.
    async fn claim(&mut self) {
        self.jobs.alarm.clear();
        if self.was_set_back() {
            tracing::warn!("the clock was set back: what recurs goes on from what it shows now");
            self.versions.clear();
        }
        // As of before the look: whatever the clock is set to meanwhile is seen at the next.
        let seen = self.jobs.db.clock().now();
        let handlers: Vec<_> = self.handlers.values().cloned().collect();
        let rooms: Vec<_> = handlers.into_iter().map(|handler| self.room(handler)).collect();
        let (rooms, shut): (Vec<_>, Vec<_>) = rooms.into_iter().partition(|room| room.free > 0);
        let held = store::Held::of(self.held.values().map(|held| held.id));
        let versions: Vec<_> = rooms.iter().map(|room| (room.handler.kind, room.version)).collect();
        let jobs = self.jobs.clone();
        // Those that have to be looked at again when their pace lets them.
        let mut waiting: Vec<_> = shut.iter().filter(|room| room.is_paced).map(|room| room.handler.kind).collect();
        match self.jobs.db.write(move |tx| look(&jobs, tx, &rooms, &held)).await {
            Ok(found) => {
                self.seen = seen;
                self.versions.extend(versions);
                waiting.extend(found.paced);
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
        // The look takes its time, in which permits may have come: then at once.
        let now = Instant::now();
        let paces = waiting.into_iter().filter_map(|kind| Some(self.paces.get_mut(kind)?.next(now).unwrap_or(now)));
        self.resume = paces.min();
    }

    /// Whether the clock shows much less than at the last look. The next runs of series would be those after a future
    /// that was none.
    fn was_set_back(&self) -> bool {
        self.jobs.db.clock().now().plus(STEP_BACK) < self.seen
    }

    /// How many runs of a kind may begin.
    fn room(&mut self, handler: Arc<Handler>) -> Room {
        let kind = handler.kind;
        let room = handler.policy.concurrency.max(1).saturating_sub(self.running_of(kind));
        let permits = self.paces.get_mut(kind).map(|pace| pace.permits(Instant::now()));
        let free = permits.map_or(room, |permits| room.min(permits));
        let ended = self.ended.get(kind).copied().unwrap_or_default();
        let version = handler.series.as_ref().map_or(0, |series| series.version());
        let renewed = self.versions.get(kind) != Some(&version);
        Room { handler, free, is_paced: permits.is_some_and(|permits| permits <= room), ended, version, renewed }
    }

    fn begin(&mut self, handler: Arc<Handler>, run: store::Run) {
        if let Some(pace) = self.paces.get_mut(handler.kind) {
            pace.take(1);
        }
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
        if held.handler.series.is_some() {
            self.ended.insert(held.handler.kind, self.jobs.db.clock().now());
        }
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

fn look(jobs: &Jobs, tx: &mut WriteTx<'_>, rooms: &[Room], held: &store::Held) -> Result<Found> {
    let mut found = Found::default();
    for Room { handler, free, is_paced, ended, renewed, .. } in rooms {
        let kind = handler.kind;
        if store::bury_endless(tx, kind, handler.policy.attempts, held)? > 0 {
            tracing::error!(kind, "jobs whose runs never end were buried");
        }
        if *renewed && handler.series.is_some() {
            renew(tx, handler)?;
        }
        if let Some(recurring) = handler.recurring() {
            recurring.ensure(jobs, tx, kind)?;
        }
        let runs = store::claim(tx, kind, handler.lease(), BATCH.min(*free), held)?;
        let before = found.runs.len();
        for run in runs {
            if !is_left_out(jobs, tx, handler, &run, *ended)? {
                found.runs.push((Arc::clone(handler), run));
            }
        }
        // A kind that is at its limit now is looked at again when one of its runs has ended; what was left out takes no room.
        if found.runs.len() - before >= *free as usize {
            found.paced.extend(is_paced.then_some(kind));
        } else if let Some(next) = store::next(tx, kind, held)? {
            found.next = Some(found.next.map_or(next, |earlier| earlier.min(next)));
        }
    }
    Ok(found)
}

/// Forgets what an earlier version of a cron's times has in store.
fn renew(tx: &mut WriteTx<'_>, handler: &Handler) -> Result<()> {
    match handler.recurring() {
        Some(recurring) => recurring.renew(tx, handler.kind),
        None => store::forget_series(tx, handler.kind),
    }
}

/// Continues the series of a run that begins, where that does not wait for its end. True when it has missed its time
/// and is settled.
fn is_left_out(
    jobs: &Jobs,
    tx: &mut WriteTx<'_>,
    handler: &Handler,
    run: &store::Run,
    free: Timestamp,
) -> Result<bool> {
    let (Some(recurring), Some(scheduled)) = (handler.recurring(), run.scheduled()) else { return Ok(false) };
    let (kind, now) = (handler.kind, tx.now());
    if run.attempt > 1 {
        return Ok(false);
    }
    let is_late = recurring.has_missed(scheduled, free, now);
    if is_late {
        store::finish(tx, run.id, run.attempt)?;
        history::note(tx, kind, run, Duration::ZERO, End::Skipped, Some("the server was not there at its time"))?;
    }
    if is_late || recurring.overlap != Overlap::Skip {
        let next = recurring.following(scheduled, now, now);
        recurring.add(jobs, tx, kind, next)?;
    }
    Ok(is_late)
}

/// Completes at `time`; never without one.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
