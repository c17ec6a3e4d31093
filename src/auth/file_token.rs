//! Tokens for protected files (`docs/wire/auth.md` §2.7): short-lived, because they stand in addresses.

use super::{
    Auth, caller_of,
    token::{Grant, Purpose},
};
use crate::{
    error::{Error, Result},
    identity::Caller,
};

impl Auth {
    /// `POST /api/files/token`: a file token of whoever asks.
    pub fn file_token(&self, caller: &Caller) -> Result<String> {
        let record = caller.record().ok_or_else(|| Error::unauthorized("Sign in first."))?;
        let collection = self.auth_collection(&record.collection_id)?;
        self.mint(&collection, record, Grant::File, None)
    }

    /// Whom a file token names; anything wrong with it is a guest. Fails only when the record cannot be read.
    pub async fn file_caller(&self, token: &str) -> Result<Caller> {
        let Some(redeemed) = self.redeem(token, Purpose::File).await? else { return Ok(Caller::Guest) };
        Ok(caller_of(&redeemed.collection, redeemed.id.clone(), redeemed.row))
    }
}
