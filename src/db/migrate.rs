//! Numbered migrations of Conch's own tables, embedded from `assets/migrations/NNNN_name.sql`, each applied once.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use include_dir::{Dir, include_dir};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Options, connect,
    copy::{self, Owner},
    snapshot,
};
use crate::{
    clock::Timestamp,
    error::{Error, Kind, Result},
    random,
};

static MIGRATIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/migrations");

/// The largest write-ahead log that is looked through before a directory is opened, in bytes.
const MAX_LOG: u64 = 64 << 20;

struct Migration {
    number: u32,
    name: &'static str,
    sql: &'static str,
}

/// A directory whose tables are about to be changed.
pub struct Upgrade<'a> {
    pub dir: &'a Path,
    /// The versions of the database: that of the directory, and that of this executable.
    pub from: u32,
    pub to: u32,
    pub now: Timestamp,
    connection: &'a Connection,
}

/// See [`Options::before_upgrade`].
pub type BeforeUpgrade = fn(&Upgrade<'_>) -> Result<()>;

impl Upgrade<'_> {
    /// Copies the database to a new file; it is on the disk when this returns. Blocks.
    pub fn copy_to(&self, file: &Path) -> Result<()> {
        snapshot::copy_pages(self.connection, file, &mut |_, _| Ok(()))?;
        Ok(File::open(file)?.sync_all()?)
    }

    /// What a copy takes, in bytes.
    pub fn size(&self) -> Result<u64> {
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        let bytes: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(bytes.cast_unsigned())
    }
}

/// Brings the database up to this executable's tables. `adopt` turns a PocketBase database (a copy that the import
/// made) into ours; without it such a one is refused.
pub(super) fn run(connection: &Connection, dir: &Path, options: &Options) -> Result<()> {
    let (adopt, now) = (options.adopt, options.clock.now());
    let owner = owner(connection)?;
    if owner == Owner::PocketBase && !adopt {
        return Err(not_adopted(dir));
    }
    if owner == Owner::Stranger && !adopt {
        return Err(not_ours(dir));
    }
    if owner != Owner::Conch {
        refuse_collisions(connection, dir)?;
    }
    let known = known()?;
    let applied = if owner == Owner::Conch { applied(connection)? } else { 0 };
    let newest = known.last().map_or(0, |migration| migration.number);
    if applied > newest {
        return Err(refuse(format!(
            "{} was written by a newer Conch (database version {applied}, this executable knows {newest}). Run that \
             version or a newer one; going back would lose data.",
            dir.display()
        )));
    }
    let pending: Vec<_> = known.iter().filter(|migration| migration.number > applied).collect();
    if pending.is_empty() {
        return Ok(());
    }
    if applied > 0
        && let Some(before) = options.before_upgrade
    {
        before(&Upgrade { dir, from: applied, to: newest, now, connection })?;
    }
    let transaction = connection.unchecked_transaction()?;
    for migration in pending {
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO __conch_migrations (number, name, applied) VALUES (?1, ?2, ?3)",
            params![migration.number, migration.name, now.millis()],
        )?;
    }
    let epoch = random::string(random::LOWER_ALPHANUMERIC, 20);
    transaction.execute("INSERT OR IGNORE INTO __conch_meta (key, value) VALUES ('epoch', ?1)", [epoch])?;
    Ok(transaction.commit()?)
}

/// Refuses a database of PocketBase or of another program without leaving a trace in its directory: no lock, no index of its write-ahead
/// log, no checkpoint. What cannot be told this way passes, and [`run`] has the last word.
pub(super) fn refuse_untouched(dir: &Path) -> Result<()> {
    let main = owner_of_main_file(dir).unwrap_or(Owner::Conch);
    if main == Owner::Conch {
        return Ok(());
    }
    // Immutable files are read without their log, which may hold what makes the database one or the other.
    match log_mentions(dir, &[b"_collections", b"__conch_meta"]) {
        Some([_, true]) | None => Ok(()),
        Some([theirs, _]) if theirs || main == Owner::PocketBase => Err(not_adopted(dir)),
        Some(_) if main == Owner::Stranger => Err(not_ours(dir)),
        Some(_) => Ok(()),
    }
}

fn owner_of_main_file(dir: &Path) -> Option<Owner> {
    let path = dir.join(connect::FILE);
    if !path.exists() {
        return Some(Owner::Nobody);
    }
    let connection = copy::immutable(&path).ok()?;
    owner(&connection).ok()
}

/// Whether the write-ahead log holds these bytes; `None` when it cannot be read or is too large to look through.
fn log_mentions<const N: usize>(dir: &Path, words: &[&[u8]; N]) -> Option<[bool; N]> {
    let mut bytes = Vec::new();
    match File::open(dir.join(format!("{}-wal", connect::FILE))) {
        Ok(file) => file.take(MAX_LOG + 1).read_to_end(&mut bytes).ok()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(_) => return None,
    };
    let is_whole = bytes.len() as u64 <= MAX_LOG;
    is_whole.then(|| words.map(|word| memchr::memmem::find(&bytes, word).is_some()))
}

fn not_adopted(dir: &Path) -> Error {
    refuse(format!(
        "{0} is a data directory of PocketBase. Bring it over with `conch import pocketbase {0} --dir NEW`: that \
         copies it and leaves the original as it is.",
        dir.display()
    ))
}

pub(super) fn owner(connection: &Connection) -> Result<Owner> {
    let has = |table: &str| -> Result<bool> {
        let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";
        Ok(connection.query_row(sql, [table], |_| Ok(())).optional()?.is_some())
    };
    if has("__conch_meta")? && has("__conch_migrations")? {
        Ok(Owner::Conch)
    } else if has("_collections")? || has("_migrations")? {
        Ok(Owner::PocketBase)
    } else if connection.query_row("SELECT 1 FROM sqlite_master LIMIT 1", [], |_| Ok(())).optional()?.is_some() {
        Ok(Owner::Stranger)
    } else {
        Ok(Owner::Nobody)
    }
}

/// Before our first table is created, nothing may have a name of ours.
fn refuse_collisions(connection: &Connection, dir: &Path) -> Result<()> {
    let sql = "SELECT name FROM sqlite_master WHERE lower(substr(name, 1, 8)) = '__conch_' LIMIT 1";
    match connection.query_row(sql, [], |row| row.get::<_, String>(0)).optional()? {
        Some(name) => Err(refuse(format!(
            "The database in {} has a table or index named {name:?}; names that begin with \"__conch_\" are Conch's \
             own. Rename it first.",
            dir.display()
        ))),
        None => Ok(()),
    }
}

/// The number of the last migration that the database has had.
pub(super) fn applied(connection: &Connection) -> Result<u32> {
    Ok(connection.query_row("SELECT coalesce(max(number), 0) FROM __conch_migrations", [], |row| row.get(0))?)
}

/// The number of the newest migration that is known here.
pub(super) fn newest() -> Result<u32> {
    Ok(known()?.last().map_or(0, |migration| migration.number))
}

/// The embedded migrations in order.
fn known() -> Result<Vec<Migration>> {
    let mut found = Vec::new();
    for file in MIGRATIONS.files() {
        let parsed = file.path().file_stem().and_then(|stem| stem.to_str()).and_then(|stem| {
            let (number, name) = stem.split_once('_')?;
            Some(Migration { number: number.parse().ok()?, name, sql: file.contents_utf8()? })
        });
        found.push(parsed.ok_or_else(|| {
            Error::internal(anyhow::anyhow!("migration {} is not named NNNN_name.sql", file.path().display()))
        })?);
    }
    found.sort_by_key(|migration| migration.number);
    Ok(found)
}

fn not_ours(dir: &Path) -> Error {
    refuse(format!(
        "{} holds the database of another program (it has tables, and none of them are Conch's). Choose another \
         directory.",
        dir.display()
    ))
}

fn refuse(message: String) -> Error {
    Error::new(Kind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_on(sql: &str, adopt: bool) -> Result<Connection> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        again(&connection, adopt).map(|()| connection)
    }

    fn again(connection: &Connection, adopt: bool) -> Result<()> {
        run(connection, Path::new("/there"), &Options { adopt, ..Options::default() })
    }

    #[test]
    fn migrations_are_numbered_from_one_without_holes() {
        let numbers: Vec<_> = known().unwrap().iter().map(|migration| migration.number).collect();
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn a_database_is_migrated_once() {
        let connection = run_on("", false).unwrap();
        let epoch = |connection: &Connection| -> String {
            connection.query_row("SELECT value FROM __conch_meta WHERE key = 'epoch'", [], |row| row.get(0)).unwrap()
        };
        let first = epoch(&connection);
        again(&connection, false).unwrap();
        assert_eq!(epoch(&connection), first);
    }

    #[test]
    fn a_pocketbase_database_is_refused_unless_adopted() {
        let theirs = "CREATE TABLE _migrations (file TEXT); CREATE TABLE _collections (id TEXT);";
        let refused = run_on(theirs, false).unwrap_err();
        assert!(refused.message.contains("conch import pocketbase /there"), "{refused}");
        run_on(theirs, true).unwrap();
    }

    #[test]
    fn the_database_of_another_program_is_refused() {
        let refused = run_on("CREATE TABLE notes (text)", false).unwrap_err();
        assert!(refused.message.contains("another program"), "{refused}");
    }

    #[test]
    fn foreign_tables_with_our_names_are_refused() {
        for sql in ["CREATE TABLE __conch_log (x)", "CREATE TABLE t (x); CREATE INDEX __Conch_i ON t (x)"] {
            assert!(run_on(sql, true).unwrap_err().message.contains("onch_"), "{sql}");
        }
    }

    #[test]
    fn a_newer_database_is_refused() {
        let connection = run_on("", false).unwrap();
        connection.execute("INSERT INTO __conch_migrations VALUES (9999, 'future', 0)", []).unwrap();
        let refused = again(&connection, false).unwrap_err();
        assert!(refused.message.contains("newer Conch"), "{refused}");
    }
}
