//! What typed SQL may touch: everything that is the owner's, nothing that keeps the house together.
//!
//! It is no wall around secrets (a backup has them all), but they do not lie about in the history of a console.

use std::{cell::RefCell, rc::Rc};

use rusqlite::{Connection, ffi};

use crate::{
    db::{Access, ReadTx, Verdict, judged},
    error::{Error, Result},
};

/// Functions that load code or touch files; the latter are there only in some builds of SQLite.
const DENIED: [&str; 5] = ["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"];
/// Pragmas that only tell, whatever their argument.
const TELLING: [&str; 9] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "integrity_check",
    "quick_check",
];
/// Pragmas that only tell when they have no argument.
const TELLING_ALONE: [&str; 18] = [
    "application_id",
    "auto_vacuum",
    "cache_size",
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "encoding",
    "foreign_key_check",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "journal_mode",
    "page_count",
    "page_size",
    "schema_version",
    "synchronous",
    "user_version",
];

/// What the names of our own tables begin with.
const OWN: &str = "__conch_";

/// What a guarded text is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Write,
}

/// What the guard saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Why something was denied.
    pub refused: Option<String>,
    /// A reader was asked to write what it may, somewhere else.
    pub writes: bool,
}

/// Runs `f` under the guard, and tells it what the guard has seen so far.
pub(super) fn guarded<T>(connection: &Connection, right: Right, f: impl FnOnce(&Connection, &RefCell<Seen>) -> T) -> T {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let mut judge = |access: &Access| {
        let mut seen = seen.borrow_mut();
        match judge(access, right) {
            Ok(verdict) => {
                seen.writes |= is_write(access);
                verdict
            }
            Err(reason) => {
                seen.refused.get_or_insert(reason);
                Verdict::Deny
            }
        }
    };
    judged(connection, &mut judge, |connection| f(connection, &seen))
}

/// `Err` says why not, for people.
fn judge(access: &Access, right: Right) -> Result<Verdict, String> {
    let Access { action, first, second } = access;
    match *action {
        ffi::SQLITE_SELECT | ffi::SQLITE_RECURSIVE => Ok(Verdict::Allow),
        ffi::SQLITE_READ if !is_secret(first, second) => Ok(Verdict::Allow),
        // Copying it, or deriving from it, would store a blank in its place.
        ffi::SQLITE_READ if right == Right::Write => Err(format!("{first}.{second} holds secrets")),
        ffi::SQLITE_READ => Ok(Verdict::Blank),
        ffi::SQLITE_FUNCTION if DENIED.contains(&&**second) => Err(format!("{second}() reaches beyond the database")),
        ffi::SQLITE_FUNCTION => Ok(Verdict::Allow),
        ffi::SQLITE_PRAGMA => {
            let tells = TELLING.contains(&&**first) || (second.is_empty() && TELLING_ALONE.contains(&&**first));
            if tells { Ok(Verdict::Allow) } else { Err(format!("PRAGMA {first} would change how the server runs")) }
        }
        ffi::SQLITE_TRANSACTION | ffi::SQLITE_SAVEPOINT => {
            Err("every call is a transaction already: send all of its statements together".to_owned())
        }
        ffi::SQLITE_ATTACH | ffi::SQLITE_DETACH => Err("other databases cannot be attached here".to_owned()),
        ffi::SQLITE_CREATE_TEMP_INDEX
        | ffi::SQLITE_CREATE_TEMP_TABLE
        | ffi::SQLITE_CREATE_TEMP_TRIGGER
        | ffi::SQLITE_CREATE_TEMP_VIEW => Err("temporary tables would be gone before the next call".to_owned()),
        // Its body is compiled when it fires, on the writer, where nobody judges it.
        ffi::SQLITE_CREATE_TRIGGER => {
            Err("what a trigger changes would reach neither the log, nor caches, nor live clients".to_owned())
        }
        _ if is_write(access) => match [first, second].into_iter().find(|name| name.starts_with(OWN)) {
            Some(name) => Err(format!("{name} is Conch's own")),
            None if first == "_params" || second == "_params" => {
                Err("settings are changed with PATCH /api/settings".to_owned())
            }
            None => Ok(Verdict::Allow),
        },
        _ => Err("this statement is not possible here".to_owned()),
    }
}

fn is_write(access: &Access) -> bool {
    matches!(
        access.action,
        ffi::SQLITE_INSERT
            | ffi::SQLITE_UPDATE
            | ffi::SQLITE_DELETE
            | ffi::SQLITE_CREATE_INDEX
            | ffi::SQLITE_CREATE_TABLE
            | ffi::SQLITE_CREATE_TRIGGER
            | ffi::SQLITE_CREATE_VIEW
            | ffi::SQLITE_CREATE_VTABLE
            | ffi::SQLITE_DROP_INDEX
            | ffi::SQLITE_DROP_TABLE
            | ffi::SQLITE_DROP_TRIGGER
            | ffi::SQLITE_DROP_VIEW
            | ffi::SQLITE_DROP_VTABLE
            | ffi::SQLITE_ALTER_TABLE
            | ffi::SQLITE_REINDEX
            | ffi::SQLITE_ANALYZE
    )
}

/// The settings with their passwords and keys, and the secrets that tokens are signed with. Names in lower case.
fn is_secret(table: &str, column: &str) -> bool {
    (table == "_params" && column == "value") || (table == "_collections" && column == "options")
}

/// Everything in the schema that is ours or hangs on what is ours: a rename does not name its goal to the guard.
pub(super) fn own_tables(tx: &ReadTx<'_>) -> Result<Vec<(String, Option<String>)>> {
    let sql = "SELECT name, sql FROM sqlite_schema
               WHERE lower(substr(name, 1, 8)) = ?1 OR lower(substr(tbl_name, 1, 8)) = ?1 ORDER BY name";
    tx.query_all(sql, [OWN], |row| Ok((row.get(0)?, row.get(1)?)))
}

pub(super) fn own_names() -> Error {
    Error::invalid(format!("Nothing was changed: names that begin with {OWN} are Conch's own."))
}
