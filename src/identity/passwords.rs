//! Hashing and checking passwords, off the threads that serve requests.

use std::sync::Arc;

use super::hashes::{self, Cost};
use crate::{
    db::Asker,
    error::Result,
    threads::{Threads, spare_cores},
};

/// Password hashing on its own threads, so that it never delays a read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    cost: Cost,
    threads: Arc<Threads>,
}

impl Passwords {
    /// `cost` is that of new hashes; stored ones have their own.
    pub fn new(cost: Cost) -> Self {
        Self { cost, threads: Arc::new(Threads::new("hash", spare_cores())) }
    }

    /// Argon2id of a new password. `Busy` when too many are waiting, or too many of this asker's.
    pub async fn hash(&self, asker: Asker, plain: String) -> Result<String> {
        let cost = self.cost;
        self.threads.run_for(asker.share(), move || hashes::hash(cost, &plain)).await?
    }

    /// Checks a password against an Argon2id or bcrypt hash; anything else never matches, and takes as long.
    /// `Busy` when too many are waiting, or too many of this asker's.
    pub async fn verify(&self, asker: Asker, plain: String, hash: String) -> Result<bool> {
        let cost = self.cost;
        self.threads.run_for(asker.share(), move || hashes::verify(cost, &plain, &hash)).await
    }

    /// Whether a password that was just verified against `hash` should be stored anew: it is bcrypt's, or cheaper than
    /// new ones. Never for a password that bcrypt cut off: what was verified is then not what was set.
    pub fn needs_upgrade(&self, plain: &str, hash: &str) -> bool {
        hashes::needs_upgrade(self.cost, plain, hash)
    }
}
