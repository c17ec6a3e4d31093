//! One change of the schema in the making: tables, `_collections` and the next catalog, inside one transaction.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    Catalog, CheckRule, Collection, delete,
    draft::{self, Draft},
    store, table,
    validate::{self, Check},
    view::{self, Derived},
};
use crate::{
    db::WriteTx,
    error::{Error, Leaf, Result},
};

/// Collects what one transaction does to the collections.
pub(super) struct Edit<'t, 'c> {
    pub tx: &'t mut WriteTx<'c>,
    pub rules: &'t dyn CheckRule,
    /// The catalog as it would be after what was done so far.
    pub catalog: Catalog,
    renamed: HashMap<String, String>,
    /// Ids, also of those that got a successor of the same id right away.
    removed: Vec<Arc<str>>,
}

/// What an edit comes to.
pub(super) struct Edited {
    /// The next catalog.
    pub catalog: Catalog,
    /// New names of renamed collections by their old ones.
    pub renamed: HashMap<String, String>,
    /// Ids of removed collections.
    pub removed: Vec<Arc<str>>,
}

impl<'t, 'c> Edit<'t, 'c> {
    pub fn begin(tx: &'t mut WriteTx<'c>, rules: &'t dyn CheckRule, current: &Catalog) -> Result<Self> {
        let catalog = store::catalog(tx, current.version + 1, current.all().to_vec())?;
        Ok(Self { tx, rules, catalog, renamed: HashMap::new(), removed: Vec::new() })
    }

    /// When all is done.
    pub fn finish(self) -> Result<Edited> {
        let catalog = store::catalog(self.tx, self.catalog.version, self.catalog.all().to_vec())?;
        Ok(Edited { catalog, renamed: self.renamed, removed: self.removed })
    }

    /// Validates and creates a collection. `tried` is what a sample run of a view's query said.
    pub fn create(&mut self, body: &Map<String, Json>, tried: Option<&Leaf>) -> Result<Arc<Collection>> {
        let mut draft = Draft::create(body)?;
        draft.settle(None, &self.catalog, self.tx.now());
        let new = self.checked(draft, None, tried, "The collection could not be created.")?;
        self.insert(new)
    }

    /// Validates and updates a collection.
    pub fn update(
        &mut self,
        id_or_name: &str,
        body: &Map<String, Json>,
        tried: Option<&Leaf>,
    ) -> Result<Arc<Collection>> {
        let stored = self.catalog.find(id_or_name).cloned().ok_or_else(Error::not_found)?;
        let mut draft = Draft::update(&stored, body)?;
        draft.settle(Some(&stored), &self.catalog, self.tx.now());
        let mut new = self.checked(draft, Some(&stored), tried, "The collection could not be updated.")?;
        draft::renew_secret(&stored, Arc::make_mut(&mut new));
        let new = self.replace(&stored, new)?;
        self.rederive_views(&[&new.id])?;
        Ok(new)
    }

    /// Deletes a collection that nothing needs any more.
    pub fn delete(&mut self, id_or_name: &str) -> Result<()> {
        let stored = self.catalog.find(id_or_name).cloned().ok_or_else(Error::not_found)?;
        delete::guard(&self.catalog, &stored)?;
        let views = self.catalog.views_depending_on(&stored.name);
        let healthy = |view: &&Arc<Collection>| delete::readable(self.tx, view);
        let views: Vec<_> = views.iter().filter(healthy).collect();
        self.remove(&stored)?;
        if views.iter().any(|view| !delete::readable(self.tx, view)) {
            return Err(Error::invalid("The collection cannot be deleted: a view reads from it."));
        }
        Ok(())
    }

    /// The draft as a collection, with a view's fields derived; or every issue that it has.
    fn checked(
        &mut self,
        draft: Draft,
        original: Option<&Collection>,
        tried: Option<&Leaf>,
        message: &'static str,
    ) -> Result<Arc<Collection>> {
        let Draft { mut collection, issues: mut found, .. } = draft;
        let view_issue = self.derive_view(&mut collection)?.err();
        let new = Arc::new(collection);
        let catalog = self.with(&new, original);
        let view_issue = view_issue.or_else(|| tried.cloned());
        let check = Check { original, new: &new, catalog: &catalog, rules: self.rules, saved: false, view_issue };
        let mut issues = check.run(self.tx)?;
        let moves = original.is_none_or(|original| !original.name.eq_ignore_ascii_case(&new.name));
        if moves
            && !issues.contains("name")
            && let Err(leaf) = validate::free_table_name(self.tx, &new.name)?
        {
            issues.insert("name", leaf);
        }
        found.merge(issues);
        found.into_result(message)?;
        Ok(new)
    }

    /// Fills in the fields of a view. The inner error is what is wrong with its query; the fields are then none.
    pub fn derive_view(&self, collection: &mut Collection) -> Result<Result<Option<Derived>, Leaf>> {
        let Some(query) = collection.view_query().map(str::to_owned) else { return Ok(Ok(None)) };
        collection.fields.clear();
        match view::derive(self.tx, &self.catalog, &query)? {
            Ok(derived) => {
                collection.fields.clone_from(&derived.fields);
                Ok(match view::lacks_id(&derived) {
                    Some(reason) => Err(invalid_query(&reason)),
                    None => Ok(Some(derived)),
                })
            }
            Err(reason) => Ok(Err(invalid_query(&reason))),
        }
    }

    /// Stores a new collection and creates its table or view.
    pub fn insert(&mut self, new: Arc<Collection>) -> Result<Arc<Collection>> {
        match new.view_query() {
            Some(_) => self.create_view(&new)?,
            None => table::create(self.tx, &new)?,
        }
        store::insert(self.tx, &new)?;
        self.catalog = self.with(&new, None);
        Ok(new)
    }

    /// Stores a changed collection and alters its table or recreates its view.
    pub fn replace(&mut self, stored: &Collection, new: Arc<Collection>) -> Result<Arc<Collection>> {
        match new.view_query() {
            Some(_) => {
                table::drop(self.tx, stored)?;
                self.create_view(&new)?;
            }
            None => table::alter(self.tx, stored, &new)?,
        }
        store::update(self.tx, &new)?;
        if stored.name != new.name {
            self.renamed.insert(stored.name.to_string(), new.name.to_string());
        }
        self.catalog = self.with(&new, Some(stored));
        Ok(new)
    }

    /// Drops a collection with its table and the system rows that refer to it.
    pub fn remove(&mut self, stored: &Arc<Collection>) -> Result<()> {
        table::drop(self.tx, stored)?;
        store::delete(self.tx, &stored.id)?;
        // The log does not tell that its rows have gone, and another collection may get its id.
        if !stored.is_view() {
            self.tx.new_epoch()?;
        }
        self.removed.push(stored.id.clone());
        if stored.is_auth() {
            delete::system_rows(self.tx, &self.catalog, &stored.id)?;
        }
        let rest = self.catalog.all().iter().filter(|other| other.id != stored.id).cloned().collect();
        self.catalog = Catalog::new(self.catalog.version, rest);
        Ok(())
    }

    /// Views over what has just changed get the fields that their queries now have. A view that cannot be derived any
    /// more stays as it is.
    pub fn rederive_views(&mut self, except: &[&str]) -> Result<()> {
        let views = self.catalog.all().iter().filter(|it| it.is_view() && !except.contains(&&*it.id));
        for stored in views.cloned().collect::<Vec<_>>() {
            let mut new = Collection::clone(&stored);
            if let Err(leaf) = self.derive_view(&mut new)? {
                tracing::warn!(view = %stored.name, reason = %leaf.message, "a view does not follow a change of its tables");
                continue;
            }
            if view::same_fields(&stored.fields, &new.fields) {
                continue;
            }
            new.updated = self.tx.now().to_string();
            self.replace(&stored, Arc::new(new))?;
        }
        Ok(())
    }

    fn create_view(&mut self, collection: &Collection) -> Result<()> {
        let query = collection.view_query().unwrap_or_default();
        let derived = view::derive(self.tx, &self.catalog, query)?;
        let derived = derived
            .map_err(|reason| Error::invalid("The view could not be created.").because(anyhow::anyhow!(reason)))?;
        table::run(self.tx, &view::create_sql(&collection.name, &derived))
    }

    /// The catalog with `new` at the place of `old`, or at the end.
    fn with(&self, new: &Arc<Collection>, old: Option<&Collection>) -> Catalog {
        let mut collections = self.catalog.all().to_vec();
        match old.and_then(|old| collections.iter_mut().find(|other| other.id == old.id)) {
            Some(place) => *place = new.clone(),
            None => collections.push(new.clone()),
        }
        Catalog::new(self.catalog.version, collections)
    }
}

/// The issue of a view's query.
pub(super) fn invalid_query(reason: &str) -> Leaf {
    Leaf::new("validation_invalid_view_query", format!("Invalid query: {reason}."))
}
