//! How fast the runs of a kind may follow each other, and how many jobs may wait.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::policy::Rate;
use crate::error::Result;

/// Jobs of one kind that may wait; one more is busy.
pub(super) const MAX_WAITING: i64 = 10_000;
/// For so long nobody counts again whether they still are too many.
pub(super) const FULL: Duration = Duration::from_millis(50);

/// Permits to begin a run, which come again with time: the machine's, since others measure by it, not the house's clock.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    permits: f64,
    at: Instant,
}

impl Pace {
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { permits: f64::from(rate.runs.max(1)), rate, at: now }
    }

    fn per_second(&self) -> f64 {
        f64::from(self.rate.runs.max(1)) / self.rate.per.as_secs_f64().max(0.001)
    }

    /// Runs that may begin now.
    pub fn permits(&mut self, now: Instant) -> u32 {
        let came = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second();
        self.at = now;
        self.permits = (self.permits + came).min(f64::from(self.rate.runs.max(1)));
        // What is missing to a whole one by rounding only is none.
        (self.permits + 1e-6) as u32
    }

    pub fn take(&mut self, runs: u32) {
        self.permits -= f64::from(runs);
    }

    /// When there is a permit again, if there is none now.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        if self.permits(now) > 0 {
            return None;
        }
        now.checked_add(Duration::from_secs_f64((1.0 - self.permits).max(0.0) / self.per_second()))
    }
}

/// How many more jobs may be added before somebody has to count those that wait.
#[derive(Debug, Default)]
pub(super) struct Allowance(Mutex<HashMap<&'static str, Left>>);

#[derive(Debug, Clone, Copy)]
enum Left {
    Adds(i64),
    /// There were too many.
    Full(Instant),
}

impl Allowance {
    /// Whether the one that was just inserted may stay. `count` says how many wait, with it; it is called when as many
    /// have been added since the last time as there was room for then.
    pub fn admits(&self, kind: &'static str, count: impl FnOnce() -> Result<i64>) -> Result<bool> {
        let mut kinds = self.0.lock();
        let left = kinds.entry(kind).or_insert(Left::Adds(0));
        match left {
            Left::Adds(left) if *left > 0 => {
                *left -= 1;
                return Ok(true);
            }
            Left::Full(since) if since.elapsed() < FULL => return Ok(false),
            Left::Adds(_) | Left::Full(_) => {}
        }
        let free = MAX_WAITING - count()?;
        *left = if free < 0 { Left::Full(Instant::now()) } else { Left::Adds(free) };
        Ok(free >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_come_again_with_time_and_do_not_pile_up() {
        let start = Instant::now();
        let mut pace = Pace::new(Rate { runs: 4, per: Duration::from_secs(2) }, start);
        for (millis, free, taken, next) in
            [(0, 4, 3, None), (100, 1, 1, Some(500)), (499, 0, 0, Some(500)), (500, 1, 0, None), (60_000, 4, 0, None)]
        {
            let now = start + Duration::from_millis(millis);
            assert_eq!(pace.permits(now), free, "after {millis} ms");
            pace.take(taken);
            let found = pace.next(now).map(|next| next.duration_since(start).as_millis());
            assert_eq!(found, next, "after {millis} ms");
        }
        let mut none = Pace::new(Rate { runs: 0, per: Duration::ZERO }, start);
        assert_eq!(none.permits(start), 1, "never a standstill");
    }

    #[test]
    fn who_wait_are_counted_only_where_they_may_be_too_many() {
        let allowance = Allowance::default();
        let (mut waiting, mut counts) = (MAX_WAITING - 100, 0);
        let mut add = |waiting: &mut i64| {
            *waiting += 1;
            let fits = allowance.admits("kind", || {
                counts += 1;
                Ok(*waiting)
            });
            let fits = fits.unwrap();
            *waiting -= i64::from(!fits);
            (fits, counts)
        };
        for _ in 0..99 {
            assert!(add(&mut waiting).0);
        }
        assert_eq!(add(&mut waiting), (true, 1));
        assert_eq!(waiting, MAX_WAITING);
        assert_eq!(add(&mut waiting), (false, 2));
        for _ in 0..1000 {
            let (fits, counts) = add(&mut waiting);
            assert!(!fits && counts < 100);
        }
        std::thread::sleep(FULL);
        waiting = 5;
        assert!(add(&mut waiting).0);
        assert_eq!(waiting, 6);
    }
}
