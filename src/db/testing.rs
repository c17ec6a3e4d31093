//! What the room's tests build on: a directory that goes away, a database in it, rows and changes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Change, Db, Durability, Kind, Options, ReadTx, Row, Value, WriteTx};
use crate::{error::Result, random};

/// A directory of its own, removed when dropped.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("conch-db-{}", random::record_id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn options() -> Options {
    Options { durability: Durability::Off, ..Options::default() }
}

/// A database with a table `t (id TEXT PRIMARY KEY, body TEXT)`.
pub(crate) fn open(options: Options) -> (Db, TempDir) {
    let dir = TempDir::new();
    let db = Db::open(dir.path(), options).unwrap();
    db.write_blocking(|tx| tx.execute_batch("CREATE TABLE t (id TEXT PRIMARY KEY, body TEXT)")).unwrap();
    (db, dir)
}

pub(crate) fn row(id: &str, body: &str) -> Arc<Row> {
    let values = vec![Value::Text(id.to_owned()), Value::Text(body.to_owned())];
    Arc::new(Row { columns: Arc::new(["id".into(), "body".into()]), values })
}

/// A create of record `id`.
pub(crate) fn change(collection: &str, id: &str) -> Change {
    Change {
        collection: collection.into(),
        record: id.to_owned(),
        kind: Kind::Create,
        old: None,
        new: Some(row(id, "")),
        actor: None,
        mutation: None,
    }
}

/// Inserts a row into `t` and logs it.
pub(crate) fn insert(tx: &mut WriteTx<'_>, id: &str, body: &str) -> Result<u64> {
    tx.execute("INSERT INTO t (id, body) VALUES (?1, ?2)", [id, body])?;
    tx.append(change("t", id))
}

pub(crate) fn count(tx: &ReadTx<'_>) -> Result<i64> {
    Ok(tx.query_one("SELECT count(*) FROM t", [], |row| row.get(0))?.unwrap_or(0))
}

/// The ids in `t` and the records in the log, both in the order of the log; panics unless they agree and the log has no
/// gap.
pub(crate) fn consistent(db: &Db) -> Vec<String> {
    db.read_blocking(|tx| {
        let page = Db::read_after(tx, 0, usize::MAX)?;
        assert!(page.complete);
        let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (1..=page.last).collect::<Vec<_>>(), "the log has no gap");
        let logged: Vec<String> = page.entries.into_iter().map(|entry| entry.record).collect();
        let mut sorted = logged.clone();
        sorted.sort();
        assert_eq!(sorted, tx.query_all("SELECT id FROM t ORDER BY id", [], |row| row.get::<_, String>(0))?);
        Ok(logged)
    })
    .unwrap()
}
