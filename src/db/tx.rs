//! What code may do inside a transaction: a [`ReadTx`] reads one snapshot; a [`WriteTx`] is a savepoint of the writer.

use std::{ops::Deref, sync::Arc, time::Duration};

use rusqlite::{CachedStatement, Connection, Params};

use super::{Change, Touched, Value, budget::Meter, group::Group, ledger::Ledger, log, queue::Queue};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    random,
};

/// A row under its column names (or field ids), values in stored form.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub columns: Arc<[Arc<str>]>,
    pub values: Vec<Value>,
}

impl Row {
    /// The first `columns.len()` values of a result row, in that order.
    pub fn read(columns: &Arc<[Arc<str>]>, row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let values = (0..columns.len()).map(|index| row.get(index)).collect::<rusqlite::Result<_>>()?;
        Ok(Self { columns: Arc::clone(columns), values })
    }

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

    /// Bytes of its values in memory.
    pub fn weight(&self) -> usize {
        let outside = |value: &Value| match value {
            Value::Text(text) => text.capacity(),
            Value::Blob(bytes) => bytes.capacity(),
            Value::Null | Value::Integer(_) | Value::Real(_) => 0,
        };
        self.values.iter().map(|value| size_of::<Value>() + outside(value)).sum()
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

    /// Every row mapped by `f`. The statement says how many there may be: nothing here bounds them.
    pub fn query_all<T>(
        &self,
        sql: &str,
        params: impl Params,
        f: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params, f)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The sequence number of the last change that this snapshot sees; 0 before the first.
    pub fn seq(&self) -> Result<u64> {
        log::last(self)
    }

    /// The connection itself, for what only it can tell (column origins, an authorizer). Not for writing.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }
}

/// A savepoint in the writer's transaction. What it does is undone unless the closure returns `Ok`.
///
/// After SQLite itself has rolled the transaction back (full disk, read or write error, out of memory) every statement
/// and the commit fail; let such errors pass.
pub struct WriteTx<'c> {
    read: ReadTx<'c>,
    group: &'c mut Group,
    ledger: &'c Ledger,
    meter: &'c Meter,
    /// Where those wait to whom it gives way.
    behind: Option<&'c Queue>,
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}

impl<'c> WriteTx<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        now: Timestamp,
        group: &'c mut Group,
        ledger: &'c Ledger,
        meter: &'c Meter,
    ) -> Self {
        Self { read: ReadTx { connection, now }, group, ledger, meter, behind: None }
    }

    /// Gives way to whoever comes to this queue from now on.
    pub(super) fn giving_way(self, queue: Option<&'c Queue>) -> Self {
        Self { behind: queue, ..self }
    }

    /// Whether somebody waits by now for the end of this write, which lets others pass
    /// ([`crate::db::Db::write_behind`]): what is left of it can come later. Never true when others waited already as it
    /// began: then it has been passed often enough.
    pub fn should_end(&self) -> bool {
        self.behind.is_some_and(|queue| queue.len() > 0)
    }

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
        self.append_as(change, false)
    }

    /// The same with the whole row before it as its image: for an update that may be followed by quiet ones. Only so is
    /// it still known what the row was.
    pub fn append_whole(&mut self, change: Change) -> Result<u64> {
        self.append_as(change, true)
    }

    fn append_as(&mut self, change: Change, whole: bool) -> Result<u64> {
        let seq = self.group.next_seq();
        log::insert(&self.read, seq, &change, whole)?;
        self.group.push_change(seq, Arc::new(change));
        Ok(seq)
    }

    /// Tells of a write to a record that does not enter the log: judgements and caches that have seen the record, or
    /// the collection, before it are stale, and nobody else hears of it.
    pub fn note_quietly(&mut self, touched: Touched) {
        self.group.push_quiet(touched);
    }

    /// True when a change of one of these collections (ids) was committed, or made earlier in this group, after `seq`.
    /// Also true when that is no longer known (`seq` is older than this process, or a foreign write came between).
    pub fn changed_since(&self, seq: u64, collections: &[Arc<str>]) -> bool {
        self.group.changed_since(seq, collections) || self.ledger.changed_since(seq, collections)
    }

    /// The same for one record. Also true now and then when it was another record that changed: whoever hears so looks.
    pub fn record_changed_since(&self, seq: u64, collection: &str, record: &str) -> bool {
        self.group.record_changed_since(seq, collection, record)
            || self.ledger.record_changed_since(seq, collection, record)
    }

    /// Runs on the writer thread after COMMIT and before the acknowledgement: drop caches, swap the catalog.
    /// Must not block.
    pub fn after_commit(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.group.push_effect(Box::new(effect));
    }

    /// Runs `f` in a savepoint of its own: when it fails, what it did is undone (rows, log entries, effects) and the
    /// rest of the transaction goes on.
    pub fn savepoint<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mark = self.group.mark();
        self.prepare("SAVEPOINT inner")?.execute([])?;
        match f(self) {
            Ok(value) => {
                self.prepare("RELEASE inner")?.execute([])?;
                Ok(value)
            }
            Err(error) => {
                // Nothing to go back to when SQLite has rolled back everything.
                if !self.connection.is_autocommit() {
                    self.prepare("ROLLBACK TO inner")?.execute([])?;
                    self.prepare("RELEASE inner")?.execute([])?;
                    self.group.rewind(mark);
                }
                Err(error)
            }
        }
    }

    /// Reads under a time limit, so that no rule can hold up the writer: fails as an interrupted query when over.
    /// Only for reading: an interrupted write would cost the whole group. Limits nest.
    pub fn within<T>(&self, limit: Duration, f: impl FnOnce(&ReadTx<'c>) -> Result<T>) -> Result<T> {
        self.meter.within(limit, || f(&self.read)).unwrap_or_else(|| Err(interrupted()))
    }

    /// Begins a new epoch of the log, for a write that the log cannot tell (a restore, raw SQL): every cache is
    /// dropped and every reader with a cursor starts over once this commits.
    pub fn new_epoch(&mut self) -> Result<Arc<str>> {
        let epoch: Arc<str> = random::string(random::LOWER_ALPHANUMERIC, 20).into();
        log::set_epoch(&self.read, &epoch)?;
        self.group.set_epoch(Arc::clone(&epoch));
        Ok(epoch)
    }
}

/// What a read that ran out of time is answered.
pub(super) fn interrupted() -> Error {
    Error::invalid("The query took too long.")
}
