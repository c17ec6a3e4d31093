//! How often one-time codes may be tried (`docs/wire/auth.md` §3.6): in memory, always on.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    error::{Error, Result},
    identity::network,
    windows::{Limit, Windows},
};

const SPAN: Duration = Duration::from_secs(180);
/// Attempts at one account from one client.
const PER_CLIENT: Limit = Limit { most: 5, span: SPAN };
/// Attempts at one code, from wherever they come: a crowd of addresses must not get through all codes of that length.
const PER_CODE: Limit = Limit { most: 25, span: SPAN };
/// Counts that are remembered, of either kind.
const MOST: usize = 32 * 1024;

/// Counts attempts by account and client, and by code. Cheap to clone.
#[derive(Clone)]
pub(super) struct Attempts {
    counts: Arc<Counts>,
}

struct Counts {
    clients: Windows,
    codes: Windows,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { counts: Arc::new(Counts { clients: Windows::new(MOST), codes: Windows::new(MOST) }) }
    }
}

impl Attempts {
    pub fn forget_all(&self) {
        self.counts.clients.clear();
        self.counts.codes.clear();
    }

    /// Counts an attempt, right or wrong, at a code (its row's id) of an account (its record's id); fails with
    /// `TooMany` beyond what is allowed.
    pub fn count(&self, account: &Arc<str>, client: IpAddr, code: &str, now: Timestamp) -> Result<()> {
        let by_client = self.counts.clients.count((account, network(client)), PER_CLIENT, now);
        let counted = by_client.and_then(|()| self.counts.codes.count(code, PER_CODE, now));
        counted.map_err(|wait| Error::too_many("Too many attempts. Wait a while and ask for a new code.", wait))
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
}
