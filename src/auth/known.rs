//! Tokens whose signature was verified before, so that a client's next request costs no JSON and no HMAC.
//!
//! An entry remembers the key it was verified with. It counts only while that is still the record's key, so a rotated
//! key or secret is noticed at once; nothing has to be dropped from here to revoke a token.

use std::{collections::HashMap, mem, sync::Arc};

use parking_lot::RwLock;

/// Entries of one generation; there are two.
const GENERATION: usize = 8192;

/// What a verified token says, and the key that proved it.
#[derive(Debug)]
pub(super) struct Verified {
    /// Collection id.
    pub collection: Arc<str>,
    /// Record id.
    pub id: Arc<str>,
    /// Unix seconds; `None` never expires.
    pub expires: Option<f64>,
    /// Token key and secret.
    pub key: String,
}

impl Verified {
    pub fn is_signed_with(&self, token_key: &str, secret: &str) -> bool {
        !token_key.is_empty() && self.key.strip_prefix(token_key) == Some(secret)
    }
}

/// Verified tokens by their text. When the young generation is full, it becomes the old one, and the old one is dropped:
/// what is in use moves back.
#[derive(Default)]
pub(super) struct Known {
    /// Guards both generations; never held across an await.
    generations: RwLock<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Verified>>,
    old: HashMap<Box<str>, Arc<Verified>>,
}

impl Known {
    pub fn get(&self, text: &str) -> Option<Arc<Verified>> {
        let aged = {
            let generations = self.generations.read();
            if let Some(verified) = generations.young.get(text) {
                return Some(verified.clone());
            }
            generations.old.get(text)?.clone()
        };
        self.add(text, aged.clone());
        Some(aged)
    }

    pub fn insert(&self, text: &str, verified: Verified) {
        self.add(text, Arc::new(verified));
    }

    fn add(&self, text: &str, verified: Arc<Verified>) {
        let mut generations = self.generations.write();
        let mut dropped = HashMap::new();
        if generations.young.len() >= GENERATION {
            let young = mem::take(&mut generations.young);
            dropped = mem::replace(&mut generations.old, young);
        }
        generations.young.insert(text.into(), verified);
        drop(generations);
        // Outside of the lock: freeing thousands of entries takes a while.
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(key: &str) -> Verified {
        Verified { collection: "c".into(), id: "r".into(), expires: None, key: key.into() }
    }

    #[test]
    fn an_entry_counts_only_with_its_own_key() {
        // The border between the two parts is free, as it is in the signing key itself.
        for (token_key, secret, expected) in
            [("kk", "ss", true), ("kks", "s", true), ("kk", "s", false), ("k", "ss", false), ("", "kkss", false)]
        {
            assert_eq!(verified("kkss").is_signed_with(token_key, secret), expected, "{token_key} {secret}");
        }
    }

    #[test]
    fn memory_is_bounded_and_tokens_in_use_stay() {
        let known = Known::default();
        known.insert("mine", verified("k"));
        for n in 0..GENERATION * 5 {
            known.insert(&n.to_string(), verified("k"));
            assert!(known.get("mine").is_some());
        }
        assert!(known.get("0").is_none());
        let generations = known.generations.read();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }
}
