//! What is remembered for so long, and of which there is no more than so much: the oldest goes first.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use crate::clock::Timestamp;

/// Values by key, each good for a lifetime that begins when it is inserted. In memory: a restart forgets.
pub(super) struct Expiring<K, V> {
    /// Milliseconds.
    lifetime: i64,
    most: usize,
    entries: HashMap<K, (Timestamp, V)>,
    /// In the order of insertion, also those that were removed or replaced since.
    order: VecDeque<(Timestamp, K)>,
}

impl<K: Hash + Eq + Clone, V> Expiring<K, V> {
    pub fn new(lifetime: i64, most: usize) -> Self {
        Self { lifetime, most, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// The value, if it is still good, and when it was inserted.
    pub fn get_mut(&mut self, key: &K, now: Timestamp) -> Option<(Timestamp, &mut V)> {
        let lifetime = self.lifetime;
        let (since, value) = self.entries.get_mut(key)?;
        is_good(*since, now, lifetime).then_some((*since, value))
    }

    /// From now on; what was there under this key is replaced.
    pub fn insert(&mut self, key: K, value: V, now: Timestamp) {
        while let Some((since, oldest)) = self.order.front() {
            if is_good(*since, now, self.lifetime) && self.order.len() < self.most {
                break;
            }
            // Replaced since: that one has a place of its own further back.
            if self.entries.get(oldest).is_some_and(|(inserted, _)| inserted == since) {
                self.entries.remove(oldest);
            }
            self.order.pop_front();
        }
        self.entries.insert(key.clone(), (now, value));
        self.order.push_back((now, key));
    }

    /// Takes the value out; `None` if it was not good any more.
    pub fn take(&mut self, key: &K, now: Timestamp) -> Option<V> {
        let (since, value) = self.entries.remove(key)?;
        is_good(since, now, self.lifetime).then_some(value)
    }

    pub fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len().max(self.order.len())
    }
}

/// A clock that was set back makes nothing last longer.
fn is_good(since: Timestamp, now: Timestamp, lifetime: i64) -> bool {
    (0..lifetime).contains(&(now.millis() - since.millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_last_from_their_insertion() {
        let mut map = Expiring::new(100, 10);
        map.insert("a", 1, Timestamp(1000));
        map.insert("b", 2, Timestamp(1050));
        map.insert("a", 3, Timestamp(1060));
        for (key, now, expected) in [
            ("a", 1060, Some((1060, 3))),
            ("a", 1159, Some((1060, 3))),
            ("a", 1160, None),
            ("b", 1149, Some((1050, 2))),
            ("b", 1150, None),
            // The clock was set back.
            ("b", 1049, None),
            ("c", 1060, None),
        ] {
            let found = map.get_mut(&key, Timestamp(now)).map(|(since, value)| (since.millis(), *value));
            assert_eq!(found, expected, "{key} at {now}");
        }
        assert_eq!(map.take(&"b", Timestamp(1060)), Some(2));
        assert_eq!(map.take(&"b", Timestamp(1060)), None);
        assert_eq!(map.take(&"a", Timestamp(2000)), None, "too late");
    }

    #[test]
    fn the_oldest_goes_and_one_that_was_replaced_does_not_go_with_its_past() {
        let mut map = Expiring::new(1000, 3);
        for (key, now) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            map.insert(key, (), Timestamp(now));
        }
        assert!(map.get_mut(&"a", Timestamp(5)).is_some());
        for n in 0..100 {
            map.insert("z", (), Timestamp(10 + n));
            assert!(map.len() <= 3);
        }
        assert!(map.get_mut(&"a", Timestamp(110)).is_none());
        assert!(map.get_mut(&"z", Timestamp(110)).is_some());
    }
}
