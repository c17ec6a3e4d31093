//! The keys that providers publish (RFC 7517), remembered for a while.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::Client;
use serde_json::Value as Json;

use super::answer::Answer;
use crate::{auth::expiring::Expiring, clock::Timestamp};

/// A set is asked for again after so many milliseconds, or when a token names a key that it has not.
const LIFETIME: i64 = 5 * 60 * 1000;
/// Sets that are remembered.
const MAX_SETS: usize = 64;

/// Key sets by their URL.
pub struct Keys {
    /// Never held across an await.
    sets: Mutex<Expiring<String, Arc<Vec<Json>>>>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { sets: Mutex::new(Expiring::new(LIFETIME, MAX_SETS)) }
    }
}

impl Keys {
    /// The key of this name, asked for if need be.
    pub async fn find(&self, client: &Client, url: &str, kid: &str, now: Timestamp) -> Result<Json, String> {
        let known = self.sets.lock().get_mut(&url.to_owned(), now).map(|(_, keys)| keys.clone());
        if let Some(key) = known.and_then(|keys| named(&keys, kid)) {
            return Ok(key);
        }
        let answer = Answer::of(client.get(url)).await?.json()?;
        let Some(Json::Array(keys)) = answer.get("keys") else { return Err("there are no keys".to_owned()) };
        let key = named(keys, kid).ok_or_else(|| format!("there is no key {kid:?}"));
        self.learn(url, keys.clone(), now);
        key
    }

    /// What a provider published at that time.
    pub fn learn(&self, url: &str, keys: Vec<Json>, asked: Timestamp) {
        self.sets.lock().insert(url.to_owned(), Arc::new(keys), asked);
    }
}

/// Keys without an algorithm cannot be used, so another one of the same name is looked for.
fn named(keys: &[Json], kid: &str) -> Option<Json> {
    let text = |key: &Json, name: &str| key.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    keys.iter().find(|key| text(key, "kid") == kid && !text(key, "alg").is_empty()).cloned()
}
