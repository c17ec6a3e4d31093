//! Which stored file a request may have (`docs/wire/services-files.md` §3).
//!
//! A file belongs to a record as long as one of its file fields names it. Nothing that a client names becomes a path:
//! the name is looked for in the record, and what is found there is what is opened.

use std::sync::Arc;

use super::{Records, view};
use crate::{
    db::{ReadTx, Row, quote_ident},
    error::{Error, Kind, Result},
    files::Key,
    rules::Request,
    schema::{Catalog, Collection, Field, FieldKind, field, field::value::list},
};

/// A size that every field offers.
const ALWAYS_OFFERED: &str = "100x100";

/// A file that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// The collection under whose id it is stored; behind a view the one with the table.
    collection: Arc<str>,
    /// The record under whose id it is stored.
    record: String,
    pub name: String,
    /// The sizes of thumbnails that its field offers.
    thumbs: Vec<String>,
}

impl NamedFile {
    /// Where it is stored.
    pub fn key(&self) -> Result<Key> {
        Key::file(&self.collection, &self.record, &self.name)
    }

    /// Whether its field offers thumbnails of this size.
    pub fn offers(&self, size: &str) -> bool {
        size == ALWAYS_OFFERED || self.thumbs.iter().any(|offered| offered == size)
    }
}

impl Records {
    /// The file of this name, if the record has it and `request` may see it: files of protected fields need the view
    /// rule, others nothing. Whatever is in the way, there is no such file.
    pub async fn file(&self, request: Request, collection: &str, record: &str, name: &str) -> Result<NamedFile> {
        let request = &request;
        self.steadily(|catalog| async move {
            self.file_once(request, &catalog, collection, record, name).await.map_err(unseen)
        })
        .await
    }

    async fn file_once(
        &self,
        request: &Request,
        catalog: &Catalog,
        collection: &str,
        id: &str,
        name: &str,
    ) -> Result<NamedFile> {
        let collection = catalog.find(collection).ok_or_else(Error::not_found)?;
        // At the expense of whoever asks, whatever id they have made up: a view's row may cost a lot, and none is known.
        let row = self.row_for(collection, id, request.asker()).await?.ok_or_else(Error::not_found)?;
        let (field, settings) = naming(collection, &row, name).ok_or_else(Error::not_found)?;
        if settings.protected {
            let rule = collection.view_rule.as_deref();
            view::refuse_locked(request, rule)?;
            if let Some(rule) = view::effective(request, rule)
                && !self.row_matches(request, catalog, collection, (id, Some(&row)), rule).await?
            {
                return Err(Error::not_found());
            }
        }
        let (collection, record) = match collection.is_view() {
            true => self.owner(request, catalog, (collection, &field.name), id, name).await?,
            false => (&collection.id, id.to_owned()),
        };
        Ok(NamedFile { collection: collection.clone(), record, name: name.to_owned(), thumbs: settings.thumbs.clone() })
    }

    /// The collection's and the record's id of the row that a view's file comes from.
    async fn owner<'c>(
        &self,
        request: &Request,
        catalog: &'c Catalog,
        (view, field): (&Collection, &str),
        id: &str,
        name: &str,
    ) -> Result<(&'c Arc<str>, String)> {
        let (base, position) = catalog.origin(view, field).ok_or_else(Error::not_found)?;
        // Most views keep the ids of what they show.
        let names_it = |row: &Row| row.values.get(position).is_some_and(|value| names(value, name));
        if self.row_for(base, id, request.asker()).await?.is_some_and(|row| names_it(&row)) {
            return Ok((&base.id, id.to_owned()));
        }
        let (table, column) = (quote_ident(&base.name), quote_ident(&base.fields[position].name));
        let sql = format!("SELECT `id`, {column} FROM {table} WHERE instr({column}, ?1) > 0");
        let wanted = name.to_owned();
        let search = move |tx: &ReadTx<'_>| {
            let mut statement = tx.prepare(&sql)?;
            let mut rows = statement.query([&wanted])?;
            while let Some(row) = rows.next()? {
                if list::read(&row.get(1)?).contains(&wanted) {
                    return Ok(Some(row.get(0)?));
                }
            }
            Ok(None)
        };
        let owner = self.db.read_for(request.asker(), search).await?;
        Ok((&base.id, owner.ok_or_else(Error::not_found)?))
    }
}

/// The file field that names this file.
fn naming<'c>(collection: &'c Collection, row: &Row, name: &str) -> Option<(&'c Field, &'c field::File)> {
    collection.fields.iter().zip(&row.values).find_map(|(field, value)| match &field.kind {
        FieldKind::File(settings) if names(value, name) => Some((field, settings)),
        _ => None,
    })
}

fn names(value: &crate::db::Value, name: &str) -> bool {
    list::read(value).iter().any(|stored| stored == name)
}

/// A rule that does not compile hides the file, as one that does not match does.
fn unseen(error: Error) -> Error {
    match error.kind {
        Kind::Invalid | Kind::Forbidden => Error::not_found().because(error),
        _ => error,
    }
}
