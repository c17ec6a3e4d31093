//! Expansion: intents become deliveries, a batch of recipients at a time.
//!
//! A batch is read on a snapshot: who comes next, in which zone they are, which deliveries that makes. Then one write
//! inserts the deliveries and moves the cursor, if the intent stands where it stood when it was read. So each batch happens
//! once, a crash between two costs nothing, and whoever cancels an intent stops it with the state alone.
//!
//! Several intents are served in turns, those first that have waited longest since their last batch; critical ones go
//! before others but never take all places. The loop sleeps until a commit touches `_notifications`.

mod batch;
#[cfg(test)]
pub(super) mod house;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};

use self::batch::Work;
use super::{Bells, Priority, Rooms, collections::NOTIFICATIONS, stored, who::audience};
use crate::{
    clock::Timestamp,
    db::ReadTx,
    error::{Error, Kind, Result},
};

/// Intents that take their turn together.
const SLOTS: usize = 16;
/// Of these, critical ones take so many at most, if others wait.
const CRITICAL_SLOTS: usize = 12;
/// Recipients of all turns together: it bounds how long the writer is held up.
const ROUND: usize = 400;
/// Recipients of one turn, at least.
const SMALL_BATCH: usize = 25;
/// An intent that failed for a reason that may pass is tried again after this, and twice as long each time.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(300);
/// One whose audience cannot be read (a filter takes too long) is given up after so many tries.
const TRIES: u32 = 6;

/// How often somebody who waits for the end of all work looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// When the server stops, the batch that is being written has so long.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The loop, as the rest of the house sees it.
pub(super) struct Expand {
    rooms: Arc<Rooms>,
    bells: Arc<Bells>,
    /// Held for a moment only.
    started: Mutex<Option<Started>>,
}

struct Started {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What works, and what it remembers between rounds: nothing that matters.
pub(super) struct Expander {
    rooms: Arc<Rooms>,
    bells: Arc<Bells>,
    /// Intents that failed, with the number of failures and when they are tried again.
    waiting: HashMap<String, (u32, Timestamp)>,
}

/// Open intents by urgency, each list with those first that have waited longest.
#[derive(Debug, Default)]
struct Open {
    critical: Vec<String>,
    normal: Vec<String>,
    low: Vec<String>,
}

impl Expand {
    /// Listens to commits, so it is made once per database.
    pub fn new(rooms: Arc<Rooms>, bells: Arc<Bells>) -> Self {
        let intents = rooms.schema.catalog().by_name(NOTIFICATIONS).map(|intents| intents.id.clone());
        let listening = bells.clone();
        rooms.db.on_commit(move |commit| {
            if commit.changes.iter().any(|(_, change)| Some(&change.collection) == intents.as_ref()) {
                listening.expand.set(Timestamp(0));
            }
        });
        Self { rooms, bells, started: Mutex::default() }
    }

    /// Begins, as a task of the current runtime: with what was open when the last process ended. Does nothing when it has
    /// begun already.
    pub fn start(&self) {
        let mut started = self.started.lock();
        if started.is_none() {
            // The last process may have left something.
            self.bells.expand.set(Timestamp(0));
            let (stop, stopped) = watch::channel(false);
            *started = Some(Started { stop, task: tokio::spawn(self.expander().run(stopped)) });
        }
    }

    /// Ends after the round that is under way.
    pub async fn stop(&self) {
        let started = self.started.lock().take();
        let Some(Started { stop, mut task }) = started else { return };
        stop.send_replace(true);
        match tokio::time::timeout(STOP_PATIENCE, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the expansion of notifications ended early"),
            // What is queued for the writer happens; nothing follows it.
            Err(_) => task.abort(),
        }
    }

    /// Whether no intent waits for its deliveries.
    pub async fn is_idle(&self) -> Result<bool> {
        let open = self.rooms.db.read(|tx| open(tx, 1)).await?;
        Ok(open.critical.is_empty() && open.normal.is_empty() && open.low.is_empty())
    }

    /// Completes when no intent waits for its deliveries. For tests: it looks again and again.
    pub async fn idle(&self) -> Result<()> {
        while !self.is_idle().await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    pub fn expander(&self) -> Expander {
        Expander { rooms: self.rooms.clone(), bells: self.bells.clone(), waiting: HashMap::new() }
    }
}

impl Expander {
    /// Works until told to stop.
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (bells, clock) = (self.bells.clone(), self.rooms.clock.clone());
        while !*stop.borrow() {
            // Before looking: what is added after the look sets it anew.
            bells.expand.clear();
            let idle = match self.round().await {
                Ok(served) => served == 0,
                Err(error) => {
                    tracing::error!(%error, "notifications could not be looked at");
                    bells.expand.set(clock.now().plus(AGAIN));
                    true
                }
            };
            if !idle {
                continue;
            }
            if let Some(next) = self.waiting.values().map(|(_, time)| *time).min() {
                bells.expand.set(next);
            }
            tokio::select! {
                () = bells.expand.rings(&clock) => {}
                _ = stop.changed() => return,
            }
        }
    }

    /// One turn for up to [`SLOTS`] intents; how many had one.
    pub async fn round(&mut self) -> Result<usize> {
        let now = self.rooms.clock.now();
        let parked = self.waiting.values().filter(|(_, time)| *time > now).count();
        let mut open = self.rooms.db.read(move |tx| open(tx, SLOTS + parked)).await?;
        for list in [&mut open.critical, &mut open.normal, &mut open.low] {
            list.retain(|id| self.waiting.get(id).is_none_or(|(_, time)| *time <= now));
        }
        // Whoever was ended by somebody else meanwhile is forgotten.
        let is_open = |id: &String| [&open.critical, &open.normal, &open.low].into_iter().any(|list| list.contains(id));
        self.waiting.retain(|id, (_, time)| *time > now || is_open(id));
        let chosen = choose(open);
        let share = (ROUND / chosen.len().max(1)).clamp(SMALL_BATCH, audience::BATCH);
        let turns = join_all(chosen.iter().map(|id| self.turn(id, share))).await;
        for (id, outcome) in chosen.iter().zip(turns) {
            match outcome {
                Ok(()) => {
                    self.waiting.remove(id);
                }
                Err(error) => self.put_off(id, error, now).await,
            }
        }
        Ok(chosen.len())
    }

    /// Tries an intent again later, unless trying has no point.
    async fn put_off(&mut self, id: &str, error: Error, now: Timestamp) {
        let (failures, time) = self.waiting.entry(id.to_owned()).or_insert((0, now));
        *failures += 1;
        *time = now.plus(AGAIN.saturating_mul(1 << (*failures - 1).min(16)).min(AGAIN_AT_MOST));
        if error.kind != Kind::Invalid || *failures < TRIES {
            tracing::warn!(%error, notification = %id, "a notification could not be expanded, it is tried again");
            return;
        }
        tracing::error!(%error, notification = %id, "a notification cannot be expanded");
        let (rooms, id) = (self.rooms.clone(), id.to_owned());
        let why = stored::reason("failed", &error.message);
        let failed = self.rooms.db.write(move |tx| stored::fail(tx, &rooms.records, &id, &why)).await;
        if let Err(error) = failed {
            tracing::warn!(%error, "that could not be noted");
        }
    }

    /// Nothing had to be put off.
    #[cfg(test)]
    pub fn is_well(&self) -> bool {
        self.waiting.is_empty()
    }

    /// One batch of one intent.
    async fn turn(&self, id: &str, share: usize) -> Result<()> {
        let rooms = &self.rooms;
        let default_zone = rooms.settings.current().notify.default_zone.clone();
        let (catalog, intent) = (rooms.schema.catalog(), id.to_owned());
        let work = rooms.db.read(move |tx| Work::read(tx, &catalog, &default_zone, &intent, share)).await?;
        let Some(work) = work else { return Ok(()) };
        let (rooms, bells) = (rooms.clone(), self.bells.clone());
        self.rooms.db.write_behind(move |tx| work.write(tx, &rooms.records, &bells)).await
    }
}

/// The open intents that have waited longest.
fn open(tx: &ReadTx<'_>, limit: usize) -> Result<Open> {
    // Word for word the condition of the index.
    let sql = format!(
        "SELECT id FROM {NOTIFICATIONS} WHERE `state` IN ('', 'new', 'expanding') AND priority = ?1 \
         ORDER BY updated, rowid LIMIT ?2"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let of = |priority: &str| tx.query_all(&sql, (priority, limit), |row| row.get(0));
    // A row that says nothing of it is a normal one.
    let (mut normal, unsaid): (Vec<_>, Vec<_>) = (of(Priority::Normal.as_str())?, of("")?);
    normal.splice(0..0, unsaid);
    Ok(Open { critical: of(Priority::Critical.as_str())?, normal, low: of(Priority::Low.as_str())? })
}

/// Who takes a turn: critical ones first, but not alone, and at least one of the low ones.
fn choose(open: Open) -> Vec<String> {
    let Open { critical, normal, low } = open;
    let others = normal.len() + low.len();
    let kept = others.min(SLOTS - CRITICAL_SLOTS);
    let mut chosen: Vec<String> = critical.into_iter().take(SLOTS - kept).collect();
    let room = SLOTS - chosen.len();
    let for_low = low.len().min(1).max(room.saturating_sub(normal.len()).min(low.len()));
    chosen.extend(normal.into_iter().take(room - for_low));
    chosen.extend(low.into_iter().take(for_low));
    chosen
}
