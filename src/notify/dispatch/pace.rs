//! So many a second: the rate limit of a channel.

use std::time::{Duration, Instant};

/// A bucket of tokens that fills at a steady rate and holds those of one second. By the machine's own clock: providers
/// count by theirs, whatever a test makes ours show.
#[derive(Debug)]
pub(super) struct Pace {
    /// Per second; 0 is no limit.
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { rate: 0.0, tokens: 0.0, filled: now }
    }

    /// The rate may change at any time; what is in the bucket stays, as far as it fits.
    pub fn set(&mut self, per_second: u32, now: Instant) {
        let rate = f64::from(per_second);
        if rate.to_bits() != self.rate.to_bits() {
            self.fill(now);
            // Who sets a limit does not mean to wait a second for the first.
            self.tokens = if self.rate == 0.0 { rate.max(1.0) } else { self.tokens };
            self.rate = rate;
            self.fill(now);
        }
    }

    /// Takes a token; or says how long until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if self.rate == 0.0 {
            return Ok(());
        }
        self.fill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate) + Duration::from_millis(1))
    }

    /// Gives back a token that was taken for nothing.
    pub fn put_back(&mut self) {
        self.tokens += 1.0;
    }

    /// How many may leave within this time, at most.
    pub fn within(&self, time: Duration) -> usize {
        if self.rate == 0.0 { usize::MAX } else { (self.rate * time.as_secs_f64()).max(1.0) as usize }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * self.rate).min(self.rate.max(1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..1000 {
            assert_eq!(pace.take(start), Ok(()), "no limit");
        }
        for (rate, seconds, expected) in [(10u32, 3u64, 40), (1, 5, 6), (1000, 1, 2000)] {
            let mut pace = Pace::new(start);
            pace.set(rate, start);
            let mut taken = 0;
            for milli in 0..=seconds * 1000 {
                let now = start + Duration::from_millis(milli);
                while pace.take(now).is_ok() {
                    taken += 1;
                }
            }
            assert_eq!(taken, expected, "a second's worth at once, then {rate} a second for {seconds} s");
        }
    }

    #[test]
    fn who_waits_as_long_as_told_gets_one() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.set(3, start);
        let mut now = start;
        for _ in 0..20 {
            if let Err(wait) = pace.take(now) {
                assert!(wait <= Duration::from_millis(335), "{wait:?}");
                now += wait;
                assert_eq!(pace.take(now), Ok(()));
            }
        }
        assert_eq!(pace.within(Duration::from_secs(60)), 180);
        pace.set(0, now);
        assert_eq!((pace.take(now), pace.within(Duration::from_secs(1))), (Ok(()), usize::MAX));
    }
}
