//! `auxiliary.db`: one table with PocketBase's columns and indexes, so that either server reads the other's log.

use std::{fmt::Write, fs, path::Path, sync::LazyLock};

use rusqlite::{Connection, ErrorCode, Statement, ffi, params};

use super::{
    Policy,
    entry::{Entry, Pile},
    pen::Pen,
};
use crate::{
    clock::Timestamp,
    db::{self, Side},
    error::{Error, Kind, Result},
    random,
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

const INSERT: &str = "INSERT INTO `_logs` (`id`, `level`, `message`, `data`, `created`) VALUES (?, ?, ?, ?, ?)";
/// Rows that one statement inserts: what it costs to begin one, they share.
const TOGETHER: usize = 16;
static INSERT_MANY: LazyLock<String> =
    LazyLock::new(|| format!("{INSERT}{}", ", (?, ?, ?, ?, ?)".repeat(TOGETHER - 1)));
/// What is bound for each row.
const BOUND: usize = 5;
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

/// Ids of rows, each the next of the one before from a random beginning. They look like those that the column's default
/// makes; but in their index neighbours stay together, where random ones would have a page written for every row.
#[derive(Debug)]
pub(super) struct Ids {
    next: u64,
    text: String,
}

impl Ids {
    pub(super) fn new() -> Self {
        let mut bytes = [0; 8];
        random::fill(&mut bytes);
        // 55 bits: there is room behind each beginning.
        Self { next: u64::from_le_bytes(bytes) >> 9, text: String::new() }
    }

    fn next(&mut self) -> &str {
        self.text.clear();
        write!(self.text, "r{:014x}", self.next).expect("a string takes everything");
        self.next += 1;
        &self.text
    }
}

/// Adds rows in one transaction: all or none.
pub(super) fn insert(
    connection: &Connection,
    ids: &mut Ids,
    pen: &mut Pen,
    pile: &Pile,
    policy: &Policy,
) -> rusqlite::Result<()> {
    match try_insert(connection, ids, pen, pile, policy) {
        // Another run of the server has been here before: once in many thousands of years.
        Err(error) if is_taken(&error) => {
            *ids = Ids::new();
            try_insert(connection, ids, pen, pile, policy)
        }
        done => done,
    }
}

fn is_taken(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE))
}

fn try_insert(
    connection: &Connection,
    ids: &mut Ids,
    pen: &mut Pen,
    pile: &Pile,
    policy: &Policy,
) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    {
        let (mut many, mut one) = (transaction.prepare_cached(&INSERT_MANY)?, transaction.prepare_cached(INSERT)?);
        let mut bind = |statement: &mut Statement<'_>, entry: &Entry, place: usize| {
            pen.write(pile, entry, policy);
            let first = place * BOUND + 1;
            statement.raw_bind_parameter(first, ids.next())?;
            statement.raw_bind_parameter(first + 1, entry.level())?;
            statement.raw_bind_parameter(first + 2, pen.message.as_str())?;
            statement.raw_bind_parameter(first + 3, pen.data.as_str())?;
            statement.raw_bind_parameter(first + 4, pen.created.as_str())
        };
        let mut chunks = pile.entries.chunks_exact(TOGETHER);
        for chunk in &mut chunks {
            for (place, entry) in chunk.iter().enumerate() {
                bind(&mut many, entry, place)?;
            }
            many.raw_execute()?;
        }
        for entry in chunks.remainder() {
            bind(&mut one, entry, 0)?;
            one.raw_execute()?;
        }
    }
    transaction.commit()
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
    use crate::{
        db::testing::{TempDir, options},
        logs::Event,
    };

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
    fn many_rows_are_added_and_an_id_that_is_taken_is_no_hindrance() {
        let dir = TempDir::new();
        let (connection, _side) = open(dir.path(), &options()).unwrap();
        let policy = Policy { max_days: 5, min_level: 0, max_data_size: 0, with_ip: true, with_auth_id: true };
        let (mut ids, mut pen, mut pile) = (Ids::new(), Pen::default(), Pile::default());
        let first = ids.next;
        for count in [1, TOGETHER, 2 * TOGETHER + 3] {
            pile.clear();
            for number in 0..count {
                let (at, message) = (Timestamp(number as i64), format!("row {number}"));
                pile.add_event(Box::new(Event::new(at, 4, message, serde_json::Map::new(), None)));
            }
            // Where it has been before.
            ids.next = first;
            insert(&connection, &mut ids, &mut pen, &pile, &policy).unwrap();
        }
        let sql = "SELECT id, message, created FROM _logs ORDER BY rowid DESC LIMIT 2";
        let mut last = connection.prepare(sql).unwrap();
        let last: Vec<[String; 3]> = last
            .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        for (row, number) in last.iter().zip([2 * TOGETHER + 2, 2 * TOGETHER + 1]) {
            assert_eq!((&*row[1], &*row[2]), (&*format!("row {number}"), &*Timestamp(number as i64).to_string()));
            assert!(row[0].len() == 15 && row[0].starts_with('r'), "{}", row[0]);
        }
        let sql = "SELECT count(*), count(DISTINCT id) FROM _logs";
        let counts: [i64; 2] = connection.query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?])).unwrap();
        assert_eq!(counts, [3 * TOGETHER as i64 + 4; 2]);
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
