//! Statement after statement, until one fails.

use std::{cell::RefCell, sync::Arc};

use rusqlite::{Batch, Connection, Statement, fallible_iterator::FallibleIterator};

use super::{
    Column, Outcome, cell,
    guard::{Right, Seen, guarded},
};
use crate::error::{Error, Kind, Result};

/// Rows of one answer; the rest is cut without a word (§9).
const MAX_ROWS: usize = 1000;
/// What the rows of one answer may weigh together, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// A text with at least something in it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Script(Arc<str>);

impl Script {
    pub(super) fn new(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(Error::invalid("There is no statement in the query."));
        }
        if text.contains('\0') {
            return Err(Error::invalid("A query cannot hold a NUL character."));
        }
        Ok(Self(text.into()))
    }

    /// Runs it on a reader; `None` when it would write. The rows are those of the last statement.
    pub(super) fn read(&self, connection: &Connection) -> Result<Option<Outcome>> {
        guarded(connection, Right::Read, |connection, seen| {
            let mut outcome = Outcome::default();
            let mut batch = Batch::new(connection, &self.0);
            loop {
                let next = batch.next();
                if matches!(&next, Ok(Some(statement)) if statement.is_explain() != 0) {
                    seen.borrow_mut().writes = false;
                }
                if seen.borrow().writes && seen.borrow().refused.is_none() {
                    return Ok(None);
                }
                let Some(mut statement) = next.map_err(|error| told(error, seen))? else { return Ok(Some(outcome)) };
                refuse_parameters(&statement)?;
                outcome.columns = columns(&statement);
                outcome.rows = rows(&mut statement, seen)?;
            }
        })
    }

    /// Runs it on the writer. There are no columns or rows, whatever the
    /// statements return (§9).
    pub(super) fn write(&self, connection: &Connection) -> Result<Outcome> {
        let version = |connection: &Connection| -> rusqlite::Result<i64> {
            connection.query_row("PRAGMA schema_version", [], |row| row.get(0))
        };
        let (schema, changes) = (version(connection)?, connection.total_changes());
        let mut outcome = guarded(connection, Right::Write, |connection, seen| {
            let mut outcome = Outcome::default();
            let mut batch = Batch::new(connection, &self.0);
            while let Some(mut statement) = batch.next().map_err(|error| told(error, seen))? {
                refuse_parameters(&statement)?;
                let before = connection.total_changes();
                exhaust(&mut statement).map_err(|error| told(error, seen))?;
                // SQLite's own counter stays as it was after what changes no rows.
                let changed = connection.total_changes() > before;
                outcome.affected_rows = if changed { connection.changes() } else { 0 };
            }
            Ok::<_, Error>(outcome)
        })?;
        outcome.wrote = connection.total_changes() != changes || version(connection)? != schema;
        Ok(outcome)
    }
}

fn refuse_parameters(statement: &Statement<'_>) -> Result<()> {
    match statement.parameter_count() {
        0 => Ok(()),
        _ => Err(Error::invalid("There are parameters in the query, and nothing to bind to them.")),
    }
}

fn columns(statement: &Statement<'_>) -> Vec<Column> {
    let column = |column: rusqlite::Column<'_>| Column {
        name: column.name().to_owned(),
        kind: column.decl_type().unwrap_or_default().to_ascii_uppercase(),
        nullable: true,
    };
    statement.columns().map(column).collect()
}

fn rows(statement: &mut Statement<'_>, seen: &RefCell<Seen>) -> Result<Vec<Vec<Option<String>>>> {
    let count = statement.column_count();
    let mut found = statement.raw_query();
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next().map_err(|error| told(error, seen))? {
        if rows.len() == MAX_ROWS {
            break;
        }
        let cells: Vec<Option<String>> =
            (0..count).map(|index| Ok(cell::text(row.get_ref(index)?))).collect::<rusqlite::Result<_>>()?;
        bytes += cells.iter().flatten().map(String::len).sum::<usize>();
        if bytes > MAX_BYTES {
            return Err(Error::invalid(format!("The rows are over {} MiB: ask for less.", MAX_BYTES >> 20)));
        }
        rows.push(cells);
    }
    Ok(rows)
}

fn exhaust(statement: &mut Statement<'_>) -> rusqlite::Result<()> {
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// Why the guard refused it, or what SQLite says: a superuser wrote the SQL, so it is theirs to know.
fn told(error: rusqlite::Error, seen: &RefCell<Seen>) -> Error {
    if let Some(reason) = seen.borrow_mut().refused.take() {
        return Error::invalid(format!("Not here: {reason}.")).because(error);
    }
    let text = match &error {
        rusqlite::Error::SqliteFailure(_, Some(text)) | rusqlite::Error::SqlInputError { msg: text, .. } => {
            text.clone()
        }
        other => other.to_string(),
    };
    match Error::from(error) {
        internal if internal.kind == Kind::Internal => Error { source: internal.source, ..Error::invalid(text) },
        known => known,
    }
}
