//! The two ends of a token's life: minting one for a record, and finding the record that a token proves
//! (`docs/wire/auth.md` §2.1, §2.2).

use std::sync::Arc;

use super::{
    Auth, options, signing_key,
    token::{self, Grant, Purpose, Unverified},
};
use crate::{
    db::Row,
    error::{Error, Leaf, Result},
    identity::AuthRecord,
    records::Script,
    schema::Collection,
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
    /// The record as it is stored now, if the token would still be verified with the same key. On the writer, where the
    /// answer holds until the transaction ends: what changes its own key can happen only once.
    pub fn current(&self, script: &mut Script<'_, '_>) -> Result<Arc<Row>> {
        let gone = || Error::field("token", invalid_token());
        let catalog = script.catalog().clone();
        let options = catalog.by_id(&self.collection.id).and_then(|collection| collection.auth()).ok_or_else(gone)?;
        let row = script.load(&self.collection.id, &self.id)?.ok_or_else(gone)?;
        let key = signing_key(&row, &self.purpose.options(options).secret);
        if key.as_ref() == Some(&self.key) { Ok(row) } else { Err(gone()) }
    }
}

/// Every code of a token that proves nothing (any more).
pub(super) fn invalid_token() -> Leaf {
    Leaf::new("validation_invalid_token", "The token is invalid or has expired.")
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

    /// [`Auth::redeem`] for a form: what is wrong with its `token`, or whom it belongs to in this collection.
    pub(super) async fn redeem_for(
        &self,
        collection: &Collection,
        text: &str,
        purpose: Purpose,
    ) -> Result<Result<Redeemed, Leaf>> {
        if text.is_empty() {
            return Ok(Err(Leaf::required()));
        }
        Ok(match self.redeem(text, purpose).await? {
            None => Err(invalid_token()),
            Some(redeemed) if redeemed.collection.id != collection.id => {
                let message = "The token belongs to an account of another collection.";
                Err(Leaf::new("validation_token_collection_mismatch", message))
            }
            Some(redeemed) => Ok(redeemed),
        })
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
