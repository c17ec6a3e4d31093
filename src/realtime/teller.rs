//! The hub's one task: takes what was committed, in order, and tells everybody who listens.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
};

use futures_util::FutureExt;

use super::{
    Hub,
    feed::{Item, News},
    groups::{Group, View},
    witness::{Report, Told, Witnessed},
};
use crate::{
    clock::Timestamp,
    db::{Change, Kind},
    identity::{AuthRecord, Caller},
    schema::{Catalog, Collection},
};

impl Hub {
    /// Takes changes and tells them, until the hub is closed.
    pub async fn run(&self) {
        let mut schema = self.inner.schema.watch();
        schema.mark_changed();
        while !self.inner.closed.load(Ordering::Acquire) {
            tokio::select! {
                news = self.inner.feed.next() => {
                    if AssertUnwindSafe(self.take(news)).catch_unwind().await.is_err() {
                        tracing::error!("telling a change panicked");
                        self.start_over();
                    }
                }
                // The schema's own end is the end of the house.
                Ok(()) = schema.changed() => self.inner.registry.lock().follow(&self.inner.schema.catalog()),
            }
        }
    }

    async fn take(&self, news: News) {
        for item in &news.items {
            match item {
                Item::Commit(commit) => {
                    for (seq, change) in &commit.changes {
                        self.tell(*seq, change, commit.at).await;
                    }
                }
                // Whoever counts starts over.
                Item::Epoch => self.end_counting(),
                Item::Back(cursor) => {
                    self.end_counting();
                    self.inner.registry.lock().restart(*cursor);
                }
            }
        }
        if let Some(until) = news.behind {
            self.catch_up(until).await;
        }
    }

    fn end_counting(&self) {
        self.inner.registry.lock().clients().filter(|client| client.is_numbered()).for_each(|client| client.end());
    }

    /// Something cannot be told: all streams end.
    fn start_over(&self) {
        let mut registry = self.inner.registry.lock();
        registry.cursor = registry.cursor.max(self.inner.feed.last());
        registry.clients().for_each(|client| client.end());
    }

    /// Reads from the log what did not fit into memory.
    pub(super) async fn catch_up(&self, until: u64) {
        let mut after = self.inner.registry.lock().cursor;
        while after < until {
            let read = self.changes(after, until).await;
            let Ok(Some(changes)) = read.map_err(|error| tracing::error!(%error, "realtime cannot read the log"))
            else {
                return self.start_over();
            };
            let now = self.inner.db.clock().now();
            for (seq, change) in changes {
                if let Some(change) = change {
                    self.tell(seq, &change, now).await;
                }
                after = seq;
            }
            self.inner.registry.lock().advance(after, None, "");
        }
    }

    /// One change to all who listen.
    async fn tell(&self, seq: u64, change: &Arc<Change>, at: Timestamp) {
        let catalog = {
            // The registry never follows an older catalog than the one it knows: loaded under its lock.
            let mut registry = self.inner.registry.lock();
            let catalog = self.inner.schema.catalog();
            registry.follow(&catalog);
            catalog
        };
        let collection = catalog.by_id(&change.collection);
        let is_account = collection.is_some_and(|collection| collection.is_auth());
        // An account hears of its own end as itself, and of a new password as a guest (§2.1, §4.1).
        if is_account && change.kind != Kind::Delete {
            self.rebind(&change.collection, &change.record).await;
        }
        self.tell_listeners(seq, change, at, collection.map(|collection| &**collection)).await;
        if is_account && change.kind == Kind::Delete {
            self.rebind(&change.collection, &change.record).await;
        }
    }

    async fn tell_listeners(&self, seq: u64, change: &Arc<Change>, at: Timestamp, collection: Option<&Collection>) {
        let groups = {
            let mut registry = self.inner.registry.lock();
            if seq <= registry.cursor {
                return;
            }
            registry.advance(seq, collection, &change.record)
        };
        if groups.is_empty() {
            return;
        }
        let views: Vec<Arc<View>> = groups.iter().map(|group| group.view.clone()).collect();
        let told = self.report(&Witnessed { seq, change: change.clone(), at }, &views).await;
        for (group, told) in groups.iter().zip(told) {
            match told {
                Told::Nothing => {}
                Told::Report(report) => send(group, &report, seq),
                // Better no stream than one with a gap, for those who rely on there being none.
                Told::Failed => {
                    let counting = group.members().filter(|member| member.client.is_numbered());
                    counting.for_each(|member| member.client.end());
                }
            }
        }
    }

    /// What each view is told.
    pub(super) async fn report(&self, witnessed: &Witnessed, views: &[Arc<View>]) -> Vec<Told> {
        let catalog = || self.inner.schema.catalog();
        witnessed.report(&self.inner.db, &self.inner.records, catalog, views).await
    }

    /// Settles what an account's new state means for the streams that are bound to it, before anybody hears of a change
    /// of it (§2.1).
    async fn rebind(&self, collection: &Arc<str>, id: &str) {
        if !self.inner.registry.lock().is_bound(collection, id) {
            return;
        }
        let now = self.account(collection, id).await;
        let mut registry = self.inner.registry.lock();
        registry.rebind(collection, id, now.as_ref(), &self.inner.schema.catalog());
    }

    /// Whether a caller is still what it was when it was found out; else its streams hear of it.
    pub(super) async fn check_account(&self, caller: &Caller) {
        let Some(record) = caller.record() else { return };
        loop {
            let rebinds = self.inner.registry.lock().rebinds();
            let now = self.account(&record.collection_id, &record.id).await;
            if now.as_ref().and_then(Caller::record).is_some_and(|now| now.row.values == record.row.values) {
                return;
            }
            if self.settle(record, now.as_ref(), rebinds) {
                return;
            }
        }
    }

    /// Binds the streams of an account to what it is `now`. False when they were bound to something meanwhile, since
    /// `rebinds` was read: that may be newer.
    pub(super) fn settle(&self, record: &AuthRecord, now: Option<&Caller>, rebinds: u64) -> bool {
        let mut registry = self.inner.registry.lock();
        if registry.rebinds() != rebinds {
            return false;
        }
        registry.rebind(&record.collection_id, &record.id, now, &self.inner.schema.catalog());
        true
    }

    /// An account as it is now; `None` if it is gone, or cannot be read.
    async fn account(&self, collection: &Arc<str>, id: &str) -> Option<Caller> {
        let catalog = self.inner.schema.catalog();
        let collection = catalog.by_id(collection)?;
        let row = self.inner.records.load(collection, id).await.unwrap_or_default()?;
        let (collection_id, collection_name) = (collection.id.clone(), collection.name.clone());
        Some(Caller::of(AuthRecord { collection_id, collection_name, id: id.into(), row }))
    }
}

/// Queues a report at all members of a group, made once for those who count and once for those who do not.
fn send(group: &Group, report: &Report, seq: u64) {
    let (sharers, mut events) = (group.len(), [None, None]);
    for member in group.members().filter(|member| member.since < seq) {
        let numbered = member.client.is_numbered();
        let event = events[usize::from(numbered)].get_or_insert_with(|| report.event(&group.topic, numbered, sharers));
        member.client.send(event.clone());
    }
}

/// The secret that a caller's tokens hang on; blank for guests.
pub(super) fn secret(catalog: &Catalog, caller: &Caller) -> String {
    let options = caller.record().and_then(|record| catalog.by_id(&record.collection_id)?.auth());
    options.map(|options| options.auth_token.secret.clone()).unwrap_or_default()
}
