//! Counting in fixed windows: so many of something within so long, by key. A window begins with what is counted first,
//! and ends whatever comes after.
//!
//! In memory: a restart forgets. **Bounded**: a window is a keyed hash and three numbers. When there are as many as may
//! be, those that have ended go, and if that does not help, the ones that began first: whoever wants a count forgotten
//! has to begin that many windows elsewhere, each with a key of its own.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

use parking_lot::Mutex;

use crate::clock::Timestamp;

/// Parts with a lock each, so that crowds do not wait for one another.
const SHARDS: usize = 16;

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub most: u32,
    pub span: Duration,
}

/// What was counted, by key.
pub struct Windows {
    /// Held for a look at one window (or, rarely, all of the shard), never across an await.
    shards: [Mutex<HashMap<u64, Window>>; SHARDS],
    /// Windows of one shard.
    most: usize,
    /// Keyed by chance, so that nobody can choose keys that share a window.
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Timestamp,
    ends: Timestamp,
    count: u32,
}

impl Window {
    /// A clock that was set back makes nothing last longer.
    fn is_open(&self, now: Timestamp) -> bool {
        self.began <= now && now < self.ends
    }
}

impl Windows {
    /// Remembers about `most` windows.
    pub fn new(most: usize) -> Self {
        Self { shards: Default::default(), most: (most / SHARDS).max(1), hasher: RandomState::new() }
    }

    /// Counts one more under `key`. One too many is not counted: it fails with the time until the window ends.
    pub fn count(&self, key: impl Hash, limit: Limit, now: Timestamp) -> Result<(), Duration> {
        let key = self.hasher.hash_one(key);
        let mut windows = self.shards[key as usize % SHARDS].lock();
        match windows.get_mut(&key).filter(|window| window.is_open(now)) {
            Some(window) if window.count >= limit.most => return Err(now.until(window.ends)),
            Some(window) => window.count += 1,
            None => {
                if windows.len() >= self.most && !windows.contains_key(&key) {
                    make_room(&mut windows, self.most, now);
                }
                windows.insert(key, Window { began: now, ends: now.plus(limit.span), count: 1 });
            }
        }
        Ok(())
    }

    /// Gives the memory of what has ended back.
    pub fn forget_ended(&self, now: Timestamp) {
        for windows in &self.shards {
            let mut windows = windows.lock();
            windows.retain(|_, window| window.is_open(now));
            windows.shrink_to_fit();
        }
    }

    /// All windows end.
    pub fn clear(&self) {
        self.shards.iter().for_each(|windows| *windows.lock() = HashMap::new());
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.shards.iter().map(|windows| windows.lock().len()).sum()
    }
}

/// Leaves a quarter free, so that this is rare.
fn make_room(windows: &mut HashMap<u64, Window>, most: usize, now: Timestamp) {
    windows.retain(|_, window| window.is_open(now));
    let surplus = (windows.len() + most / 4 + 1).saturating_sub(most);
    if surplus == 0 || surplus > windows.len() {
        return;
    }
    let mut begun: Vec<Timestamp> = windows.values().map(|window| window.began).collect();
    let (_, last, _) = begun.select_nth_unstable(surplus - 1);
    let last = *last;
    // Many may have begun in the same moment: no more of them go than have to.
    let mut left = surplus;
    windows.retain(|_, window| {
        let goes = left > 0 && window.began <= last;
        left -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000;
    const LIMIT: Limit = Limit { most: 2, span: Duration::from_secs(3) };

    fn at(millis: i64) -> Timestamp {
        Timestamp(START + millis)
    }

    #[test]
    fn a_window_begins_with_the_first_and_ends_whatever_comes_after() {
        let windows = Windows::new(100);
        for (key, millis, expected) in [
            ("a", 0, Ok(())),
            ("a", 2000, Ok(())),
            ("a", 2000, Err(1000)),
            ("b", 2000, Ok(())),
            ("a", 2999, Err(1)),
            // What was refused is not counted, and what came late began no window.
            ("a", 3000, Ok(())),
            ("a", 3001, Ok(())),
            ("a", 3002, Err(2998)),
            // The clock was set back.
            ("a", 2500, Ok(())),
            ("b", -1, Ok(())),
        ] {
            let found = windows.count(key, LIMIT, at(millis));
            assert_eq!(found, expected.map_err(Duration::from_millis), "{key} {millis}");
        }
        windows.clear();
        assert!(windows.count("a", LIMIT, at(3002)).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_the_young_are_kept() {
        const MOST: usize = 1600;
        let windows = Windows::new(MOST);
        let limit = Limit { most: 1, span: Duration::from_secs(3600) };
        for key in 0..10 * MOST {
            windows.count(key, limit, at(key as i64)).unwrap();
            assert!(windows.held() <= MOST);
        }
        let last = 10 * MOST;
        let counted = |key: usize| windows.count(key, limit, at(last as i64)).is_err();
        // Shards fill unevenly: what is certain is well within.
        assert!((last - MOST / 4..last).all(counted));
        assert!(!counted(0));

        let at_once = Windows::new(MOST);
        (0..10 * MOST).for_each(|key| at_once.count(key, limit, at(0)).unwrap());
        assert!(at_once.held() <= MOST && at_once.held() > MOST / 2, "{}", at_once.held());
        at_once.forget_ended(at(0));
        assert!(at_once.held() > MOST / 2);
        at_once.forget_ended(at(3_600_000));
        assert_eq!(at_once.held(), 0);
    }

    #[test]
    fn what_has_ended_goes_before_what_has_not() {
        const MOST: usize = 1600;
        let windows = Windows::new(MOST);
        let (long, short) =
            (Limit { most: 1, span: Duration::from_secs(3600) }, Limit { most: 1, span: Duration::from_secs(1) });
        windows.count("long", long, at(0)).unwrap();
        for key in 0..20 * MOST as i64 {
            // Few are open at the same time, however many there have been.
            windows.count(key, short, at(key * 10)).unwrap();
        }
        assert!(windows.count("long", long, at(1000)).is_err());
    }
}
