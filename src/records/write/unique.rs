//! SQLite's "this is not unique" as codes per column (`records-api.md` §4.1, step 8).

use rusqlite::ffi;

use crate::{
    error::{Error, Issues, Leaf},
    schema::Collection,
};

/// A failed INSERT or UPDATE of one row, as the wire tells it. What is no constraint's fault passes unchanged.
pub(super) fn explain(collection: &Collection, error: Error) -> Error {
    let Some(rusqlite::Error::SqliteFailure(failure, Some(message))) = error.sqlite() else { return error };
    if failure.code != rusqlite::ErrorCode::ConstraintViolation {
        return error;
    }
    let unique = [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY].contains(&failure.extended_code);
    let mut issues = Issues::default();
    for name in if unique { columns(collection, message) } else { Vec::new() } {
        issues.insert(&name, Leaf::new("validation_not_unique", "The value is already in use."));
    }
    let mut refused = Error::issues("The record could not be saved.", issues);
    refused.source = error.source;
    refused
}

/// The fields that the message blames: `UNIQUE constraint failed: t.a, t.b`. For an index over expressions SQLite names
/// the index instead; like the reference server we blame no field then.
fn columns(collection: &Collection, message: &str) -> Vec<String> {
    let Some((_, blamed)) = message.split_once("failed: ") else { return Vec::new() };
    let table = format!("{}.", collection.name);
    let columns = blamed.split(", ").filter_map(|part| {
        let column = part.strip_prefix(table.as_str())?;
        collection.fields.iter().find(|field| field.name.eq_ignore_ascii_case(column))
    });
    columns.map(|field| field.name.clone()).collect()
}
