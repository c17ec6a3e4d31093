//! Whether collections fit what the database has: asked after a write that went past this room.

use super::Catalog;
use crate::{
    db::ReadTx,
    error::{Error, Result},
};

/// Fails with the first that is wrong: a system collection that is gone, a table or view that is not there, a field
/// without its column.
pub(super) fn check(tx: &ReadTx<'_>, before: &Catalog, after: &Catalog) -> Result<()> {
    if let Some(gone) = before.all().iter().find(|old| old.system && after.by_id(&old.id).is_none()) {
        return Err(wrong(format!("the system collection \"{}\" would be missing", gone.name)));
    }
    for collection in after.all() {
        let kind = if collection.is_view() { "view" } else { "table" };
        let exists = "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type = ?2";
        if tx.query_one(exists, [&*collection.name, kind], |_| Ok(()))?.is_none() {
            return Err(wrong(format!("the collection \"{}\" would have no {kind}", collection.name)));
        }
        if collection.is_view() {
            continue;
        }
        let names = "SELECT lower(name) FROM pragma_table_info(?1)";
        let columns = tx.query_all(names, [&*collection.name], |row| row.get::<_, String>(0))?;
        let without = collection.fields.iter().find(|field| !columns.contains(&field.name.to_ascii_lowercase()));
        if let Some(field) = without {
            let text = format!("the field \"{}\" of \"{}\" would have no column", field.name, collection.name);
            return Err(wrong(text));
        }
    }
    Ok(())
}

fn wrong(text: String) -> Error {
    Error::internal(anyhow::anyhow!(text))
}
