//! Jobs that come again: the next run of a series is a job like any other, under a key that says for which time it is.

use std::time::Duration;

use super::{
    Jobs, NewJob,
    cron::{Cron, Missed},
    store,
};
use crate::{clock::Timestamp, db::WriteTx, error::Result};

/// A run that begins later than this after its time has missed it.
const GRACE: Duration = Duration::from_secs(60);
/// What the keys of a series begin with.
const PREFIX: &str = "at ";

/// What happens when a run is due while the last one of the same series still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Nothing: the next is due after the end of the last.
    Skip,
    /// It begins when the last has ended.
    Wait,
    /// Both run.
    Allow,
}

/// When the runs of a series are due.
#[derive(Debug, Clone)]
pub(super) struct Recurring {
    pub cron: Cron,
    pub missed: Missed,
    pub overlap: Overlap,
}

/// For which time of a series a job with this key runs.
pub(super) fn scheduled(key: Option<&str>) -> Option<Timestamp> {
    key?.strip_prefix(PREFIX)?.parse().ok().map(Timestamp)
}

impl Recurring {
    /// The time after `scheduled`, whose run has begun and, if no others run beside it, `ended`.
    pub fn following(&self, scheduled: Timestamp, began: Timestamp, ended: Timestamp) -> Option<Timestamp> {
        let began = began.max(scheduled);
        let missed = match self.missed {
            Missed::All(_) => self.cron.missed(scheduled, began, self.missed).first().copied(),
            Missed::Skip | Missed::Once => None,
        };
        let next = missed.or_else(|| self.cron.next_after(began))?;
        if self.overlap == Overlap::Skip && began < next && next <= ended {
            return self.cron.next_after(ended);
        }
        Some(next)
    }

    /// Whether a run for `scheduled` that might begin now is left out. `free` is since when nothing was in its way.
    pub fn has_missed(&self, scheduled: Timestamp, free: Timestamp, now: Timestamp) -> bool {
        self.missed == Missed::Skip && scheduled.max(free).until(now) > GRACE
    }

    /// Adds the run for this time, unless it waits already.
    pub fn add(&self, jobs: &Jobs, tx: &mut WriteTx<'_>, kind: &'static str, at: Option<Timestamp>) -> Result<()> {
        let Some(at) = at else { return Ok(()) };
        let unique = Some(format!("{PREFIX}{}", at.0));
        jobs.add(tx, &NewJob { due: Some(at), unique, ..NewJob::new(kind, serde_json::Value::Null) })
    }

    /// Begins the series if there is none.
    pub fn ensure(&self, jobs: &Jobs, tx: &mut WriteTx<'_>, kind: &'static str) -> Result<()> {
        if store::has_series(tx, kind)? {
            return Ok(());
        }
        let next = self.cron.next_after(tx.now());
        self.add(jobs, tx, kind, next)
    }

    /// Forgets what an earlier version of the schedule has in store.
    pub fn renew(&self, tx: &mut WriteTx<'_>, kind: &str) -> Result<()> {
        let (now, next) = (tx.now(), self.cron.next_after(tx.now()));
        store::forget_series_but(tx, kind, now, next.unwrap_or(Timestamp(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_follows_from_what_was_missed_and_overlapped() {
        const HOUR: i64 = 3_600_000;
        use Missed::{All, Once, Skip};
        let quarter = HOUR / 4;
        for (missed, overlap, began, ended, next) in [
            // In time and short.
            (Once, Overlap::Skip, 0, 1, HOUR),
            (All(9), Overlap::Wait, 0, 0, HOUR),
            // Longer than its hour.
            (Once, Overlap::Skip, 0, 2 * HOUR + quarter, 3 * HOUR),
            (Once, Overlap::Skip, 0, 2 * HOUR, 3 * HOUR),
            (Once, Overlap::Wait, 0, 0, HOUR),
            (Once, Overlap::Allow, 0, 0, HOUR),
            // Late: one run was for all, or each has its own.
            (Once, Overlap::Skip, 3 * HOUR + quarter, 3 * HOUR + quarter, 4 * HOUR),
            (Skip, Overlap::Skip, 3 * HOUR + quarter, 3 * HOUR + quarter, 4 * HOUR),
            (All(9), Overlap::Skip, 3 * HOUR + quarter, 3 * HOUR + quarter, HOUR),
            (All(2), Overlap::Wait, 3 * HOUR + quarter, 3 * HOUR + quarter, 2 * HOUR),
            // What was missed is made up for; what its own run was in the way of is not.
            (All(9), Overlap::Skip, quarter, 2 * HOUR, 3 * HOUR),
            // Begun before its time, by hand.
            (Once, Overlap::Skip, -HOUR / 2, -HOUR / 4, HOUR),
        ] {
            let recurring = Recurring { cron: Cron::utc("0 * * * *"), missed, overlap };
            let found = recurring.following(Timestamp(0), Timestamp(began), Timestamp(ended));
            assert_eq!(found, Some(Timestamp(next)), "{missed:?} {overlap:?} {began} {ended}");
        }
    }

    #[test]
    fn late_is_more_than_a_minute_with_nothing_in_the_way() {
        let recurring = |missed| Recurring { cron: Cron::utc("@hourly"), missed, overlap: Overlap::Wait };
        for (missed, free, now, expected) in [
            (Missed::Skip, 0, 60_000, false),
            (Missed::Skip, 0, 60_001, true),
            (Missed::Skip, 50_000, 60_001, false),
            (Missed::Once, 0, 9_999_999, false),
        ] {
            let found = recurring(missed).has_missed(Timestamp(0), Timestamp(free), Timestamp(now));
            assert_eq!(found, expected, "{missed:?} {free} {now}");
        }
        assert_eq!(scheduled(Some("at -5")), Some(Timestamp(-5)));
        assert_eq!((scheduled(Some("now")), scheduled(None)), (None, None));
    }
}
