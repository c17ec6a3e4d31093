//! What requests and background tasks share; built once, in one place.

use std::path::PathBuf;

use crate::{
    auth::Auth,
    clock::Clock,
    db::{Db, Durability},
    error::Result,
    files::Storage,
    identity::Passwords,
    records::Records,
    schema::Schema,
    settings,
};

/// How an [`App`] is opened; the command line fills it.
#[derive(Debug, Clone)]
pub struct Config {
    pub dir: PathBuf,
    pub durability: Durability,
    pub query_timeout: std::time::Duration,
    pub encryption_key: Option<String>,
    pub clock: Clock,
    /// A temporary server: nothing is synchronised, hashing is cheap.
    pub temporary: bool,
    /// `--dev`: verbose log, outside effects captured.
    pub dev: bool,
    /// Takes over a copied PocketBase database; otherwise one is refused.
    pub adopt: bool,
}

/// The opened data directory with all rooms over it. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub clock: Clock,
    pub settings: settings::Store,
    pub schema: Schema,
    pub storage: Storage,
    pub passwords: Passwords,
    pub records: Records,
    pub auth: Auth,
}

impl App {
    pub fn open(config: Config) -> Result<Self> {
        todo!()
    }
}
