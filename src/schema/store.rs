//! The `_collections` table: loading the catalog, writing a row (`docs/wire/records-storage.md` §2).

use std::{collections::HashMap, sync::Arc};

use super::{Catalog, Collection, CollectionType, collection::Options};
use crate::{
    db::{ReadTx, WriteTx},
    error::{Error, Result},
};

/// Everything that is stored, in order of creation.
pub(super) fn load(tx: &ReadTx<'_>, version: u64) -> Result<Catalog> {
    let sql = "SELECT id, name, type, system, fields, indexes, options, listRule, viewRule, createRule, updateRule,
                      deleteRule, created, updated
               FROM _collections ORDER BY rowid";
    let rows = tx.query_all(sql, [], read)?;
    let collections = rows.into_iter().map(|row| Ok(Arc::new(row.parse()?))).collect::<Result<Vec<_>>>()?;
    catalog(tx, version, collections)
}

impl Catalog {
    /// The collections that a database has, whatever database that is: a copy, for instance. Fails when one cannot be
    /// read.
    pub fn stored(tx: &ReadTx<'_>) -> Result<Self> {
        load(tx, 1)
    }
}

/// A snapshot of these collections, with the SQL of the views as the database has it now.
pub(super) fn catalog(tx: &ReadTx<'_>, version: u64, collections: Vec<Arc<Collection>>) -> Result<Catalog> {
    let any_view = collections.iter().any(|collection| collection.is_view());
    let catalog = Catalog::new(version, collections);
    Ok(if any_view { catalog.with_view_sql(view_sql(tx)?) } else { catalog })
}

fn view_sql(tx: &ReadTx<'_>) -> Result<HashMap<Arc<str>, String>> {
    let views = tx.query_all("SELECT name, sql FROM sqlite_master WHERE type = 'view'", [], |row| {
        Ok((row.get::<_, String>(0)?.into(), row.get(1)?))
    })?;
    Ok(views.into_iter().collect())
}

pub(super) fn insert(tx: &mut WriteTx<'_>, collection: &Collection) -> Result<()> {
    let sql = "INSERT INTO _collections (id, name, type, system, fields, indexes, options, listRule, viewRule,
                                         createRule, updateRule, deleteRule, created, updated)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    write(tx, sql, collection)
}

pub(super) fn update(tx: &mut WriteTx<'_>, collection: &Collection) -> Result<()> {
    let sql = "UPDATE _collections
               SET name = ?2, type = ?3, system = ?4, fields = ?5, indexes = ?6, options = ?7, listRule = ?8,
                   viewRule = ?9, createRule = ?10, updateRule = ?11, deleteRule = ?12, created = ?13, updated = ?14
               WHERE id = ?1";
    write(tx, sql, collection)
}

pub(super) fn delete(tx: &mut WriteTx<'_>, id: &str) -> Result<()> {
    tx.execute("DELETE FROM _collections WHERE id = ?1", [id])?;
    Ok(())
}

fn write(tx: &mut WriteTx<'_>, sql: &str, collection: &Collection) -> Result<()> {
    let indexes = serde_json::to_string(&collection.indexes).expect("a list of texts is JSON");
    tx.execute(
        sql,
        rusqlite::params![
            &*collection.id,
            &*collection.name,
            collection.kind().as_str(),
            collection.system,
            collection.stored_fields(),
            indexes,
            collection.options.to_stored().to_string(),
            collection.list_rule,
            collection.view_rule,
            collection.create_rule,
            collection.update_rule,
            collection.delete_rule,
            collection.created,
            collection.updated,
        ],
    )?;
    Ok(())
}

/// A row as it is stored.
struct Stored {
    kind: String,
    fields: String,
    indexes: String,
    options: String,
    /// Everything but fields, indexes and options.
    collection: Collection,
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    let (id, name) = (row.get::<_, String>(0)?, row.get::<_, String>(1)?);
    let mut collection = Collection::new(&id, &name, Options::Base);
    collection.system = row.get(3)?;
    collection.list_rule = row.get(7)?;
    collection.view_rule = row.get(8)?;
    collection.create_rule = row.get(9)?;
    collection.update_rule = row.get(10)?;
    collection.delete_rule = row.get(11)?;
    collection.created = row.get(12)?;
    collection.updated = row.get(13)?;
    Ok(Stored { kind: row.get(2)?, fields: row.get(4)?, indexes: row.get(5)?, options: row.get(6)?, collection })
}

impl Stored {
    /// Skips nothing silently: what cannot be read is named.
    fn parse(self) -> Result<Collection> {
        let mut collection = self.collection;
        let name = collection.name.clone();
        let unreadable = |what: &str, why: String| {
            Error::internal(anyhow::anyhow!("the {what} of the collection \"{name}\" cannot be read: {why}"))
        };
        let kind = CollectionType::parse(&self.kind).ok_or_else(|| unreadable("type", self.kind.clone()))?;
        let fields: Vec<serde_json::Value> =
            serde_json::from_str(&self.fields).map_err(|error| unreadable("fields", error.to_string()))?;
        collection.fields =
            Collection::parse_fields(&fields).map_err(|error| unreadable("fields", error.to_string()))?;
        let indexes: Option<Vec<String>> =
            serde_json::from_str(&self.indexes).map_err(|error| unreadable("indexes", error.to_string()))?;
        collection.indexes = indexes.unwrap_or_default();
        let options = serde_json::from_str(&self.options).map_err(|error| unreadable("options", error.to_string()))?;
        collection.options = Options::from_stored(kind, options).map_err(|error| unreadable("options", error))?;
        Ok(collection)
    }
}
