//! All time comes from here, so that a test can hold it still.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

/// A sleep looks at the system's clock again after this at the latest: that may be set, and stands still for timers
/// while the machine is suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 UTC.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// So much later; the end of time at most.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long it is from here until `later`; nothing when that is over.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

/// `YYYY-MM-DD HH:MM:SS.mmmZ`, the wire's and the storage's datetime (`docs/wire/records.md` §1.3).
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(86_400_000));
        let in_day = self.0.rem_euclid(86_400_000);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
        if !(0..=9999).contains(&year) {
            return write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}Z");
        }
        // Every write prints some, and a formatter for each number costs more than all the digits.
        let mut text = *b"0000-00-00 00:00:00.000Z";
        for (end, mut number) in [(4, year), (7, month), (10, day), (13, hour), (16, minute), (19, second), (23, milli)]
        {
            let mut places = text[..end].iter_mut().rev();
            while number > 0
                && let Some(place) = places.next()
            {
                *place = b'0' + u8::try_from(number % 10).expect("a digit");
                number /= 10;
            }
        }
        f.write_str(str::from_utf8(&text).expect("digits and marks are ASCII"))
    }
}

/// Days since 1970-01-01 to a proleptic Gregorian date (Hinnant, "chrono-compatible low-level date algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The source of time: the system's, or a hand that a test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    hand: Option<Arc<watch::Sender<i64>>>,
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until [`Clock::set`].
    pub fn manual(start: Timestamp) -> Self {
        Self { hand: Some(Arc::new(watch::Sender::new(start.0))) }
    }

    /// Moves a manual clock; a system clock does not listen.
    pub fn set(&self, time: Timestamp) {
        if let Some(hand) = &self.hand {
            hand.send_replace(time.0);
        }
    }

    pub fn now(&self) -> Timestamp {
        match &self.hand {
            Some(hand) => Timestamp(*hand.borrow()),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Sleeps until this clock shows `time`: at once when it does already.
    pub async fn sleep_until(&self, time: Timestamp) {
        if let Some(hand) = &self.hand {
            // The sender is ours, so there always is one.
            let _ = hand.subscribe().wait_for(|now| *now >= time.0).await;
            return;
        }
        loop {
            let left = self.now().until(time);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_in_the_storage_format() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00.000Z"),
            (951_782_399_999, "2000-02-28 23:59:59.999Z"),
            (951_782_400_000, "2000-02-29 00:00:00.000Z"),
            (1_795_309_200_123, "2026-11-22 01:00:00.123Z"),
            (-1, "1969-12-31 23:59:59.999Z"),
            (-62_135_596_800_000, "0001-01-01 00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31 23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01 00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), text);
        }
    }

    #[test]
    fn durations_between_timestamps_never_turn_back() {
        for (from, to, millis) in [(0, 5, 5), (5, 0, 0), (i64::MIN, i64::MAX, i64::MAX as u64), (-3, -1, 2)] {
            assert_eq!(Timestamp(from).until(Timestamp(to)), Duration::from_millis(millis));
        }
        assert_eq!(Timestamp(1).plus(Duration::from_secs(2)), Timestamp(2001));
        assert_eq!(Timestamp(1).plus(Duration::MAX), Timestamp(i64::MAX));
    }

    #[tokio::test]
    async fn sleepers_wake_when_the_clock_shows_their_time() {
        let clock = Clock::manual(Timestamp(1000));
        clock.sleep_until(Timestamp(1000)).await;
        let (sleeper, set) = (clock.clone(), clock.clone());
        let asleep = tokio::spawn(async move { sleeper.sleep_until(Timestamp(2000)).await });
        set.set(Timestamp(1999));
        tokio::task::yield_now().await;
        assert!(!asleep.is_finished());
        set.set(Timestamp(2000));
        asleep.await.unwrap();
        let system = Clock::system();
        let soon = system.now().plus(Duration::from_millis(20));
        system.sleep_until(soon).await;
        assert!(system.now() >= soon);
    }
}
