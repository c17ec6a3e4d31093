//! How many mails one client may ask for. Anybody may ask for verification, password reset and one-time codes, for any
//! address and without an account; each request leaves a job in a bounded queue, or takes one of few places. Without a
//! bound of its own, one client with made-up addresses could fill them, and everybody else would be answered busy.
//!
//! Every request counts the same, whoever is asked about and whatever comes of it, so a refusal tells about the client
//! only. In memory: a restart forgives.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use parking_lot::Mutex;

use crate::{
    clock::Timestamp,
    error::{Error, Result},
    identity::network,
};

/// Requests at once: a school or a company behind one address must not notice.
const BURST: i64 = 600;
/// Milliseconds until one more is allowed. A job waits for an hour and a half at most: all that a client can ask for in
/// that time is about half of what the queue holds.
const PAUSE: i64 = 1000;
/// Clients that are remembered.
const MOST: usize = 20_000;

/// Counts requests for mails by client address (IPv6: its /64 network).
#[derive(Default)]
pub(super) struct Asking {
    /// When all that a client has asked for so far will be allowed for again, in milliseconds since 1970. Never held
    /// across an await.
    settled: Mutex<HashMap<IpAddr, i64>>,
}

impl Asking {
    pub fn forget_all(&self) {
        self.settled.lock().clear();
    }

    /// Counts one request; `TooMany` with how long to wait when it is one too many.
    pub fn count(&self, client: IpAddr, now: Timestamp) -> Result<()> {
        let (client, now) = (network(client), now.millis());
        let mut settled = self.settled.lock();
        // A clock that was set back must not prolong a wait.
        let before = settled.get(&client).map_or(now, |&time| time.clamp(now, now + BURST * PAUSE));
        let wait = before + PAUSE - (now + BURST * PAUSE);
        if wait > 0 {
            settled.insert(client, before);
            let wait = Duration::from_millis(wait.unsigned_abs());
            return Err(Error::too_many("Too many mails were asked for. Wait a moment, then try again.", wait));
        }
        if settled.len() >= MOST && !settled.contains_key(&client) {
            make_room(&mut settled, now);
        }
        settled.insert(client, before + PAUSE);
        Ok(())
    }
}

/// Forgets who is settled; if that is not enough, the half that has asked for the least.
fn make_room(settled: &mut HashMap<IpAddr, i64>, now: i64) {
    settled.retain(|_, time| *time > now);
    if settled.len() <= MOST / 2 {
        return;
    }
    let mut clients: Vec<(i64, IpAddr)> = settled.iter().map(|(client, time)| (*time, *client)).collect();
    clients.select_nth_unstable(MOST / 2);
    for (_, client) in &clients[..MOST / 2] {
        settled.remove(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const NOW: i64 = 1_800_000_000_000;

    fn allowed(asking: &Asking, client: &str, millis: i64) -> bool {
        asking.count(client.parse().unwrap(), Timestamp(NOW + millis)).is_ok()
    }

    #[test]
    fn one_client_is_slowed_down_and_no_other() {
        let asking = Asking::default();
        assert!((0..BURST).all(|_| allowed(&asking, "2001:db8::1", 0)));
        for (client, millis, expected) in [
            ("2001:db8::1", 0, false),
            ("2001:db8::ffff", 0, false),
            ("2001:db8:0:1::1", 0, true),
            ("10.0.0.1", 0, true),
            ("2001:db8::1", PAUSE - 1, false),
            ("2001:db8::1", PAUSE, true),
            ("2001:db8::1", PAUSE, false),
            // A refusal costs nothing.
            ("2001:db8::1", 2 * PAUSE, true),
            // The clock was set back.
            ("2001:db8::1", -1_000_000, false),
            ("2001:db8::1", PAUSE - 1_000_000, true),
        ] {
            assert_eq!(allowed(&asking, client, millis), expected, "{client} {millis}");
        }
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let asking = Asking::default();
        let client = "10.0.0.1".parse().unwrap();
        for _ in 0..BURST {
            asking.count(client, Timestamp(NOW)).unwrap();
        }
        let refused = asking.count(client, Timestamp(NOW + 300)).unwrap_err();
        assert_eq!((refused.kind, refused.retry_after), (Kind::TooMany, Some(Duration::from_millis(700))));
    }

    #[test]
    fn memory_is_bounded_and_who_asks_most_is_remembered() {
        let asking = Asking::default();
        assert!((0..BURST).all(|_| allowed(&asking, "10.255.255.255", 0)));
        for n in 0..3 * u32::try_from(MOST).unwrap() {
            let client = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 | n));
            asking.count(client, Timestamp(NOW)).unwrap();
        }
        assert!(asking.settled.lock().len() <= MOST);
        assert!(!allowed(&asking, "10.255.255.255", 0));
    }
}
