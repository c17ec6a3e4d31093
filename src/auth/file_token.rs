//! Tokens for protected files (`docs/wire/auth.md` §2.7): short-lived, because they stand in addresses.

use super::{Auth, token::Grant};
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
}
