//! Collections: their fields, options and tables, and the catalog that everybody reads.
//!
//! May touch `db`, and `identity` for the constants of accounts. Its main types are [`Schema`] (the store) and [`Catalog`] (a snapshot).
//!
//! A request becomes a `Draft` (body over scaffold or stored collection), is settled (ids, system fields, automatic
//! indexes), checked as a whole, and only then an `Edit` touches tables and `_collections`; all in one transaction
//! that no other write shares.

pub mod auth_options;
pub(crate) mod bootstrap;
pub mod catalog;
pub mod collection;
mod delete;
mod derived;
mod draft;
mod edit;
pub mod field;
mod fields_list;
mod ids;
mod import;
pub mod index;
pub mod pattern;
pub mod providers;
mod sound;
mod store;
mod table;
mod templates;
#[cfg(test)]
mod tests;
mod type_names;
mod validate;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
pub use catalog::Catalog;
pub use collection::{Collection, CollectionType, LogPolicy};
pub use field::{Field, FieldKind, FieldType, Modifier};
pub use ids::collection_base as default_id;
use serde_json::{Map, Value as Json, json};
use tokio::sync::watch;
pub use type_names::type_names;
pub use validate::MAX_EXPRESSION;

use crate::{
    db::{Asker, Db, WriteTx},
    error::{Error, Leaf, Result},
    random,
};

/// `None`: superusers only; blank: everyone; else a filter.
pub type Rule = Option<String>;

/// Whether a rule compiles: the rule language lives above this room, so it is handed in.
pub trait CheckRule: Send + Sync {
    /// `Err` says what is wrong, for people.
    fn check(&self, catalog: &Catalog, base: &Collection, rule: &str) -> Result<(), String>;
}

/// Follows renames of collections inside their transaction: new names by old ones.
pub type OnRename = dyn Fn(&mut WriteTx<'_>, &HashMap<String, String>) -> Result<()> + Send + Sync;

/// Follows removals of collections inside their transaction: their ids.
pub type OnRemoved = dyn Fn(&mut WriteTx<'_>, &[Arc<str>]) -> Result<()> + Send + Sync;

/// The store of collections. Every change is one transaction over table, `_collections` and log; the catalog is
/// swapped after its commit.
#[derive(Clone)]
pub struct Schema {
    db: Db,
    catalog: Arc<ArcSwap<Catalog>>,
    rules: Arc<dyn CheckRule>,
    on_rename: Arc<OnceLock<Box<OnRename>>>,
    on_removed: Arc<OnceLock<Box<OnRemoved>>>,
    version: watch::Sender<u64>,
}

impl Schema {
    /// Loads the catalog; creates the system tables and collections of a new directory.
    pub fn open(db: Db, rules: Arc<dyn CheckRule>) -> Result<Self> {
        if db.read_blocking(bootstrap::state)? != bootstrap::State::Ready {
            let rules = rules.clone();
            db.write_blocking(move |tx| bootstrap::prepare(tx, &*rules))?;
        }
        let catalog = db.read_blocking(|tx| store::load(tx, 1))?;
        let version = watch::Sender::new(catalog.version);
        let catalog = Arc::new(ArcSwap::from_pointee(catalog));
        Ok(Self { db, catalog, rules, on_rename: Arc::default(), on_removed: Arc::default(), version })
    }

    /// Who follows renames (`docs/wire/services.md` §4.3). The first one stays.
    pub fn on_rename<F>(&self, follow: F)
    where
        F: Fn(&mut WriteTx<'_>, &HashMap<String, String>) -> Result<()> + Send + Sync + 'static,
    {
        let _ = self.on_rename.set(Box::new(follow));
    }

    /// Who cleans up after removed collections. The first one stays.
    pub fn on_removed<F>(&self, follow: F)
    where
        F: Fn(&mut WriteTx<'_>, &[Arc<str>]) -> Result<()> + Send + Sync + 'static,
    {
        let _ = self.on_removed.set(Box::new(follow));
    }

    /// Wakes with the version of every new catalog once it is there.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The current snapshot; costs no lock.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The collection of this id or name, or `NotFound`.
    pub fn find(&self, id_or_name: &str) -> Result<Arc<Collection>> {
        self.catalog.load().find(id_or_name).cloned().ok_or_else(Error::not_found)
    }

    /// Creates a collection from the wire's JSON, over the scaffold of its type.
    pub async fn create(&self, body: Map<String, Json>) -> Result<Arc<Collection>> {
        let tried = self.try_query(draft::get(&body, "viewQuery").and_then(Json::as_str)).await?;
        self.edit(move |edit| edit.create(&body, tried.as_ref())).await
    }

    /// Changes a collection; the body's objects are merged, its lists replace the stored ones.
    pub async fn update(&self, id_or_name: &str, body: Map<String, Json>) -> Result<Arc<Collection>> {
        let stored = self.find(id_or_name)?;
        let query = draft::get(&body, "viewQuery").and_then(Json::as_str).or(stored.view_query());
        let tried = self.try_query(query.filter(|_| stored.is_view())).await?;
        let id = stored.id.clone();
        self.edit(move |edit| edit.update(&id, &body, tried.as_ref())).await
    }

    /// Deletes a collection with its table (`docs/wire/records-collections.md` §8.3).
    pub async fn delete(&self, id_or_name: &str) -> Result<()> {
        let id = self.find(id_or_name)?.id.clone();
        self.edit(move |edit| edit.delete(&id)).await
    }

    /// `PUT /api/collections/import` (`docs/wire/records-collections.md` §8.4).
    pub async fn import(&self, collections: Vec<Map<String, Json>>, delete_missing: bool) -> Result<()> {
        if collections.is_empty() {
            return Err(Error::field("collections", Leaf::required()));
        }
        let outcome = self.edit(move |edit| import::run(edit, &collections, delete_missing)).await;
        outcome.map_err(import::failure)
    }

    /// The collection that a definition describes, whether or not it could be saved: over the stored one of its id, or a
    /// blank one. Fails for what cannot be read at all. A view has the fields that the definition names.
    pub fn proposed(&self, definition: &Map<String, Json>) -> Result<Collection> {
        let catalog = self.catalog();
        let id = draft::get(definition, "id").and_then(Json::as_str).unwrap_or_default();
        let stored = catalog.by_id(id);
        let mut draft = match stored {
            Some(stored) => draft::Draft::update(stored, definition)?,
            None => draft::Draft::create(definition)?,
        };
        draft.settle(stored.map(|stored| &**stored), &catalog, self.db.clock().now());
        match draft.issues.contains("type") {
            true => Err(Error::issues("The collection is of no type that there is.", draft.issues)),
            false => Ok(draft.collection),
        }
    }

    /// Blank collections of each type, keyed by type.
    pub fn scaffolds(&self) -> Json {
        let blank = |kind| {
            let mut collection = draft::scaffold(kind);
            if kind == CollectionType::Auth {
                let suffix = random::string(random::LOWER_ALPHANUMERIC, 10);
                collection.indexes = draft::auth_indexes(&suffix, "").map(|(_, index)| index.to_string()).to_vec();
            }
            collection.to_json()
        };
        json!({
            "auth": blank(CollectionType::Auth),
            "base": blank(CollectionType::Base),
            "view": blank(CollectionType::View),
        })
    }

    /// The fields that a view over `query` would have, and up to ten rows under their names, in stored form.
    pub async fn dry_run_view(&self, query: String) -> Result<(Vec<Field>, Vec<crate::db::Row>)> {
        let catalog = self.catalog();
        let outcome = self.db.read_for(trials(), move |tx| {
            let derived = match view::derive(tx, &catalog, &query)? {
                Ok(derived) => derived,
                Err(reason) => return Ok(Err(reason)),
            };
            if let Some(reason) = view::lacks_id(&derived).or_else(|| validate::bad_name(&derived.fields)) {
                return Ok(Err(reason));
            }
            Ok(view::sample(tx, &derived)?.map(|rows| (derived.fields, rows)))
        });
        outcome.await?.map_err(|reason| Error::invalid(format!("Invalid query: {reason}.")))
    }

    /// Reads the catalog anew: after a restore or a write that went past this room.
    pub async fn reload(&self) -> Result<()> {
        let schema = self.clone();
        self.db.write_alone(move |tx| schema.reload_in(tx)).await
    }

    /// The same at the end of somebody's SQL. Fails with what is wrong when the collections can no longer be read, or do
    /// not fit their tables.
    pub fn reload_checked(&self, tx: &mut WriteTx<'_>) -> Result<()> {
        let before = self.catalog.load();
        sound::check(tx, &before, &store::load(tx, before.version + 1)?)?;
        self.reload_in(tx)
    }

    /// The same in a transaction that no other write shares.
    pub fn reload_in(&self, tx: &mut WriteTx<'_>) -> Result<()> {
        let catalog = store::load(tx, self.catalog.load().version + 1)?;
        self.publish(tx, catalog);
        Ok(())
    }

    /// Runs one change of the schema alone in its transaction and swaps the catalog after its commit.
    async fn edit<T: Send + 'static>(
        &self,
        change: impl Fn(&mut edit::Edit<'_, '_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let schema = self.clone();
        let transaction = move |tx: &mut WriteTx<'_>| {
            let mut edit = edit::Edit::begin(tx, &*schema.rules, &schema.catalog.load())?;
            let outcome = change(&mut edit)?;
            let edit::Edited { catalog, renamed, removed } = edit.finish()?;
            if let Some(follow) = schema.on_rename.get().filter(|_| !renamed.is_empty()) {
                follow(tx, &renamed)?;
            }
            if let Some(follow) = schema.on_removed.get().filter(|_| !removed.is_empty()) {
                follow(tx, &removed)?;
            }
            schema.publish(tx, catalog);
            Ok(outcome)
        };
        self.db.write_alone(transaction).await
    }

    fn publish(&self, tx: &mut WriteTx<'_>, catalog: Catalog) {
        let (slot, version) = (self.catalog.clone(), self.version.clone());
        tx.after_commit(move || {
            let number = catalog.version;
            slot.store(Arc::new(catalog));
            version.send_replace(number);
        });
    }

    /// Runs a view's query on the readers' lanes, where it may take its time: only the writer can say whether it is
    /// right, and the writer must not wait for rows. What else is wrong with the query is found there.
    async fn try_query(&self, query: Option<&str>) -> Result<Option<Leaf>> {
        let Some(query) = query.map(str::to_owned) else { return Ok(None) };
        let catalog = self.catalog();
        let tried = self.db.read_for(trials(), move |tx| {
            let derived = view::derive(tx, &catalog, &query)?.ok().filter(|derived| view::lacks_id(derived).is_none());
            derived.map_or(Ok(Ok(Vec::new())), |derived| view::sample(tx, &derived))
        });
        Ok(tried.await?.err().map(|reason| edit::invalid_query(&reason)))
    }
}

/// All queries of views that are being tried take up one share of the slow lane.
fn trials() -> Asker {
    Asker::named(&"the queries of views that are being tried")
}
