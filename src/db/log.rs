//! The change log: the spine that everything which reacts to data reads.

use std::sync::Arc;

use super::Row;
use crate::clock::Timestamp;

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Create,
    Update,
    Delete,
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

/// One stored row of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Gapless from 1 within an epoch.
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
    pub entries: Vec<LogEntry>,
    /// False when retention has removed entries after the asked sequence number: the reader has a gap.
    pub complete: bool,
    /// The newest sequence number of the snapshot.
    pub last: u64,
}

/// What one group committed, in commit order, with both images: for live readers.
#[derive(Debug)]
pub struct Commit {
    /// Sequence number and change.
    pub changes: Vec<(u64, Arc<Change>)>,
    pub at: Timestamp,
}
