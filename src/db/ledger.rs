//! When each collection last changed, kept in memory by the writer: whether a rule judged on a snapshot still holds.

use std::{collections::HashMap, sync::Arc};

use super::Change;

#[derive(Debug)]
pub(super) struct Ledger {
    /// The newest committed sequence number.
    last: u64,
    /// Nothing is known about changes up to here: a collection without an entry may have changed then.
    floor: u64,
    newest: HashMap<Arc<str>, u64>,
}

impl Ledger {
    /// `last` is the newest number in the log.
    pub(super) fn new(last: u64) -> Self {
        Self { last, floor: last, newest: HashMap::new() }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn record(&mut self, changes: &[(u64, Arc<Change>)]) {
        for (seq, change) in changes {
            // The common case allocates nothing: the collection is known.
            match self.newest.get_mut(&change.collection) {
                Some(newest) => *newest = *seq,
                None => {
                    self.newest.insert(Arc::clone(&change.collection), *seq);
                }
            }
            self.last = *seq;
        }
    }

    /// Something changed that the log does not tell: whatever was read up to now may be stale. `last` is the newest
    /// number in the log now.
    pub(super) fn forget(&mut self, last: u64) {
        self.floor = self.last.max(last) + 1;
        self.last = last;
        self.newest.clear();
    }

    pub(super) fn changed_since(&self, seq: u64, collections: &[Arc<str>]) -> bool {
        if collections.is_empty() {
            return false;
        }
        seq < self.floor || collections.iter().any(|id| self.newest.get(id).is_some_and(|&newest| newest > seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::change;

    #[test]
    fn a_collection_has_changed_when_its_newest_change_is_later() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut ledger = Ledger::new(10);
        ledger.record(&[(11, Arc::new(change("a", "1"))), (12, Arc::new(change("a", "2")))]);
        for (seq, collections, expected) in [
            (9, vec![b.clone()], true),
            (10, vec![b.clone()], false),
            (10, vec![a.clone()], true),
            (11, vec![b.clone(), a.clone()], true),
            (12, vec![b.clone(), a.clone()], false),
            (0, vec![], false),
        ] {
            assert_eq!(ledger.changed_since(seq, &collections), expected, "{seq} {collections:?}");
        }
        ledger.forget(12);
        assert!(ledger.changed_since(12, std::slice::from_ref(&b)), "a snapshot may predate the foreign write");
        ledger.record(&[(13, Arc::new(change("a", "3")))]);
        assert!(!ledger.changed_since(13, &[a, b]));
    }
}
