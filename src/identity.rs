//! Who is asking, and how passwords are kept: what records and auth both need.

use std::sync::Arc;

use crate::db::{Actor, Row};

/// Id of the `_superusers` collection; clients hard-code it (`docs/wire/auth.md` §1.4).
pub const SUPERUSERS_ID: &str = "pbc_3142635823";

/// Who asks. Passed explicitly, never ambient.
#[derive(Debug, Clone, Default)]
pub enum Caller {
    #[default]
    Guest,
    /// A record of an auth collection.
    Record(Arc<AuthRecord>),
    /// A record of `_superusers`: no rule applies.
    Superuser(Arc<AuthRecord>),
}

/// The record that a valid token names.
#[derive(Debug, Clone)]
pub struct AuthRecord {
    pub collection_id: Arc<str>,
    pub collection_name: Arc<str>,
    pub id: Arc<str>,
    /// Its stored row, hidden fields included, under column names.
    pub row: Arc<Row>,
}

impl Caller {
    pub fn is_superuser(&self) -> bool {
        matches!(self, Caller::Superuser(_))
    }

    /// The signed-in record, superusers included.
    pub fn record(&self) -> Option<&Arc<AuthRecord>> {
        match self {
            Caller::Guest => None,
            Caller::Record(record) | Caller::Superuser(record) => Some(record),
        }
    }

    /// True when the caller is this very record.
    pub fn is(&self, collection_id: &str, id: &str) -> bool {
        self.record().is_some_and(|record| &*record.collection_id == collection_id && &*record.id == id)
    }

    /// How the change log names the caller.
    pub fn actor(&self) -> Option<Actor> {
        self.record().map(|record| Actor { collection: record.collection_id.clone(), record: record.id.clone() })
    }
}

/// Password hashing on its own bounded pool of threads, so that it never delays a read.
#[derive(Clone)]
pub struct Passwords {}

impl Passwords {
    /// Argon2id of a new password. `Busy` when too many are waiting.
    pub async fn hash(&self, plain: String) -> crate::error::Result<String> {
        todo!()
    }

    /// Checks a password against an Argon2id or bcrypt hash; anything else never matches.
    pub async fn verify(&self, plain: String, hash: String) -> crate::error::Result<bool> {
        todo!()
    }
}
