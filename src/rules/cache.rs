//! A cache bounded by weight: two generations, the older one thrown away whole when the younger one is full.
//! What is used survives, what is not costs nothing but its space, and there is no list to keep in order.

use std::collections::HashMap;

use parking_lot::RwLock;

/// Values by text.
pub(super) struct Cache<V> {
    /// Guards both generations; held for one look-up or insertion only.
    generations: RwLock<Generations<V>>,
    /// Of one generation.
    capacity: usize,
}

struct Generations<V> {
    young: HashMap<Box<str>, (V, usize)>,
    old: HashMap<Box<str>, (V, usize)>,
    /// Of `young`.
    weight: usize,
}

impl<V: Clone> Cache<V> {
    /// Holds at most twice `capacity`, in the unit of the weights given to [`Cache::insert`] (bytes, roughly).
    pub fn new(capacity: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), weight: 0 };
        Self { generations: RwLock::new(generations), capacity }
    }

    pub fn get(&self, key: &str) -> Option<V> {
        let generations = self.generations.read();
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = generations.old.get(key).cloned()?;
        drop(generations);
        self.insert(key, value.clone(), weight);
        Some(value)
    }

    pub fn insert(&self, key: &str, value: V, weight: usize) {
        let mut generations = self.generations.write();
        let replaced = generations.young.insert(key.into(), (value, weight)).map_or(0, |(_, weight)| weight);
        generations.weight = generations.weight.saturating_sub(replaced) + weight;
        if generations.weight > self.capacity {
            generations.old = std::mem::take(&mut generations.young);
            generations.weight = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_within_its_bound_and_keeps_what_is_used() {
        let cache = Cache::new(1000);
        for number in 0..10_000 {
            cache.insert(&number.to_string(), number, 10);
            assert_eq!(cache.get("0"), Some(0), "after {number}");
        }
        let generations = cache.generations.read();
        assert!(generations.young.len() + generations.old.len() <= 202);
    }
}
