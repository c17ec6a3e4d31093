//! The catalog: an immutable snapshot of all collections, swapped atomically after a schema write commits.

use std::{collections::HashMap, sync::Arc};

use super::collection::Collection;

#[derive(Debug, Default)]
pub struct Catalog {
    /// Grows with every schema change; caches of compiled rules are keyed by it.
    pub version: u64,
    /// In rowid order.
    collections: Vec<Arc<Collection>>,
    by_id: HashMap<Arc<str>, usize>,
    /// Lower-cased names.
    by_name: HashMap<String, usize>,
}

impl Catalog {
    /// By exact id or case-insensitive name.
    pub fn find(&self, id_or_name: &str) -> Option<&Arc<Collection>> {
        todo!()
    }

    pub fn by_id(&self, id: &str) -> Option<&Arc<Collection>> {
        self.by_id.get(id).map(|&index| &self.collections[index])
    }

    pub fn all(&self) -> &[Arc<Collection>] {
        &self.collections
    }

    /// Every (collection, field index) whose relation field points at this collection.
    pub fn references_to(&self, id: &str) -> &[(Arc<Collection>, usize)] {
        todo!()
    }
}
