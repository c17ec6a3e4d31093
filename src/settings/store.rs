//! The store: row `settings` of `_params` (`docs/wire/services.md` §4.5), and the snapshot that everybody reads.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use rusqlite::params;
use serde_json::{Map, Value as Json};

use super::{
    cipher::Cipher,
    merge,
    tree::{RateLimitRule, Settings},
    validate,
};
use crate::{
    db::{Db, ReadTx, WriteTx},
    error::{Error, Result},
};

/// The table (`docs/wire/records-storage.md` §2), made by whoever opens a new directory first.
pub const CREATE_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS `_params` (
        `id`      TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL,
        `value`   JSON DEFAULT NULL,
        `created` TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL,
        `updated` TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL
    )";
const LOAD: &str = "SELECT CAST(`value` AS TEXT) FROM `_params` WHERE `id` = 'settings'";
const SAVE: &str = "
    INSERT INTO `_params` (`id`, `value`, `created`, `updated`) VALUES ('settings', ?1, ?2, ?2)
    ON CONFLICT (`id`) DO UPDATE SET `value` = excluded.`value`, `updated` = excluded.`updated`";

/// Whether the settings in a database say that files are in a bucket; `None` where they do not tell, being encrypted.
pub fn stored_in_bucket(tx: &ReadTx<'_>) -> Result<Option<bool>> {
    if tx.query_one("SELECT 1 FROM sqlite_schema WHERE `name` = '_params'", [], |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    let text = tx.query_one(LOAD, [], |row| row.get::<_, Option<String>>(0))?.flatten().unwrap_or_default();
    let stored = serde_json::from_str::<Map<String, Json>>(&text).ok();
    Ok(stored.map(|settings| settings.get("s3").is_some_and(|s3| s3.get("enabled") == Some(&Json::Bool(true)))))
}

/// The settings of one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Db,
    cipher: Option<Arc<Cipher>>,
    current: Arc<ArcSwap<Settings>>,
    /// Written to when a room opens, read after each change.
    listeners: Arc<RwLock<Vec<Listener>>>,
}

/// Is told what the settings were and what they are.
type Listener = Box<dyn Fn(&Settings, &Settings) + Send + Sync>;

impl Store {
    /// Loads the settings, creating the defaults. A wrong or missing cipher for encrypted settings fails, one for plain
    /// settings encrypts them at the next save.
    pub fn open(db: Db, cipher: Option<Cipher>) -> Result<Self> {
        let cipher = cipher.map(Arc::new);
        let stored = db.read_blocking(|tx| {
            let exists = tx.query_one("SELECT 1 FROM sqlite_schema WHERE `name` = '_params'", [], |_| Ok(()))?;
            match exists {
                Some(()) => tx.query_one(LOAD, [], |row| row.get::<_, Option<String>>(0)),
                None => Ok(None),
            }
        })?;
        let settings = match stored.flatten().filter(|text| !text.is_empty()) {
            Some(text) => parse(&text, cipher.as_deref())?,
            None => {
                let (fresh, cipher) = (Settings::fresh(), cipher.clone());
                db.write_blocking(move |tx| {
                    tx.execute_batch(CREATE_TABLE)?;
                    save(tx, &fresh, cipher.as_deref())
                })?;
                Settings::fresh()
            }
        };
        Ok(Self { db, cipher, current: Arc::new(ArcSwap::from_pointee(settings)), listeners: Arc::default() })
    }

    /// Whether they are kept encrypted from the next change on at the latest.
    pub fn is_encrypted(&self) -> bool {
        self.cipher.is_some()
    }

    /// The current snapshot; costs no lock.
    pub fn current(&self) -> Arc<Settings> {
        self.current.load_full()
    }

    /// Looks at the current snapshot without taking a share in it: for what every request asks.
    pub fn with<T>(&self, look: impl FnOnce(&Settings) -> T) -> T {
        look(&self.current.load())
    }

    /// Calls `listener` after each change that was committed, on the writer's thread: it must be quick, and neither block
    /// nor write.
    pub fn on_change(&self, listener: impl Fn(&Settings, &Settings) + Send + Sync + 'static) {
        self.listeners.write().push(Box::new(listener));
    }

    /// Stores `next` and makes it the snapshot after the commit.
    fn replace(&self, tx: &mut WriteTx<'_>, next: &Arc<Settings>) -> Result<()> {
        save(tx, next, self.cipher.as_deref())?;
        self.publish(tx, Arc::clone(next));
        Ok(())
    }

    fn publish(&self, tx: &mut WriteTx<'_>, next: Arc<Settings>) {
        let store = self.clone();
        tx.after_commit(move || {
            let before = store.current.swap(Arc::clone(&next));
            store.listeners.read().iter().for_each(|listener| listener(&before, &next));
        });
    }

    /// Reads what is stored anew, in a transaction that no other write shares: another database has taken the place of ours.
    pub fn reload(&self, tx: &mut WriteTx<'_>) -> Result<()> {
        let stored = tx.query_one(LOAD, [], |row| row.get::<_, Option<String>>(0))?.flatten();
        let next = match stored.filter(|text| !text.is_empty()) {
            Some(text) => parse(&text, self.cipher.as_deref())?,
            None => Settings::fresh(),
        };
        self.publish(tx, Arc::new(next));
        Ok(())
    }

    /// Deep merge, validation, store, swap after commit.
    pub async fn patch(&self, body: Map<String, Json>) -> Result<Arc<Settings>> {
        let store = self.clone();
        self.db
            .write_alone(move |tx| {
                // Alone in its transaction: nobody changes the snapshot between here and the swap.
                let current = store.current();
                let next = Arc::new(merge::merged(&current, body.clone())?);
                validate::check(&next)?;
                store.replace(tx, &next)?;
                Ok(next)
            })
            .await
    }

    /// A change of the house's own. `change` is given what is stored, alone on the writer, and says whether it changed it.
    pub async fn change(
        &self,
        change: impl Fn(&mut Settings) -> bool + Send + Sync + 'static,
    ) -> Result<Arc<Settings>> {
        let store = self.clone();
        self.db
            .write_alone(move |tx| {
                let mut next = Settings::clone(&store.current());
                if !change(&mut next) {
                    return Ok(store.current());
                }
                let next = Arc::new(next);
                store.replace(tx, &next)?;
                Ok(next)
            })
            .await
    }

    /// Rewrites the rate-limit labels `old:action` of renamed collections (`docs/wire/services.md` §4.3), in the
    /// transaction that renames them. It must be alone, as that of [`Store::patch`] is.
    pub fn rename_labels(&self, tx: &mut WriteTx<'_>, renamed: &HashMap<String, String>) -> Result<()> {
        let mut next = Settings::clone(&self.current());
        let mut affected = false;
        for rule in &mut next.rate_limits.rules {
            if let Some(label) = relabelled(rule, renamed) {
                rule.label = label;
                affected = true;
            }
        }
        if affected {
            self.replace(tx, &Arc::new(next))?;
        }
        Ok(())
    }
}

/// The new label of a rule about a renamed collection.
fn relabelled(rule: &RateLimitRule, renamed: &HashMap<String, String>) -> Option<String> {
    let (collection, action) = rule.label.split_once(':')?;
    Some(format!("{}:{action}", renamed.get(collection)?))
}

fn save(tx: &mut WriteTx<'_>, settings: &Settings, cipher: Option<&Cipher>) -> Result<()> {
    let text = settings.to_stored().to_string();
    let text = match cipher {
        Some(cipher) => cipher.encrypt(&text)?,
        None => text,
    };
    let now = tx.now().to_string();
    tx.execute(SAVE, params![text, now])?;
    Ok(())
}

/// Stored settings, plain or encrypted, over the defaults.
fn parse(text: &str, cipher: Option<&Cipher>) -> Result<Settings> {
    let plain = match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(tree)) => return merge::merged(&Settings::fresh(), tree),
        // The column's type is JSON: some writers quote the encrypted text.
        Ok(Json::String(sealed)) => decrypt(&sealed, cipher)?,
        _ => decrypt(text, cipher)?,
    };
    match serde_json::from_str::<Json>(&plain) {
        Ok(Json::Object(tree)) => merge::merged(&Settings::fresh(), tree),
        _ => Err(Error::invalid("The stored settings are damaged.")),
    }
}

fn decrypt(sealed: &str, cipher: Option<&Cipher>) -> Result<String> {
    let Some(cipher) = cipher else {
        return Err(Error::invalid(
            "The stored settings are encrypted: give their key with CONCH_ENCRYPTION_KEY or --encryption-key.",
        ));
    };
    cipher.decrypt(sealed).ok_or_else(|| Error::invalid("The stored settings cannot be decrypted with this key."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::{TempDir, options};

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn stored_settings_are_read_in_every_form() {
        let cipher = Cipher::new(KEY).unwrap();
        let plain = r#"{"meta":{"appName":"Z"},"unknown":1}"#;
        let sealed = cipher.encrypt(plain).unwrap();
        for (text, key) in [
            (plain.to_owned(), None),
            (plain.to_owned(), Some(&cipher)),
            (sealed.clone(), Some(&cipher)),
            (Json::from(sealed.clone()).to_string(), Some(&cipher)),
        ] {
            let settings = parse(&text, key).unwrap();
            assert_eq!((settings.meta.app_name.as_str(), settings.smtp.port), ("Z", 587), "{text}");
        }
        let stranger = Cipher::new(&KEY.replace('0', "x")).unwrap();
        for (text, key, told) in [
            (sealed.as_str(), None, "encrypted"),
            (sealed.as_str(), Some(&stranger), "this key"),
            ("[1]", Some(&cipher), "this key"),
        ] {
            let error = parse(text, key).unwrap_err();
            assert!(error.message.contains(told), "{text}: {error}");
        }
    }

    fn body(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).unwrap()
    }

    #[actix_web::test]
    async fn what_was_saved_is_there_after_a_restart() {
        let dir = TempDir::new();
        for (patch, name) in [(r#"{"meta":{"appName":"A"}}"#, "A"), (r#"{"smtp":{"password":"p"}}"#, "A")] {
            let db = Db::open(dir.path(), options()).unwrap();
            let store = Store::open(db.clone(), None).unwrap();
            let saved = store.patch(body(patch)).await.unwrap();
            assert_eq!((saved.meta.app_name.as_str(), &saved), (name, &store.current()));
            db.close().await;
        }
        let db = Db::open(dir.path(), options()).unwrap();
        let settings = Store::open(db.clone(), None).unwrap().current();
        assert_eq!((settings.meta.app_name.as_str(), settings.smtp.password.as_str()), ("A", "p"));
        db.close().await;
    }

    #[actix_web::test]
    async fn who_listens_is_told_what_was_and_what_is() {
        let dir = TempDir::new();
        let db = Db::open(dir.path(), options()).unwrap();
        let store = Store::open(db.clone(), None).unwrap();
        let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let heard = told.clone();
        store.on_change(move |before, after| heard.lock().push((before.logs.max_days, after.logs.max_days)));
        for days in [3, 9] {
            store.patch(body(&format!(r#"{{"logs":{{"maxDays":{days}}}}}"#))).await.unwrap();
        }
        assert!(store.patch(body(r#"{"logs":{"maxDays":-1}}"#)).await.is_err());
        assert_eq!(*told.lock(), [(5, 3), (3, 9)]);
        db.close().await;
    }

    #[actix_web::test]
    async fn a_foreign_row_gets_its_dates() {
        let dir = TempDir::new();
        let db = Db::open(dir.path(), options()).unwrap();
        Store::open(db.clone(), None).unwrap();
        let dates = db.write_blocking(|tx| {
            tx.execute("INSERT INTO `_params` (`id`) VALUES ('x')", [])?;
            let sql = "SELECT length(`created`), length(`updated`) FROM `_params` WHERE `id` = 'x'";
            tx.query_one(sql, [], |row| Ok([row.get(0)?, row.get::<_, i64>(1)?]))
        });
        assert_eq!(dates.unwrap(), Some([24, 24]));
        db.close().await;
    }

    #[actix_web::test]
    async fn a_refused_patch_changes_nothing() {
        let dir = TempDir::new();
        let db = Db::open(dir.path(), options()).unwrap();
        let store = Store::open(db.clone(), None).unwrap();
        for patch in [r#"{"meta":{"appName":"B","appURL":"x"}}"#, r#"{"meta":{"appName":1}}"#] {
            assert!(store.patch(body(patch)).await.is_err());
            assert_eq!(*store.current(), Settings::fresh());
        }
        db.close().await;
    }

    #[actix_web::test]
    async fn a_key_encrypts_plain_settings_at_the_next_save() {
        let dir = TempDir::new();
        let stored = |db: &Db| db.read_blocking(|tx| tx.query_one(LOAD, [], |row| row.get::<_, String>(0))).unwrap();
        let db = Db::open(dir.path(), options()).unwrap();
        Store::open(db.clone(), None).unwrap();
        assert!(stored(&db).unwrap().starts_with('{'));

        let store = Store::open(db.clone(), Cipher::new(KEY).ok()).unwrap();
        store.patch(body(r#"{"meta":{"appName":"Z"}}"#)).await.unwrap();
        assert!(!stored(&db).unwrap().contains("meta"));

        assert!(Store::open(db.clone(), None).is_err());
        assert!(Store::open(db.clone(), Cipher::new(&KEY.replace('0', "x")).ok()).is_err());
        let again = Store::open(db.clone(), Cipher::new(KEY).ok()).unwrap();
        assert_eq!(again.current().meta.app_name, "Z");
        db.close().await;
    }

    #[actix_web::test]
    async fn labels_follow_a_renamed_collection() {
        let dir = TempDir::new();
        let db = Db::open(dir.path(), options()).unwrap();
        let store = Store::open(db.clone(), None).unwrap();
        let rule = |label: &str| format!(r#"{{"label":"{label}","duration":1,"maxRequests":1}}"#);
        let rules = ["posts:list", "*:list", "posts2:list", "/posts"].map(rule).join(",");
        store.patch(body(&format!(r#"{{"rateLimits":{{"rules":[{rules}]}}}}"#))).await.unwrap();

        let (renaming, renamed) = (store.clone(), HashMap::from([("posts".to_owned(), "arts".to_owned())]));
        db.write_alone(move |tx| renaming.rename_labels(tx, &renamed)).await.unwrap();
        let settings = store.current();
        let labels: Vec<&str> = settings.rate_limits.rules.iter().map(|rule| rule.label.as_str()).collect();
        assert_eq!(labels, ["arts:list", "*:list", "posts2:list", "/posts"]);
        db.close().await;
    }
}
