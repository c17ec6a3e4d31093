//! How often one-time codes may be tried (`docs/wire/auth.md` §3.6): in memory, always on.

use std::{hash::Hash, net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::expiring::Expiring;
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    identity::network,
};

/// A count begins with the first attempt and is over after this many milliseconds.
const WINDOW: i64 = 180_000;
/// Attempts at one account from one client.
const PER_CLIENT: u32 = 5;
/// Attempts at one code, from wherever they come: a crowd of addresses must not get through all codes of that length.
const PER_CODE: u32 = 25;
/// Counts that are remembered, of either kind. Beyond them the oldest are forgotten.
const MAX: usize = 32 * 1024;

/// Counts attempts by account and client, and by code. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Attempts {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    clients: Windows<(Arc<str>, IpAddr)>,
    codes: Windows<Arc<str>>,
}

impl Attempts {
    pub fn forget_all(&self) {
        *self.counts.lock() = Counts::default();
    }

    /// Counts an attempt, right or wrong, at a code (its row's id) of an account (its record's id); fails with
    /// `TooMany` beyond what is allowed.
    pub fn count(&self, account: &Arc<str>, client: IpAddr, code: &str, now: Timestamp) -> Result<()> {
        let mut counts = self.counts.lock();
        let by_client = counts.clients.count((account.clone(), network(client)), PER_CLIENT, now);
        let waits = by_client.or_else(|| counts.codes.count(code.into(), PER_CODE, now));
        drop(counts);
        let Some(millis) = waits else { return Ok(()) };
        let wait = Duration::from_millis(millis.unsigned_abs());
        Err(Error::too_many("Too many attempts. Wait a while and ask for a new code.", wait))
    }
}

/// Counts that begin at their first attempt.
struct Windows<K>(Expiring<K, u32>);

impl<K: Hash + Eq + Clone> Default for Windows<K> {
    fn default() -> Self {
        Self(Expiring::new(WINDOW, MAX))
    }
}

impl<K: Hash + Eq + Clone> Windows<K> {
    /// Counts one more; `Some` with the milliseconds to wait when it is one too many.
    fn count(&mut self, key: K, limit: u32, now: Timestamp) -> Option<i64> {
        match self.0.get_mut(&key, now) {
            Some((since, count)) if *count >= limit => return Some(since.millis() + WINDOW - now.millis()),
            Some((_, count)) => *count += 1,
            None => self.0.insert(key, 1, now),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const START: i64 = 1_800_000_000_000;

    fn passes(attempts: &Attempts, account: &str, client: &str, code: &str, millis: i64) -> bool {
        attempts.count(&account.into(), client.parse().unwrap(), code, Timestamp(START + millis)).is_ok()
    }

    #[test]
    fn five_in_three_minutes_for_one_account_and_client() {
        let attempts = Attempts::default();
        for _ in 0..5 {
            assert!(passes(&attempts, "ann", "10.0.0.1", "c", 0));
        }
        for (account, client, millis, expected) in [
            ("ann", "10.0.0.1", 0, false),
            ("ann", "::ffff:10.0.0.1", 0, false),
            ("ann", "10.0.0.1", 179_999, false),
            ("ann", "10.0.0.2", 0, true),
            ("bob", "10.0.0.1", 0, true),
            ("ann", "10.0.0.1", 180_000, true),
        ] {
            assert_eq!(passes(&attempts, account, client, "c", millis), expected, "{account} {client} {millis}");
        }
        let refused = attempts.count(&"bob".into(), "10.0.0.1".parse().unwrap(), "c", Timestamp(START + 180_000));
        assert!(refused.is_ok());
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let attempts = Attempts::default();
        for _ in 0..5 {
            assert!(passes(&attempts, "ann", "10.0.0.1", "c", 0));
        }
        let client = "10.0.0.1".parse().unwrap();
        let refused = attempts.count(&"ann".into(), client, "c", Timestamp(START + 60_000)).unwrap_err();
        assert_eq!((refused.kind, refused.retry_after), (Kind::TooMany, Some(Duration::from_secs(120))));
    }

    #[test]
    fn neither_many_addresses_nor_one_large_network_try_a_code_more_often() {
        let attempts = Attempts::default();
        let spread = (0..100).filter(|n| passes(&attempts, "ann", &format!("10.0.{n}.1"), "c", 0)).count();
        assert_eq!(spread, 25);
        let within = (0..100).filter(|n| passes(&attempts, "bob", &format!("2001:db8::{n:x}"), "d", 0)).count();
        assert_eq!(within, 5);
        assert!(passes(&attempts, "ann", "10.1.0.1", "e", 0), "another code of the same account");
    }

    #[test]
    fn memory_is_bounded_and_the_young_are_kept() {
        let mut windows = Windows::default();
        let last = MAX as i64 * 3;
        for n in 0..last {
            windows.count(n, 5, Timestamp(START + n / 1000));
            assert!(windows.0.len() <= MAX);
        }
        for (n, kept) in [(last - 1, true), (last - MAX as i64 / 4, true), (0, false)] {
            assert_eq!(windows.0.get_mut(&n, Timestamp(START + last / 1000)).is_some(), kept, "{n}");
        }
        let mut at_once = Windows::default();
        for n in 0..=MAX {
            at_once.count(n, 5, Timestamp(START));
        }
        assert!(at_once.0.len() <= MAX);
    }
}
