//! Statistics for SQLite's query planner: without them it guesses which index serves a rule best.
//!
//! SQLite tells which tables it wants to look at: those with a new index, and those that have grown or shrunk tenfold
//! since the last look. The writer asks after a change of the schema, when many rows were written, hourly, and when it
//! closes. It looks at one table at a time and at a bounded number of rows of each index, so that no write waits for
//! more than one such look.
//!
//! Small tables are left alone: any plan is quick there, and one that was made for five rows would still be in use when
//! there are a million. So are our own: their queries were written for their indexes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{ReadTx, WriteTx};
use crate::error::Result;

/// Between two questions which tables have grown.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Changes that make it worth to ask earlier, and how much earlier.
const MANY_CHANGES: u64 = 10_000;
const SHORT_INTERVAL: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 10 });
/// Between two steps while writes are coming in.
const PAUSE: Duration = Duration::from_millis(250);
/// What closing may take for it.
pub(super) const FAREWELL: Duration = Duration::from_millis(200);
/// Rows of a table that is looked at.
const LARGE: u32 = 1000;
/// Looking for such a table may take this long.
const SEARCH: Duration = Duration::from_millis(5);

pub(super) struct Statistics {
    /// Statements that look at one table each.
    wanted: VecDeque<String>,
    /// There is something that the readers do not know yet.
    news: bool,
    asked: Instant,
    /// The newest change at that time.
    asked_at: u64,
    ask_now: bool,
    not_before: Instant,
    /// SQLite's counter of changes of the schema, when it was last compared.
    schema_version: i64,
}

/// What the writer does next.
pub(super) enum Step {
    /// [`ask`], in a transaction.
    Ask,
    /// [`look`] at a table, in a transaction of its own.
    Look,
    /// Have the readers make their plans anew.
    Tell,
}

impl Statistics {
    /// The first question is asked soon: an import or a crash may have left much to do.
    pub(super) fn new(connection: &Connection) -> Result<Self> {
        let (now, schema_version) = (Instant::now(), schema_version(connection)?);
        let wanted = VecDeque::new();
        Ok(Self { wanted, news: false, asked: now, asked_at: 0, ask_now: true, not_before: now, schema_version })
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
        self.ask_now = true;
    }

    /// `None` when there is nothing to do, or not now because writes are coming in (`busy`). `last` is the newest
    /// change.
    pub(super) fn next(&mut self, busy: bool, last: u64) -> Option<Step> {
        let now = Instant::now();
        if busy && now < self.not_before {
            return None;
        }
        self.not_before = now + PAUSE;
        if !self.wanted.is_empty() {
            return Some(Step::Look);
        }
        if std::mem::take(&mut self.news) {
            return Some(Step::Tell);
        }
        let grown = last.saturating_sub(self.asked_at) >= MANY_CHANGES;
        let due = now.duration_since(self.asked) >= if grown { SHORT_INTERVAL } else { INTERVAL };
        if !std::mem::take(&mut self.ask_now) && !due {
            return None;
        }
        (self.asked, self.asked_at) = (now, last);
        Some(Step::Ask)
    }

    /// The tables that are still to be looked at, until they are given back.
    pub(super) fn take(&mut self) -> VecDeque<String> {
        std::mem::take(&mut self.wanted)
    }

    /// `news` when one was looked at.
    pub(super) fn want(&mut self, tables: VecDeque<String>, news: bool) {
        self.wanted = tables;
        self.news |= news;
    }
}

/// The statements that SQLite would run now.
pub(super) fn ask(tx: &ReadTx<'_>) -> Result<VecDeque<String>> {
    // 0x10000: also for tables that this connection has not queried itself; 2: ANALYZE; 1: only tell.
    let mut statement = tx.connection().prepare("PRAGMA optimize = 0x10003")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut wanted: VecDeque<String> = found.collect::<rusqlite::Result<_>>()?;
    wanted.retain(|statement| table(statement).is_some_and(|table| !table.starts_with("\"main\".\"__conch_")));
    Ok(wanted)
}

/// Looks at the next table that is large enough; false when none was found in time. How many rows it looks at is the
/// connection's `analysis_limit`.
pub(super) fn look(tx: &mut WriteTx<'_>, wanted: &mut VecDeque<String>) -> Result<bool> {
    let begun = Instant::now();
    while let Some(statement) = wanted.pop_front() {
        if table(&statement).is_some_and(|table| is_large(tx, table)) {
            tx.execute_batch(&statement)?;
            return Ok(true);
        }
        if begun.elapsed() >= SEARCH {
            break;
        }
    }
    Ok(false)
}

/// The quoted name in `ANALYZE "main"."name"`.
fn table(statement: &str) -> Option<&str> {
    statement.strip_prefix("ANALYZE ")
}

/// A table that cannot be read is none.
fn is_large(tx: &ReadTx<'_>, table: &str) -> bool {
    let sql = format!("SELECT 1 FROM {table} LIMIT 1 OFFSET {}", LARGE - 1);
    tx.connection().query_row(&sql, [], |_| Ok(())).is_ok()
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))
}
