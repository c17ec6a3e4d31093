//! The system collections of accounts, and what their rows must refer to (`auth.md` §5).

use std::sync::Arc;

use super::{
    facts::Ground,
    plan::{Plan, text},
};
use crate::{
    db::{Value, quote_ident},
    error::{Error, Leaf, Result},
    schema::providers,
};

pub(super) const OTPS: &str = "_otps";
pub(super) const MFAS: &str = "_mfas";
pub(super) const AUTH_ORIGINS: &str = "_authOrigins";
pub(super) const EXTERNAL_AUTHS: &str = "_externalAuths";
/// All of them.
pub(super) const ACCOUNT_COLLECTIONS: [&str; 4] = [OTPS, MFAS, AUTH_ORIGINS, EXTERNAL_AUTHS];

/// A row of these collections belongs to an existing account. Other collections pass.
pub(super) fn check(ground: &Ground<'_>, plan: &Plan, values: &[Value], reads: &mut Vec<Arc<str>>) -> Result<()> {
    if !plan.collection.system || !ACCOUNT_COLLECTIONS.contains(&&*plan.collection.name) {
        return Ok(());
    }
    let value = |name: &str| {
        let index = plan.columns.iter().position(|column| &**column == name);
        text(index.and_then(|index| values.get(index)))
    };
    let (collection, record) = (value("collectionRef"), value("recordRef"));
    if collection.is_empty() {
        return Err(Error::field("collectionRef", Leaf::required()));
    }
    let Some(target) = ground.catalog.by_id(collection) else {
        let leaf = Leaf::new("validation_invalid_collection_id", "There is no collection with this id.");
        return Err(Error::field("collectionRef", leaf));
    };
    if !target.is_auth() {
        let leaf = Leaf::new("validation_invalid_collection_type", "The collection has no accounts.");
        return Err(Error::field("collectionRef", leaf));
    }
    if record.is_empty() {
        return Err(Error::field("recordRef", Leaf::required()));
    }
    reads.push(target.id.clone());
    let sql = format!("SELECT 1 FROM {} WHERE `id` = ?1", quote_ident(&target.name));
    if ground.tx.query_one(&sql, [record], |_| Ok(()))?.is_none() {
        return Err(Error::field("recordRef", Leaf::new("validation_invalid_record", "There is no such record.")));
    }
    let provider = value("provider");
    if &*plan.collection.name == EXTERNAL_AUTHS && !provider.is_empty() && providers::find(provider).is_none() {
        return Err(Error::field("provider", Leaf::new("validation_in_invalid", "There is no such provider.")));
    }
    Ok(())
}
