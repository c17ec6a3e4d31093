//! Who was sent a mail a moment ago, so that nobody's mailbox can be flooded by asking again and again
//! (`docs/wire/auth.md` §3.7). In memory: a restart forgets, and the worst that follows is one more mail.

use std::sync::Arc;

use parking_lot::Mutex;

use super::expiring::Expiring;
use crate::{clock::Timestamp, mail::Template};

/// Milliseconds that a marker lasts.
const LIFETIME: i64 = 2 * 60 * 1000;
/// The most markers; beyond, the oldest are forgotten early.
const MOST: usize = 10_000;

/// A kind of mail, a collection id, a record id.
type Key = (Template, Arc<str>, Arc<str>);

pub(super) struct Markers {
    /// Never held across an await.
    set: Mutex<Expiring<Key, ()>>,
}

impl Default for Markers {
    fn default() -> Self {
        Self { set: Mutex::new(Expiring::new(LIFETIME, MOST)) }
    }
}

impl Markers {
    pub fn forget_all(&self) {
        *self.set.lock() = Expiring::new(LIFETIME, MOST);
    }

    /// Sets the marker of an account. `false` when it is set already.
    pub fn set(&self, template: Template, collection: &Arc<str>, record: &Arc<str>, now: Timestamp) -> bool {
        let key = (template, collection.clone(), record.clone());
        let mut set = self.set.lock();
        if set.get_mut(&key, now).is_some() {
            return false;
        }
        set.insert(key, (), now);
        true
    }

    pub fn clear(&self, template: Template, collection: &Arc<str>, record: &Arc<str>) {
        self.set.lock().forget(&(template, collection.clone(), record.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(markers: &Markers, record: &str, seconds: i64) -> bool {
        markers.set(Template::PasswordReset, &"c".into(), &record.into(), Timestamp(seconds * 1000))
    }

    #[test]
    fn a_marker_lasts_two_minutes_or_until_it_is_cleared() {
        let markers = Markers::default();
        for (record, at, expected) in
            [("a", 0, true), ("a", 0, false), ("b", 60, true), ("a", 119, false), ("a", 120, true), ("b", 179, false)]
        {
            assert_eq!(set(&markers, record, at), expected, "{record} at {at}");
        }
        assert!(markers.set(Template::Verification, &"c".into(), &"a".into(), Timestamp(121_000)), "another mail");
        markers.clear(Template::PasswordReset, &"c".into(), &"a".into());
        assert!(set(&markers, "a", 121));
        assert!(!set(&markers, "a", 240), "the cleared one does not take the new one with it");
        assert!(set(&markers, "a", 241));
    }

    #[test]
    fn memory_is_bounded() {
        let markers = Markers::default();
        for number in 0..3 * MOST {
            assert!(set(&markers, &number.to_string(), 0));
            markers.clear(Template::PasswordReset, &"c".into(), &"0".into());
        }
        assert!(markers.set.lock().len() <= MOST);
    }
}
