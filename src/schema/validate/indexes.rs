//! Whether a list of indexes may be stored (`docs/wire/records-collections.md` §5).

use super::{Check, MAX_EXPRESSION};
use crate::schema::{Collection, index::Index};
use crate::{
    db::ReadTx,
    error::{Issue, Issues, Leaf, Result},
};

const MAX_INDEXES: usize = 250;

/// The outer result is about the database, the inner one about the indexes.
pub(super) fn check(check: &Check<'_>, tx: &ReadTx<'_>) -> Result<Result<(), Issue>> {
    let indexes = &check.new.indexes;
    if check.new.is_view() && !indexes.is_empty() {
        return Ok(Err(Leaf::new("validation_indexes_not_supported", "Views have no indexes.").into()));
    }
    if indexes.len() > MAX_INDEXES {
        let message = format!("There must be no more than {MAX_INDEXES} indexes.");
        return Ok(Err(Leaf::new("validation_length_out_of_range", message).into()));
    }
    let mut parsed: Vec<Index> = Vec::with_capacity(indexes.len());
    for (position, text) in indexes.iter().enumerate() {
        match one(check, tx, &parsed, text)? {
            Ok(index) => parsed.push(index),
            Err(leaf) => return Ok(Err(at(position, leaf))),
        }
    }
    Ok(unique_system_fields(check.original, &parsed)
        .and_then(|()| auth_indexes(check.new, &parsed))
        .map_err(Into::into))
}

/// An issue of one entry.
pub(in crate::schema) fn at(position: usize, leaf: Leaf) -> Issue {
    let mut list = Issues::default();
    list.insert(&position.to_string(), leaf);
    list.into()
}

fn one(check: &Check<'_>, tx: &ReadTx<'_>, earlier: &[Index], text: &str) -> Result<Result<Index, Leaf>> {
    let Some(index) = Index::parse(text).filter(|_| text.len() <= MAX_EXPRESSION) else {
        return Ok(Err(Leaf::new("validation_invalid_index_expression", "This is no CREATE INDEX statement.")));
    };
    if earlier.iter().any(|other| other.name.eq_ignore_ascii_case(&index.name)) {
        return Ok(Err(Leaf::new("validation_duplicated_index_name", "Another index has this name.")));
    }
    if let Some(table) = user_of(tx, &index.name)?.filter(|table| !is_table_of(check, table)) {
        let leaf = Leaf::new("validation_existing_index_name", "An index of another collection has this name.");
        return Ok(Err(leaf.param("usedTableName", table)));
    }
    if earlier.iter().any(|other| other.same_definition(&index)) {
        return Ok(Err(Leaf::new("validation_duplicated_index_definition", "Another index is defined the same.")));
    }
    Ok(Ok(index))
}

/// The table on which an index of this name stands.
fn user_of(tx: &ReadTx<'_>, name: &str) -> Result<Option<String>> {
    let sql = "SELECT tbl_name FROM sqlite_master WHERE type = 'index' AND lower(name) = lower(?1)";
    tx.query_one(sql, [name], |row| row.get(0))
}

fn is_table_of(check: &Check<'_>, table: &str) -> bool {
    let old = check.original.is_some_and(|original| original.name.eq_ignore_ascii_case(table));
    old || (check.saved && check.new.name.eq_ignore_ascii_case(table))
}

/// A unique index over a system field must stay; collation, order and condition may change.
fn unique_system_fields(original: Option<&Collection>, new: &[Index]) -> Result<(), Leaf> {
    let Some(original) = original else { return Ok(()) };
    for index in original.unique_indexes() {
        let over = |name: &str| index.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        let system = original.fields.iter().find(|field| field.system && over(&field.name));
        if let Some(field) = system.filter(|_| !new.iter().any(|other| other.same_columns(index))) {
            let message = "A unique index over a system field must stay.";
            let leaf = Leaf::new("validation_invalid_unique_system_field_index", message);
            return Err(leaf.param("fieldName", field.name.as_str()));
        }
    }
    Ok(())
}

fn auth_indexes(collection: &Collection, indexes: &[Index]) -> Result<(), Leaf> {
    for column in ["tokenKey", "email"] {
        if collection.is_auth() && !indexes.iter().any(|index| index.unique && index.is_on(column)) {
            let message = format!("There must be a unique index on \"{column}\".");
            return Err(Leaf::new("validation_missing_required_unique_index", message).param("fieldName", column));
        }
    }
    Ok(())
}
