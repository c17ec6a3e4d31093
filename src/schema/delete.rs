//! What stands in the way of deleting a collection, and what goes with it (`docs/wire/records-collections.md` §8.3).

use std::sync::Arc;

use super::{Catalog, Collection, FieldKind, bootstrap::notify};
use crate::{
    db::{Change, Kind, ReadTx, Row, WriteTx, quote_ident},
    error::{Error, Result},
};

/// The system collections whose rows name an auth collection in `collectionRef`.
pub(super) const REFERRING: [&str; 4] = ["_externalAuths", "_mfas", "_otps", "_authOrigins"];

/// System collections stay, and so does what another collection's relation points at.
pub(super) fn guard(catalog: &Catalog, collection: &Collection) -> Result<()> {
    if collection.system {
        return Err(Error::invalid("A system collection cannot be deleted."));
    }
    let mut others = catalog.references_to(&collection.id).iter().filter(|(other, _)| other.id != collection.id);
    match others.next() {
        Some(_) => Err(Error::invalid("The collection cannot be deleted: a relation points at it.")),
        None => Ok(()),
    }
}

/// True when the SQL behind a view can be run.
pub(super) fn readable(tx: &ReadTx<'_>, view: &Collection) -> bool {
    tx.connection().prepare(&format!("SELECT * FROM {}", quote_ident(&view.name))).is_ok()
}

/// Deletes the rows that refer to an auth collection; each is a change of its own in the log.
pub(super) fn system_rows(tx: &mut WriteTx<'_>, catalog: &Catalog, id: &str) -> Result<()> {
    for collection in REFERRING.iter().chain(&notify::OF_ACCOUNTS).filter_map(|name| catalog.by_name(name)) {
        let table = quote_ident(&collection.name);
        let rows = rows_of(tx, collection, id)?;
        tx.execute(&format!("DELETE FROM {table} WHERE `collectionRef` = ?1"), [id])?;
        for (record, old) in rows {
            let collection = collection.id.clone();
            let old = Some(Arc::new(old));
            tx.append(Change { collection, record, kind: Kind::Delete, old, new: None, actor: None, mutation: None })?;
        }
    }
    Ok(())
}

/// The rows under their field ids, without secrets, each with its record id.
fn rows_of(tx: &ReadTx<'_>, collection: &Collection, id: &str) -> Result<Vec<(String, Row)>> {
    let open = collection.fields.iter().filter(|field| !matches!(field.kind, FieldKind::Password(_)));
    let fields: Vec<_> = open.collect();
    let columns: Arc<[Arc<str>]> = fields.iter().map(|field| field.id.as_str().into()).collect();
    let names = fields.iter().map(|field| quote_ident(&field.name)).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {names}, `id` FROM {} WHERE `collectionRef` = ?1", quote_ident(&collection.name));
    tx.query_all(&sql, [id], |row| Ok((row.get(columns.len())?, Row::read(&columns, row)?)))
}
