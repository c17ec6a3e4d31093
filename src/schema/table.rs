//! Tables and views follow their collections (`docs/wire/records-collections.md` §6, `records-storage.md` §3).
//!
//! Everything happens inside the caller's transaction: in SQLite a failed change of the schema is undone with it.

use super::{Collection, Field, index::Index, validate};
use crate::{
    db::{WriteTx, quote_ident},
    error::{Error, Issues, Kind, Leaf, Result},
    random,
};

/// Creates the table of a base or auth collection with its indexes.
pub(super) fn create(tx: &mut WriteTx<'_>, collection: &Collection) -> Result<()> {
    let mut fields: Vec<&Field> = collection.fields.iter().collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let columns: Vec<String> = fields.into_iter().map(definition).collect();
    let sql = format!("CREATE TABLE {} ({})", quote_ident(&collection.name), columns.join(", "));
    run(tx, &sql)?;
    create_indexes(tx, &collection.indexes, |_| true)
}

/// Drops a collection's table or view with all its records.
pub(super) fn drop(tx: &mut WriteTx<'_>, collection: &Collection) -> Result<()> {
    let what = if collection.is_view() { "VIEW" } else { "TABLE" };
    run(tx, &format!("DROP {what} IF EXISTS {}", quote_ident(&collection.name)))
}

/// Brings the table of a base or auth collection from `old` to `new`. Columns are told apart by field id.
pub(super) fn alter(tx: &mut WriteTx<'_>, old: &Collection, new: &Collection) -> Result<()> {
    let change = Change::between(old, new);
    let keep = |index: &String| !change.moves_columns() && old.name == new.name && new.indexes.contains(index);
    for text in old.indexes.iter().filter(|index| !keep(index)) {
        if let Some(index) = Index::parse(text) {
            run(tx, &format!("DROP INDEX IF EXISTS {}", quote_ident(&index.name)))?;
        }
    }
    rename_table(tx, &old.name, &new.name)?;
    change.apply(tx, new)?;
    create_indexes(tx, &new.indexes, |text| !(keep(text) && old.indexes.contains(text)))
}

/// Why SQLite refused a statement, for people; `None` when it was not the statement's fault.
pub(super) fn refusal(error: &Error) -> Option<String> {
    use rusqlite::{Error as Sqlite, ErrorCode};
    let source = error.sqlite().filter(|_| error.kind == Kind::Internal)?;
    match source {
        Sqlite::SqlInputError { msg, .. } => Some(msg.clone()),
        Sqlite::MultipleStatement => Some("there must be only one statement".to_owned()),
        Sqlite::SqliteFailure(failure, message) => {
            let ours = [
                ErrorCode::Unknown,
                ErrorCode::ConstraintViolation,
                ErrorCode::TypeMismatch,
                ErrorCode::TooBig,
                ErrorCode::AuthorizationForStatementDenied,
            ];
            ours.contains(&failure.code).then(|| message.clone().unwrap_or_else(|| failure.to_string()))
        }
        _ => None,
    }
}

/// One statement that changes the schema; what SQLite refuses is the request's fault (400, no field).
pub(super) fn run(tx: &mut WriteTx<'_>, sql: &str) -> Result<()> {
    // Not through the cache: it would never be asked for again.
    let outcome = tx.connection().execute(sql, []).map(drop_count).map_err(Error::from);
    outcome.map_err(|error| match refusal(&error) {
        Some(reason) => Error::invalid("The table could not be changed.").because(anyhow::anyhow!("{reason}: {sql}")),
        None => error,
    })
}

fn drop_count(_: usize) {}

/// Which columns go, come, move and turn from single to multiple or back.
struct Change<'a> {
    gone: Vec<&'a Field>,
    come: Vec<&'a Field>,
    renamed: Vec<(&'a Field, &'a Field)>,
    retyped: Vec<&'a Field>,
}

impl<'a> Change<'a> {
    fn between(old: &'a Collection, new: &'a Collection) -> Self {
        let gone = old.fields.iter().filter(|field| new.field_by_id(&field.id).is_none()).collect();
        let come = new.fields.iter().filter(|field| old.field_by_id(&field.id).is_none()).collect();
        let both = || new.fields.iter().filter_map(|field| Some((old.field_by_id(&field.id)?, field)));
        let multiple = |field: &Field| field.kind.as_type().is_multiple();
        Self {
            gone,
            come,
            renamed: both().filter(|(old, new)| old.name != new.name).collect(),
            retyped: both().filter(|(old, new)| multiple(old) != multiple(new)).map(|(_, new)| new).collect(),
        }
    }

    /// True when indexes would be in the way.
    fn moves_columns(&self) -> bool {
        !(self.gone.is_empty() && self.renamed.is_empty() && self.retyped.is_empty())
    }

    fn apply(&self, tx: &mut WriteTx<'_>, new: &Collection) -> Result<()> {
        let table = quote_ident(&new.name);
        for field in &self.gone {
            run(tx, &format!("ALTER TABLE {table} DROP COLUMN {}", quote_ident(&field.name)))?;
        }
        // Through names that nobody has, so that two fields can swap theirs.
        let mut waiting = Vec::with_capacity(self.renamed.len());
        for (old, new) in &self.renamed {
            let name = temporary(&new.name);
            rename_column(tx, &table, &old.name, &name)?;
            waiting.push((name, &new.name));
        }
        for field in &self.come {
            run(tx, &format!("ALTER TABLE {table} ADD COLUMN {}", definition(field)))?;
        }
        for (name, target) in waiting {
            rename_column(tx, &table, &name, target)?;
        }
        if self.retyped.is_empty() {
            return Ok(());
        }
        without_views(tx, |tx| self.retyped.iter().try_for_each(|field| retype(tx, &table, field)))
    }
}

/// Turns a column from single to multiple or back, in a new column that takes the old one's name.
fn retype(tx: &mut WriteTx<'_>, table: &str, field: &Field) -> Result<()> {
    let (column, old) = (quote_ident(&field.name), quote_ident(&temporary(&field.name)));
    run(tx, &format!("ALTER TABLE {table} RENAME COLUMN {column} TO {old}"))?;
    run(tx, &format!("ALTER TABLE {table} ADD COLUMN {}", definition(field)))?;
    let is_list = format!("(CASE WHEN json_valid({old}) THEN json_type({old}) END) = 'array'");
    let value = if field.kind.as_type().is_multiple() {
        format!("CASE WHEN COALESCE({old}, '') = '' THEN '[]' WHEN {is_list} THEN {old} ELSE json_array({old}) END")
    } else {
        format!("CASE WHEN {is_list} THEN COALESCE(json_extract({old}, '$[#-1]'), '') ELSE COALESCE({old}, '') END")
    };
    run(tx, &format!("UPDATE {table} SET {column} = {value}"))?;
    run(tx, &format!("ALTER TABLE {table} DROP COLUMN {old}"))
}

/// Takes all SQL views away while columns are replaced under them, and puts them back as they were.
fn without_views(tx: &mut WriteTx<'_>, f: impl FnOnce(&mut WriteTx<'_>) -> Result<()>) -> Result<()> {
    let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY rowid";
    let views = tx.query_all(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for (name, _) in &views {
        run(tx, &format!("DROP VIEW {}", quote_ident(name)))?;
    }
    f(tx)?;
    views.iter().try_for_each(|(_, sql)| run(tx, sql))
}

fn rename_table(tx: &mut WriteTx<'_>, old: &str, new: &str) -> Result<()> {
    if old == new {
        return Ok(());
    }
    // SQLite takes names that differ in case only for the same one.
    let between = temporary(new);
    for (from, to) in [(old, between.as_str()), (between.as_str(), new)] {
        run(tx, &format!("ALTER TABLE {} RENAME TO {}", quote_ident(from), quote_ident(to)))?;
    }
    Ok(())
}

fn rename_column(tx: &mut WriteTx<'_>, table: &str, old: &str, new: &str) -> Result<()> {
    run(tx, &format!("ALTER TABLE {table} RENAME COLUMN {} TO {}", quote_ident(old), quote_ident(new)))
}

/// A name that no table or column has.
fn temporary(name: &str) -> String {
    format!("_conch_{}_{name}", random::string(random::LOWER_ALPHANUMERIC, 8))
}

/// Creates the chosen indexes; a refusal is reported at the entry.
fn create_indexes(tx: &mut WriteTx<'_>, indexes: &[String], chosen: impl Fn(&String) -> bool) -> Result<()> {
    for (position, text) in indexes.iter().enumerate().filter(|(_, text)| chosen(text)) {
        // Unreadable entries are reported by the validation.
        let Some(index) = Index::parse(text) else { continue };
        let outcome = tx.connection().execute(&index.to_string(), []).map_err(Error::from);
        if let Err(error) = outcome {
            let Some(reason) = refusal(&error) else { return Err(error) };
            let message = format!("The index \"{}\" could not be created: {reason}.", index.name);
            let mut issues = Issues::default();
            let leaf = Leaf::new("validation_invalid_index_expression", message);
            issues.insert("indexes", validate::index_issue(position, leaf));
            return Err(Error::issues("The indexes could not be created.", issues));
        }
    }
    Ok(())
}

/// A column as `CREATE TABLE` and `ADD COLUMN` take it.
fn definition(field: &Field) -> String {
    format!("{} {}", quote_ident(&field.name), field.kind.as_type().column())
}
