//! Who is asking, and how passwords are kept: what records and auth both need.
//!
//! May touch `db` types. Main types: [`Caller`] and [`Passwords`].

mod hashes;
mod network;
mod passwords;
mod throttle;

use std::sync::Arc;

pub use self::{
    hashes::Cost,
    network::network,
    passwords::Passwords,
    throttle::{Attempt, Throttle},
};

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
    /// Whoever signed in as this record.
    pub fn of(record: AuthRecord) -> Self {
        let record = Arc::new(record);
        if &*record.collection_id == SUPERUSERS_ID { Caller::Superuser(record) } else { Caller::Record(record) }
    }

    /// The house itself (command line, installer): a superuser who is no record, so that no rule applies and the change
    /// log names nobody.
    pub fn system() -> Self {
        Caller::Superuser(Arc::new(AuthRecord {
            collection_id: SUPERUSERS_ID.into(),
            collection_name: "_superusers".into(),
            id: "".into(),
            row: Arc::new(Row { columns: Arc::new([]), values: Vec::new() }),
        }))
    }

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
        let record = self.record().filter(|record| !record.id.is_empty())?;
        Some(Actor { collection: record.collection_id.clone(), record: record.id.clone() })
    }
}
