//! How a kind of job is run: how long, how many at once, how often, and how soon again after a failure.

use std::{fmt, time::Duration};

use crate::{error::Error, random};

/// Nobody is obeyed who asks to be left alone for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How the jobs of one kind are run.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Runs before the job is buried, at least 1.
    pub attempts: u32,
    /// A run that takes longer has failed. The lease is a little longer than this.
    pub timeout: Duration,
    /// Runs at the same time.
    pub concurrency: u32,
    /// How many may begin in some time; as many as can if there is none.
    pub rate: Option<Rate>,
    /// About how long after the first failure the job runs again; doubles with each further one …
    pub backoff: Duration,
    /// … up to this.
    pub longest_backoff: Duration,
}

/// So many runs in so long. After a pause as many may begin at once.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub runs: u32,
    pub per: Duration,
}

impl Default for Policy {
    /// Ten runs over one to two hours, half a minute each, four at a time.
    fn default() -> Self {
        Self {
            attempts: 10,
            timeout: Duration::from_secs(30),
            concurrency: 4,
            rate: None,
            backoff: Duration::from_secs(15),
            longest_backoff: Duration::from_secs(3600),
        }
    }
}

impl Policy {
    /// How long to wait after the failure of run `attempt` (from 1).
    pub(super) fn wait(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.backoff.saturating_mul(1 << doublings).min(self.longest_backoff);
        // Half of it is chance: what failed together must not come back together.
        let wait = full / 2 + part_of(full / 2);
        match retry_after {
            Some(asked) => wait.max(asked + part_of(asked / 10)).min(LONGEST_WAIT),
            None => wait,
        }
    }
}

/// Any length up to `most`, in whole milliseconds.
fn part_of(most: Duration) -> Duration {
    let most = u32::try_from(most.as_millis()).unwrap_or(u32::MAX - 1);
    Duration::from_millis(u64::from(random::below(most.saturating_add(1))))
}

/// Why a run failed, and whether another makes sense.
#[derive(Debug)]
pub struct Failure {
    /// For the log and the table; cut off where it is too long for them.
    pub why: String,
    /// Another run would fail as well: the job is buried at once.
    pub permanent: bool,
    /// Not before so long from now, as the other side asked.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Another run may succeed.
    pub fn passing(why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), permanent: false, retry_after: None }
    }

    /// No other run will.
    pub fn permanent(why: impl fmt::Display) -> Self {
        Self { permanent: true, ..Self::passing(why) }
    }
}

/// Passing: what the house cannot do now it may be able to do later.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { retry_after: error.retry_after, ..Self::passing(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_each_failure_and_stay_within_bounds() {
        let policy =
            Policy { backoff: Duration::from_secs(10), longest_backoff: Duration::from_secs(600), ..Policy::default() };
        let minute = Some(Duration::from_secs(60));
        let years = Some(Duration::from_secs(10_000_000));
        for (attempt, retry_after, least, most) in [
            (1, None, 5, 10),
            (2, None, 10, 20),
            (3, None, 20, 40),
            (7, None, 300, 600),
            (8, None, 300, 600),
            (u32::MAX, None, 300, 600),
            (1, minute, 60, 66),
            (7, minute, 300, 600),
            (1, years, 24 * 3600, 24 * 3600),
        ] {
            for _ in 0..50 {
                let wait = policy.wait(attempt, retry_after);
                let expected = Duration::from_secs(least)..=Duration::from_secs(most);
                assert!(expected.contains(&wait), "after {attempt}: {wait:?}");
            }
        }
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| policy.wait(3, None)).collect();
        assert!(waits.len() > 10, "they differ");
    }

    #[test]
    fn a_policy_without_waiting_is_no_problem() {
        let policy = Policy { backoff: Duration::ZERO, ..Policy::default() };
        assert_eq!(policy.wait(5, None), Duration::ZERO);
    }
}
