//! The catalog: an immutable snapshot of all collections, swapped atomically after a schema write commits.

use std::{any::Any, collections::HashMap, sync::Arc};

use super::collection::Collection;
use super::derived::Derived;
use super::field::FieldKind;

/// All collections, with the look-ups that requests make. Exact ids and names cost one hash, no allocation.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Grows with every schema change; caches of compiled rules are keyed by it.
    pub version: u64,
    /// In rowid order.
    collections: Vec<Arc<Collection>>,
    by_id: HashMap<Arc<str>, usize>,
    by_name: HashMap<Arc<str>, usize>,
    /// Lower-cased names.
    by_lower_name: HashMap<String, usize>,
    /// Relation fields by the id of the collection they point at.
    references: HashMap<String, Vec<(Arc<Collection>, usize)>>,
    /// The SQL of each view, by the view's name: what its rows are read from. Newer than `viewQuery` when SQLite has
    /// rewritten it for a renamed table.
    view_sql: HashMap<Arc<str>, String>,
    derived: Derived,
}

impl Catalog {
    /// What the rules room has compiled from this snapshot; `make` builds it empty.
    pub fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &T {
        self.derived.get(make)
    }

    /// A snapshot of these collections, in this order.
    pub fn new(version: u64, collections: Vec<Arc<Collection>>) -> Self {
        let mut catalog = Self { version, ..Self::default() };
        for (index, collection) in collections.iter().enumerate() {
            catalog.by_id.insert(collection.id.clone(), index);
            catalog.by_name.insert(collection.name.clone(), index);
            catalog.by_lower_name.insert(collection.name.to_lowercase(), index);
            for (position, field) in collection.fields.iter().enumerate() {
                if let FieldKind::Relation(relation) = &field.kind {
                    let references = catalog.references.entry(relation.collection_id.clone()).or_default();
                    references.push((collection.clone(), position));
                }
            }
        }
        catalog.collections = collections;
        catalog
    }

    /// Tells what SQL stands behind the views, for [`Catalog::sources_of`].
    pub(super) fn with_view_sql(mut self, view_sql: HashMap<Arc<str>, String>) -> Self {
        self.view_sql = view_sql;
        self
    }

    /// By exact id or case-insensitive name.
    pub fn find(&self, id_or_name: &str) -> Option<&Arc<Collection>> {
        let index = self.by_id.get(id_or_name).or_else(|| self.by_name.get(id_or_name));
        let index = index.or_else(|| self.by_lower_name.get(&id_or_name.to_lowercase()))?;
        self.collections.get(*index)
    }

    pub fn by_id(&self, id: &str) -> Option<&Arc<Collection>> {
        self.by_id.get(id).and_then(|&index| self.collections.get(index))
    }

    /// By case-insensitive name only.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Collection>> {
        let index = self.by_name.get(name).or_else(|| self.by_lower_name.get(&name.to_lowercase()))?;
        self.collections.get(*index)
    }

    /// In order of creation.
    pub fn all(&self) -> &[Arc<Collection>] {
        &self.collections
    }

    /// Every (collection, field index) whose relation field points at this collection.
    pub fn references_to(&self, id: &str) -> &[(Arc<Collection>, usize)] {
        self.references.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Ids of all collections whose rows this one's may be made of, itself first: for a view every collection that
    /// its SQL mentions, through views of views. May name too many, never too few.
    pub fn sources_of(&self, collection: &Collection) -> Vec<Arc<str>> {
        let mut found = vec![collection.id.clone()];
        let mut open = vec![collection.name.clone()];
        while let Some(view) = open.pop() {
            for word in self.view_sql.get(&view).map(|sql| words(sql)).into_iter().flatten() {
                let Some(source) = self.by_name(word).filter(|source| !found.contains(&source.id)) else { continue };
                found.push(source.id.clone());
                open.push(source.name.clone());
            }
        }
        found
    }

    /// The views that may read from the collection of this name, directly or through other views.
    pub fn views_depending_on(&self, name: &str) -> Vec<Arc<Collection>> {
        let Some(source) = self.by_name(name) else { return Vec::new() };
        let depends = |view: &&Arc<Collection>| {
            view.is_view() && view.id != source.id && self.sources_of(view).contains(&source.id)
        };
        self.collections.iter().filter(depends).cloned().collect()
    }
}

/// Everything in an SQL text that could be a table's name.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}
