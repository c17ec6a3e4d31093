//! Notifications: who is told what, when, whether at all, and how; scheduled and sent in this process.
//!
//! Everything is a collection: an *intent* is a row of `_notifications`, however it came there. It is *expanded* into one
//! delivery per recipient, channel and step, each with the time when it is due; what is due is *judged* against what the
//! recipient wants, and *sent*. Each step is decided in one transaction, so a crash repeats none and forgets none.
//!
//! May touch `mail`, `records`, `jobs`, `rules`, `schema`, `identity`, `settings`, `db`. Main type: [`Notify`].
//!
//! | folder | question |
//! | --- | --- |
//! | `who` | recipients: audiences, devices |
//! | `when` | durations, zones, wall times, quiet hours; schedules and what changes of records set off |
//! | `whether` | preferences, suppression, caps: the judgement on one delivery |
//! | `how` | the transports |
//! | `what` | templates |

mod bell;
mod cancel;
mod channel;
pub mod deliveries;
mod delivery;
mod dispatch;
mod expand;
pub mod explain;
pub mod how;
pub mod inbox;
pub mod intent;
mod letter;
pub mod plan;
mod preferences;
mod preview;
mod receipts;
mod retention;
mod retry;
mod send;
pub mod settle;
pub mod stats;
pub mod stored;
pub mod suppression;
#[cfg(test)]
pub(crate) mod testing;
pub mod timeline;
pub mod token;
mod unsubscribe;
pub mod what;
pub mod when;
pub mod whether;
pub mod who;
pub mod withdraw;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

pub use self::{
    bell::Bells,
    channel::Channel,
    delivery::{Priority, State},
    receipts::Event,
    stats::Stats,
    token::{Grant, Links},
    who::Recipient,
};
use self::{dispatch::Dispatch, expand::Expand, how::Transports};
use crate::{clock::Clock, db::Db, error::Result, jobs::Jobs, mail::Mail, records::Records, schema::Schema, settings};

/// The names of the collections of this room.
pub mod collections {
    pub const TEMPLATES: &str = "_templates";
    pub const DEVICES: &str = "_devices";
    pub const TOPICS: &str = "_topics";
    pub const SUBSCRIPTIONS: &str = "_subscriptions";
    pub const PREFERENCES: &str = "_preferences";
    pub const SCHEDULES: &str = "_schedules";
    pub const NOTIFICATIONS: &str = "_notifications";
    pub const DELIVERIES: &str = "_deliveries";
    pub const INBOX: &str = "_inbox";
    pub const SUPPRESSIONS: &str = "_suppressions";
}

/// What the room stands on.
pub struct Rooms {
    pub db: Db,
    pub schema: Schema,
    pub records: Records,
    pub settings: settings::Store,
    pub mail: Mail,
    pub jobs: Jobs,
    pub clock: Clock,
    /// Nothing leaves the machine: everything is kept in the mailbox.
    pub capture: bool,
}

/// All that can be done with notifications. Cheap to clone.
#[derive(Clone)]
pub struct Notify {
    rooms: Arc<Rooms>,
    bells: Arc<Bells>,
    expand: Arc<Expand>,
    dispatch: Arc<Dispatch>,
    links: Links,
    reads: Arc<receipts::Reads>,
    unsubscribing: Arc<unsubscribe::Bound>,
    transports: Transports,
    trials: Arc<who::trial::Trials>,
    /// Wakes items of inboxes that were put off.
    waking: Arc<Mutex<Option<AbortHandle>>>,
    schedules: Arc<when::Engine>,
}

impl Notify {
    pub fn new(rooms: Rooms) -> Self {
        let links = Links::new(rooms.db.clone(), rooms.settings.clone());
        let transports = Transports::open(&rooms, &links);
        Self::with_transports(rooms, links, transports)
    }

    /// [`Notify::new`] with other ways out.
    pub fn with_transports(rooms: Rooms, links: Links, transports: Transports) -> Self {
        let reads = Arc::new(receipts::Reads::listen(&rooms.db, &rooms.schema));
        let (rooms, bells) = (Arc::new(rooms), Arc::<Bells>::default());
        let dispatch = Arc::new(Dispatch::new(rooms.clone(), bells.clone(), links.clone(), transports.clone()));
        let expand = Arc::new(Expand::new(rooms.clone(), bells.clone()));
        let schedules = Arc::new(when::Engine::new(rooms.clone()));
        let (unsubscribing, trials, waking) = Default::default();
        let notify =
            Self { rooms, bells, expand, dispatch, links, reads, unsubscribing, transports, trials, waking, schedules };
        notify.hear_of_snoozes();
        notify
    }

    /// Begins to work on what is due, as tasks of the current runtime.
    pub fn start(&self) {
        self.expand.start();
        self.dispatch.start();
        self.reads.start(&self.rooms.db, &self.rooms.records);
        self.schedules.start();
        *self.waking.lock() = Some(tokio::spawn(self.clone().wake_snoozed()).abort_handle());
    }

    /// What a token of a link is good for.
    pub async fn grant(&self, token: &str) -> Result<Option<Grant>> {
        self.links.read(token).await
    }

    /// Begins nothing more and waits a moment for what is on its way.
    pub async fn stop(&self) {
        self.reads.stop();
        if let Some(waking) = self.waking.lock().take() {
            // A write that it has queued happens.
            waking.abort();
        }
        self.schedules.stop().await;
        self.expand.stop().await;
        self.dispatch.stop().await;
    }

    /// Whether nothing is due, nothing on its way, and no change waits to be decided about. What one of these did last may
    /// be work for another: whoever relies on it asks twice.
    pub async fn is_idle(&self) -> Result<bool> {
        Ok(self.schedules.is_idle().await? && self.expand.is_idle().await? && self.dispatch.is_idle().await?)
    }

    /// Completes when nothing is due and nothing on its way. For tests, which move the clock; not while a rate limit or
    /// a provider that hangs is in the way.
    pub async fn idle(&self) -> Result<()> {
        self.expand.idle().await?;
        self.dispatch.idle().await
    }

    /// Sends what a recurring schedule sends, now, whatever its next time is. The id of the notification.
    pub async fn run_schedule(&self, id: &str) -> Result<String> {
        self.schedules.run_now(id).await
    }
}
