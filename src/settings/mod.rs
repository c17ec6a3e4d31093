//! The settings tree, its store, masking and encryption (`docs/wire/services.md` §4).
//!
//! May touch `db`. Main types: [`Settings`] (a snapshot) and [`Store`].

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::{db::Db, error::Result};

/// The tree of `services.md` §4.1 with its defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub superuser_ips: Vec<String>,
}

#[derive(Clone)]
pub struct Store {
    db: Db,
    current: Arc<arc_swap::ArcSwap<Settings>>,
}

impl Store {
    /// Loads the settings, creating the defaults. `key`: 32 bytes; a wrong or missing one for encrypted settings fails.
    pub fn open(db: Db, key: Option<String>) -> Result<Self> {
        todo!()
    }

    pub fn current(&self) -> Arc<Settings> {
        self.current.load_full()
    }

    /// Deep merge, validation, store, swap after commit.
    pub async fn patch(&self, body: Map<String, Json>) -> Result<Arc<Settings>> {
        todo!()
    }
}
