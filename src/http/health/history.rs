//! The requests of the last hour, by the minute: the counters of all workers, looked at every few seconds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    routes::Route,
    worker::{STATUSES, Shard, TIMES},
};
use crate::{clock::Timestamp, measure::Tally};

/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks that are kept for what happens now: a minute of them.
const LOOKS: usize = 12;
/// Minutes that are kept.
const MINUTES: usize = 60;
const MINUTE: i64 = 60_000;

/// What was counted until one moment.
#[derive(Debug, Clone)]
pub struct Totals {
    pub answers: u64,
    /// Answers of 400 to 499, and from 500 on.
    pub refused: u64,
    pub failed: u64,
    pub times: Tally,
}

impl Totals {
    /// Of these workers.
    pub fn of<'s>(shards: impl IntoIterator<Item = &'s Shard>) -> Self {
        let mut totals = Self { answers: 0, refused: 0, failed: 0, times: Tally::empty(TIMES) };
        for shard in shards {
            for route in Route::ALL {
                let (counts, times) = shard.answers(route);
                for (status, count) in STATUSES.into_iter().zip(counts) {
                    totals.answers += count;
                    match status {
                        400..500 => totals.refused += count,
                        500.. => totals.failed += count,
                        _ => {}
                    }
                }
                totals.times.add(&times);
            }
        }
        totals
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            answers: self.answers.saturating_sub(before.answers),
            refused: self.refused.saturating_sub(before.refused),
            failed: self.failed.saturating_sub(before.failed),
            times: self.times.since(&before.times),
        }
    }
}

/// One minute.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Minute {
    /// When it began.
    pub at: String,
    pub requests: u64,
    /// Answers from 500 on.
    pub errors: u64,
    /// Answers of 400 to 499.
    pub refused: u64,
    /// Milliseconds.
    pub p99: f64,
}

/// The last minute, up to now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lately {
    pub per_second: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct History {
    recent: VecDeque<(Instant, Totals)>,
    /// What had been counted when these minutes began.
    minutes: VecDeque<(i64, Totals)>,
}

impl History {
    /// A look, at this moment of the process and of the system's clock.
    pub fn look(&mut self, at: Instant, now: Timestamp, totals: &Totals) {
        self.recent.push_back((at, totals.clone()));
        while self.recent.len() > LOOKS + 1 {
            self.recent.pop_front();
        }
        let minute = now.millis().div_euclid(MINUTE);
        // A clock that was set back repeats no minute.
        if self.minutes.back().is_none_or(|(last, _)| *last < minute) {
            self.minutes.push_back((minute, totals.clone()));
        }
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
    }

    /// What has happened since the oldest look that is kept.
    pub fn lately(&self, at: Instant, totals: &Totals) -> Lately {
        let Some((since, before)) = self.recent.front() else { return Lately { per_second: 0.0, p50: 0.0, p99: 0.0 } };
        let seconds = at.saturating_duration_since(*since).as_secs_f64().max(1.0);
        let lately = totals.since(before);
        let share = |share| millis(lately.times.quantile(share));
        Lately { per_second: rounded(lately.answers as f64 / seconds), p50: share(0.5), p99: share(0.99) }
    }

    /// The last hour, the oldest first; the last one is still going on.
    pub fn series(&self, totals: &Totals) -> Vec<Minute> {
        let ends = self.minutes.iter().skip(1).map(|(_, totals)| totals).chain([totals]);
        let each = self.minutes.iter().zip(ends).map(|((minute, began), ended)| {
            let within = ended.since(began);
            Minute {
                at: Timestamp(minute * MINUTE).to_string(),
                requests: within.answers,
                errors: within.failed,
                refused: within.refused,
                p99: millis(within.times.quantile(0.99)),
            }
        });
        each.collect()
    }
}

/// Of microseconds.
fn millis(micros: f64) -> f64 {
    rounded(micros / 1e3)
}

/// Two digits are enough for people.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(answers: u64, failed: u64) -> Totals {
        let mut times = Tally::empty(TIMES);
        // All of them took 0.5 to 1 ms.
        times.counts[3] = answers;
        Totals { answers, refused: 0, failed, times }
    }

    #[test]
    fn an_hour_is_kept_by_the_minute() {
        let (mut history, start) = (History::default(), Instant::now());
        assert_eq!(history.series(&totals(0, 0)), []);
        for look in 0..(90 * 12_u64) {
            let now = Timestamp(1_800_000_000_000 + i64::try_from(look).unwrap() * 5000);
            history.look(start + Duration::from_secs(5 * look), now, &totals(look, look / 12));
        }
        let series = history.series(&totals(90 * 12 + 6, 90));
        assert_eq!(series.len(), 60);
        assert!(series.windows(2).all(|pair| pair[0].at < pair[1].at));
        let of = |minute: &Minute| (minute.requests, minute.errors, minute.at.ends_with(":00.000Z"));
        assert_eq!((of(&series[0]), of(&series[58])), ((12, 1, true), (12, 1, true)));
        assert_eq!(of(&series[59]), (18, 1, true), "it is still going on");
        assert!(series[0].p99 > 0.5 && series[0].p99 <= 1.0, "{}", series[0].p99);
        assert_eq!((history.recent.len(), history.minutes.len()), (13, 60));
    }

    #[test]
    fn lately_is_a_minute() {
        let (mut history, start) = (History::default(), Instant::now());
        for look in 0..30 {
            history.look(start + Duration::from_secs(5 * look), Timestamp(0), &totals(50 * look, 0));
        }
        let lately = history.lately(start + Duration::from_secs(5 * 29), &totals(50 * 29, 0));
        assert!((lately.per_second - 10.0).abs() < 0.01, "{lately:?}");
        assert!(lately.p50 > 0.5 && lately.p50 < lately.p99 && lately.p99 <= 1.0, "{lately:?}");
        assert!((History::default().lately(start, &totals(5, 0)).per_second).abs() < 0.01);
    }
}
