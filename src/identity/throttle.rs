//! Whoever fails a password often has to wait, each time longer: the progressive delay of everything that checks the
//! password of an account.
//!
//! Failures are counted per account name *as typed*, known or unknown, and client address (IPv6: its /64 network). So a
//! stranger can neither lock an owner out, who asks from another address, nor learn who exists. While somebody has to
//! wait nothing is looked up and nothing is hashed.
//!
//! Only so many failures may be pending at once as are still free of delay; further attempts wait for the verdict on
//! those before them. Otherwise a hundred guesses sent together would all be free.
//!
//! **Memory.** An entry is a keyed hash and four numbers, and there are at most [`MOST`]. Each one costs its maker a
//! password hash, so a flood of made-up names fills the table over many minutes, not at once. When it is full, the
//! entries with the fewest failures go first: a flood of names with one failure each drops its own kind, and whoever
//! wants to get rid of a counter that delays has to fill the table with counters that have failed as often.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::network;
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, Result},
};

/// Failures without delay.
const FREE: u32 = 5;
/// The delay after the first failure that is not free; doubles with each further one …
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_DELAY: Duration = Duration::from_secs(300);
/// Failures are forgotten after so long without another. More than `FREE` times the longest delay: coming back for new
/// free attempts must not be faster than to wait.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Entries in memory, about 4 MiB with their table.
const MOST: usize = 50_000;
/// Attempts that may wait for the verdict on others.
const WAITING: usize = 256;

/// Counts failed passwords.
#[derive(Default)]
pub struct Throttle {
    /// Guards the counters; held for a look at one of them (or, rarely, all), never across an await.
    counters: Mutex<HashMap<u64, Counter>>,
    /// Keyed by chance, so that nobody can choose names that share a counter.
    hasher: RandomState,
    /// Told of each verdict.
    verdict: Notify,
    waiting: AtomicUsize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    failures: u32,
    /// Attempts without a verdict yet.
    pending: u32,
    /// No attempt before this time.
    until: Timestamp,
    last: Timestamp,
}

/// A password that may be checked. Dropping it without a verdict counts for nothing.
#[must_use]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    clock: &'a Clock,
    key: u64,
}

enum Answer {
    Go,
    /// Until there is a verdict on others.
    Wait,
    /// For so long.
    Refuse(Duration),
}

impl Throttle {
    /// Asks to check a password that `address` gives for `identity` (as typed) of a collection (id). Before anything is
    /// looked up, and for every identity alike.
    ///
    /// `TooMany` with how long to wait, for whoever has failed too often; `Busy` when too many attempts are pending.
    pub async fn attempt<'a>(
        &'a self,
        clock: &'a Clock,
        collection: &str,
        identity: &str,
        address: IpAddr,
    ) -> Result<Attempt<'a>> {
        let key = self.hasher.hash_one((collection, identity.to_lowercase(), network(address)));
        loop {
            // Before the look: a verdict right after it is not missed.
            let verdict = self.verdict.notified();
            match self.look(key, clock.now()) {
                Answer::Go => return Ok(Attempt { throttle: self, clock, key }),
                Answer::Refuse(wait) => return Err(refused(wait)),
                Answer::Wait => {
                    let _place = Place::take(&self.waiting)?;
                    verdict.await;
                }
            }
        }
    }

    /// Nobody has failed.
    pub fn forget_all(&self) {
        for counter in self.counters.lock().values_mut() {
            // Who waits for a verdict still gets one.
            *counter = Counter { pending: counter.pending, ..Counter::default() };
        }
    }

    fn look(&self, key: u64, now: Timestamp) -> Answer {
        let mut counters = self.counters.lock();
        if counters.len() >= MOST && !counters.contains_key(&key) {
            make_room(&mut counters, now);
        }
        let counter = counters.entry(key).or_default();
        counter.forget_if_old(now);
        let wait = now.until(counter.until);
        // A longer one than there is means that the clock was set back.
        if !wait.is_zero() && wait <= LONGEST_DELAY {
            return Answer::Refuse(wait);
        }
        if counter.pending >= FREE.saturating_sub(counter.failures).max(1) {
            return Answer::Wait;
        }
        counter.pending += 1;
        counter.last = now;
        Answer::Go
    }
}

impl Attempt<'_> {
    /// The password was right: all is forgotten.
    pub fn succeeded(self) {
        self.judge(|counter, _| (counter.failures, counter.until) = (0, Timestamp::default()));
    }

    /// The password was wrong, or there is no such account.
    pub fn failed(self) {
        self.judge(|counter, now| {
            counter.failures = counter.failures.saturating_add(1);
            counter.until = now.plus(delay(counter.failures));
            counter.last = now;
        });
    }

    fn judge(&self, verdict: impl FnOnce(&mut Counter, Timestamp)) {
        // What is pending is never dropped to make room.
        if let Some(counter) = self.throttle.counters.lock().get_mut(&self.key) {
            verdict(counter, self.clock.now());
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut counters = self.throttle.counters.lock();
        if let Some(counter) = counters.get_mut(&self.key) {
            counter.pending = counter.pending.saturating_sub(1);
            if counter.pending == 0 && counter.failures == 0 {
                counters.remove(&self.key);
            }
        }
        drop(counters);
        self.throttle.verdict.notify_waiters();
    }
}

impl Counter {
    fn forget_if_old(&mut self, now: Timestamp) {
        if self.last.until(now) >= FORGOTTEN {
            (self.failures, self.until) = (0, Timestamp::default());
        }
    }
}

/// How long to wait after so many failures.
fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None | Some(0) => Duration::ZERO,
        Some(over) => FIRST_DELAY.saturating_mul(1 << (over - 1).min(30)).min(LONGEST_DELAY),
    }
}

/// Drops what is forgotten; if that is not enough, an eighth of the table: the fewest failures first, of those the
/// oldest. What is pending stays.
fn make_room(counters: &mut HashMap<u64, Counter>, now: Timestamp) {
    counters.retain(|_, counter| counter.pending > 0 || counter.last.until(now) < FORGOTTEN);
    let over = (counters.len() + MOST / 8).saturating_sub(MOST);
    let mut weight: Vec<_> = counters
        .iter()
        .filter(|(_, counter)| counter.pending == 0)
        .map(|(key, counter)| (counter.failures, counter.last, *key))
        .collect();
    if over > 0 && over < weight.len() {
        weight.select_nth_unstable(over);
    }
    for (_, _, key) in weight.iter().take(over) {
        counters.remove(key);
    }
}

fn refused(wait: Duration) -> Error {
    Error::too_many("There were too many wrong passwords. Wait a moment, then try again.", wait)
}

/// A place among those who wait, given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self> {
        let place = Place(waiting);
        if waiting.fetch_add(1, Relaxed) >= WAITING {
            return Err(Error::busy(Duration::from_secs(1)));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::error::Kind;

    const START: Timestamp = Timestamp(1_800_000_000_000);
    const ANN: &str = "ann@x.co";

    fn home() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    fn clock() -> Clock {
        Clock::manual(START)
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Fails a password; whoever has to wait is told for how long.
    async fn fail(throttle: &Throttle, clock: &Clock, identity: &str, address: IpAddr) -> Option<Duration> {
        match throttle.attempt(clock, "users", identity, address).await {
            Ok(attempt) => {
                attempt.failed();
                None
            }
            Err(error) => {
                assert_eq!(error.kind, Kind::TooMany);
                error.retry_after
            }
        }
    }

    #[tokio::test]
    async fn delays_double_up_to_the_longest() {
        let (throttle, clock) = (Throttle::default(), clock());
        for n in 0..5 {
            assert_eq!(fail(&throttle, &clock, ANN, home()).await, None, "failure {n} is free");
        }
        let mut now = START;
        // The sixth is not delayed either: the delay comes after it.
        for expected in [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            if expected > 0 {
                // Asking does not make it longer.
                for _ in 0..3 {
                    assert_eq!(fail(&throttle, &clock, ANN, home()).await, Some(seconds(expected)));
                }
                clock.set(Timestamp(now.plus(seconds(expected)).0 - 1));
                assert_eq!(fail(&throttle, &clock, ANN, home()).await, Some(Duration::from_millis(1)));
                now = now.plus(seconds(expected));
                clock.set(now);
            }
            assert_eq!(fail(&throttle, &clock, ANN, home()).await, None, "after {expected} s");
        }
    }

    #[tokio::test]
    async fn quiet_and_success_are_rewarded() {
        let (throttle, clock) = (Throttle::default(), clock());
        for _ in 0..6 {
            fail(&throttle, &clock, ANN, home()).await;
        }
        let mut now = START.plus(seconds(1));
        clock.set(now);
        fail(&throttle, &clock, ANN, home()).await;
        assert_eq!(fail(&throttle, &clock, ANN, home()).await, Some(seconds(2)));
        now = now.plus(seconds(2));
        clock.set(now);
        throttle.attempt(&clock, "users", ANN, home()).await.unwrap().succeeded();
        assert!(throttle.counters.lock().is_empty());
        for quiet in [3599, 3600] {
            for _ in 0..6 {
                assert_eq!(fail(&throttle, &clock, ANN, home()).await, None);
            }
            now = now.plus(seconds(quiet));
            clock.set(now);
            assert_eq!(fail(&throttle, &clock, ANN, home()).await, None);
            let delayed = fail(&throttle, &clock, ANN, home()).await;
            assert_eq!(delayed.is_some(), quiet < 3600, "after {quiet} s");
            now = now.plus(seconds(3600));
            clock.set(now);
        }
    }

    #[tokio::test]
    async fn who_else_is_delayed() {
        let away = "2001:db8:1:2::1";
        for (identity, collection, address, is_delayed) in [
            (ANN, "users", away, true),
            ("ANN@X.co", "users", away, true),
            (ANN, "users", "2001:db8:1:2:ffff::9", true),
            (ANN, "users", "2001:db8:1:3::1", false),
            (ANN, "users", "10.0.0.1", false),
            (ANN, "admins", away, false),
            ("bob@x.co", "users", away, false),
            ("", "users", away, false),
        ] {
            let (throttle, clock) = (Throttle::default(), clock());
            for _ in 0..6 {
                fail(&throttle, &clock, ANN, away.parse().unwrap()).await;
            }
            let other = throttle.attempt(&clock, collection, identity, address.parse().unwrap()).await;
            assert_eq!(other.is_err(), is_delayed, "{identity} of {collection} from {address}");
        }
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(network(mapped), network(home()));
    }

    #[tokio::test]
    async fn guesses_sent_together_are_not_free() {
        let (throttle, clock) = (Throttle::default(), clock());
        let ask = || throttle.attempt(&clock, "users", ANN, home());
        let mut pending: Vec<_> = (0..5).map(|_| ask().now_or_never().expect("it is free").unwrap()).collect();
        let mut late: Vec<_> = (0..3).map(|_| Box::pin(ask())).collect();
        for attempt in &mut late {
            assert!(attempt.now_or_never().is_none(), "it waits for a verdict");
        }
        // One without verdict, such as of a client that hangs up, lets the next one in.
        drop(pending.pop());
        let Some(Ok(next)) = (&mut late[0]).now_or_never() else { panic!("there is room") };
        assert!((&mut late[1]).now_or_never().is_none());
        // A right password lets everybody in.
        next.succeeded();
        drop(late.remove(0));
        pending.drain(..).for_each(Attempt::failed);
        for attempt in late {
            attempt.await.unwrap().failed();
        }
        assert_eq!(fail(&throttle, &clock, ANN, home()).await, Some(seconds(1)), "six have failed");
        // Behind a delay, one at a time.
        clock.set(START.plus(seconds(1)));
        let only = ask().await.unwrap();
        let mut second = Box::pin(ask());
        assert!((&mut second).now_or_never().is_none());
        only.failed();
        let Err(refused) = second.await else { panic!("the first has failed") };
        assert_eq!(refused.retry_after, Some(seconds(2)));
    }

    #[tokio::test]
    async fn too_many_who_wait_are_busy() {
        let (throttle, clock) = (Throttle::default(), clock());
        let ask = || throttle.attempt(&clock, "users", ANN, home());
        let pending: Vec<_> = (0..5).map(|_| ask().now_or_never().unwrap().unwrap()).collect();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(ask())).collect();
        for attempt in &mut waiting {
            assert!(attempt.now_or_never().is_none());
        }
        assert_eq!(ask().await.err().map(|error| error.kind), Some(Kind::Busy));
        drop(pending);
        for attempt in waiting {
            attempt.await.unwrap().succeeded();
        }
        assert_eq!(throttle.waiting.load(Relaxed), 0);
        assert!(throttle.counters.lock().is_empty());
    }

    #[tokio::test]
    async fn a_flood_of_names_is_bounded_and_drops_its_own_kind() {
        let (throttle, clock) = (Throttle::default(), clock());
        for _ in 0..6 {
            fail(&throttle, &clock, ANN, home()).await;
        }
        fail(&throttle, &clock, "twice", home()).await;
        fail(&throttle, &clock, "twice", home()).await;
        let pending = throttle.attempt(&clock, "users", "pending", home()).await.unwrap();
        for n in 0..2 * MOST {
            fail(&throttle, &clock, &format!("flood {n}"), home()).await;
            assert!(throttle.counters.lock().len() <= MOST);
        }
        assert_eq!(fail(&throttle, &clock, ANN, home()).await, Some(seconds(1)));
        let failures: Vec<_> = throttle.counters.lock().values().map(|counter| counter.failures).collect();
        assert_eq!(failures.iter().filter(|failures| **failures == 2).count(), 1);
        assert_eq!(failures.iter().filter(|failures| **failures == 0).count(), 1, "what is pending");
        drop(pending);
        // What is forgotten goes before anything else.
        clock.set(START.plus(FORGOTTEN));
        make_room(&mut throttle.counters.lock(), clock.now());
        assert!(throttle.counters.lock().is_empty());
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_locks_nobody_out() {
        let (throttle, clock) = (Throttle::default(), clock());
        for _ in 0..6 {
            fail(&throttle, &clock, ANN, home()).await;
        }
        clock.set(Timestamp(START.0 - 86_400_000));
        assert_eq!(fail(&throttle, &clock, ANN, home()).await, None);
    }
}
