//! Tests of the whole room: the worked tables of `records-filter.md`, both readers against each other, the parser
//! against noise.

mod agree;
mod fuzz;
mod located;
mod plans;
mod rights;
mod worked;

use std::sync::Arc;

use rusqlite::{Connection, params_from_iter};
use serde_json::{Value as Json, json};

use super::{Checker, Query, Request, Sql, register};
use crate::{
    db::{Row, Value, quote_ident},
    error::Result,
    identity::{AuthRecord, Caller},
    schema::{Catalog, Collection, Field, collection::Options},
};

/// A catalog with its tables in memory.
pub(super) struct Fixture {
    pub catalog: Catalog,
    pub connection: Connection,
}

impl Fixture {
    pub fn new(collections: Vec<Collection>) -> Self {
        let connection = Connection::open_in_memory().expect("memory is always there");
        register(&connection).unwrap();
        for collection in &collections {
            create_table(&connection, collection);
        }
        let catalog = Catalog::new(1, collections.into_iter().map(Arc::new).collect());
        Self { catalog, connection }
    }

    pub fn base(&self, name: &str) -> &Collection {
        self.catalog.find(name).unwrap_or_else(|| panic!("no collection {name}"))
    }

    /// Inserts a record from a JSON object; missing keys take the column's default.
    pub fn insert(&self, collection: &str, values: Json) {
        let base = self.base(collection);
        let values = values.as_object().expect("an object");
        let columns: Vec<String> = values.keys().map(|name| quote_ident(name)).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", quote_ident(collection), columns.join(", "));
        let stored = values.iter().map(|(name, value)| {
            base.field(name).unwrap_or_else(|| panic!("no field {name}")).kind.as_type().normalise(value)
        });
        self.connection.execute(&sql, params_from_iter(stored)).unwrap();
    }

    /// The stored row of a record.
    pub fn row(&self, collection: &str, id: &str) -> Row {
        let sql = format!("SELECT * FROM {} WHERE id = ?", quote_ident(collection));
        let mut statement = self.connection.prepare(&sql).unwrap();
        let columns: Arc<[Arc<str>]> = statement.column_names().map(Arc::from).collect();
        let values = statement
            .query_row([id], |row| (0..columns.len()).map(|index| row.get(index)).collect::<rusqlite::Result<_>>())
            .unwrap();
        Row { columns, values }
    }

    pub fn caller(&self, collection: &str, id: &str) -> Caller {
        let base = self.base(collection);
        Caller::Record(Arc::new(AuthRecord {
            collection_id: base.id.clone(),
            collection_name: base.name.clone(),
            id: id.into(),
            row: Arc::new(self.row(collection, id)),
        }))
    }

    pub fn ids(&self, sql: &Sql) -> Vec<String> {
        let mut statement = self.connection.prepare(&sql.text).unwrap_or_else(|error| panic!("{error}: {}", sql.text));
        let rows = statement.query_map(params_from_iter(&sql.params), |row| row.get(0));
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap_or_else(|error| panic!("{error}: {}", sql.text))
    }

    pub fn number(&self, sql: &Sql) -> i64 {
        self.connection.query_row(&sql.text, params_from_iter(&sql.params), |row| row.get(0)).unwrap()
    }

    /// Ids of the records that a client's filter finds, in id order; the count has to agree.
    pub fn filter(&self, base: &str, filter: &str, request: &Request) -> Result<String> {
        let mut query = Query::new(&self.catalog, self.base(base), request);
        query.and_filter(filter)?;
        let mut ids = self.ids(&query.select(&["id"], None, 0));
        ids.sort();
        assert_eq!(self.number(&query.count()), i64::try_from(ids.len()).unwrap(), "{filter}");
        Ok(ids.join(" "))
    }

    /// True when the rule holds for a stored record.
    pub fn rule(&self, base: &str, id: &str, rule: &str, request: &Request) -> Result<bool> {
        let mut query = Query::new(&self.catalog, self.base(base), request);
        query.and_id(id);
        query.and_rule(rule)?;
        let sql = query.select(&[], Some(1), 0);
        Ok(self.connection.prepare(&sql.text).unwrap().exists(params_from_iter(&sql.params)).unwrap())
    }

    /// True when the create rule holds for a new row with these stored values.
    pub fn create_rule(&self, base: &str, row: &Row, rule: &str, request: &Request) -> Result<bool> {
        let mut query = Query::over_new_row(&self.catalog, self.base(base), request, row);
        query.and_rule(rule)?;
        let sql = query.select(&[], Some(1), 0);
        Ok(self.connection.prepare(&sql.text).unwrap().exists(params_from_iter(&sql.params)).unwrap())
    }
}

fn create_table(connection: &Connection, collection: &Collection) {
    let columns: Vec<String> = collection
        .fields
        .iter()
        .map(|field| format!("{} {}", quote_ident(&field.name), field.kind.as_type().column()))
        .collect();
    connection
        .execute_batch(&format!("CREATE TABLE {} ({})", quote_ident(&collection.name), columns.join(", ")))
        .unwrap();
}

/// A collection with an `id` and these fields (wire JSON); rules are blank.
pub(super) fn collection(name: &str, options: Options, fields: Json) -> Collection {
    let mut collection = Collection::new(&format!("id_{name}"), name, options);
    let id = json!({ "name": "id", "type": "text", "primaryKey": true });
    let all = std::iter::once(&id).chain(fields.as_array().expect("a list of fields"));
    collection.fields = all.map(|field| Field::from_json(field.as_object().expect("an object")).unwrap()).collect();
    for rule in [&mut collection.list_rule, &mut collection.view_rule] {
        *rule = Some(String::new());
    }
    collection
}

pub(super) fn base(name: &str, fields: Json) -> Collection {
    collection(name, Options::Base, fields)
}

pub(super) fn auth(name: &str, fields: Json) -> Collection {
    let mut all = json!([
        { "name": "email", "type": "email" },
        { "name": "emailVisibility", "type": "bool" },
        { "name": "verified", "type": "bool" },
        { "name": "tokenKey", "type": "text", "hidden": true },
    ]);
    all.as_array_mut().unwrap().extend(fields.as_array().unwrap().iter().cloned());
    collection(name, Options::Auth(Box::default()), all)
}

/// A request by a superuser.
pub(super) fn superuser() -> Request {
    let record = AuthRecord {
        collection_id: crate::identity::SUPERUSERS_ID.into(),
        collection_name: "_superusers".into(),
        id: "root".into(),
        row: Arc::new(Row { columns: Arc::new(["id".into()]), values: vec![Value::Text("root".into())] }),
    };
    Request { caller: Caller::Superuser(Arc::new(record)), ..Request::default() }
}

/// auths, arts, cmts and reacts of `records-filter.md` §7.6.
pub(super) fn articles() -> Fixture {
    let fixture = Fixture::new(vec![
        auth(
            "auths",
            json!([
                { "name": "name", "type": "text" },
                { "name": "age", "type": "number" },
                { "name": "roles", "type": "select", "values": ["w", "e"], "maxSelect": 2 },
                { "name": "boss", "type": "relation", "collectionId": "id_auths", "maxSelect": 1 },
                { "name": "secret", "type": "text", "hidden": true },
            ]),
        ),
        base(
            "arts",
            json!([
                { "name": "title", "type": "text" },
                { "name": "author", "type": "relation", "collectionId": "id_auths", "maxSelect": 1 },
                { "name": "coauthors", "type": "relation", "collectionId": "id_auths", "maxSelect": 9 },
            ]),
        ),
        base(
            "cmts",
            json!([
                { "name": "text", "type": "text" },
                { "name": "score", "type": "number" },
                { "name": "art", "type": "relation", "collectionId": "id_arts", "maxSelect": 1 },
            ]),
        ),
        base(
            "reacts",
            json!([
                { "name": "kind", "type": "text" },
                { "name": "arts", "type": "relation", "collectionId": "id_arts", "maxSelect": 9 },
            ]),
        ),
    ]);
    for (name, age, roles, boss) in [
        ("ann", 30, json!(["w"]), ""),
        ("bob", 40, json!(["w", "e"]), "ann"),
        ("cat", 30, json!(["e"]), "ann"),
        ("dan", 50, json!([]), "ann"),
    ] {
        let email = format!("{name}@example.com");
        fixture.insert(
            "auths",
            json!({ "id": name, "name": name, "age": age, "roles": roles, "boss": boss, "email": email,
                    "emailVisibility": name == "bob", "secret": format!("secret of {name}") }),
        );
    }
    for (id, author, coauthors) in [
        ("a1", "ann", json!(["ann", "bob"])),
        ("a2", "bob", json!(["ann"])),
        ("a3", "cat", json!([])),
        ("a4", "", json!(["cat", "ann"])),
        ("a5", "ann", json!(["bob"])),
    ] {
        fixture.insert("arts", json!({ "id": id, "title": id, "author": author, "coauthors": coauthors }));
    }
    for (id, score, art) in [("x", 1, "a1"), ("y", 5, "a1"), ("z", 5, "a2"), ("w", 7, "a2"), ("v", 2, "a3")] {
        fixture.insert("cmts", json!({ "id": id, "score": score, "art": art }));
    }
    for (kind, arts) in [("like", json!(["a1", "a2"])), ("love", json!(["a1"])), ("none", json!([]))] {
        fixture.insert("reacts", json!({ "id": kind, "kind": kind, "arts": arts }));
    }
    fixture
}

/// The scalar records of §7.6, with a point `g` near r1 and far from the others.
pub(super) fn scalars() -> Fixture {
    let fixture = Fixture::new(vec![base(
        "scalars",
        json!([
            { "name": "t", "type": "text" },
            { "name": "n", "type": "number" },
            { "name": "b", "type": "bool" },
            { "name": "s", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3 },
            { "name": "j", "type": "json" },
            { "name": "d", "type": "date" },
            { "name": "g", "type": "geoPoint" },
        ]),
    )]);
    for record in [
        json!({ "id": "r1", "t": "Hello", "n": 1, "b": true, "s": ["a"], "j": { "x": 1, "arr": [1, 2, 3] },
                "d": "2024-05-01", "g": { "lon": 23.33, "lat": 42.70 } }),
        json!({ "id": "r2" }),
        json!({ "id": "r3", "t": "hello 100%", "n": 2.5, "s": ["a", "b"], "j": "text", "d": "2024-06-01" }),
        json!({ "id": "r4", "t": "5", "n": 5, "s": ["b", "c"], "j": 5 }),
        json!({ "id": "r5", "t": "a_b", "n": -1, "s": ["a", "b", "c"], "j": [1, "2", null] }),
        json!({ "id": "r6", "t": "axb", "n": 10, "s": ["c"], "j": "\"\"" }),
        json!({ "id": "r7", "n": 10, "s": [], "j": true }),
    ] {
        fixture.insert("scalars", record);
    }
    fixture
}
