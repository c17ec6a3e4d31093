//! Recipients: accounts by id, by filter, by topic; plain e-mail addresses; their devices.

pub mod audience;
pub mod devices;
pub mod registration;
pub mod trial;

use std::sync::Arc;

/// Somebody to be told something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// An account: id of its auth collection, id of the record.
    Account { collection: Arc<str>, record: Arc<str> },
    /// A bare e-mail address.
    Address(Arc<str>),
}

impl Recipient {
    /// What the columns `collectionRef`, `recordRef` and `address` hold.
    pub fn columns(&self) -> (&str, &str, &str) {
        match self {
            Self::Account { collection, record } => (collection, record, ""),
            Self::Address(address) => ("", "", address),
        }
    }
}

/// An account whose own things are asked for: its preferences, its inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Id of the auth collection.
    pub collection: String,
    pub record: String,
}

/// For people.
impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account { record, .. } => f.write_str(record),
            Self::Address(address) => f.write_str(address),
        }
    }
}
