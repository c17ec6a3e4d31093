//! What code may do inside a transaction: a [`ReadTx`] reads one snapshot; a [`WriteTx`] is a savepoint of the writer.

use std::{ops::Deref, sync::Arc};

use rusqlite::{CachedStatement, Connection, Params};

use super::{Change, Value};
use crate::{clock::Timestamp, error::Result};

/// A row under its column names (or field ids), values in stored form.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub columns: Arc<[Arc<str>]>,
    pub values: Vec<Value>,
}

impl Row {
    pub fn get(&self, column: &str) -> Option<&Value> {
        let index = self.columns.iter().position(|name| &**name == column)?;
        self.values.get(index)
    }

    /// The text of a TEXT column.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.get(column)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// One snapshot of the database; cannot write.
pub struct ReadTx<'c> {
    pub(super) connection: &'c Connection,
    pub(super) now: Timestamp,
}

impl<'c> ReadTx<'c> {
    /// The time of this transaction, one value throughout.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A statement from this connection's cache. SQL text is the key: bind values, never format them.
    pub fn prepare(&self, sql: &str) -> Result<CachedStatement<'c>> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// The first row mapped by `f`, or `None`.
    pub fn query_one<T>(
        &self,
        sql: &str,
        params: impl Params,
        f: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        Ok(rows.next()?.map(f).transpose()?)
    }

    /// The sequence number of the last change that this snapshot sees; 0 before the first.
    pub fn seq(&self) -> Result<u64> {
        todo!()
    }
}

/// A savepoint in the writer's transaction. What it does is undone unless the closure returns `Ok`.
pub struct WriteTx<'c> {
    pub(super) read: ReadTx<'c>,
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}

impl WriteTx<'_> {
    /// Runs one statement through the cache; returns the number of changed rows.
    pub fn execute(&mut self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.prepare(sql)?.execute(params)?)
    }

    /// Runs statements that are not worth caching (DDL).
    pub fn execute_batch(&mut self, sql: &str) -> Result<()> {
        Ok(self.read.connection.execute_batch(sql)?)
    }

    /// Appends to the change log; returns the sequence number.
    pub fn append(&mut self, change: Change) -> Result<u64> {
        todo!()
    }

    /// True when a change of one of these collections (ids) was committed, or made earlier in this group, after `seq`.
    pub fn changed_since(&self, seq: u64, collections: &[Arc<str>]) -> bool {
        todo!()
    }

    /// Runs on the writer thread after COMMIT and before the acknowledgement: drop caches, swap the catalog.
    /// Must not block.
    pub fn after_commit(&mut self, effect: impl FnOnce() + Send + 'static) {
        todo!()
    }
}
