//! One-time codes of accounts that do not exist. Whoever asks for a code for an unknown address gets an id, as everybody
//! does; these ids are remembered for as long as codes are good, so that they go on behaving like others: after ten of
//! them the newest one is given again, and they can be tried as often (`docs/wire/auth.md` §3.6). Otherwise both would
//! tell who has an account.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::clock::Timestamp;

/// The most ids that are remembered. Each one has cost a password hash, and one client may ask for so many mails only.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Phantoms {
    /// From the oldest to the newest. Held for a walk over them, never across an await.
    ids: Mutex<VecDeque<Phantom>>,
    /// Keyed by chance, so that nobody can choose addresses that share a name.
    hasher: RandomState,
}

struct Phantom {
    owner: Nobody,
    id: String,
    created: Timestamp,
}

/// Whom nobody knows: an address in a collection. Good for as long as the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nobody {
    collection: Arc<str>,
    email: u64,
}

impl Nobody {
    /// Stands where an account's id does.
    pub fn name(&self) -> Arc<str> {
        format!("nobody {} {}", self.collection, self.email).into()
    }
}

impl Phantoms {
    pub fn forget_all(&self) {
        self.ids.lock().clear();
    }

    /// Whoever has this address (as the collection compares addresses) in a collection (id).
    pub fn nobody(&self, collection: &Arc<str>, email: &str) -> Nobody {
        Nobody { collection: collection.clone(), email: self.hasher.hash_one(email) }
    }

    /// The newest id, if there are `most` that are still good after so many seconds.
    pub fn enough(&self, nobody: &Nobody, most: usize, seconds: i64, now: Timestamp) -> Option<String> {
        enough(&self.ids.lock(), nobody, most, seconds, now)
    }

    /// Remembers an id and gives it back; or the newest one, if there are enough by now: requests at the same time get no
    /// more ids than others.
    pub fn keep(&self, nobody: Nobody, id: String, most: usize, seconds: i64, now: Timestamp) -> String {
        let mut ids = self.ids.lock();
        if let Some(newest) = enough(&ids, &nobody, most, seconds, now) {
            return newest;
        }
        if ids.len() >= MOST {
            ids.pop_front();
        }
        ids.push_back(Phantom { owner: nobody, id: id.clone(), created: now });
        id
    }

    /// To whom this id was given in a collection (id), if it is still good.
    pub fn owner(&self, collection: &str, id: &str, seconds: i64, now: Timestamp) -> Option<Nobody> {
        let ids = self.ids.lock();
        let found =
            ids.iter().find(|it| it.id == id && *it.owner.collection == *collection && it.is_good(seconds, now));
        found.map(|it| it.owner.clone())
    }
}

fn enough(ids: &VecDeque<Phantom>, nobody: &Nobody, most: usize, seconds: i64, now: Timestamp) -> Option<String> {
    let mut good = ids.iter().rev().filter(|it| it.owner == *nobody && it.is_good(seconds, now));
    let newest = good.next()?;
    (good.count() + 1 >= most).then(|| newest.id.clone())
}

impl Phantom {
    fn is_good(&self, seconds: i64, now: Timestamp) -> bool {
        now.millis() - self.created.millis() <= seconds.saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_last_as_long_as_codes_and_belong_to_one_address() {
        let phantoms = Phantoms::default();
        let [ann, bob, other] = [("users", "ann@x.co"), ("users", "bob@x.co"), ("staff", "ann@x.co")]
            .map(|(collection, email)| phantoms.nobody(&collection.into(), email));
        assert!(ann != bob && ann != other);
        for n in 0..3 {
            phantoms.keep(ann.clone(), n.to_string(), 10, 10, Timestamp(n * 1000));
        }
        for (who, most, seconds, now, expected) in [
            (&ann, 3, 10, 2000, Some("2")),
            (&ann, 4, 10, 2000, None),
            (&bob, 1, 10, 2000, None),
            (&ann, 3, 10, 10_000, Some("2")),
            (&ann, 3, 10, 10_001, None),
            (&ann, 2, 10, 10_001, Some("2")),
        ] {
            let found = phantoms.enough(who, most, seconds, Timestamp(now));
            assert_eq!(found.as_deref(), expected, "{most} {now}");
        }
        for (collection, id, now, expected) in [
            ("users", "1", 11_000, Some(&ann)),
            ("users", "1", 11_001, None),
            ("users", "x", 0, None),
            ("staff", "1", 0, None),
        ] {
            assert_eq!(
                phantoms.owner(collection, id, 10, Timestamp(now)).as_ref(),
                expected,
                "{collection} {id} {now}"
            );
        }
    }

    #[test]
    fn who_comes_when_there_are_enough_gets_the_newest() {
        let phantoms = Phantoms::default();
        let nobody = phantoms.nobody(&"users".into(), "a");
        let keep = |n: i64| phantoms.keep(nobody.clone(), n.to_string(), 3, 10, Timestamp(n));
        let got: Vec<String> = (0..6).map(keep).collect();
        assert_eq!(got, ["0", "1", "2", "2", "2", "2"]);
    }

    #[test]
    fn memory_is_bounded() {
        let phantoms = Phantoms::default();
        for n in 0..MOST + 10 {
            let nobody = phantoms.nobody(&"users".into(), "a");
            assert_eq!(phantoms.keep(nobody, n.to_string(), usize::MAX, 10, Timestamp(0)), n.to_string());
        }
        assert_eq!(phantoms.ids.lock().len(), MOST);
        let is_there = |id| phantoms.owner("users", id, 10, Timestamp(0)).is_some();
        assert!(!is_there("9") && is_there("10"));
    }
}
