//! Which stored files belong to a database: those that its records name.

use crate::{
    db::{Copy, Value, quote_ident},
    error::Result,
    files::Key,
    schema::{Catalog, Collection, FieldKind, field::value::list},
};

/// Shows `visit` every file that a record names, collection by collection, and at most one record in memory. A name that
/// cannot be a file's is passed over.
pub fn each_file(copy: &Copy, catalog: &Catalog, mut visit: impl FnMut(&Key) -> Result<()>) -> Result<()> {
    for collection in catalog.all().iter().filter(|collection| !collection.is_view()) {
        let columns = file_columns(collection);
        if columns.is_empty() {
            continue;
        }
        let any = columns.iter().map(|column| format!("{column} NOT IN ('', '[]')")).collect::<Vec<_>>().join(" OR ");
        let sql = format!("SELECT `id`, {} FROM {} WHERE {any}", columns.join(", "), quote_ident(&collection.name));
        copy.read(|tx| {
            let mut statement = tx.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let Value::Text(id) = row.get(0)? else { continue };
                for at in 1..=columns.len() {
                    for name in list::read(&row.get(at)?) {
                        match Key::file(&collection.id, &id, &name) {
                            Ok(key) => visit(&key)?,
                            Err(error) => tracing::warn!(record = id, name, %error, "this names no file"),
                        }
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn file_columns(collection: &Collection) -> Vec<String> {
    let files = collection.fields.iter().filter(|field| matches!(field.kind, FieldKind::File(_)));
    files.map(|field| quote_ident(&field.name)).collect()
}
