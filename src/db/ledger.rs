//! When each collection and each record last changed, kept in memory by the writer: whether what was judged on a
//! snapshot still holds.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::{Change, Touched};

/// Places for the newest changes of records. Only what happened between a snapshot and the write that was judged on it
/// is ever asked for, so that few of those who ask meet another record's change.
const PLACES: usize = 4096;

#[derive(Debug)]
pub(super) struct Ledger {
    /// The newest committed sequence number.
    last: u64,
    /// Nothing is known about changes up to here: a collection without an entry may have changed then.
    floor: u64,
    newest: HashMap<Arc<str>, u64>,
    /// The newest change of any of the records that share a place.
    records: Box<[u64]>,
    seed: RandomState,
}

impl Ledger {
    /// `last` is the newest number in the log.
    pub(super) fn new(last: u64) -> Self {
        let records = vec![0; PLACES].into();
        Self { last, floor: last, newest: HashMap::new(), records, seed: RandomState::new() }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn record(&mut self, changes: &[(u64, Arc<Change>)]) {
        for (seq, change) in changes {
            self.note(&change.collection, &change.record, *seq);
            self.last = *seq;
        }
    }

    /// What does not enter the log, with the number as of which earlier snapshots are stale. While nothing else happens,
    /// a snapshot that has it has a smaller number, too: then it is taken for stale without need.
    pub(super) fn record_quiet(&mut self, quiet: &[(u64, Touched)]) {
        for (seq, touched) in quiet {
            self.note(&touched.collection, &touched.record, *seq);
        }
    }

    fn note(&mut self, collection: &Arc<str>, record: &str, seq: u64) {
        // The common case allocates nothing: the collection is known.
        match self.newest.get_mut(collection) {
            Some(newest) => *newest = seq,
            None => {
                self.newest.insert(Arc::clone(collection), seq);
            }
        }
        let place = self.place(collection, record);
        self.records[place] = seq;
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

    /// Also true now and then when it was another record that changed.
    pub(super) fn record_changed_since(&self, seq: u64, collection: &str, record: &str) -> bool {
        seq < self.floor || self.records[self.place(collection, record)] > seq
    }

    fn place(&self, collection: &str, record: &str) -> usize {
        let hash = self.seed.hash_one((collection, record));
        usize::try_from(hash % PLACES as u64).expect("there are few places")
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

    #[test]
    fn a_record_has_changed_when_its_newest_change_is_later() {
        let mut ledger = Ledger::new(0);
        let changes: Vec<_> = (1..=100).map(|seq| (seq, Arc::new(change("a", &format!("r{seq}"))))).collect();
        ledger.record(&changes);
        for seq in 1..=100 {
            let record = format!("r{seq}");
            assert!(ledger.record_changed_since(seq - 1, "a", &record), "{record}");
            assert!(!ledger.record_changed_since(100, "a", &record), "{record}");
        }
        let others = (0..1000).filter(|n| ledger.record_changed_since(0, "b", &format!("r{n}"))).count();
        assert!(others < 100, "{others} of 1000 share a place with the 100 that changed");
        ledger.forget(100);
        assert!(ledger.record_changed_since(100, "b", "any"), "a snapshot may predate the foreign write");
    }
}
