//! What requests and background tasks share; built once, in one place.
//!
//! Also the few actions that need more than one room.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

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
    schema::{Catalog, Collection, Schema},
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
    /// Opens the directory and every room over it, from the ground up.
    pub fn open(config: Config) -> Result<Self> {
        let durability = if config.temporary { Durability::Off } else { config.durability };
        let db = Db::open(
            &config.dir,
            db::Options {
                durability,
                clock: config.clock.clone(),
                query_timeout: config.query_timeout,
                adopt: config.adopt,
                functions: vec![rules::register],
                ..db::Options::default()
            },
        )?;
        let settings = settings::Store::open(db.clone(), config.encryption_key)?;
        let schema = Schema::open(db.clone(), Arc::new(rules::Checker::default()))?;
        let storage = Storage::open(&config.dir, durability != Durability::Off)?;
        let passwords = Passwords::new(if config.temporary { Cost::Cheap } else { Cost::Standard });
        let records = Records::new(db.clone(), schema.clone(), storage.clone(), passwords.clone());
        let auth = Auth::new(db.clone(), schema.clone(), records.clone(), passwords.clone(), settings.clone());
        Ok(Self { db, clock: config.clock, settings, schema, storage, passwords, records, auth })
    }

    /// Changes a collection, and what follows its name.
    pub async fn update_collection(&self, id_or_name: &str, body: Map<String, Json>) -> Result<Arc<Collection>> {
        let before = self.schema.catalog();
        let updated = self.schema.update(id_or_name, body).await?;
        self.follow(&before).await?;
        Ok(updated)
    }

    /// Deletes a collection with its files.
    pub async fn delete_collection(&self, id_or_name: &str) -> Result<()> {
        let before = self.schema.catalog();
        self.schema.delete(id_or_name).await?;
        self.follow(&before).await
    }

    /// Imports collections; those that the import removes lose their files.
    pub async fn import_collections(&self, collections: Vec<Map<String, Json>>, delete_missing: bool) -> Result<()> {
        let before = self.schema.catalog();
        self.schema.import(collections, delete_missing).await?;
        self.follow(&before).await
    }

    /// Follows a committed change of the catalog: rate-limit labels of renamed collections (`docs/wire/services.md`
    /// §4.3), files of deleted ones.
    async fn follow(&self, before: &Catalog) -> Result<()> {
        let after = self.schema.catalog();
        let mut renamed = HashMap::new();
        let mut deleted = Vec::new();
        for old in before.all() {
            match after.by_id(&old.id) {
                Some(new) if new.name != old.name => drop(renamed.insert(old.name.to_string(), new.name.to_string())),
                Some(_) => {}
                None => deleted.push(old.id.clone()),
            }
        }
        if !renamed.is_empty() {
            self.settings.rename_labels(renamed).await?;
        }
        if deleted.is_empty() {
            return Ok(());
        }
        let storage = self.storage.clone();
        let removal = move || deleted.iter().try_for_each(|id| storage.remove_collection(id));
        tokio::task::spawn_blocking(removal).await.map_err(Error::internal)?
    }
}
