//! Who was sent a mail a moment ago, so that nobody's mailbox can be flooded by asking again and again
//! (`docs/wire/auth.md` §3.7). In memory: a restart forgets, and the worst that follows is one more mail.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{clock::Timestamp, mail::Template};

/// Milliseconds that a marker lasts.
const LIFETIME: i64 = 2 * 60 * 1000;
/// The most markers; beyond, the oldest are forgotten early.
const MOST: usize = 10_000;

/// A kind of mail, a collection id, a record id.
type Key = (Template, Arc<str>, Arc<str>);

#[derive(Default)]
pub(super) struct Markers {
    /// Never held across an await.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    set: HashMap<Key, Timestamp>,
    /// In the order of their setting, also those that were cleared since.
    order: VecDeque<(Timestamp, Key)>,
}

impl Markers {
    /// Sets the marker of an account. `false` when it is set already.
    pub fn set(&self, template: Template, collection: &Arc<str>, record: &Arc<str>, now: Timestamp) -> bool {
        let key = (template, collection.clone(), record.clone());
        let mut state = self.state.lock();
        state.forget(now);
        if state.set.contains_key(&key) {
            return false;
        }
        state.set.insert(key.clone(), now);
        state.order.push_back((now, key));
        true
    }

    pub fn clear(&self, template: Template, collection: &Arc<str>, record: &Arc<str>) {
        self.state.lock().set.remove(&(template, collection.clone(), record.clone()));
    }
}

impl State {
    /// Drops what is over, and makes room for one more.
    fn forget(&mut self, now: Timestamp) {
        while let Some((time, key)) = self.order.front() {
            if now.0 - time.0 < LIFETIME && self.order.len() < MOST {
                return;
            }
            // Set again since: that one has its own place further back.
            if self.set.get(key) == Some(time) {
                self.set.remove(key);
            }
            self.order.pop_front();
        }
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
        let state = markers.state.lock();
        assert!(state.set.len() <= MOST && state.order.len() <= MOST);
    }
}
