//! A second database beside `data.db`, for a room that keeps one of its own: the room's thread owns the connection that
//! writes; reads take the same bounded lane as those of the main database, with places of their own.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use rusqlite::{Connection, OpenFlags};

use super::{Asker, Durability, Options, ReadTx, connect, reader::Readers};
use crate::error::Result;

/// Reads that run at once.
const READERS: u32 = 2;

/// The reading side of such a database. Cheap to clone.
#[derive(Clone)]
pub struct Side {
    readers: Arc<Readers>,
}

impl Side {
    /// Opens `file` in the data directory, whose lock somebody holds, and creates it if need be. What is wrong with it
    /// is the caller's to tell: the error is SQLite's.
    pub fn open(dir: &Path, file: &str, options: &Options) -> rusqlite::Result<(Connection, Self)> {
        let path = dir.join(file);
        // For its owner only; SQLite gives its companions the same permissions.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(rusqlite::Error::ToSqlConversionFailure(error.into()));
            }
            _ => {}
        }
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(connect::BUSY)?;
        connection.execute_batch(match options.durability {
            Durability::Full | Durability::Normal => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
            Durability::Off => "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;",
        })?;
        connection.execute_batch(
            // 4000 pages are 16 MB: what is written again and again is copied back less often.
            "PRAGMA journal_size_limit = 33554432; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -8000;
             PRAGMA analysis_limit = 400;",
        )?;
        connect::furnish(&connection, 16, &options.functions)?;
        let options = Options { slow_readers: READERS, ..options.clone() };
        Ok((connection, Self { readers: Arc::new(Readers::new(path, &options)) }))
    }

    /// Runs `f` on one snapshot, on the blocking pool, as one of a bounded number; dropping the future interrupts it.
    pub async fn read_for<T, F>(&self, asker: Asker, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    {
        self.readers.slow(asker, None, f).await
    }

    /// Ends running reads and closes their connections.
    pub fn close(&self) {
        self.readers.close();
    }
}
