//! Statistics for SQLite's query planner: without them it guesses which index serves a rule best.
//!
//! SQLite tells which tables it wants to look at: those with a new index, and those that have grown or shrunk tenfold
//! since the last look. The writer asks after a change of the schema, now and then, and when it closes. It looks at one
//! table at a time and at a bounded number of rows of each index, so that no write waits for more than one such look.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::ReadTx;
use crate::error::Result;

/// Between two questions which tables have grown.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Between two steps while writes are coming in.
const PAUSE: Duration = Duration::from_millis(250);
/// What closing may take for it.
pub(super) const FAREWELL: Duration = Duration::from_millis(200);

pub(super) struct Statistics {
    /// Statements that look at one table each.
    wanted: VecDeque<String>,
    /// There is something that the readers do not know yet.
    news: bool,
    ask_at: Instant,
    not_before: Instant,
    /// SQLite's counter of changes of the schema, when it was last compared.
    schema_version: i64,
}

/// What the writer does next.
pub(super) enum Step {
    /// Find out what is [`wanted`], in a transaction.
    Ask,
    /// Run a statement, in a transaction of its own. How many rows it looks at is the connection's `analysis_limit`.
    Look(String),
    /// Have the readers make their plans anew.
    Tell,
}

impl Statistics {
    /// The first question is asked soon: an import or a crash may have left much to do.
    pub(super) fn new(connection: &Connection) -> Result<Self> {
        let (now, schema_version) = (Instant::now(), schema_version(connection)?);
        Ok(Self { wanted: VecDeque::new(), news: false, ask_at: now, not_before: now, schema_version })
    }

    /// To be called when the schema may have changed.
    pub(super) fn follow_schema(&mut self, connection: &Connection) {
        if let Ok(version) = schema_version(connection)
            && version != self.schema_version
        {
            self.schema_version = version;
            self.ask_now();
        }
    }

    pub(super) fn ask_now(&mut self) {
        self.ask_at = Instant::now();
    }

    /// `None` when there is nothing to do, or not now because writes are coming in (`busy`).
    pub(super) fn next(&mut self, busy: bool) -> Option<Step> {
        let now = Instant::now();
        if busy && now < self.not_before {
            return None;
        }
        self.not_before = now + PAUSE;
        if let Some(statement) = self.wanted.pop_front() {
            self.news = true;
            return Some(Step::Look(statement));
        }
        if std::mem::take(&mut self.news) {
            return Some(Step::Tell);
        }
        if now < self.ask_at {
            return None;
        }
        self.ask_at = now + INTERVAL;
        Some(Step::Ask)
    }

    pub(super) fn want(&mut self, statements: Vec<String>) {
        self.wanted = statements.into();
    }
}

/// The statements that SQLite would run now.
pub(super) fn wanted(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    // 0x10000: also for tables that this connection has not queried itself; 2: ANALYZE; 1: only tell.
    let mut statement = tx.connection().prepare("PRAGMA optimize = 0x10003")?;
    let found = statement.query_map([], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))
}
