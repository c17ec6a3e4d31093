//! Telling a client what it missed, from the log, before it goes on live (`docs/realtime.md`).

use std::{sync::Arc, time::Duration};

use super::{
    Client, Hub, Joined, Position,
    recent::Numbered,
    registry::Subscription,
    witness::{Told, Witnessed},
};

/// A client that reads nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before looking again whether a client has read something.
const PAUSE: Duration = Duration::from_millis(20);

/// What a subscriber says it saw last.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Resume {
    pub epoch: String,
    pub seq: u64,
}

/// A client whose live events wait until it has been told the past. If that does not come to its end, whatever the
/// reason, the stream ends: it was promised everything, and nobody else would let the live events through.
pub struct Hold {
    client: Arc<Client>,
    released: bool,
}

impl Hold {
    /// Live events after `floor` wait from now on.
    pub fn new(client: Arc<Client>, floor: u64) -> Self {
        client.hold(floor);
        Self { client, released: false }
    }

    /// As [`Client::release`].
    fn release(&mut self, told: u64) -> Result<(), u64> {
        self.client.release(told)?;
        self.released = true;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.released {
            self.client.end_at_once();
        }
    }
}

impl Hub {
    /// Sends the changes after the last one that the client saw, then lets the live ones through, which wait at it
    /// meanwhile. Returns at once with where the client stands; the sending goes on beside.
    pub(super) async fn resume(&self, joined: Joined, mut hold: Hold, resume: Resume) -> Position {
        let Joined { client, subscriptions, subscribed, since: until, epoch } = joined;
        let known = resume.epoch == epoch && resume.seq <= until;
        let missed = known && resume.seq < until;
        let recovered = known && (!missed || matches!(self.changes(resume.seq, until).await, Ok(Some(_))));
        let after = if recovered { resume.seq } else { until };
        if after < until || hold.release(until).is_err() {
            let hub = self.clone();
            tokio::spawn(async move {
                let replay = Replay { client: &client, subscriptions: &subscriptions, subscribed };
                hub.replay_all(&replay, &mut hold, after, until).await;
            });
        }
        Position { recovered, epoch, seq: until }
    }

    /// Tells the changes up to `until`, then those that happened meanwhile and were too much to be held, and releases
    /// the client.
    async fn replay_all(&self, replay: &Replay<'_>, hold: &mut Hold, mut after: u64, mut until: u64) {
        while self.replay(replay, after, until).await.is_ok() {
            // Who has asked for something else hears of that alone.
            let told = if replay.is_void() { u64::MAX } else { until };
            match hold.release(told) {
                Ok(()) => return,
                Err(floor) => (after, until) = (until, floor),
            }
        }
    }

    async fn replay(&self, replay: &Replay<'_>, mut after: u64, until: u64) -> Result<(), ()> {
        while after < until && !replay.is_void() {
            let changes = self.changes(after, until).await.map_err(|error| {
                tracing::error!(%error, "a replay cannot read the log");
            })?;
            let changes = changes.ok_or(())?;
            after = changes.last().map_or(until, |(seq, _)| *seq);
            self.replay_page(replay, changes).await?;
        }
        Ok(())
    }

    async fn replay_page(&self, replay: &Replay<'_>, changes: Vec<Numbered>) -> Result<(), ()> {
        let at = self.inner.db.clock().now();
        for (seq, change) in changes {
            let Some(change) = change else { continue };
            let catalog = self.inner.schema.catalog();
            let Some(collection) = catalog.by_id(&change.collection) else { continue };
            let covers = |mine: &&Subscription| mine.covers(collection, &change.record);
            let mine: Vec<_> = replay.subscriptions.iter().filter(covers).collect();
            if mine.is_empty() {
                continue;
            }
            let views: Vec<_> = mine.iter().map(|mine| mine.view.clone()).collect();
            let told = self.report(&Witnessed { seq, change, at }, &views).await;
            if replay.is_void() {
                return Ok(());
            }
            for (mine, told) in mine.iter().zip(told) {
                match told {
                    Told::Nothing => {}
                    Told::Report(report) => replay.client.send_past(report.event(&mine.topic, true, 1)),
                    Told::Failed => return Err(()),
                }
            }
            wait_for_room(replay.client).await?;
        }
        Ok(())
    }
}

/// Who is told the past, as the client asked for it.
struct Replay<'r> {
    client: &'r Client,
    subscriptions: &'r [Subscription],
    subscribed: usize,
}

impl Replay<'_> {
    /// The client has asked for something else meanwhile, and no longer counts.
    fn is_void(&self) -> bool {
        self.client.subscribed() != self.subscribed
    }
}

/// Waits while the client has more to read than it should.
async fn wait_for_room(client: &Client) -> Result<(), ()> {
    let mut waited = Duration::ZERO;
    while client.is_crowded() {
        if client.is_over() || waited > PATIENCE {
            return Err(());
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
    if client.is_over() { Err(()) } else { Ok(()) }
}
