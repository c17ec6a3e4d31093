//! The change log: the spine that everything which reacts to data reads.
//!
//! One row of `__conch_log` per record write, in the transaction of that write. Sequence numbers grow by one, in commit
//! order; an *epoch* names this run of the log. A restore or a foreign write starts a new epoch, in which the
//! numbers go on from where the database stands: a reader whose cursor is of another epoch starts over.

use std::{ops::ControlFlow, sync::Arc};

use rusqlite::{OptionalExtension, params};

use super::{ReadTx, Row, image};
use crate::{clock::Timestamp, error::Result};

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Create,
    Update,
    Delete,
}

impl Kind {
    fn code(self) -> i64 {
        match self {
            Self::Create => 0,
            Self::Update => 1,
            Self::Delete => 2,
        }
    }

    fn from_code(code: i64) -> rusqlite::Result<Self> {
        match code {
            0 => Ok(Self::Create),
            1 => Ok(Self::Update),
            2 => Ok(Self::Delete),
            _ => Err(rusqlite::Error::IntegralValueOutOfRange(3, code)),
        }
    }
}

/// Who did it: an auth record, by collection and record id. `None` in a change is a guest or the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub collection: Arc<str>,
    pub record: Arc<str>,
}

/// One record write on its way into the log. Both images carry every column under its *field id*, except those of
/// secrets (password hashes, token keys), which never enter the log.
#[derive(Debug, Clone)]
pub struct Change {
    /// Collection id.
    pub collection: Arc<str>,
    /// Record id.
    pub record: String,
    pub kind: Kind,
    /// The row before; `None` on create.
    pub old: Option<Arc<Row>>,
    /// The row after; `None` on delete.
    pub new: Option<Arc<Row>>,
    pub actor: Option<Actor>,
    /// The client's id of this write, if it gave one.
    pub mutation: Option<String>,
}

impl Change {
    /// Bytes of both images in memory, roughly.
    pub fn weight(&self) -> usize {
        [&self.old, &self.new].into_iter().flatten().map(|row| row.weight()).sum()
    }
}

/// One stored row of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Grows by one per change within an epoch.
    pub seq: u64,
    pub collection: String,
    pub record: String,
    pub kind: Kind,
    /// JSON object by field id: the changed fields of an update, the row of a delete, `None` for a create.
    pub before: Option<String>,
    pub actor: Option<Actor>,
    pub mutation: Option<String>,
    pub at: Timestamp,
}

/// A stretch of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Oldest first, without holes.
    pub entries: Vec<LogEntry>,
    /// False when the log cannot continue the asked sequence number, because retention has removed what came next or
    /// the number is from the future of a database that was put back: the reader has a gap and must start over.
    pub complete: bool,
    /// The newest sequence number of the snapshot.
    pub last: u64,
}

/// A record write that does not enter the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Collection id.
    pub collection: Arc<str>,
    /// Record id.
    pub record: String,
    pub actor: Option<Actor>,
}

/// What one group committed, in commit order, with both images: for live readers.
#[derive(Debug)]
pub struct Commit {
    /// Sequence number and change.
    pub changes: Vec<(u64, Arc<Change>)>,
    /// Writes that only caches hear of, each with the number as of which what was read before is stale: the first one
    /// that is larger than that of any snapshot without them.
    pub quiet: Vec<(u64, Touched)>,
    pub at: Timestamp,
}

/// The newest sequence number of the snapshot, 0 in an empty log.
pub(super) fn last(tx: &ReadTx<'_>) -> Result<u64> {
    let sql = "SELECT max(seq) FROM __conch_log";
    Ok(tx.query_one(sql, [], |row| row.get::<_, Option<i64>>(0))?.flatten().map_or(0, to_seq))
}

/// The oldest sequence number that retention has left, 0 in an empty log.
pub(super) fn oldest(tx: &ReadTx<'_>) -> Result<u64> {
    let sql = "SELECT min(seq) FROM __conch_log";
    Ok(tx.query_one(sql, [], |row| row.get::<_, Option<i64>>(0))?.flatten().map_or(0, to_seq))
}

/// Writes one row. `seq` is the last one plus 1. An update keeps what it changed, or the row before as a `whole`.
pub(super) fn insert(tx: &ReadTx<'_>, seq: u64, change: &Change, whole: bool) -> Result<()> {
    let before = match (change.kind, &change.old, &change.new) {
        (Kind::Update, Some(old), Some(new)) if !whole => Some(image::of_changes(old, new)),
        (Kind::Update | Kind::Delete, Some(old), _) => Some(image::of_row(old)),
        _ => None,
    };
    let actor = change.actor.as_ref();
    let sql = "INSERT INTO __conch_log
        (seq, collection, record, kind, before, actor_collection, actor_record, mutation, at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.prepare(sql)?.execute(params![
        from_seq(seq),
        &*change.collection,
        change.record,
        change.kind.code(),
        before,
        actor.map(|actor| &*actor.collection),
        actor.map(|actor| &*actor.record),
        change.mutation,
        tx.now().millis(),
    ])?;
    Ok(())
}

/// Has the log go on after `seq`, if it ends before: with a row that is of no collection. So no number is ever used twice
/// while somebody may remember it, whatever took the place of the database.
pub(super) fn go_on_after(tx: &ReadTx<'_>, seq: u64) -> Result<()> {
    if last(tx)? < seq {
        let sql = "INSERT INTO __conch_log (seq, collection, record, kind, at) VALUES (?1, '', '', 0, ?2)";
        tx.prepare(sql)?.execute(params![from_seq(seq), tx.now().millis()])?;
    }
    Ok(())
}

/// Up to `limit` entries after `seq`.
pub(super) fn read_after(tx: &ReadTx<'_>, seq: u64, limit: usize) -> Result<Page> {
    let last = last(tx)?;
    let complete = if seq <= last { seq == last || oldest(tx)? <= seq + 1 } else { false };
    if !complete {
        return Ok(Page { entries: Vec::new(), complete, last });
    }
    let sql = "SELECT seq, collection, record, kind, before, actor_collection, actor_record, mutation, at
        FROM __conch_log WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = tx.prepare(sql)?;
    let entries = statement.query_map(params![from_seq(seq), limit], entry)?.collect::<rusqlite::Result<_>>()?;
    Ok(Page { entries, complete, last })
}

/// Shows `visit` the updates and deletes of one record after `seq`, newest first, until it breaks off: number, kind and
/// image.
pub(super) fn changes_of(
    tx: &ReadTx<'_>,
    collection: &str,
    record: &str,
    seq: u64,
    mut visit: impl FnMut(u64, Kind, &str) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let sql = "SELECT seq, kind, before FROM __conch_log
        WHERE collection = ?1 AND record = ?2 AND kind <> 0 AND seq > ?3 ORDER BY seq DESC";
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query(params![collection, record, from_seq(seq)])?;
    while let Some(row) = rows.next()? {
        let before = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        if visit(to_seq(row.get(0)?), Kind::from_code(row.get(1)?)?, before)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Removes up to `step` of the oldest entries, keeping the newest `retention` (at least one); returns the number of the
/// oldest that is left.
pub(super) fn prune(tx: &ReadTx<'_>, last: u64, oldest: u64, retention: u64, step: u64) -> Result<u64> {
    let keep_from = (last + 1).saturating_sub(retention.max(1)).min(oldest.saturating_add(step));
    tx.prepare("DELETE FROM __conch_log WHERE seq < ?1")?.execute([from_seq(keep_from)])?;
    Ok(keep_from.max(oldest))
}

/// The stored epoch.
pub(super) fn epoch(tx: &ReadTx<'_>) -> Result<Option<String>> {
    let sql = "SELECT value FROM __conch_meta WHERE key = 'epoch'";
    Ok(tx.connection.query_row(sql, [], |row| row.get(0)).optional()?)
}

pub(super) fn set_epoch(tx: &ReadTx<'_>, epoch: &str) -> Result<()> {
    let sql = "INSERT INTO __conch_meta (key, value) VALUES ('epoch', ?1)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.prepare(sql)?.execute([epoch])?;
    Ok(())
}

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<LogEntry> {
    let collection: Option<Arc<str>> = row.get(5)?;
    let record: Option<Arc<str>> = row.get(6)?;
    Ok(LogEntry {
        seq: to_seq(row.get(0)?),
        collection: row.get(1)?,
        record: row.get(2)?,
        kind: Kind::from_code(row.get(3)?)?,
        before: row.get(4)?,
        actor: collection.zip(record).map(|(collection, record)| Actor { collection, record }),
        mutation: row.get(7)?,
        at: Timestamp(row.get(8)?),
    })
}

fn to_seq(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn from_seq(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
