//! Opens connections: the writer's, and the readers' which cannot write.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};

use super::{Durability, functions};
use crate::error::{Error, Kind, Result};

/// Adds SQL functions to a connection.
pub type Register = fn(&Connection) -> rusqlite::Result<()>;

pub(super) const FILE: &str = "data.db";
pub(super) const WAL: &str = "data.db-wal";
/// Prepared statements kept per connection: one per distinct SQL text.
const READER_STATEMENTS: usize = 256;
const WRITER_STATEMENTS: usize = 512;
/// Only another program can hold the write lock: it gets this long. Readers wait for the recovery after a crash.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// The longest text or blob, and the longest row, in bytes: more than any field may hold, and what a view may ask for.
pub(super) const MAX_VALUE: i32 = 128 << 20;

/// The writable connection.
pub(super) fn writer(dir: &Path, durability: Durability, register: &[Register]) -> Result<Connection> {
    let path = dir.join(FILE);
    create_private(dir)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(match durability {
            Durability::Full => "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
            Durability::Normal => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
            Durability::Off => "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;",
        })?;
        // The WAL is checkpointed by our own policy (checkpoint.rs), and cut down to 32 MiB when it is reused. No
        // foreign keys are declared; off spares the look. ANALYZE looks at so many rows of an index (statistics.rs).
        connection.execute_batch(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 33554432; PRAGMA foreign_keys = OFF;
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000; PRAGMA analysis_limit = 400;",
        )?;
        furnish(&connection, WRITER_STATEMENTS, register)?;
        Ok(connection)
    };
    open().map_err(|source| {
        let message = format!("Cannot open the database {}: {source}.", path.display());
        Error::new(Kind::Invalid, message).because(source)
    })
}

/// A connection that can only read. The writer's must be open: it keeps the WAL's index alive.
pub(super) fn reader(path: &Path, register: &[Register]) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;")?;
    furnish(&connection, READER_STATEMENTS, register)?;
    Ok(connection)
}

/// Creates the file, if there is none, for its owner only: SQLite gives its companions the same permissions.
///
/// An empty file beside records' files or a log is what is left of a database, not the beginning of one.
fn create_private(dir: &Path) -> Result<()> {
    let path = dir.join(FILE);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            let message = format!("Cannot create the database {}: {source}.", path.display());
            return Err(Error::new(Kind::Invalid, message).because(source));
        }
    }
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let has_files = || dir.join("storage").read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if size(&path) == 0 && (has_files() || size(&dir.join("data.db-wal")) > 0) {
        let message = format!(
            "{} is empty, but other files of a database are beside it: it has been damaged. Bring back a copy of the \
             data directory; to start anew, remove the directory.",
            path.display()
        );
        return Err(Error::new(Kind::Invalid, message));
    }
    Ok(())
}

/// What reading and writing connections have in common.
pub(super) fn furnish(connection: &Connection, statements: usize, register: &[Register]) -> rusqlite::Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Plans do not depend on bound values. They would on that of LIMIT, and a statement that may is compiled again
    // whenever it is bound again: every list, and every rule that is asked for one row.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(statements);
    functions::register(connection)?;
    register.iter().try_for_each(|register| register(connection))
}

/// A name as an SQL identifier: in backticks, which every SQLite accepts and which never turns into a string.
pub fn quote_ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
