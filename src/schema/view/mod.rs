//! View collections: what fields a query yields, and its SQL view (`docs/wire/records-collections.md` §7).

use std::{collections::HashSet, sync::Arc};

use rusqlite::Connection;

mod origin;
mod query;
mod read_only;

use self::query::{Named, ViewQuery};
use super::{
    Catalog, Collection, Field, FieldKind,
    field::{Bool, JsonField, Number, Relation, Text},
    fields_list, ids,
    validate::MAX_EXPRESSION,
};
use crate::{
    db::{ReadTx, Row, quote_ident},
    error::{Error, Kind, Result},
};

/// Rows that a query is tried with.
const SAMPLE: usize = 10;

/// What a view's query comes to.
#[derive(Debug, Clone)]
pub(super) struct Derived {
    /// One per result column. Their names may still be no valid field names.
    pub fields: Vec<Field>,
    /// The SELECT that the SQL view is made of: the query, its `id` cast to text if need be.
    pub select: String,
}

/// The fields of a query. The inner error says, for people, why it cannot be a view.
pub(super) fn derive(tx: &ReadTx<'_>, catalog: &Catalog, query: &str) -> Result<Result<Derived, String>> {
    let query = query::trim(query);
    if query.len() > MAX_EXPRESSION {
        return Ok(Err("the query is too long".to_owned()));
    }
    let parsed = match ViewQuery::parse(query) {
        Ok(parsed) => parsed,
        Err(reason) => return Ok(Err(reason)),
    };
    let wrapped = format!("SELECT * FROM ({})", closed(query));
    let columns = guarded(tx, |connection| {
        let statement = connection.prepare(&wrapped)?;
        let columns = statement.columns();
        let named = columns.map(|column| (column.name().to_owned(), column.decl_type().map(str::to_owned)));
        Ok((named.collect::<Vec<_>>(), statement.readonly(), statement.parameter_count()))
    });
    let (columns, readonly, parameters) = match columns {
        Ok(prepared) => prepared,
        Err(error) => return readable(error).map(Err),
    };
    if !readonly || parameters > 0 {
        return Ok(Err("the query must only read and have no parameters".to_owned()));
    }
    let suggest = |name: &str| parsed.columns.iter().find(|column| column.alias == name);
    let field = |name: &str| suggest(name).map_or_else(|| fallback(name), |column| infer(catalog, &parsed, column));
    let fields = fields_list::reduce(columns.iter().map(|(name, _)| field(name)));
    let is_text = |declared: &Option<String>| declared.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("TEXT"));
    let id_is_text = columns.iter().any(|(name, declared)| name == "id" && is_text(declared));
    let select = if id_is_text { closed(query) } else { with_text_id(query, &columns) };
    Ok(Ok(Derived { fields, select }))
}

/// What the derived fields lack to be a view's, if anything.
pub(super) fn lacks_id(derived: &Derived) -> Option<String> {
    let found = derived.fields.iter().any(|field| field.name == "id");
    (!found).then(|| "there must be a column \"id\" (`(row_number() over()) as id` if there is none)".to_owned())
}

/// Up to ten rows of the query. The inner error says why its ids are none.
pub(super) fn sample(tx: &ReadTx<'_>, derived: &Derived) -> Result<Result<Vec<Row>, String>> {
    let rows = guarded(tx, |connection| {
        let sql = format!("SELECT * FROM ({}) LIMIT {SAMPLE}", derived.select);
        let mut statement = connection.prepare(&sql)?;
        let columns = statement.column_names().map(Into::into).collect::<Vec<_>>().into();
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Row::read(&columns, row)?);
        }
        Ok(found)
    });
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(error) => return readable(error).map(Err),
    };
    let mut ids = HashSet::new();
    for row in &mut rows {
        for (value, field) in row.values.iter_mut().zip(&derived.fields) {
            *value = field.kind.as_type().normalise_stored((&*value).into());
        }
        match row.text("id") {
            None | Some("") => return Ok(Err("the query could return records without id".to_owned())),
            Some(id) if !ids.insert(id.to_owned()) => {
                return Ok(Err("the query could return records with the same id".to_owned()));
            }
            Some(_) => {}
        }
    }
    Ok(Ok(rows))
}

/// `CREATE VIEW` of this collection. One statement: whatever else the query contains is refused by SQLite.
pub(super) fn create_sql(name: &str, derived: &Derived) -> String {
    format!("CREATE VIEW {} AS SELECT * FROM ({})", quote_ident(name), derived.select)
}

/// True when the fields are the same but for the ids of copied ones, which are new every time.
pub(super) fn same_fields(stored: &[Field], derived: &[Field]) -> bool {
    let same = |(old, new): (&Field, &Field)| {
        let copied = old.id.starts_with("_clone_") && new.id.starts_with("_clone_");
        if copied { Field { id: old.id.clone(), ..new.clone() } == *old } else { new == old }
    };
    stored.len() == derived.len() && stored.iter().zip(derived).all(same)
}

fn guarded<T>(tx: &ReadTx<'_>, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
    Ok(read_only::guarded(tx.connection(), f)?)
}

/// What SQLite says about a query, for people; other failures stay errors.
fn readable(error: Error) -> Result<String> {
    if error.kind == Kind::Invalid {
        return Ok(error.message.into_owned());
    }
    super::table::refusal(&error).ok_or(error)
}

/// A query that ends in a line comment would swallow the bracket behind it.
fn closed(query: &str) -> String {
    if query.contains("--") { format!("{query}\n") } else { query.to_owned() }
}

fn with_text_id(query: &str, columns: &[(String, Option<String>)]) -> String {
    let select = |(name, _): &(String, Option<String>)| {
        let column = quote_ident(name);
        if name == "id" { format!("CAST({column} AS TEXT) {column}") } else { column }
    };
    let list = columns.iter().map(select).collect::<Vec<_>>().join(", ");
    format!("SELECT {list} FROM ({})", closed(query))
}

/// The reference's inference table.
fn infer(catalog: &Catalog, query: &ViewQuery, column: &Named) -> Field {
    let name = column.alias.as_str();
    if name == "id" {
        let text = Text { primary_key: true, pattern: fields_list::ID_PATTERN.to_owned(), ..Text::default() };
        return Field { system: true, required: true, ..Field::new(name, FieldKind::Text(text)) };
    }
    if let Some(kind) = computed(&column.original.to_ascii_lowercase()) {
        return Field::new(name, kind);
    }
    let copied = source(catalog, query, column).and_then(|(collection, field)| copied(collection, field, name));
    copied.unwrap_or_else(|| fallback(name))
}

/// The collection that a column is selected from, and the field's name as the query writes it.
fn source<'c, 'q>(
    catalog: &'c Catalog,
    query: &ViewQuery,
    column: &'q Named,
) -> Option<(&'c Arc<Collection>, &'q str)> {
    let mut parts = column.original.split('.');
    let (table, source) = match (parts.next(), parts.next(), parts.next()) {
        (Some(table), Some(source), None) => (query.table(table), source),
        (Some(source), None, None) => (query.tables.first(), source),
        _ => return None,
    };
    // The reference knows tables by their exact names only.
    let known = |table: &Named| catalog.by_name(&table.original).filter(|found| *found.name == *table.original);
    Some((table.and_then(known)?, source))
}

/// Counts, totals and casts.
fn computed(expression: &str) -> Option<FieldKind> {
    let whole = || FieldKind::Number(Number { only_int: true, ..Number::default() });
    let number = || FieldKind::Number(Number::default());
    if expression.starts_with("count(") {
        return Some(whole());
    }
    if expression.starts_with("total(") {
        return Some(number());
    }
    let inner = expression.strip_prefix("cast")?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    let (_, target) = inner.trim_end().rsplit_once(" as ")?;
    match target.trim() {
        "real" | "decimal" | "numeric" => Some(number()),
        "int" | "integer" => Some(whole()),
        "text" => Some(FieldKind::Text(Text::default())),
        "bool" | "boolean" => Some(FieldKind::Bool(Bool::default())),
        _ => None,
    }
}

/// A column that is a collection's field: its definition under the new name, a relation for an id.
fn copied(collection: &Collection, source: &str, name: &str) -> Option<Field> {
    let field = collection.fields.iter().find(|field| field.name.eq_ignore_ascii_case(source))?;
    if field.name == "id" {
        let relation = Relation { collection_id: collection.id.to_string(), max_select: 1, ..Relation::default() };
        return Some(Field::new(name, FieldKind::Relation(relation)));
    }
    Some(Field { id: ids::clone_of_field(), name: name.to_owned(), ..field.clone() })
}

/// What everything else is.
fn fallback(name: &str) -> Field {
    Field::new(name, FieldKind::Json(JsonField { max_size: 1 }))
}
