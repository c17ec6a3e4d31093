//! What requests and background tasks share; built once, in one place.
//!
//! Also the few actions that need more than one room.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Map, Value as Json};

use crate::{
    auth::Auth,
    clock::Clock,
    db::{self, Db, Durability},
    error::{Error, Result},
    files::Storage,
    identity::{Cost, Passwords},
    records::Records,
    rules,
    schema::{Catalog, Schema},
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
    /// Changes that the log keeps at least; 0 keeps all.
    pub log_retention: u64,
    /// Takes over a copied PocketBase database; otherwise one is refused.
    pub adopt: bool,
}

impl Config {
    /// A directory to be kept, with the defaults of the command line.
    pub fn new(dir: PathBuf) -> Self {
        let defaults = db::Options::default();
        Self {
            dir,
            durability: defaults.durability,
            query_timeout: defaults.query_timeout,
            encryption_key: None,
            clock: defaults.clock,
            temporary: false,
            log_retention: defaults.log_retention,
            adopt: false,
        }
    }
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
    /// Opens the directory and every room over it, from the ground up.
    pub fn open(config: Config) -> Result<Self> {
        // First of all: an unusable key should leave no directory behind.
        let cipher = config.encryption_key.as_deref().map(settings::Cipher::new).transpose()?;
        let durability = if config.temporary { Durability::Off } else { config.durability };
        let db = Db::open(
            &config.dir,
            db::Options {
                durability,
                clock: config.clock.clone(),
                query_timeout: config.query_timeout,
                log_retention: config.log_retention,
                adopt: config.adopt,
                functions: vec![rules::register],
                ..db::Options::default()
            },
        )?;
        let settings = settings::Store::open(db.clone(), cipher)?;
        let schema = Schema::open(db.clone(), Arc::new(rules::Checker))?;
        let labels = settings.clone();
        schema.on_rename(move |tx, renamed| labels.rename_labels(tx, renamed));
        let storage = Storage::open(&config.dir, durability != Durability::Off)?;
        let passwords = Passwords::new(if config.temporary { Cost::Cheap } else { Cost::Standard });
        let records = Records::new(db.clone(), schema.clone(), storage.clone(), passwords.clone());
        let auth = Auth::new(db.clone(), schema.clone(), records.clone(), passwords.clone(), settings.clone());
        Ok(Self { db, clock: config.clock, settings, schema, storage, passwords, records, auth })
    }

    /// Deletes a collection with its files.
    pub async fn delete_collection(&self, id_or_name: &str) -> Result<()> {
        let before = self.schema.catalog();
        self.schema.delete(id_or_name).await?;
        self.remove_files(&before).await
    }

    /// Imports collections; those that the import removes lose their files.
    pub async fn import_collections(&self, collections: Vec<Map<String, Json>>, delete_missing: bool) -> Result<()> {
        let before = self.schema.catalog();
        self.schema.import(collections, delete_missing).await?;
        self.remove_files(&before).await
    }

    /// Removes the files of collections that were there `before` and are gone.
    async fn remove_files(&self, before: &Catalog) -> Result<()> {
        let after = self.schema.catalog();
        let gone = before.all().iter().filter(|old| after.by_id(&old.id).is_none());
        let deleted: Vec<Arc<str>> = gone.map(|old| old.id.clone()).collect();
        if deleted.is_empty() {
            return Ok(());
        }
        let storage = self.storage.clone();
        let removal = move || deleted.iter().try_for_each(|id| storage.remove_collection(id));
        tokio::task::spawn_blocking(removal).await.map_err(Error::internal)?
    }
}
