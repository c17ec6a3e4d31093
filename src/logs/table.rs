//! `auxiliary.db`: one table with PocketBase's columns and indexes, so that either server reads the other's log.

use std::{fs, path::Path};

use rusqlite::{Connection, ErrorCode, params};

use super::entry::Row;
use crate::{
    clock::Timestamp,
    db::{self, Side},
    error::{Error, Kind, Result},
};

/// What filters and sorts may name.
pub const COLUMNS: &[&str] = &["id", "created", "level", "message", "data"];

const FILE: &str = "auxiliary.db";
const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS `_logs` (
        `id`      TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL,
        `level`   INTEGER DEFAULT 0 NOT NULL,
        `message` TEXT DEFAULT '' NOT NULL,
        `data`    JSON DEFAULT '{}' NOT NULL,
        `created` TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%fZ')) NOT NULL
    );
    CREATE INDEX IF NOT EXISTS idx_logs_level ON `_logs` (`level`);
    CREATE INDEX IF NOT EXISTS idx_logs_message ON `_logs` (`message`);
    CREATE INDEX IF NOT EXISTS idx_logs_created_hour ON `_logs` (strftime('%Y-%m-%d %H:00:00', `created`));";
/// Finds out whether the table is one.
const PROBE: &str = "SELECT `id`, `level`, `message`, `data`, `created` FROM `_logs` LIMIT 1";

const INSERT: &str = "INSERT INTO `_logs` (`level`, `message`, `data`, `created`) VALUES (?1, ?2, ?3, ?4)";
/// By the index of hours: there is none of moments.
const DELETE_OLD: &str = "
    DELETE FROM `_logs` WHERE rowid IN (
        SELECT rowid FROM `_logs`
        WHERE strftime('%Y-%m-%d %H:00:00', `created`) <= strftime('%Y-%m-%d %H:00:00', ?1) AND `created` <= ?1
        LIMIT ?2)";
const DELETE_LIGHT: &str = "DELETE FROM `_logs` WHERE rowid IN (SELECT rowid FROM `_logs` WHERE `level` < ?1 LIMIT ?2)";
const DELETE_OLDEST: &str = "DELETE FROM `_logs` WHERE rowid IN (SELECT rowid FROM `_logs` ORDER BY rowid LIMIT ?1)";

/// Opens the database and sees to its table. What cannot be used as one is renamed, with a warning, and begun anew.
pub(super) fn open(dir: &Path, options: &db::Options) -> Result<(Connection, Side)> {
    match try_open(dir, options) {
        Err(error) if is_unusable(&error) => {
            let kept = set_aside(dir, options.clock.now())?;
            tracing::warn!(%error, kept, "the log could not be read: it begins anew, and the old file was set aside");
            try_open(dir, options)
        }
        other => other,
    }
    .map_err(|source| {
        let message = format!("Cannot open the log {}: {source}.", dir.join(FILE).display());
        Error::new(Kind::Invalid, message).because(source)
    })
}

fn try_open(dir: &Path, options: &db::Options) -> rusqlite::Result<(Connection, Side)> {
    let (connection, side) = Side::open(dir, FILE, options)?;
    connection.execute_batch(CREATE)?;
    connection.prepare(PROBE)?.query([])?.next()?;
    Ok((connection, side))
}

/// Damaged, no database at all, or one with another table of this name. A full disk or a lock is something else.
fn is_unusable(error: &rusqlite::Error) -> bool {
    // The last is what a statement gets that does not fit the table.
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(error, rusqlite::Error::SqlInputError { .. })
}

/// Renames the database and its companions; returns the new name.
fn set_aside(dir: &Path, now: Timestamp) -> Result<String> {
    let name = format!("auxiliary.damaged-{}.db", now.millis());
    for companion in ["", "-wal", "-shm"] {
        let from = dir.join(format!("{FILE}{companion}"));
        if from.exists() {
            fs::rename(from, dir.join(format!("{name}{companion}")))?;
        }
    }
    Ok(name)
}

/// Adds rows in one transaction: all or none.
pub(super) fn insert(connection: &Connection, rows: impl Iterator<Item = (Timestamp, Row)>) -> rusqlite::Result<u64> {
    let transaction = connection.unchecked_transaction()?;
    let mut count = 0;
    {
        let mut statement = transaction.prepare_cached(INSERT)?;
        for (at, row) in rows {
            statement.execute(params![row.level, row.message, row.data, at.to_string()])?;
            count += 1;
        }
    }
    transaction.commit()?;
    Ok(count)
}

/// Removes up to `limit` rows as old as `until` or older; how many there were.
pub(super) fn remove_old(connection: &Connection, until: Timestamp, limit: u32) -> rusqlite::Result<usize> {
    connection.prepare_cached(DELETE_OLD)?.execute(params![until.to_string(), limit])
}

/// Removes up to `limit` rows below `level`; how many there were.
pub(super) fn remove_light(connection: &Connection, level: i64, limit: u32) -> rusqlite::Result<usize> {
    connection.prepare_cached(DELETE_LIGHT)?.execute(params![level, limit])
}

/// Removes the `limit` rows that were stored first.
pub(super) fn remove_oldest(connection: &Connection, limit: u32) -> rusqlite::Result<usize> {
    connection.prepare_cached(DELETE_OLDEST)?.execute([limit])
}

/// Removes every row, and gives the space back.
pub(super) fn truncate(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DELETE FROM `_logs`; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
}

/// Bytes that rows and indexes take up in the file.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    Ok(pages.saturating_mul(number("PRAGMA page_size")?).max(0).cast_unsigned())
}

pub(super) fn optimize(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::{TempDir, options};

    #[test]
    fn what_is_no_log_is_set_aside() {
        let dir = TempDir::new();
        let path = dir.path().join(FILE);
        fs::write(&path, "no database at all, and long enough to be taken for one".repeat(100)).unwrap();
        drop(open(dir.path(), &options()).unwrap());
        let other = Connection::open(&path).unwrap();
        other.execute_batch("DROP TABLE _logs; CREATE TABLE _logs (x)").unwrap();
        drop(other);
        drop(open(dir.path(), &options()).unwrap());
        let names = fs::read_dir(dir.path()).unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        assert!(names.filter(|name| name.starts_with("auxiliary.damaged-")).count() >= 1);
    }

    #[test]
    fn old_rows_are_found_by_the_index() {
        let dir = TempDir::new();
        let (connection, _side) = open(dir.path(), &options()).unwrap();
        for (sql, index) in [(DELETE_OLD, "idx_logs_created_hour"), (DELETE_LIGHT, "idx_logs_level")] {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps: Vec<String> = plan
                .query_map(rusqlite::params_from_iter(vec!["1"; plan.parameter_count()]), |row| row.get(3))
                .unwrap()
                .collect::<rusqlite::Result<_>>()
                .unwrap();
            assert!(steps.iter().any(|step| step.contains(index)), "{steps:?}");
        }
    }
}
