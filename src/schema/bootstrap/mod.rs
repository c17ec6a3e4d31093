//! A new directory gets its fixed tables and system collections; one of an older PocketBase ≥ 0.23 is brought up to
//! date (`docs/wire/records-storage.md` §2, §6). All of it in one transaction.

pub(super) mod adopt;
pub mod notify;
mod system;

use super::{Catalog, CheckRule, Collection, draft::Draft, edit::Edit, store, validate};
use crate::{
    db::{ReadTx, WriteTx},
    error::{Error, Issues, Result},
    settings,
};

/// What a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No collections yet.
    New,
    /// Collections of an older layout.
    Outdated,
    /// PocketBase's collections as they should be, without those of notifications as they are today.
    Unnotified,
    Ready,
}

/// The migrations that mark an up to date directory, in order.
pub(super) const MIGRATIONS: [&str; 8] = [
    "1640988000_aux_init.go",
    "1640988000_init.go",
    "1717233556_v0.23_migrate.go",
    "1717233557_v0.23_migrate2.go",
    "1717233558_v0.23_migrate3.go",
    "1717233559_v0.23_migrate4.go",
    "1763020353_update_default_auth_alert_templates.go",
    "1778828400_normalize_indexes.go",
];

const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS `_migrations` (file VARCHAR(255) PRIMARY KEY NOT NULL, applied INTEGER NOT NULL);
CREATE TABLE `_collections` (
  `id`         TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL,
  `system`     BOOLEAN DEFAULT FALSE NOT NULL,
  `type`       TEXT DEFAULT "base" NOT NULL,
  `name`       TEXT UNIQUE NOT NULL,
  `fields`     JSON DEFAULT "[]" NOT NULL,
  `indexes`    JSON DEFAULT "[]" NOT NULL,
  `listRule`   TEXT DEFAULT NULL,
  `viewRule`   TEXT DEFAULT NULL,
  `createRule` TEXT DEFAULT NULL,
  `updateRule` TEXT DEFAULT NULL,
  `deleteRule` TEXT DEFAULT NULL,
  `options`    JSON DEFAULT "{}" NOT NULL,
  `created`    TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL,
  `updated`    TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL
);
CREATE INDEX idx__collections_type on `_collections` (`type`);
"#;

/// Looks at a directory. One of a PocketBase before 0.23 is refused.
pub(super) fn state(tx: &ReadTx<'_>) -> Result<State> {
    if validate::table_exists(tx, "_admins")? {
        return Err(too_old());
    }
    if !validate::table_exists(tx, "_collections")? {
        return Ok(State::New);
    }
    let columns =
        tx.query_all("SELECT name FROM pragma_table_info('_collections')", [], |row| row.get::<_, String>(0))?;
    if !["fields", "options"].iter().all(|name| columns.iter().any(|column| column == name)) {
        return Err(too_old());
    }
    Ok(match applied(tx)?.len() == MIGRATIONS.len() {
        false => State::Outdated,
        true if notify::are_there(tx)? => State::Ready,
        true => State::Unnotified,
    })
}

/// Makes a directory ready.
pub(super) fn prepare(tx: &mut WriteTx<'_>, rules: &dyn CheckRule) -> Result<()> {
    match state(tx)? {
        State::Ready => return Ok(()),
        State::New => create(tx, rules)?,
        State::Outdated => {
            let done = applied(tx)?;
            adopt::migrate(tx, &done)?;
            mark(tx, &done)?;
        }
        State::Unnotified => {
            tracing::info!("the directory gets its collections of notifications, as this version has them")
        }
    }
    let catalog = store::load(tx, 0)?;
    notify::create(tx, rules, &catalog)
}

/// Which of [`MIGRATIONS`] the directory has seen.
fn applied(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    if !validate::table_exists(tx, "_migrations")? {
        return Ok(Vec::new());
    }
    let files = tx.query_all("SELECT file FROM _migrations", [], |row| row.get::<_, String>(0))?;
    Ok(files.into_iter().filter(|file| MIGRATIONS.contains(&file.as_str())).collect())
}

fn create(tx: &mut WriteTx<'_>, rules: &dyn CheckRule) -> Result<()> {
    tx.execute_batch(settings::CREATE_TABLE)?;
    tx.execute_batch(TABLES)?;
    let mut edit = Edit::begin(tx, rules, &Catalog::default())?;
    for collection in system::collections() {
        insert(&mut edit, collection)?;
    }
    mark(tx, &[])
}

/// Settles and stores one of the house's own.
fn insert(edit: &mut Edit<'_, '_>, collection: Collection) -> Result<()> {
    let mut draft = Draft { collection, issues: Issues::default(), has_fields: true };
    draft.settle(None, &edit.catalog, edit.tx.now());
    edit.insert(draft.collection.into()).map(drop)
}

/// Writes the rows of the migrations that are not yet there.
fn mark(tx: &mut WriteTx<'_>, done: &[String]) -> Result<()> {
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS `_migrations` (file VARCHAR(255) PRIMARY KEY NOT NULL, applied INTEGER NOT NULL)",
    )?;
    let micros = tx.now().millis().saturating_mul(1000);
    for file in MIGRATIONS.iter().filter(|file| !done.iter().any(|done| done == *file)) {
        tx.execute("INSERT INTO _migrations (file, applied) VALUES (?1, ?2)", rusqlite::params![file, micros])?;
    }
    Ok(())
}

fn too_old() -> Error {
    let message = "This data directory was written by a PocketBase before 0.23. Start it once with a newer PocketBase, \
                   which upgrades it, and try again.";
    Error::invalid(message)
}
