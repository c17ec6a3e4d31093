//! Numbers that are counted where something happens, and read by whoever wants to know (`/metrics`).
//!
//! Whoever counts does so on a place of its own (its thread's, its lock's), so that counting costs an addition and nobody
//! waits for anybody. Readers add the places up; what they see may be a moment old.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Only goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How values are distributed over fixed ranges.
#[derive(Debug)]
pub struct Histogram {
    /// The largest value of each range, ascending; beyond the last there is one more.
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub fn note(&self, value: u64) {
        let range = self.bounds.partition_point(|&bound| bound < value);
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(value, Relaxed);
    }

    /// What was noted so far.
    pub fn tally(&self) -> Tally {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        Tally { bounds: self.bounds, counts, sum: self.sum.load(Relaxed) }
    }
}

/// A histogram as it stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// As in [`Histogram`].
    pub bounds: &'static [u64],
    /// How many fell into each range; one more than there are bounds.
    pub counts: Vec<u64>,
    /// Of all values.
    pub sum: u64,
}

impl Tally {
    pub fn empty(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A value that this share of all (0 to 1) does not exceed, as far as the ranges tell; 0 of none. What lies beyond the
    /// last bound counts as that bound.
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = share.clamp(0.0, 1.0) * self.count() as f64;
        let (mut below, mut from) = (0.0, 0.0);
        for (&bound, &count) in self.bounds.iter().zip(&self.counts) {
            let (to, count) = (bound as f64, count as f64);
            if count > 0.0 && below + count >= wanted {
                return from + (to - from) * ((wanted - below) / count);
            }
            below += count;
            from = to;
        }
        if self.count() == 0 { 0.0 } else { from }
    }

    /// What was noted since this stood so.
    pub fn since(&self, before: &Self) -> Self {
        debug_assert_eq!(self.bounds, before.bounds);
        let counts = self.counts.iter().zip(&before.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        Self { bounds: self.bounds, counts, sum: self.sum.wrapping_sub(before.sum) }
    }

    /// Adds what was counted at another place, over the same ranges.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_their_ranges() {
        let histogram = Histogram::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, 5000] {
            histogram.note(value);
        }
        let mut tally = histogram.tally();
        assert_eq!((tally.counts.as_slice(), tally.sum, tally.count()), ([2, 2, 2, 2].as_slice(), 5225, 8));
        tally.add(&Tally { bounds: &[1, 10, 100], counts: vec![1, 0, 0, 5], sum: 7 });
        assert_eq!((tally.counts.as_slice(), tally.sum), ([3, 2, 2, 7].as_slice(), 5232));
        let before = histogram.tally();
        assert_eq!((tally.since(&before).counts.as_slice(), tally.since(&before).sum), ([1, 0, 0, 5].as_slice(), 7));
    }

    #[test]
    fn a_share_of_all_values_is_found_within_its_range() {
        for (counts, share, expected) in [
            ([0, 0, 0, 0], 0.5, 0.0),
            ([10, 0, 0, 0], 0.5, 0.5),
            ([0, 10, 0, 0], 0.5, 5.5),
            ([50, 49, 1, 0], 0.99, 10.0),
            ([50, 49, 1, 0], 1.0, 100.0),
            ([1, 0, 0, 9], 0.99, 100.0),
        ] {
            let tally = Tally { bounds: &[1, 10, 100], counts: counts.to_vec(), sum: 0 };
            assert!((tally.quantile(share) - expected).abs() < 1e-9, "{counts:?} {share} {}", tally.quantile(share));
        }
    }
}
