//! The two tasks behind schedules: one follows the log, one runs what recurs. Neither polls.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Once},
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};

use super::{ear::Ear, follower::Follower, recurring::Recurring};
use crate::{clock::Timestamp, error::Result, jobs::Alarm, notify::Rooms};

/// After a failure it is tried again after this, and after twice as long each time.
const AGAIN: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Failures in a row after which what fails is left out.
const CAREFUL_AFTER: u32 = 5;

/// Schedules at work, between [`Engine::start`] and [`Engine::stop`].
pub(crate) struct Engine {
    rooms: Arc<Rooms>,
    ear: Arc<Ear>,
    alarm: Arc<Alarm>,
    running: Mutex<Option<Running>>,
    /// The database keeps its listeners: they are given to it once.
    listens: Once,
}

struct Running {
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Engine {
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms, ear: Arc::default(), alarm: Arc::default(), running: Mutex::default(), listens: Once::new() }
    }

    /// Begins, as tasks of the current runtime. Does nothing when it has begun already.
    pub fn start(&self) {
        let mut running = self.running.lock();
        if running.is_some() {
            return;
        }
        self.ear.begin();
        let (stop, stopped) = watch::channel(false);
        self.listens.call_once(|| {
            let listener = self.ear.clone();
            self.rooms.db.on_commit(move |commit| listener.hear(commit));
            let listener = self.ear.clone();
            self.rooms.db.on_new_epoch(move |_| listener.hear_anew());
        });
        let follow = follow(self.rooms.clone(), self.ear.clone(), self.alarm.clone(), stopped.clone());
        let tasks = [tokio::spawn(follow), tokio::spawn(recur(self.recurring(), stopped))];
        *running = Some(Running { stop, tasks });
    }

    /// Ends after what is being decided.
    pub async fn stop(&self) {
        let running = self.running.lock().take();
        let Some(Running { stop, tasks }) = running else { return };
        stop.send_replace(true);
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "schedules ended early");
            }
        }
    }

    /// Whether nothing is due and no change waits to be decided about.
    pub async fn is_idle(&self) -> Result<bool> {
        if self.running.lock().is_none() {
            return Ok(true);
        }
        Ok(self.ear.is_idle() && self.recurring().is_idle().await?)
    }

    /// Changes that have not been looked through for schedules.
    pub fn behind(&self) -> u64 {
        self.ear.behind()
    }

    /// Sends what a recurring schedule sends, now; the id of the notification.
    pub async fn run_now(&self, schedule: &str) -> Result<String> {
        self.recurring().run_now(schedule).await
    }

    fn recurring(&self) -> Recurring {
        Recurring { rooms: self.rooms.clone(), alarm: self.alarm.clone() }
    }
}

#[cfg(test)]
impl Engine {
    /// Goes as the process goes when it is killed.
    pub async fn abandon(&self) {
        let running = self.running.lock().take();
        for task in running.into_iter().flat_map(|running| running.tasks) {
            task.abort();
            // Told that it was aborted.
            let _ = task.await;
        }
    }
}

async fn follow(rooms: Arc<Rooms>, ear: Arc<Ear>, alarm: Arc<Alarm>, mut stopped: watch::Receiver<bool>) {
    let mut failures = 0;
    loop {
        let work = follow_until_failure(&rooms, &ear, &alarm, &mut failures, stopped.clone());
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::warn!(%error, "changes cannot be followed now"),
            Err(_) => tracing::error!("following changes panicked"),
        }
        // Whatever was decided and not written is decided again, from the stored position.
        tokio::select! {
            () = told(&mut stopped) => return,
            () = tokio::time::sleep((AGAIN * 2u32.saturating_pow(failures)).min(LONGEST)) => {}
        }
        failures += 1;
    }
}

async fn follow_until_failure(
    rooms: &Arc<Rooms>,
    ear: &Arc<Ear>,
    alarm: &Arc<Alarm>,
    failures: &mut u32,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut schema = rooms.schema.watch();
    let careful = *failures >= CAREFUL_AFTER;
    let mut follower = Follower::open(rooms.clone(), ear.clone(), alarm.clone(), careful).await?;
    follower.catch_up().await?;
    ear.done();
    if careful {
        // What was in the way is passed.
        follower.trust();
    }
    *failures = 0;
    loop {
        tokio::select! {
            () = told(&mut stopped) => return follower.save().await,
            news = ear.news() => follower.take(news).await?,
            // The schema's own end is the end of the house.
            Ok(_) = schema.changed() => {
                ear.begin();
                follower.catch_up().await?;
            }
        }
        ear.done();
    }
}

/// Completes when it is time to end: told so, or nobody is left who could tell.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn recur(recurring: Recurring, mut stopped: watch::Receiver<bool>) {
    let clock = recurring.rooms.clock.clone();
    recurring.alarm.set(Timestamp::default());
    loop {
        tokio::select! {
            () = told(&mut stopped) => return,
            () = recurring.alarm.rings(&clock) => {}
        }
        recurring.alarm.clear();
        match recurring.run_due().await {
            Ok(Some(next)) => recurring.alarm.set(next),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "schedules cannot be run now");
                recurring.alarm.set(clock.now().plus(AGAIN));
            }
        }
    }
}
