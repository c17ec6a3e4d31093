//! Who listens to the log without reading all of it: the writer says whether a commit has anything of interest.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::db::Commit;

/// The stored position is moved along after so many changes that were of no interest.
const SAVE_EVERY: u64 = 5_000;

/// What the writer's thread and the reader of the log share.
#[derive(Debug, Default)]
pub(super) struct Ear {
    heard: Mutex<Heard>,
    /// Holds one permit: what is heard while nobody waits is not missed.
    told: Notify,
}

#[derive(Debug, Default)]
struct Heard {
    /// Collections (ids) that are of interest.
    watched: HashSet<Arc<str>>,
    /// The first change of interest that nobody has taken.
    first: Option<u64>,
    /// The last change at all.
    last: u64,
    /// What is stored as done.
    saved: u64,
    /// Something happened that the log does not tell.
    anew: bool,
    /// Somebody has taken news and is not done with them.
    busy: bool,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// The first change of interest; those before are not.
    pub first: Option<u64>,
    /// The last change.
    pub last: u64,
    /// All that is known of the tables is void.
    pub anew: bool,
}

impl Ear {
    /// From the writer, after COMMIT: short, and never blocks.
    pub fn hear(&self, commit: &Commit) {
        let Some((last, _)) = commit.changes.last() else { return };
        let mut heard = self.heard.lock();
        heard.last = *last;
        if heard.first.is_none() {
            let found = commit.changes.iter().find(|(_, change)| heard.watched.contains(&change.collection));
            heard.first = found.map(|(seq, _)| *seq);
        }
        if heard.first.is_some() || heard.last.saturating_sub(heard.saved) >= SAVE_EVERY {
            self.told.notify_one();
        }
    }

    /// Somebody wrote past the log.
    pub fn hear_anew(&self) {
        self.heard.lock().anew = true;
        self.told.notify_one();
    }

    /// From now on these count. Whoever changes them reads the log to its end afterwards.
    pub fn watch(&self, collections: HashSet<Arc<str>>) {
        self.heard.lock().watched = collections;
    }

    pub fn saved(&self, seq: u64) {
        self.heard.lock().saved = seq;
    }

    /// Completes when there is something to do. Whoever takes it says [`Ear::done`] afterwards.
    pub async fn news(&self) -> News {
        loop {
            {
                let mut heard = self.heard.lock();
                let far = heard.last.saturating_sub(heard.saved) >= SAVE_EVERY;
                if heard.first.is_some() || heard.anew || far {
                    heard.busy = true;
                    let news = News { first: heard.first.take(), last: heard.last, anew: heard.anew };
                    heard.anew = false;
                    return news;
                }
            }
            self.told.notified().await;
        }
    }

    /// Somebody is about to read the log.
    pub fn begin(&self) {
        self.heard.lock().busy = true;
    }

    pub fn done(&self) {
        self.heard.lock().busy = false;
    }

    /// Changes after what is stored as done, while one of them is of interest.
    pub fn behind(&self) -> u64 {
        let heard = self.heard.lock();
        if heard.first.is_some() || heard.busy { heard.last.saturating_sub(heard.saved) } else { 0 }
    }

    /// Nothing of interest is waiting or being dealt with.
    pub fn is_idle(&self) -> bool {
        let heard = self.heard.lock();
        heard.first.is_none() && !heard.anew && !heard.busy
    }
}
