//! What is due goes out: one loop for each channel, woken by an alarm, never by a clock's tick.
//!
//! Channels do not wait for each other, and within one no host keeps others waiting. A delivery is claimed before it is
//! sent (`sending`, under a lease) and settled afterwards; if the process dies in between, the next one takes it over
//! and sends it again with the same ticket. Only the inbox needs no claim: its item is written with its settlement.
//!
//! | file | idea |
//! | --- | --- |
//! | `lane` | the loop of a channel that leads out of the house |
//! | `inbox` | the loop of the one that does not |
//! | `prepare` | facts, judgement and text of a batch |
//! | `conclude` | what becomes of a delivery, from what became of its pieces |
//! | `hosts`, `pace` | who may start next: fair shares, circuits, rates |

mod conclude;
mod hosts;
mod inbox;
mod lane;
mod pace;
mod prepare;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

use super::{
    Bells, Channel, Links, Rooms,
    collections::DELIVERIES,
    deliveries,
    how::Transports,
    settle::{self, Settled, Settlement},
};
use crate::{clock::Timestamp, error::Result, settings::Settings};

/// Mails on their way at once.
const EMAIL_SLOTS: usize = 8;
/// The same of pushes and webhooks, over all hosts.
const PUSH_SLOTS: usize = 64;
const WEBHOOK_SLOTS: usize = 64;
/// Settlements that are written in one transaction: the longer one is, the longer its sync takes, for which whoever
/// comes meanwhile waits.
const WRITTEN_AT_ONCE: usize = 16;
/// What is on its way has this long to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Latenesses that are remembered for the statistics, by channel.
const REMEMBERED: usize = 4096;

/// Sends what is due, between [`Dispatch::start`] and [`Dispatch::stop`].
pub struct Dispatch {
    desk: Arc<Desk>,
    /// What `stop` needs; never held across an await.
    started: Mutex<Option<Started>>,
}

struct Started {
    stop: watch::Sender<bool>,
    lanes: JoinHandle<()>,
}

/// What the loops share.
struct Desk {
    rooms: Arc<Rooms>,
    bells: Arc<Bells>,
    links: Links,
    transports: Transports,
    /// Changes whenever a delivery may have got anywhere.
    moved: watch::Sender<u64>,
    /// Milliseconds, the newest last; in the order of [`Channel::ALL`].
    lateness: Mutex<[VecDeque<u64>; Channel::ALL.len()]>,
}

impl Desk {
    fn moved(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    fn note(&self, settled: &Settled) {
        let mut lateness = self.lateness.lock();
        for (channel, late) in &settled.lateness {
            let of = &mut lateness[*channel as usize];
            if of.len() >= REMEMBERED {
                of.pop_front();
            }
            of.push_back(*late);
        }
        drop(lateness);
        for (channel, due) in &settled.due {
            self.bells.lane(*channel).set(*due);
        }
        self.moved();
    }
}

impl Dispatch {
    /// Listens to commits, so it is made once per database.
    pub fn new(rooms: Arc<Rooms>, bells: Arc<Bells>, links: Links, transports: Transports) -> Self {
        let deliveries = rooms.schema.catalog().by_name(DELIVERIES).map(|deliveries| deliveries.id.clone());
        let listening = bells.clone();
        // The house rings for what it writes itself. What somebody else changes of a delivery may make it due.
        rooms.db.on_commit(move |commit| {
            let told = commit.changes.iter().map(|(_, change)| (&change.collection, &change.actor));
            let quiet = commit.quiet.iter().map(|(_, touched)| (&touched.collection, &touched.actor));
            let mut by_hand = told.chain(quiet).filter(|(_, actor)| actor.is_some());
            if by_hand.any(|(collection, _)| Some(collection) == deliveries.as_ref()) {
                Channel::ALL.into_iter().for_each(|channel| listening.lane(channel).set(Timestamp(0)));
            }
        });
        let (moved, lateness) = (watch::Sender::new(0), Mutex::default());
        Self { desk: Arc::new(Desk { rooms, bells, links, transports, moved, lateness }), started: Mutex::default() }
    }

    /// Begins, as tasks of the current runtime. Does nothing when it has begun already.
    pub fn start(&self) {
        let mut started = self.started.lock();
        if started.is_some() {
            return;
        }
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(inbox::work(self.desk.clone(), stopped.clone()));
        for (channel, slots) in
            [(Channel::Email, EMAIL_SLOTS), (Channel::Push, PUSH_SLOTS), (Channel::Webhook, WEBHOOK_SLOTS)]
        {
            let (lane, settler) = lane::Lane::new(self.desk.clone(), channel, slots);
            tasks.spawn(lane.work(stopped.clone()));
            tasks.spawn(settler);
        }
        let lanes = tokio::spawn(async move {
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    tracing::error!(%error, "a loop of notifications ended early");
                }
            }
        });
        *started = Some(Started { stop, lanes });
    }

    /// Begins nothing more, gives what is on its way a moment, and gives the rest back.
    pub async fn stop(&self) {
        let started = self.started.lock().take();
        let Some(Started { stop, lanes }) = started else { return };
        stop.send_replace(true);
        if let Err(error) = lanes.await {
            tracing::error!(%error, "notifications ended early");
        }
    }

    /// Whether nothing is due and nothing on its way.
    pub async fn is_idle(&self) -> Result<bool> {
        Ok(!self.desk.rooms.db.read(deliveries::is_busy).await?)
    }

    /// Completes when nothing is due and nothing on its way. For tests, which move the clock; never, while a rate limit
    /// or a provider that hangs is in the way.
    pub async fn idle(&self) -> Result<()> {
        let mut moved = self.desk.moved.subscribe();
        loop {
            moved.borrow_and_update();
            if self.is_idle().await? {
                return Ok(());
            }
            // It lives as long as this.
            let _ = moved.changed().await;
        }
    }

    /// How late the last were that were sent as planned: half of them, all but one in a hundred, all. In milliseconds.
    pub fn lateness(&self, channel: Channel) -> Option<[u64; 3]> {
        let mut late: Vec<u64> = self.desk.lateness.lock()[channel as usize].iter().copied().collect();
        late.sort_unstable();
        let last = late.len().checked_sub(1)?;
        Some([late[last / 2], late[last * 99 / 100], late[last]])
    }

    #[cfg(test)]
    pub(super) fn abandon(&self) {
        let started = self.started.lock().take();
        started.expect("only what has begun can be killed").lanes.abort();
    }
}

/// Sendings per second; 0 is no limit.
fn rate(settings: &Settings, channel: Channel) -> u32 {
    let rates = &settings.notify.rates;
    let rate = match channel {
        Channel::Inbox => 0,
        Channel::Email => rates.email,
        Channel::Push => rates.push,
        Channel::Webhook => rates.webhook,
    };
    u32::try_from(rate).unwrap_or(0)
}

/// Writes these in one transaction, or in more if others want to write meanwhile.
async fn settle(desk: &Arc<Desk>, settlements: Arc<[Settlement]>) -> Result<()> {
    let mut done = 0;
    while done < settlements.len() {
        let (records, all) = (desk.rooms.records.clone(), settlements.clone());
        let settled = desk.rooms.db.write_behind(move |tx| settle::apply(tx, &records, &all[done..])).await?;
        done += settled.count;
        desk.note(&settled);
    }
    Ok(())
}

/// Settles what a lane hands in, as much at once as there is, until the lane is gone. What cannot be written now is
/// tried again, since it has happened; only a server that stops gives up, and the next one repeats what it left.
async fn settler(
    desk: Arc<Desk>,
    mut unsettled: mpsc::UnboundedReceiver<(u64, Settlement)>,
    settled: mpsc::UnboundedSender<Vec<(u64, String)>>,
) {
    let mut batch = Vec::with_capacity(WRITTEN_AT_ONCE);
    while unsettled.recv_many(&mut batch, WRITTEN_AT_ONCE).await > 0 {
        let ids = batch.iter().map(|(serial, settlement)| (*serial, settlement.delivery.id.clone())).collect();
        let settlements: Arc<[Settlement]> = batch.drain(..).map(|(_, settlement)| settlement).collect();
        let begun = Instant::now();
        let mut pause = Duration::from_millis(20);
        while let Err(error) = settle(&desk, settlements.clone()).await {
            tracing::warn!(%error, "what became of deliveries cannot be written now");
            if unsettled.is_closed() && begun.elapsed() > STOP_PATIENCE {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        // The lane may be gone; then nobody counts any more.
        let _ = settled.send(ids);
    }
}
