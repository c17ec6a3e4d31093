//! Collections: their fields, options and tables, and the catalog that everybody reads.
//!
//! May touch `db` and `settings`. Its main types are [`Schema`] (the store) and [`Catalog`] (a snapshot).

pub mod auth_options;
pub mod catalog;
pub mod collection;
pub mod field;
pub mod index;
pub mod pattern;

use std::sync::Arc;

pub use catalog::Catalog;
pub use collection::{Collection, CollectionType, Rule};
pub use field::{Field, FieldKind, FieldType, Modifier};
use serde_json::{Map, Value as Json};

use crate::{db::Db, error::Result};

/// Whether a rule compiles: the rule language lives above this room, so it is handed in.
pub trait CheckRule: Send + Sync {
    /// `Err` says what is wrong, for people.
    fn check(&self, catalog: &Catalog, base: &Collection, rule: &str) -> Result<(), String>;
}

/// The store of collections. Every change is one transaction over table, `_collections` and log; the catalog is
/// swapped after its commit.
#[derive(Clone)]
pub struct Schema {
    db: Db,
    catalog: Arc<arc_swap::ArcSwap<Catalog>>,
    rules: Arc<dyn CheckRule>,
}

impl Schema {
    /// Loads the catalog; creates the system tables and collections of a new directory.
    pub fn open(db: Db, rules: Arc<dyn CheckRule>) -> Result<Self> {
        todo!()
    }

    /// The current snapshot; costs no lock.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The collection of this id or name, or `NotFound`.
    pub fn find(&self, id_or_name: &str) -> Result<Arc<Collection>> {
        todo!()
    }

    pub async fn create(&self, body: Map<String, Json>) -> Result<Arc<Collection>> {
        todo!()
    }

    pub async fn update(&self, id_or_name: &str, body: Map<String, Json>) -> Result<Arc<Collection>> {
        todo!()
    }

    pub async fn delete(&self, id_or_name: &str) -> Result<()> {
        todo!()
    }

    /// `PUT /api/collections/import` (`docs/wire/records-collections.md` §8.4).
    pub async fn import(&self, collections: Vec<Map<String, Json>>, delete_missing: bool) -> Result<()> {
        todo!()
    }

    /// Blank collections of each type, keyed by type.
    pub fn scaffolds(&self) -> Json {
        todo!()
    }

    /// The fields that a view over `query` would have, and up to ten rows.
    pub async fn dry_run_view(&self, query: String) -> Result<(Vec<Field>, Vec<crate::db::Row>)> {
        todo!()
    }
}
