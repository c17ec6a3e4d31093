//! Finding accounts by what their owners call themselves, and again as they are now.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{Auth, auth_record};
use crate::{
    db::{Asker, ReadTx, Row, quote_ident},
    error::{Error, Result},
    identity::AuthRecord,
    records::Script,
    schema::{Catalog, Collection},
};

impl Auth {
    /// The account with this e-mail address, compared as the collection's index does (`docs/wire/auth.md` §1.1).
    pub(super) async fn by_email(&self, collection: &Arc<Collection>, email: &str) -> Result<Option<AuthRecord>> {
        let address = email.to_owned();
        let id = self.read_of(collection, Asker::HOUSE, move |tx, found| id_by_email(tx, found, &address)).await?;
        match id {
            Some(id) => self.by_id(collection, &id).await,
            None => Ok(None),
        }
    }

    /// Reads by the names that the collection and its columns have now; again if they were changed meanwhile.
    pub(super) async fn read_of<T, F>(&self, collection: &Collection, asker: Asker, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>, &Collection) -> Result<T> + Clone + Send + Sync + 'static,
    {
        let read = |catalog: Arc<Catalog>| {
            let (id, read) = (collection.id.clone(), read.clone());
            async move {
                let now = catalog.by_id(&id).cloned().ok_or_else(Error::not_found)?;
                self.db.read_for(asker, move |tx| read(tx, &now)).await
            }
        };
        self.records.steadily(read).await
    }

    /// The account with this id.
    pub(super) async fn by_id(&self, collection: &Arc<Collection>, id: &str) -> Result<Option<AuthRecord>> {
        let row = self.records.load(collection, id).await?;
        Ok(row.map(|row| auth_record(collection, id.into(), row)))
    }

    /// The account with this id of the collection with this id or name, or `NotFound`.
    pub async fn account(&self, collection: &str, id: &str) -> Result<AuthRecord> {
        let collection = self.auth_collection(collection)?;
        self.by_id(&collection, id).await?.ok_or_else(Error::not_found)
    }
}

/// The id of the account with this address, inside a transaction; nobody has the blank one.
pub(super) fn id_by_email(tx: &ReadTx<'_>, collection: &Collection, email: &str) -> Result<Option<String>> {
    tx.query_one(&lookup(collection, "email"), [email], |row| row.get(0))
}

/// The query for the id of whose field has the value `?1`: exact, unless the field's unique index ignores case. The
/// value must not be blank, which lets SQLite use the partial index of e-mails.
pub(super) fn lookup(collection: &Collection, name: &str) -> String {
    let column = quote_ident(name);
    let collation = if ignores_case(collection, name) { " COLLATE NOCASE" } else { "" };
    let table = quote_ident(&collection.name);
    format!("SELECT id FROM {table} WHERE {column} = ?1{collation} AND {column} != '' LIMIT 1")
}

/// Whether values of this field are found whatever the case of their (ASCII) letters.
pub(super) fn ignores_case(collection: &Collection, name: &str) -> bool {
    collection.unique_indexes().iter().any(|index| {
        matches!(index.columns.as_slice(), [only] if only.name.eq_ignore_ascii_case(name)
            && only.collate.eq_ignore_ascii_case("nocase"))
    })
}

/// The account's row as it is stored now. Fails when its token key is no longer the one that a credential was checked
/// with: then its owner has ended whatever began with that credential.
pub(super) fn current(script: &mut Script<'_, '_>, record: &AuthRecord) -> Result<Arc<Row>> {
    let now = script.load(&record.collection_id, &record.id)?;
    now.filter(|row| row.text("tokenKey") == record.row.text("tokenKey"))
        .ok_or_else(|| Error::invalid("The account has changed meanwhile. Sign in again."))
}

/// The values of a record.
pub(super) fn values<'a, V: Into<Json>>(pairs: impl IntoIterator<Item = (&'a str, V)>) -> Map<String, Json> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}
