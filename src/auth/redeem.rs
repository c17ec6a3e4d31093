//! The two ends of a token's life: minting one for a record, and finding the record that a token proves
//! (`docs/wire/auth.md` §2.1, §2.2).

use std::sync::Arc;

use super::{
    Auth, auth_record, options, signing_key,
    token::{self, Grant, Purpose, Unverified},
};
use crate::{
    db::Row,
    error::{Error, Result},
    identity::AuthRecord,
    schema::{Catalog, Collection},
};

/// A token that was checked in full: whom it belongs to, and what it says.
#[derive(Debug)]
pub(super) struct Redeemed {
    pub collection: Arc<Collection>,
    /// The record's id.
    pub id: Arc<str>,
    /// The record as it was when the token was checked.
    pub row: Arc<Row>,
    /// The key that the signature was verified with: token key and secret.
    pub key: String,
    /// Unix seconds; `None` never expires.
    pub expires: Option<f64>,
    /// The address that the token was mailed for; blank in auth and file tokens.
    pub email: String,
    /// The address that an e-mail change asks for; blank in others.
    pub new_email: String,
    purpose: Purpose,
}

impl Redeemed {
    /// Whether the token would be verified with the same key still. Asked on the writer, where the answer holds until
    /// the transaction ends: this is what makes a token single-use that changes its own key.
    pub fn stands(&self, catalog: &Catalog, row: &Row) -> bool {
        let options = catalog.by_id(&self.collection.id).and_then(|collection| collection.auth());
        let key = options.and_then(|options| signing_key(row, &self.purpose.options(options).secret));
        key.as_ref() == Some(&self.key)
    }

    pub fn record(&self) -> AuthRecord {
        auth_record(&self.collection, self.id.clone(), self.row.clone())
    }
}

impl Auth {
    /// The whole of §2.2 for every kind of token: decoded, its record found, its signature verified with that record's
    /// key. `None` when anything is wrong with it; fails only when the record cannot be read.
    pub(super) async fn redeem(&self, text: &str, purpose: Purpose) -> Result<Option<Redeemed>> {
        let Some(token) = Unverified::decode(text, purpose, self.now()) else { return Ok(None) };
        let catalog = self.schema.catalog();
        let Some(collection) = catalog.find(&token.collection) else { return Ok(None) };
        let Some(options) = collection.auth() else { return Ok(None) };
        let Some(row) = self.records.load(collection, &token.id).await? else { return Ok(None) };
        let Some(key) = signing_key(&row, &purpose.options(options).secret) else { return Ok(None) };
        if !token.verify(key.as_bytes()) {
            return Ok(None);
        }
        Ok(Some(Redeemed {
            collection: collection.clone(),
            id: token.id.as_str().into(),
            row,
            key,
            expires: token.expires,
            email: token.email,
            new_email: token.new_email,
            purpose,
        }))
    }

    /// A new token of a record, for so many seconds or as long as its collection says.
    pub(super) fn mint(
        &self,
        collection: &Collection,
        record: &AuthRecord,
        grant: Grant<'_>,
        seconds: Option<i64>,
    ) -> Result<String> {
        let settings = grant.purpose().options(options(collection));
        let key = signing_key(&record.row, &settings.secret)
            .ok_or_else(|| Error::internal(anyhow::anyhow!("record {} has no token key", record.id)))?;
        let seconds = seconds.unwrap_or(settings.duration);
        token::issue(grant, &collection.id, &record.id, key.as_bytes(), self.now(), seconds)
    }
}
