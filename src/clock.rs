//! All time comes from here, so that a test can hold it still.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use tokio::sync::watch;

/// A sleep looks at the system's clock again after this at the latest: that may be set, and stands still for timers
/// while the machine is suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

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
        self.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
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
    kind: Kind,
}

#[derive(Debug, Clone, Default)]
enum Kind {
    #[default]
    System,
    /// Stands still until it is set, backwards too: for tests of the house.
    Manual(Arc<watch::Sender<i64>>),
    Steerable(Arc<Steering>),
}

/// The last moment that dates can be written of: no clock is set beyond it.
const LAST: Timestamp = Timestamp(253_402_300_799_999);

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until [`Clock::set`].
    pub fn manual(start: Timestamp) -> Self {
        Self { kind: Kind::Manual(Arc::new(watch::Sender::new(start.0))) }
    }

    /// A clock that shows the system's time until it is steered ([`Clock::steering`]): for `conch serve --temp`.
    pub fn steerable() -> Self {
        Self { kind: Kind::Steerable(Arc::default()) }
    }

    /// How to steer it, if this is a clock that can be.
    pub fn steering(&self) -> Option<&Steering> {
        match &self.kind {
            Kind::Steerable(steering) => Some(steering),
            Kind::System | Kind::Manual(_) => None,
        }
    }

    /// Moves a manual clock; others do not listen.
    pub fn set(&self, time: Timestamp) {
        if let Kind::Manual(hand) = &self.kind {
            hand.send_replace(time.0);
        }
    }

    pub fn now(&self) -> Timestamp {
        match &self.kind {
            Kind::System => system_now(),
            Kind::Manual(hand) => Timestamp(*hand.borrow()),
            Kind::Steerable(steering) => steering.now(),
        }
    }

    /// Sleeps until this clock shows `time`: at once when it does already.
    pub async fn sleep_until(&self, time: Timestamp) {
        match &self.kind {
            Kind::System => {
                while let Some(left) = self.left(time) {
                    tokio::time::sleep(left.min(LOOK_AGAIN)).await;
                }
            }
            Kind::Manual(hand) => {
                // The sender is ours, so there always is one.
                let _ = hand.subscribe().wait_for(|now| *now >= time.0).await;
            }
            Kind::Steerable(steering) => {
                let mut steered = steering.steered.subscribe();
                while let Some(left) = self.left(time) {
                    // Whether it stands still or runs: it has been steered when that changes.
                    let frozen = steering.is_frozen();
                    tokio::select! {
                        () = tokio::time::sleep(left.min(LOOK_AGAIN)), if !frozen => {}
                        _ = steered.changed() => {}
                    }
                }
            }
        }
    }

    /// How long it is until `time`; `None` when that is over.
    fn left(&self, time: Timestamp) -> Option<Duration> {
        Some(self.now().until(time)).filter(|left| !left.is_zero())
    }
}

fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What a clock that can be steered has been told. It never goes back, unless the system's does.
#[derive(Debug)]
pub struct Steering {
    /// Milliseconds that it is ahead of the system's clock while it runs.
    ahead: AtomicI64,
    /// What it shows while it stands still; [`RUNS`] otherwise.
    frozen: AtomicI64,
    /// Told of each change. Locked while changing, so that two do not mix.
    steered: watch::Sender<()>,
    changing: Mutex<()>,
}

/// How a clock that can be steered stands or runs at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hands {
    ahead: i64,
    frozen: i64,
}

/// No time at which a clock can be stopped.
const RUNS: i64 = i64::MIN;

impl Default for Steering {
    fn default() -> Self {
        let steered = watch::Sender::new(());
        Self { ahead: AtomicI64::new(0), frozen: AtomicI64::new(RUNS), steered, changing: Mutex::default() }
    }
}

impl Steering {
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(SeqCst) != RUNS
    }

    fn now(&self) -> Timestamp {
        match self.frozen.load(SeqCst) {
            RUNS => system_now().plus_millis(self.ahead.load(SeqCst)),
            frozen => Timestamp(frozen),
        }
    }

    /// How it stands or runs.
    pub fn hands(&self) -> Hands {
        let _alone = self.changing.lock();
        Hands { ahead: self.ahead.load(SeqCst), frozen: self.frozen.load(SeqCst) }
    }

    /// Has it stand or run as it did once: the only way back. Whoever sleeps looks again.
    pub fn put_back(&self, hands: Hands) {
        let _alone = self.changing.lock();
        // In this order: whoever looks in between sees it stand still, if it does before or after.
        if hands.frozen == RUNS {
            self.ahead.store(hands.ahead, SeqCst);
            self.frozen.store(RUNS, SeqCst);
        } else {
            self.frozen.store(hands.frozen, SeqCst);
            self.ahead.store(hands.ahead, SeqCst);
        }
        self.steered.send_replace(());
    }

    /// Sets the clock forward and then holds it (`Some(true)`), lets it go on from there, or leaves it as it was.
    /// Answers what it shows now; `None`, and changes nothing, when `to` of the present time is earlier than that, or
    /// has no date that can be written.
    ///
    /// Whoever sleeps until then wakes at once.
    pub fn steer(&self, to: impl FnOnce(Timestamp) -> Option<Timestamp>, freeze: Option<bool>) -> Option<Timestamp> {
        let _alone = self.changing.lock();
        let now = self.now();
        let to = to(now).filter(|to| *to >= now && *to <= LAST)?;
        if freeze.unwrap_or_else(|| self.is_frozen()) {
            self.frozen.store(to.0, SeqCst);
        } else {
            // In this order: whoever looks in between sees it stand still.
            let ahead = if self.is_frozen() {
                to.0.saturating_sub(system_now().0)
            } else {
                self.ahead.load(SeqCst).saturating_add(to.0.saturating_sub(now.0))
            };
            self.ahead.store(ahead, SeqCst);
            self.frozen.store(RUNS, SeqCst);
        }
        self.steered.send_replace(());
        Some(to)
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

    #[tokio::test]
    async fn a_steered_clock_runs_stands_jumps_and_goes_on() {
        let clock = Clock::steerable();
        let steering = clock.steering().unwrap();
        let hours = |n: i64| move |now: Timestamp| Some(now.plus_millis(n * 3_600_000));
        assert!((clock.now().0 - system_now().0).abs() < 1000 && !steering.is_frozen());
        // It runs on ahead.
        let noon = steering.steer(hours(3), None).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let ran = noon.until(clock.now());
        assert!(ran >= Duration::from_millis(15) && ran < Duration::from_secs(10), "{ran:?}");
        // It stands, and jumps while it stands.
        let stopped = steering.steer(Some, Some(true)).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(clock.now(), stopped);
        let next = steering.steer(hours(26), None).unwrap();
        assert_eq!((next, clock.now()), (stopped.plus(Duration::from_secs(26 * 3600)), next));
        // Never back, never to where there are no dates.
        for to in [stopped, Timestamp(next.0 - 1), Timestamp(LAST.0 + 1), Timestamp(i64::MIN)] {
            assert_eq!(steering.steer(|_| Some(to), Some(false)), None);
        }
        assert!(clock.now() == next && steering.is_frozen());
        // It goes on from where it stood.
        assert_eq!(steering.steer(Some, Some(false)), Some(next));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let ran = next.until(clock.now());
        assert!(ran >= Duration::from_millis(15) && ran < Duration::from_secs(10), "{ran:?}");
        assert!(Clock::system().steering().is_none() && Clock::manual(next).steering().is_none());
    }

    #[tokio::test]
    async fn a_steered_clock_is_put_back() {
        let clock = Clock::steerable();
        let steering = clock.steering().unwrap();
        let running = steering.hands();
        let noon = steering.steer(|now| Some(now.plus_millis(3_600_000)), Some(true)).unwrap();
        let standing = steering.hands();
        steering.steer(|now| Some(now.plus_millis(86_400_000)), Some(false)).unwrap();
        let asleep = {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep_until(noon.plus_millis(1)).await })
        };
        asleep.await.unwrap();
        steering.put_back(standing);
        assert!(clock.now() == noon && steering.is_frozen());
        steering.put_back(running);
        assert!((clock.now().0 - system_now().0).abs() < 1000 && !steering.is_frozen());
    }

    #[tokio::test]
    async fn sleepers_follow_a_steered_clock_at_once() {
        let clock = Clock::steerable();
        let steering = clock.steering().unwrap();
        let start = steering.steer(Some, Some(true)).unwrap();
        let asleep = |millis: i64| {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep_until(start.plus_millis(millis)).await })
        };
        let (soon, tomorrow, later) = (asleep(20), asleep(86_400_000), asleep(86_400_020));
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(!soon.is_finished(), "it stands still");
        steering.steer(|now| Some(now.plus_millis(86_400_000)), None).unwrap();
        soon.await.unwrap();
        tomorrow.await.unwrap();
        assert!(!later.is_finished());
        steering.steer(Some, Some(false)).unwrap();
        later.await.unwrap();
    }
}
