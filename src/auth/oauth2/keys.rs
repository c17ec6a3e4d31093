//! The keys that providers publish (RFC 7517), remembered for a while.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use reqwest::Client;
use serde_json::Value as Json;

use super::answer::Answer;
use crate::clock::Timestamp;

/// A set is asked for again after so many milliseconds, or when a token names a key that it has not.
const LIFETIME: i64 = 5 * 60 * 1000;
/// Sets that are remembered.
const MAX_SETS: usize = 64;

/// Key sets by their URL.
#[derive(Default)]
pub struct Keys {
    /// Never held across an await.
    sets: Mutex<HashMap<String, Set>>,
}

#[derive(Clone)]
struct Set {
    asked: Timestamp,
    keys: Arc<Vec<Json>>,
}

impl Keys {
    /// The key of this name, asked for if need be.
    pub async fn find(&self, client: &Client, url: &str, kid: &str, now: Timestamp) -> Result<Json, String> {
        let known = self.sets.lock().get(url).cloned();
        if let Some(known) = known.filter(|set| (0..LIFETIME).contains(&(now.millis() - set.asked.millis())))
            && let Some(key) = known.key(kid)
        {
            return Ok(key);
        }
        let answer = Answer::of(client.get(url)).await?.json()?;
        let Some(Json::Array(keys)) = answer.get("keys") else { return Err("there are no keys".to_owned()) };
        let set = Set { asked: now, keys: Arc::new(keys.clone()) };
        let key = set.key(kid).ok_or_else(|| format!("there is no key {kid:?}"));
        self.remember(url, set);
        key
    }

    /// As if the provider had published this at that time.
    #[cfg(test)]
    pub fn learn(&self, url: &str, keys: Vec<Json>, asked: Timestamp) {
        self.remember(url, Set { asked, keys: Arc::new(keys) });
    }

    fn remember(&self, url: &str, set: Set) {
        let mut sets = self.sets.lock();
        if sets.len() >= MAX_SETS && !sets.contains_key(url) {
            // Rarely so many: who comes back is asked again.
            sets.clear();
        }
        sets.insert(url.to_owned(), set);
    }
}

impl Set {
    /// Keys without an algorithm cannot be used, so another one of the same name is looked for.
    fn key(&self, kid: &str) -> Option<Json> {
        let named = |key: &&Json, name: &str| key.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        self.keys.iter().find(|key| named(key, "kid") == kid && !named(key, "alg").is_empty()).cloned()
    }
}
