//! SQL that a superuser typed (`docs/wire/services.md` §9): past rules, realtime and the records' own checks, but not past
//! the writer.
//!
//! May touch `schema` and `db`. Its main type is [`Console`]. What only reads runs on the readers' slow lane. What writes
//! runs alone on the writer, all of it or none; afterwards the catalog is read anew and the change log begins a new epoch,
//! because it cannot tell what happened: caches are dropped, and whoever follows the log starts over.
//!
//! | file | idea |
//! | --- | --- |
//! | `guard` | what SQL may touch |
//! | `script` | statement after statement |
//! | `cell` | every value as a text |

mod cell;
mod guard;
mod script;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use self::script::Script;
use crate::{
    db::{Asker, Db},
    error::{Error, Result},
    schema::Schema,
};

/// However long it takes by the wire's word; a write holds up all others meanwhile.
const LIMIT: Duration = Duration::from_secs(180);
/// A text that begins with one of these writes (§9).
const WRITES: [&str; 8] = ["INSERT", "CREATE", "UPDATE", "DELETE", "DROP", "DETACH", "ALTER", "REPLACE"];

/// What became of a text.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Rows that the last statement inserted, changed or deleted.
    pub affected_rows: u64,
    pub columns: Vec<Column>,
    /// Of the last statement.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether the database is another one now.
    #[serde(skip)]
    pub wrote: bool,
}

/// A column of the rows.
#[derive(Debug, PartialEq, Serialize)]
pub struct Column {
    pub name: String,
    /// As declared, in upper case; blank for expressions.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always, by the wire's word.
    pub nullable: bool,
}

/// The console of one data directory.
#[derive(Clone)]
pub struct Console {
    db: Db,
    schema: Schema,
}

impl Console {
    pub fn new(db: Db, schema: Schema) -> Self {
        Self { db, schema }
    }

    /// Runs the statements of `query` for somebody. Fails as invalid with SQLite's own words, or with what may not be done
    /// here.
    pub async fn run(&self, query: &str, asker: Asker) -> Result<Outcome> {
        let script = Script::new(query)?;
        if !begins_with_write(query)
            && let Some(outcome) = self.read(script.clone(), asker).await?
        {
            return Ok(outcome);
        }
        self.write(script).await
    }

    /// `None` when it turns out to write: a comment or a WITH may stand before that.
    async fn read(&self, script: Script, asker: Asker) -> Result<Option<Outcome>> {
        self.db.read_slowly(asker, LIMIT, move |tx| script.read(tx.connection())).await
    }

    async fn write(&self, script: Script) -> Result<Outcome> {
        let schema = self.schema.clone();
        self.db
            .write_alone(move |tx| {
                let before = guard::own_tables(tx)?;
                let outcome = tx.within(LIMIT, |tx| script.write(tx.connection()))?;
                if guard::own_tables(tx)? != before {
                    return Err(guard::own_names());
                }
                if outcome.wrote {
                    schema.reload_checked(tx).map_err(unreadable)?;
                    tx.new_epoch()?;
                }
                Ok(outcome)
            })
            .await
    }
}

/// Nothing may be left that the house cannot open again.
fn unreadable(error: Error) -> Error {
    let reason = error.source.as_ref().map_or_else(|| error.message.to_string(), ToString::to_string);
    Error::invalid(format!("Nothing was changed, because afterwards {reason}"))
}

fn begins_with_write(query: &str) -> bool {
    let text = query.trim_start();
    WRITES.iter().any(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
}
