//! Telling a client what it missed, from the log, before it goes on live (`docs/realtime.md`).

use std::time::Duration;

use super::{Client, Hub, Joined, PAGE, Position, client::Event, registry::Subscription, witness::Witnessed};
use crate::{error::Result, records::Story};

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

impl Hub {
    /// Sends the changes after the last one that the client saw, then lets the live ones through, which wait at it
    /// meanwhile. Returns at once with where the client stands; the sending goes on beside.
    pub(super) async fn resume(&self, joined: Joined, resume: Resume) -> Position {
        let Joined { client, subscriptions, since: until, epoch } = joined;
        let known = resume.epoch == epoch && resume.seq <= until;
        let recovered =
            known && (resume.seq == until || self.story(resume.seq, 1).await.is_ok_and(|story| story.complete));
        if !recovered || resume.seq == until {
            client.release();
        } else {
            let hub = self.clone();
            tokio::spawn(async move {
                if hub.replay(&client, &subscriptions, resume.seq, until).await.is_err() {
                    // It was promised everything: better no stream than one with a gap.
                    client.end_at_once();
                }
                client.release();
            });
        }
        Position { recovered, epoch, seq: until }
    }

    async fn replay(
        &self,
        client: &Client,
        subscriptions: &[Subscription],
        mut after: u64,
        until: u64,
    ) -> std::result::Result<(), ()> {
        while after < until {
            let limit = PAGE.min(usize::try_from(until - after).unwrap_or(PAGE));
            let story = self.story(after, limit).await.map_err(|error| {
                tracing::error!(%error, "a replay cannot read the log");
            })?;
            if !story.complete || story.read == after {
                return Err(());
            }
            after = story.read;
            self.replay_page(client, subscriptions, story).await?;
        }
        Ok(())
    }

    async fn replay_page(
        &self,
        client: &Client,
        subscriptions: &[Subscription],
        story: Story,
    ) -> std::result::Result<(), ()> {
        let at = self.inner.db.clock().now();
        for (seq, change) in story.changes {
            let catalog = self.inner.schema.catalog();
            let Some(collection) = catalog.by_id(&change.collection) else { continue };
            let mine: Vec<_> = subscriptions.iter().filter(|mine| mine.covers(collection, &change.record)).collect();
            if mine.is_empty() {
                continue;
            }
            let views: Vec<_> = mine.iter().map(|mine| mine.view.clone()).collect();
            let told = self.report(&Witnessed { seq, change, at }, &views).await;
            let events = mine
                .iter()
                .zip(told)
                .filter_map(|(mine, report)| Some(Event { topic: mine.topic.clone(), data: report?.numbered }));
            client.send_past(events);
            wait_for_room(client).await?;
        }
        Ok(())
    }

    pub(super) async fn story(&self, after: u64, limit: usize) -> Result<Story> {
        let (records, schema) = (self.inner.records.clone(), self.inner.schema.clone());
        self.inner.db.read(move |tx| records.story(tx, &schema.catalog(), after, limit)).await
    }
}

/// Waits while the client has more to read than it should.
async fn wait_for_room(client: &Client) -> std::result::Result<(), ()> {
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
