//! A database that nobody writes: one that was copied, or came out of an archive.
//!
//! Whoever made it may have been anybody. It is looked at as it lies there, without a lock, and nothing in it is run.

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{ReadTx, Register, connect, functions, log, migrate, quote_ident};
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, Kind, Result},
};

/// Lines of what is wrong that are told.
const MOST_PROBLEMS: u32 = 20;

/// Whose database it is, by its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: it is empty.
    Nobody,
    /// A program's that we do not know.
    Stranger,
    PocketBase,
    Conch,
}

/// How closely a database is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every page, but not whether indexes and tables agree.
    Quick,
    Whole,
}

/// A database file on which nobody works, opened for reading.
pub struct Copy {
    connection: Connection,
    /// The file's, for people.
    name: String,
    now: Timestamp,
}

impl Copy {
    /// Opens the file. A write-ahead log beside it is copied into it first. `functions` as for [`super::Options`].
    /// Fails as invalid with a text for people when it is no database; whatever is asked of it afterwards does, too, when it
    /// is damaged.
    pub fn open(path: &Path, register: &[Register]) -> Result<Self> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let refuse = |source: rusqlite::Error| {
            let message = format!("{name} is no database that can be read: {source}.");
            Error::new(Kind::Invalid, message).because(source)
        };
        settle(path).map_err(refuse)?;
        let connection = immutable(path).map_err(refuse)?;
        functions::register(&connection)?;
        register.iter().try_for_each(|register| register(&connection))?;
        Ok(Self { connection, name, now: Clock::system().now() })
    }

    /// Whose it is. Fails when the file is no database after all: SQLite looks at it with the first question.
    pub fn owner(&self) -> Result<Owner> {
        migrate::owner(&self.connection).map_err(|error| damaged(&self.name, error))
    }

    /// The number of the last migration of ours, and the newest that this executable knows.
    pub fn versions(&self) -> Result<(u32, u32)> {
        let applied = migrate::applied(&self.connection).map_err(|error| damaged(&self.name, error))?;
        Ok((applied, migrate::newest()?))
    }

    /// The epoch of its log, and the number of the last change.
    pub fn head(&self) -> Result<(String, u64)> {
        self.read(|tx| Ok((log::epoch(tx)?.unwrap_or_default(), log::last(tx)?)))
    }

    /// What is wrong with it, in SQLite's words; nothing when all is well.
    pub fn problems(&self, depth: Depth) -> Result<Vec<String>> {
        self.look(depth).map_err(|error| damaged(&self.name, error.into()))
    }

    fn look(&self, depth: Depth) -> rusqlite::Result<Vec<String>> {
        let pragma = match depth {
            Depth::Quick => "quick_check",
            Depth::Whole => "integrity_check",
        };
        let mut statement = self.connection.prepare(&format!("PRAGMA {pragma}({MOST_PROBLEMS})"))?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// Reads it, for as long as that takes.
    pub fn read<T>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        f(&ReadTx { connection: &self.connection, now: self.now }).map_err(|error| damaged(&self.name, error))
    }
}

/// What SQLite says of a database file that somebody else made is about the file: as invalid, with a text for people.
/// Failures of the disk, of memory, or of whoever asked stay what they are.
pub fn damaged(name: &str, error: Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    let is_about_it = error.kind == Kind::Internal
        && error.sqlite().is_some_and(|source| match source.sqlite_error() {
            Some(failure) => {
                // Tables and columns that it should have are the unknown; what ends too early is the short read.
                matches!(failure.code, NotADatabase | DatabaseCorrupt | Unknown)
                    || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ
            }
            // A value of another type than its column's.
            None => true,
        });
    if !is_about_it {
        return error;
    }
    let why = error.sqlite().map(ToString::to_string).unwrap_or_default();
    Error::invalid(format!("{name} is damaged: {why}.")).because(error)
}

/// Takes all triggers out of a database file on which nobody works; their names. None are ours, and what one changes would
/// reach neither the change log, nor caches, nor live clients.
pub fn remove_triggers(path: &Path) -> Result<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = guarded(Connection::open_with_flags(path, flags)?)?;
    let tx = connection.transaction()?;
    let names = {
        let mut statement = tx.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")?;
        statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?
    };
    for name in &names {
        tx.execute_batch(&format!("DROP TRIGGER {}", quote_ident(name)))?;
    }
    tx.commit()?;
    Ok(names)
}

/// Copies what lies in the write-ahead log into the database.
fn settle(path: &Path) -> rusqlite::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).map_or(0, |found| found.len()) == 0 {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = guarded(Connection::open_with_flags(path, flags)?)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Opens a database file that no other program writes, without a lock and without its write-ahead log.
pub(super) fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let path = path.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    guarded(Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)?)
}

/// What a database says may not make the connection do anything but read it.
fn guarded(connection: Connection) -> rusqlite::Result<Connection> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;")?;
    connection.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH, connect::MAX_VALUE)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        Db,
        testing::{TempDir, insert, open, options},
    };

    #[test]
    fn a_database_with_a_log_beside_it_is_read_whole() {
        let (db, dir) = open(options());
        for id in ["a", "b"] {
            db.write_blocking(move |tx| insert(tx, id, "x")).unwrap();
        }
        let place = TempDir::new();
        for file in ["data.db", "data.db-wal"] {
            fs::copy(dir.path().join(file), place.path().join(file)).unwrap();
        }
        let copy = Copy::open(&place.path().join("data.db"), &[]).unwrap();
        assert_eq!(copy.owner().unwrap(), Owner::Conch);
        let (applied, newest) = copy.versions().unwrap();
        assert_eq!(applied, newest);
        assert_eq!(copy.head().unwrap(), (db.epoch().to_string(), 2));
        assert_eq!(copy.read(crate::db::testing::count).unwrap(), 2);
        for depth in [Depth::Quick, Depth::Whole] {
            assert!(copy.problems(depth).unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_damaged_or_none_is_noticed() {
        let (db, dir) = open(options());
        db.write_blocking(|tx| insert(tx, "a", "x")).unwrap();
        drop::<Db>(db);
        let place = TempDir::new();
        let path = place.path().join("data.db");
        let whole = fs::read(dir.path().join("data.db")).unwrap();
        let tell = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let copy = Copy::open(&path, &[])?;
            copy.owner()?;
            let told = copy.problems(Depth::Whole);
            // It is never our fault.
            assert!(told.as_ref().err().is_none_or(|error| error.kind == Kind::Invalid), "{told:?}");
            told
        };
        assert!(tell(&whole).unwrap().is_empty());
        let refused = tell(b"no database at all, but longer than a hundred bytes".repeat(9).as_slice()).unwrap_err();
        assert!(refused.message.starts_with("data.db is no database"), "{refused}");
        // Its first page is whole, and names tables that are not there.
        let mut hollow = whole.clone();
        hollow[4096..].fill(0x5a);
        fs::write(&path, &hollow).unwrap();
        let asked = Copy::open(&path, &[]).unwrap().head().unwrap_err();
        assert_eq!(asked.kind, Kind::Invalid);
        assert!(asked.message.starts_with("data.db is damaged"), "{asked}");
        let mut broken = whole.clone();
        let half = whole.len() / 2;
        broken[half..half + 8192].fill(0x5a);
        assert!(tell(&broken).is_err() || !tell(&broken).unwrap().is_empty());
        assert!(tell(&whole[..half]).is_err() || !tell(&whole[..half]).unwrap().is_empty());
    }
}
