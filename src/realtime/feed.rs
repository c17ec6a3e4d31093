//! What the writer tells the hub: commits, or that there were too many to keep.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::db::Commit;

/// Changes that may wait for the hub in memory, and their bytes. Beyond them it reads the log.
const MAX_WAITING: usize = 20_000;
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Between the writer's thread and the hub's task.
#[derive(Default)]
pub struct Feed {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Default)]
struct Inner {
    /// Nobody is connected: nothing is kept.
    listening: bool,
    waiting: Vec<Item>,
    changes: usize,
    bytes: usize,
    /// Commits were let go of: the log has to be read.
    behind: bool,
    /// The last number that was committed.
    last: u64,
}

/// What has happened since the last time.
#[derive(Default)]
pub struct News {
    /// In order, unless there was too much.
    pub items: Vec<Item>,
    /// The log has to be read up to this number instead.
    pub behind: Option<u64>,
}

pub enum Item {
    Commit(Arc<Commit>),
    /// What the log said before does not lead to what the data is now.
    Epoch,
    /// The log went back (a restore): its next change has the number after this one.
    Back(u64),
}

impl Feed {
    pub fn new(last: u64) -> Self {
        Self { inner: Mutex::new(Inner { last, ..Inner::default() }), news: Notify::new() }
    }

    /// On the writer's thread, for every commit.
    pub fn note(&self, commit: &Arc<Commit>) {
        let mut inner = self.inner.lock();
        let (Some((first, _)), Some((last, _))) = (commit.changes.first(), commit.changes.last()) else { return };
        let before = std::mem::replace(&mut inner.last, *last);
        if *first <= before && inner.listening {
            inner.waiting.clear();
            (inner.changes, inner.bytes, inner.behind) = (0, 0, false);
            inner.waiting.push(Item::Back(first - 1));
        }
        if !inner.listening || inner.behind {
            return;
        }
        inner.changes += commit.changes.len();
        inner.bytes += commit.changes.iter().map(|(_, change)| change.weight()).sum::<usize>();
        if inner.changes > MAX_WAITING || inner.bytes > MAX_WAITING_BYTES {
            inner.behind = true;
            // There are few of the others.
            inner.waiting.retain(|item| !matches!(item, Item::Commit(_)));
            inner.waiting.shrink_to_fit();
        } else {
            inner.waiting.push(Item::Commit(commit.clone()));
        }
        drop(inner);
        self.news.notify_one();
    }

    /// On the writer's thread, for every new epoch.
    pub fn note_epoch(&self) {
        let mut inner = self.inner.lock();
        if inner.listening && !matches!(inner.waiting.last(), Some(Item::Epoch)) {
            inner.waiting.push(Item::Epoch);
        }
        drop(inner);
        self.news.notify_one();
    }

    /// From now on everything is kept. Returns the number of the last change that was not.
    pub fn start(&self) -> Option<u64> {
        let mut inner = self.inner.lock();
        let was = std::mem::replace(&mut inner.listening, true);
        (!was).then_some(inner.last)
    }

    /// The number of the last committed change.
    pub fn last(&self) -> u64 {
        self.inner.lock().last
    }

    /// Nobody listens any more.
    pub fn stop(&self) {
        let mut inner = self.inner.lock();
        *inner = Inner { last: inner.last, ..Inner::default() };
    }

    /// Waits until there is something new.
    pub async fn next(&self) -> News {
        loop {
            {
                let mut inner = self.inner.lock();
                if !inner.waiting.is_empty() || inner.behind {
                    (inner.changes, inner.bytes) = (0, 0);
                    return News {
                        items: std::mem::take(&mut inner.waiting),
                        behind: std::mem::take(&mut inner.behind).then_some(inner.last),
                    };
                }
            }
            self.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        db::{Change, Kind},
    };

    fn commit(numbers: std::ops::RangeInclusive<u64>) -> Arc<Commit> {
        let change = Arc::new(Change {
            collection: "c".into(),
            record: "r".into(),
            kind: Kind::Create,
            old: None,
            new: None,
            actor: None,
            mutation: None,
        });
        Arc::new(Commit {
            changes: numbers.map(|seq| (seq, change.clone())).collect(),
            quiet: Vec::new(),
            at: Timestamp(0),
        })
    }

    #[tokio::test]
    async fn nothing_is_kept_until_somebody_listens() {
        let feed = Feed::new(4);
        feed.note(&commit(5..=6));
        assert_eq!(feed.start(), Some(6));
        assert_eq!(feed.start(), None);
        feed.note(&commit(7..=7));
        let news = feed.next().await;
        assert_eq!((news.items.len(), news.behind), (1, None));
        feed.stop();
        feed.note(&commit(8..=8));
        assert_eq!(feed.start(), Some(8));
    }

    #[tokio::test]
    async fn a_log_that_goes_back_is_noticed() {
        let feed = Feed::new(10);
        feed.start();
        feed.note(&commit(11..=11));
        feed.note(&commit(5..=6));
        let news = feed.next().await;
        assert!(matches!(news.items[..], [Item::Back(4), Item::Commit(_)]));
        assert_eq!(feed.last(), 6);
        // What was let go of then does not count any more.
        feed.note(&commit(7..=15_006));
        feed.note(&commit(5..=15_004));
        let news = feed.next().await;
        assert!(matches!(news.items[..], [Item::Back(4), Item::Commit(_)]) && news.behind.is_none());
    }

    #[tokio::test]
    async fn too_much_is_read_from_the_log_instead() {
        let feed = Feed::new(0);
        feed.start();
        feed.note(&commit(1..=10));
        feed.note(&commit(11..=20_011));
        feed.note(&commit(20_012..=20_012));
        let news = feed.next().await;
        assert_eq!((news.items.len(), news.behind), (0, Some(20_012)));
        feed.note(&commit(20_013..=20_013));
        feed.note_epoch();
        feed.note_epoch();
        assert_eq!(feed.next().await.items.len(), 2);
    }
}
