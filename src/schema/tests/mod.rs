//! The room as a whole, over a real database: what a change of a collection does to tables, rows and catalog.

mod accounts;
mod directories;
mod imports;
mod refusals;
mod tables;
mod views;

use serde_json::json;

use super::*;
use crate::{
    clock::{Clock, Timestamp},
    db::{self, ReadTx, Value, testing::TempDir},
    error::Kind,
};

/// Rules that mention `nope` do not compile.
struct Rules;

impl CheckRule for Rules {
    fn check(&self, _: &Catalog, _: &Collection, rule: &str) -> Result<(), String> {
        if rule.contains("nope") { Err("unknown field".to_owned()) } else { Ok(()) }
    }
}

struct House {
    schema: Schema,
    clock: Clock,
    dir: TempDir,
}

fn options(clock: &Clock) -> db::Options {
    db::Options { durability: db::Durability::Off, clock: clock.clone(), ..db::Options::default() }
}

impl House {
    fn new() -> Self {
        let dir = TempDir::new();
        let clock = Clock::manual(Timestamp(1_795_309_200_123));
        let db = Db::open(dir.path(), options(&clock)).unwrap();
        Self { schema: Schema::open(db, Arc::new(Rules)).unwrap(), clock, dir }
    }

    /// Closes and opens the directory again.
    async fn again(self) -> Self {
        let Self { schema, clock, dir } = self;
        schema.db.close().await;
        drop(schema);
        let db = Db::open(dir.path(), options(&clock)).unwrap();
        Self { schema: Schema::open(db, Arc::new(Rules)).unwrap(), clock, dir }
    }

    async fn create(&self, body: Json) -> Result<Arc<Collection>> {
        self.schema.create(object(body)).await
    }

    async fn update(&self, name: &str, body: Json) -> Result<Arc<Collection>> {
        self.schema.update(name, object(body)).await
    }

    /// The codes of a refused creation, `path=code`.
    async fn create_codes(&self, body: Json) -> Vec<String> {
        codes(self.create(body).await)
    }

    async fn update_codes(&self, name: &str, body: Json) -> Vec<String> {
        codes(self.update(name, body).await)
    }

    async fn import(&self, collections: Json, delete_missing: bool) -> Result<()> {
        let list = collections.as_array().cloned().unwrap();
        self.schema.import(list.into_iter().map(object).collect(), delete_missing).await
    }

    /// Rows of a query, values joined with `|`.
    fn rows(&self, sql: &str) -> Vec<String> {
        self.schema.db.read_blocking(|tx| rows(tx, sql)).unwrap()
    }

    fn run(&self, sql: &str) {
        let sql = sql.to_owned();
        self.schema.db.write_blocking(move |tx| tx.execute_batch(&sql)).unwrap();
    }

    /// All there is: SQL objects, rows of `_collections`, log.
    fn everything(&self) -> Vec<String> {
        // What the planner has learnt is not the schema's.
        let schema =
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT GLOB 'sqlite_stat*' ORDER BY name";
        let mut all = self.rows(schema);
        all.extend(self.rows("SELECT * FROM _collections ORDER BY id"));
        all.push(format!("{:?}", self.schema.catalog().all()));
        all
    }
}

fn object(json: Json) -> Map<String, Json> {
    json.as_object().cloned().unwrap()
}

fn codes<T: std::fmt::Debug>(outcome: Result<T>) -> Vec<String> {
    let error = outcome.expect_err("refused");
    assert_eq!(error.kind, Kind::Invalid, "{error}");
    error.issues.leaves().into_iter().map(|(path, code)| format!("{path}={code}")).collect()
}

fn rows(tx: &ReadTx<'_>, sql: &str) -> Result<Vec<String>> {
    let text = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text,
        Value::Blob(_) => "BLOB".to_owned(),
    };
    let mut statement = tx.connection().prepare(sql)?;
    let row = |row: &rusqlite::Row<'_>| {
        // Asked for here: SQLite compiles a statement again when the schema has changed.
        let width = row.as_ref().column_count();
        Ok((0..width).map(|at| row.get(at).map(text)).collect::<Result<Vec<_>, _>>()?.join("|"))
    };
    Ok(statement.query_map([], row)?.collect::<rusqlite::Result<_>>()?)
}

fn names(collection: &Collection) -> Vec<&str> {
    collection.fields.iter().map(|field| field.name.as_str()).collect()
}

/// The stored fields as a PATCH would send them, changed by `edit` (`None` drops a field).
fn patch(collection: &Collection, edit: impl Fn(&str, &mut Json) -> bool) -> Json {
    let mut list = Vec::new();
    for field in &collection.fields {
        let mut json = field.to_json();
        if edit(&field.name, &mut json) {
            list.push(json);
        }
    }
    json!({ "fields": list })
}
