//! What the jobs of one transaction have gathered for after its commit, and can be rewound with a savepoint.

use std::sync::Arc;

use super::{Change, Touched};

pub(super) type Effect = Box<dyn FnOnce() + Send>;

/// Empty at the start of each attempt to commit a group.
#[derive(Default)]
pub(super) struct Group {
    /// The newest sequence number before the group.
    base: u64,
    changes: Vec<(u64, Arc<Change>)>,
    quiet: Vec<Touched>,
    effects: Vec<Effect>,
    /// A new epoch that begins with this commit.
    epoch: Option<Arc<str>>,
}

/// How far a group had come.
pub(super) struct Mark {
    changes: usize,
    quiet: usize,
    effects: usize,
    epoch: Option<Arc<str>>,
}

/// A group that has committed.
pub(super) struct Committed {
    pub changes: Vec<(u64, Arc<Change>)>,
    pub quiet: Vec<(u64, Touched)>,
    pub effects: Vec<Effect>,
    pub epoch: Option<Arc<str>>,
}

impl Group {
    pub(super) fn new(base: u64) -> Self {
        Self { base, ..Self::default() }
    }

    /// Follows from the number of changes, so that a rewound savepoint leaves no gap.
    pub(super) fn next_seq(&self) -> u64 {
        self.base + self.changes.len() as u64 + 1
    }

    pub(super) fn push_change(&mut self, seq: u64, change: Arc<Change>) {
        self.changes.push((seq, change));
    }

    pub(super) fn push_quiet(&mut self, touched: Touched) {
        self.quiet.push(touched);
    }

    pub(super) fn push_effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn set_epoch(&mut self, epoch: Arc<str>) {
        self.epoch = Some(epoch);
    }

    /// Whether this group itself has changed one of the collections after `seq`. Nobody outside has read what it wrote,
    /// so all that it did quietly is later.
    pub(super) fn changed_since(&self, seq: u64, collections: &[Arc<str>]) -> bool {
        if self.quiet.iter().any(|touched| collections.contains(&touched.collection)) {
            return true;
        }
        let newer = self.changes.iter().rev().take_while(|(at, _)| *at > seq);
        newer.into_iter().any(|(_, change)| collections.contains(&change.collection))
    }

    /// Whether this group itself has changed the record after `seq`.
    pub(super) fn record_changed_since(&self, seq: u64, collection: &str, record: &str) -> bool {
        if self.quiet.iter().any(|touched| touched.record == record && *touched.collection == *collection) {
            return true;
        }
        let newer = self.changes.iter().rev().take_while(|(at, _)| *at > seq);
        newer.into_iter().any(|(_, change)| change.record == record && *change.collection == *collection)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            changes: self.changes.len(),
            quiet: self.quiet.len(),
            effects: self.effects.len(),
            epoch: self.epoch.clone(),
        }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.changes.truncate(mark.changes);
        self.quiet.truncate(mark.quiet);
        self.effects.truncate(mark.effects);
        self.epoch = mark.epoch;
    }

    pub(super) fn committed(self) -> Committed {
        // Every snapshot without this group has a number up to `base`.
        let stale_as_of = self.base + 1;
        let quiet = self.quiet.into_iter().map(|touched| (stale_as_of, touched)).collect();
        Committed { changes: self.changes, quiet, effects: self.effects, epoch: self.epoch }
    }
}
