//! What the tests of reading share: a small database and short ways to ask it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value as Json, json};

use super::super::{ListParams, Records, Shape};
use crate::{
    db::{Change, Db, Durability, Kind, Options, Row, Value, quote_ident, testing::TempDir},
    error::Result,
    files::Storage,
    identity::{AuthRecord, Caller, Cost, Passwords},
    jobs::Jobs,
    rules::{Checker, Request},
    schema::Schema,
};

/// Artists, their works and what others say of them (`docs/wire/records-filter.md` §7.6).
pub(super) struct Gallery {
    pub(super) db: Db,
    pub(super) schema: Schema,
    pub(super) records: Records,
    _dir: TempDir,
}

impl Gallery {
    pub(super) async fn open() -> Self {
        let dir = TempDir::new();
        let options =
            Options { durability: Durability::Off, functions: vec![crate::rules::register], ..Options::default() };
        let db = Db::open(dir.path(), options).unwrap();
        let schema = Schema::open(db.clone(), Arc::new(Checker)).unwrap();
        let storage = Storage::open(dir.path(), false).unwrap();
        let records =
            Records::new(db.clone(), schema.clone(), storage, Passwords::new(Cost::Cheap), Jobs::new(db.clone()));
        let gallery = Self { db, schema, records, _dir: dir };
        gallery.build().await;
        gallery
    }

    async fn build(&self) {
        let text = |name: &str| json!({"name": name, "type": "text"});
        let relation = |name: &str, to: &str, max: u64| json!({"name": name, "type": "relation", "collectionId": self.schema.find(to).unwrap().id, "maxSelect": max});
        let hidden = |mut field: Json| {
            field["hidden"] = true.into();
            field
        };
        let fields = vec![text("name"), json!({"name": "age", "type": "number"}), hidden(text("secret"))];
        self.collection("auths", "auth", fields, json!({"manageRule": "@request.auth.name = 'boss'"})).await;
        let stored = self.schema.find("auths").unwrap().to_json();
        let mut fields = stored["fields"].as_array().unwrap().clone();
        fields.push(relation("boss", "auths", 1));
        self.schema.update("auths", object(json!({"fields": fields}))).await.unwrap();
        let arts = vec![
            text("title"),
            relation("author", "auths", 1),
            relation("coauthors", "auths", 9),
            hidden(relation("hid", "auths", 1)),
            json!({"name": "j", "type": "json"}),
        ];
        self.collection("arts", "base", arts, json!({})).await;
        let cmts = vec![text("text"), relation("art", "arts", 1), json!({"name": "score", "type": "number"})];
        self.collection("cmts", "base", cmts, json!({})).await;
        self.collection("reacts", "base", vec![text("kind"), relation("arts", "arts", 9)], json!({})).await;
        let index = json!({"indexes": ["CREATE UNIQUE INDEX i1 ON meta (art)"]});
        self.collection("meta", "base", vec![text("note"), relation("art", "arts", 1)], index).await;
        let closed = json!({"listRule": null, "viewRule": null});
        self.collection("locked", "base", vec![text("x"), relation("art", "arts", 1)], closed).await;
        for (id, name, age, boss, shown) in [
            ("ann", "ann", 30, "", 1),
            ("bob", "bob", 40, "ann", 0),
            ("cat", "cat", 30, "ann", 0),
            ("dan", "dan", 50, "ann", 0),
            ("boss", "boss", 60, "", 0),
        ] {
            let email = format!("{name}@x.co");
            self.insert(
                "auths",
                json!({"id": id, "name": name, "age": age, "boss": boss, "emailVisibility": shown, "email": email,
                    "tokenKey": id, "password": "$2a$hash", "secret": "s"}),
            )
            .await;
        }
        for (id, author, coauthors, hid) in [
            ("a1", "ann", r#"["bob","ann"]"#, "bob"),
            ("a2", "bob", r#"["ann"]"#, ""),
            ("a3", "cat", "[]", ""),
            ("a4", "", r#"["cat","gone","ann"]"#, ""),
        ] {
            let row = json!({"id": id, "title": id, "author": author, "coauthors": coauthors, "hid": hid});
            self.insert("arts", row).await;
        }
        for (id, score, art) in [("x", 1, "a1"), ("y", 5, "a1"), ("z", 5, "a2")] {
            self.insert("cmts", json!({"id": id, "text": id, "score": score, "art": art})).await;
        }
        self.insert("reacts", json!({"id": "like", "kind": "like", "arts": r#"["a1","a2"]"#})).await;
        self.insert("reacts", json!({"id": "love", "kind": "love", "arts": r#"["a1"]"#})).await;
        self.insert("meta", json!({"id": "m1", "note": "n1", "art": "a1"})).await;
        self.insert("locked", json!({"id": "l1", "x": "l", "art": "a1"})).await;
    }

    async fn collection(&self, name: &str, kind: &str, fields: Vec<Json>, extra: Json) {
        let mut body = json!({"name": name, "type": kind, "fields": fields, "listRule": "", "viewRule": ""});
        body.as_object_mut().unwrap().extend(object(extra));
        self.schema.create(object(body)).await.unwrap();
    }

    pub(super) async fn rules(&self, collection: &str, rules: Json) {
        self.schema.update(collection, object(rules)).await.unwrap();
    }

    /// A row as the write path would store it.
    pub(super) async fn insert(&self, collection: &str, row: Json) {
        let row = object(row);
        let id = row["id"].as_str().unwrap().to_owned();
        let columns: Vec<String> = row.keys().map(|key| quote_ident(key)).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", quote_ident(collection), columns.join(", "));
        self.write(collection, &id, Kind::Create, sql, row.values().map(stored).collect()).await;
    }

    pub(super) async fn set(&self, collection: &str, id: &str, column: &str, value: Json) {
        let sql = format!("UPDATE {} SET {} = ? WHERE id = ?", quote_ident(collection), quote_ident(column));
        self.write(collection, id, Kind::Update, sql, vec![stored(&value), Value::Text(id.to_owned())]).await;
    }

    async fn write(&self, collection: &str, id: &str, kind: Kind, sql: String, values: Vec<Value>) {
        let collection = self.schema.find(collection).unwrap().id.clone();
        let record = id.to_owned();
        let empty = Arc::new(Row { columns: Arc::new([]), values: Vec::new() });
        self.db
            .write(move |tx| {
                tx.execute(&sql, rusqlite::params_from_iter(&values))?;
                tx.append(Change {
                    collection: collection.clone(),
                    record: record.clone(),
                    kind,
                    old: (kind != Kind::Create).then(|| empty.clone()),
                    new: Some(empty.clone()),
                    actor: None,
                    mutation: None,
                })
            })
            .await
            .unwrap();
    }

    pub(super) async fn caller(&self, id: &str) -> Caller {
        let collection = self.schema.find("auths").unwrap();
        let row = self.records.load(&collection, id).await.unwrap().unwrap();
        Caller::Record(Arc::new(AuthRecord {
            collection_id: collection.id.clone(),
            collection_name: collection.name.clone(),
            id: id.into(),
            row,
        }))
    }

    pub(super) async fn view(&self, caller: &Caller, collection: &str, id: &str, shape: (&str, &str)) -> Result<Json> {
        let answer = self.records.view(request(caller), collection, id, self::shape(shape)).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    pub(super) async fn list(&self, caller: &Caller, collection: &str, query: &[(&str, &str)]) -> Result<Json> {
        let query: BTreeMap<&str, &str> = query.iter().copied().collect();
        let get = |name: &str| query.get(name).copied().unwrap_or_default();
        let params = ListParams::parse(|name| query.get(name).copied());
        let shape = self::shape((get("expand"), get("fields")));
        let answer = self.records.list(request(caller), collection, params, shape).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// The expand of a work, names only: `author{} coauthors[bob{boss[ann]},ann{}]`.
    pub(super) async fn expanded(&self, caller: &Caller, collection: &str, id: &str, expand: &str) -> String {
        outline(&self.view(caller, collection, id, (expand, "")).await.unwrap())
    }
}

pub(super) fn request(caller: &Caller) -> Request {
    Request { caller: caller.clone(), method: "GET".to_owned(), ..Request::default() }
}

pub(super) fn shape((expand, fields): (&str, &str)) -> Shape {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Shape { expand: some(expand), fields: some(fields) }
}

pub(super) fn object(json: Json) -> Map<String, Json> {
    json.as_object().unwrap().clone()
}

fn stored(json: &Json) -> Value {
    match json {
        Json::Number(number) => Value::Integer(number.as_i64().unwrap()),
        Json::String(text) => Value::Text(text.clone()),
        _ => Value::Null,
    }
}

pub(super) fn keys(record: &Json) -> String {
    record.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn outline(record: &Json) -> String {
    let id = record["id"].as_str().unwrap();
    let Some(expand) = record.get("expand") else { return id.to_owned() };
    let branches = expand.as_object().unwrap().iter().map(|(key, value)| match value {
        Json::Array(list) => format!("{key}[{}]", list.iter().map(outline).collect::<Vec<_>>().join(",")),
        one => format!("{key}:{}", outline(one)),
    });
    format!("{id}{{{}}}", branches.collect::<Vec<_>>().join(" "))
}

pub(super) fn ids(page: &Json) -> String {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}
