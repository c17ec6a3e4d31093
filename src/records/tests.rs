//! Reading as clients see it, over a real database: what PocketBase 0.40.6 answered to the same requests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use serde_json::{Map, Value as Json, json};

use super::{ListParams, Records, Shape};
use crate::{
    db::{Change, Db, Durability, Kind, Options, Row, Value, quote_ident},
    error::{Kind as ErrorKind, Result},
    files::Storage,
    identity::{AuthRecord, Caller, Cost, Passwords},
    random,
    rules::{Checker, Request},
    schema::Schema,
};

/// Artists, their works and what others say of them (`docs/wire/records-filter.md` §7.6).
struct Gallery {
    db: Db,
    schema: Schema,
    records: Records,
    dir: PathBuf,
}

impl Drop for Gallery {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Gallery {
    async fn open() -> Self {
        let dir = std::env::temp_dir().join(format!("conch-reads-{}", random::record_id()));
        let options = Options { durability: Durability::Off, ..Options::default() };
        let db = Db::open(&dir, options).unwrap();
        let schema = Schema::open(db.clone(), Arc::new(Checker)).unwrap();
        let storage = Storage::open(&dir, false).unwrap();
        let records = Records::new(db.clone(), schema.clone(), storage, Passwords::new(Cost::Cheap));
        let gallery = Self { db, schema, records, dir };
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

    async fn rules(&self, collection: &str, rules: Json) {
        self.schema.update(collection, object(rules)).await.unwrap();
    }

    /// A row as the write path would store it.
    async fn insert(&self, collection: &str, row: Json) {
        let row = object(row);
        let id = row["id"].as_str().unwrap().to_owned();
        let columns: Vec<String> = row.keys().map(|key| quote_ident(key)).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", quote_ident(collection), columns.join(", "));
        self.write(collection, &id, Kind::Create, sql, row.values().map(stored).collect()).await;
    }

    async fn set(&self, collection: &str, id: &str, column: &str, value: Json) {
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

    async fn caller(&self, id: &str) -> Caller {
        let collection = self.schema.find("auths").unwrap();
        let row = self.records.load(&collection, id).await.unwrap().unwrap();
        Caller::Record(Arc::new(AuthRecord {
            collection_id: collection.id.clone(),
            collection_name: collection.name.clone(),
            id: id.into(),
            row,
        }))
    }

    async fn view(&self, caller: &Caller, collection: &str, id: &str, shape: (&str, &str)) -> Result<Json> {
        let answer = self.records.view(request(caller), collection, id, self::shape(shape)).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    async fn list(&self, caller: &Caller, collection: &str, query: &[(&str, &str)]) -> Result<Json> {
        let query: BTreeMap<&str, &str> = query.iter().copied().collect();
        let get = |name: &str| query.get(name).copied().unwrap_or_default();
        let params = ListParams::parse(|name| query.get(name).copied());
        let shape = self::shape((get("expand"), get("fields")));
        let answer = self.records.list(request(caller), collection, params, shape).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// The expand of a work, names only: `author{} coauthors[bob{boss[ann]},ann{}]`.
    async fn expanded(&self, caller: &Caller, collection: &str, id: &str, expand: &str) -> String {
        outline(&self.view(caller, collection, id, (expand, "")).await.unwrap())
    }
}

fn request(caller: &Caller) -> Request {
    Request { caller: caller.clone(), method: "GET".to_owned(), ..Request::default() }
}

fn shape((expand, fields): (&str, &str)) -> Shape {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Shape { expand: some(expand), fields: some(fields) }
}

fn object(json: Json) -> Map<String, Json> {
    json.as_object().unwrap().clone()
}

fn stored(json: &Json) -> Value {
    match json {
        Json::Number(number) => Value::Integer(number.as_i64().unwrap()),
        Json::String(text) => Value::Text(text.clone()),
        _ => Value::Null,
    }
}

fn keys(record: &Json) -> String {
    record.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn outline(record: &Json) -> String {
    let id = record["id"].as_str().unwrap();
    let Some(expand) = record.get("expand") else { return id.to_owned() };
    let branches = expand.as_object().unwrap().iter().map(|(key, value)| match value {
        Json::Array(list) => format!("{key}[{}]", list.iter().map(outline).collect::<Vec<_>>().join(",")),
        one => format!("{key}:{}", outline(one)),
    });
    format!("{id}{{{}}}", branches.collect::<Vec<_>>().join(" "))
}

fn ids(page: &Json) -> String {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_record_shows_what_its_audience_may_see() {
    let gallery = Gallery::open().await;
    let (guest, bob, boss) = (Caller::Guest, gallery.caller("bob").await, gallery.caller("boss").await);
    let cat = gallery.caller("cat").await;
    let public = "age boss collectionId collectionName";
    for (caller, id, expected) in [
        (&guest, "ann", format!("{public} email emailVisibility id name verified")),
        (&guest, "bob", format!("{public} emailVisibility id name verified")),
        (&bob, "bob", format!("{public} email emailVisibility id name verified")),
        (&cat, "bob", format!("{public} emailVisibility id name verified")),
        (&boss, "bob", format!("{public} email emailVisibility id name verified")),
        (&Caller::system(), "bob", format!("{public} email emailVisibility id name secret verified")),
    ] {
        // Once from the database, once from the row cache.
        for _ in 0..2 {
            assert_eq!(keys(&gallery.view(caller, "auths", id, ("", "")).await.unwrap()), expected, "{id}");
        }
    }
    let page = gallery.list(&bob, "auths", &[("sort", "name")]).await.unwrap();
    let shown: Vec<bool> = page["items"].as_array().unwrap().iter().map(|item| item.get("email").is_some()).collect();
    assert_eq!(shown, [true, true, false, false, false], "ann bob boss cat dan");
    let page = gallery.list(&boss, "auths", &[]).await.unwrap();
    assert!(page["items"].as_array().unwrap().iter().all(|item| item.get("email").is_some()));
    // A manage rule that memory cannot decide is asked in one query.
    let rule = json!({"manageRule": "@request.auth.boss.id = '' && @collection.arts.title ?= 'a1'"});
    gallery.rules("auths", rule).await;
    assert!(gallery.view(&boss, "auths", "bob", ("", "")).await.unwrap().get("email").is_some());
    assert!(gallery.view(&cat, "auths", "bob", ("", "")).await.unwrap().get("email").is_none());
}

#[tokio::test]
async fn locked_collections_are_forbidden_before_anything_is_looked_up() {
    let gallery = Gallery::open().await;
    let guest = Caller::Guest;
    for (collection, id, kind) in [
        ("nope", "x", ErrorKind::NotFound),
        ("locked", "l1", ErrorKind::Forbidden),
        ("locked", "nope", ErrorKind::Forbidden),
        ("arts", "nope", ErrorKind::NotFound),
        ("ARTS", "A1", ErrorKind::NotFound),
    ] {
        assert_eq!(gallery.view(&guest, collection, id, ("", "")).await.unwrap_err().kind, kind, "{collection}/{id}");
    }
    assert!(gallery.view(&Caller::system(), "locked", "l1", ("", "")).await.is_ok());
    for (collection, query, kind) in [
        ("nope", ("page", "x"), ErrorKind::NotFound),
        ("locked", ("page", "x"), ErrorKind::Forbidden),
        ("locked", ("filter", "@request.auth.id = ''"), ErrorKind::Forbidden),
        ("arts", ("filter", "title = '@request.'"), ErrorKind::Forbidden),
        ("arts", ("sort", "@collection.arts.title"), ErrorKind::Forbidden),
        ("arts", ("page", "x"), ErrorKind::Invalid),
        ("arts", ("filter", " "), ErrorKind::Invalid),
        ("arts", ("filter", "nope = 1"), ErrorKind::Invalid),
        ("arts", ("filter", "hid = ''"), ErrorKind::Invalid),
        ("arts", ("sort", "hid"), ErrorKind::Invalid),
        ("arts", ("fields", "title:nope()"), ErrorKind::Invalid),
    ] {
        assert_eq!(gallery.list(&guest, collection, &[query]).await.unwrap_err().kind, kind, "{collection} {query:?}");
    }
}

#[tokio::test]
async fn view_rules_decide_in_memory_and_in_sql() {
    let gallery = Gallery::open().await;
    let (guest, ann, bob) = (Caller::Guest, gallery.caller("ann").await, gallery.caller("bob").await);
    for rule in ["author = @request.auth.id", "author.id = @request.auth.id && author.name != ''"] {
        gallery.rules("arts", json!({"viewRule": rule, "listRule": rule})).await;
        for (caller, id, seen) in
            [(&ann, "a1", true), (&ann, "a2", false), (&bob, "a2", true), (&guest, "a1", false), (&ann, "nope", false)]
        {
            for _ in 0..2 {
                let found = gallery.view(caller, "arts", id, ("", "")).await;
                assert_eq!(found.is_ok(), seen, "{rule} {id}");
            }
            let collection = gallery.schema.find("arts").unwrap();
            let satisfied = gallery.records.satisfies(&request(caller), &collection, id, Some(rule)).await.unwrap();
            assert_eq!(satisfied, seen, "{rule} {id}");
        }
        assert_eq!(ids(&gallery.list(&ann, "arts", &[]).await.unwrap()), "a1");
        assert_eq!(
            ids(&gallery.list(&guest, "arts", &[]).await.unwrap()),
            if rule.contains("name") { "" } else { "a4" }
        );
    }
}

#[tokio::test]
async fn pages_know_their_totals() {
    let gallery = Gallery::open().await;
    for (query, expected) in [
        (&[][..], ("a1 a2 a3 a4", 1, 30, 4, 1)),
        (&[("perPage", "2")], ("a1 a2", 1, 2, 4, 2)),
        (&[("perPage", "2"), ("page", "2")], ("a3 a4", 2, 2, 4, 2)),
        (&[("perPage", "3"), ("page", "2")], ("a4", 2, 3, 4, 2)),
        (&[("perPage", "2"), ("page", "9")], ("", 9, 2, 4, 2)),
        (&[("perPage", "4")], ("a1 a2 a3 a4", 1, 4, 4, 1)),
        (&[("perPage", "2"), ("skipTotal", "1")], ("a1 a2", 1, 2, -1, -1)),
        (&[("filter", "title = 'nope'")], ("", 1, 30, 0, 0)),
        (&[("filter", "title > 'a1'"), ("sort", "-title"), ("perPage", "2")], ("a4 a3", 1, 2, 3, 2)),
        (&[("filter", "coauthors.name ?!= ''"), ("perPage", "1")], ("a1", 1, 1, 3, 3)),
        (&[("perPage", "5000")], ("a1 a2 a3 a4", 1, 1000, 4, 1)),
    ] {
        let page = gallery.list(&Caller::Guest, "arts", query).await.unwrap();
        let number = |key: &str| page[key].as_i64().unwrap();
        let found = (&*ids(&page), number("page"), number("perPage"), number("totalItems"), number("totalPages"));
        assert_eq!(found, expected, "{query:?}");
        assert_eq!(keys(&page), "items page perPage totalItems totalPages");
    }
}

#[tokio::test]
async fn fields_are_picked_from_each_item() {
    let gallery = Gallery::open().await;
    let system = Caller::system();
    for (expand, fields, expected) in [
        ("", "title,nope", json!({"title": "a1"})),
        ("author", "title", json!({"title": "a1"})),
        ("author", "title,expand.author.name", json!({"title": "a1", "expand": {"author": {"name": "ann"}}})),
        ("author", "title:excerpt(1)", json!({"title": "a"})),
        ("", "nope", json!({})),
    ] {
        assert_eq!(gallery.view(&system, "arts", "a1", (expand, fields)).await.unwrap(), expected, "{fields}");
        let query = [("expand", expand), ("fields", fields), ("perPage", "1")];
        assert_eq!(gallery.list(&system, "arts", &query).await.unwrap()["items"][0], expected, "{fields}");
    }
    for (id, kind) in [("a1", ErrorKind::Invalid), ("nope", ErrorKind::NotFound)] {
        assert_eq!(gallery.view(&system, "arts", id, ("", "id:x()")).await.unwrap_err().kind, kind);
    }
    // Whatever is picked, records come as they were inserted.
    for (fields, index) in [("id", json!([])), ("id,author", json!(["CREATE INDEX i2 ON arts (author, id)"]))] {
        gallery.rules("arts", json!({"indexes": index})).await;
        gallery.insert("arts", json!({"id": format!("a0{}", fields.len()), "author": "ann"})).await;
        let page = gallery.list(&system, "arts", &[("fields", fields)]).await.unwrap();
        assert!(ids(&page).starts_with("a1 a2 a3 a4 a0"), "{page}");
    }
    // The address is judged although neither id nor emailVisibility are asked for.
    let page = gallery.list(&Caller::Guest, "auths", &[("fields", "email"), ("perPage", "2")]).await.unwrap();
    assert_eq!(page["items"], json!([{"email": "ann@x.co"}, {}]));
}

#[tokio::test]
async fn expand_follows_relations_both_ways() {
    let gallery = Gallery::open().await;
    let deep = "cmts_via_art.art.cmts_via_art.art.cmts_via_art.art.cmts_via_art";
    for (collection, id, expand, expected) in [
        ("arts", "a1", "author", "a1{author:ann}"),
        ("arts", "a1", "author.boss", "a1{author:ann{}}"),
        ("arts", "a1", "author.boss,coauthors", "a1{author:ann{} coauthors[bob,ann]}"),
        ("arts", "a1", "coauthors.boss", "a1{coauthors[bob{boss:ann},ann{}]}"),
        ("arts", "a1", "coauthors.boss.boss", "a1{coauthors[bob{boss:ann{}},ann{}]}"),
        ("arts", "a4", "coauthors", "a4{coauthors[cat,ann]}"),
        ("arts", "a1", " au thor ,.hid.", "a1{author:ann hid:bob}"),
        ("arts", "a1", "title", "a1"),
        ("arts", "a1", "nope", "a1"),
        ("arts", "a1", "a..b", "a1"),
        ("arts", "a1", "author..boss", "a1"),
        ("arts", "a1", "author,author.nope", "a1"),
        ("arts", "a1", "author.nope,author.boss", "a1{author:ann{}}"),
        ("arts", "a1", "author.boss.nope", "a1{author:ann{}}"),
        ("arts", "a3", "author.boss.boss.nope", "a3{author:cat{boss:ann{}}}"),
        ("arts", "a4", "author.nope", "a4{}"),
        ("arts", "a4", "locked_via_art", "a4"),
        ("arts", "a3", "coauthors.nope", "a3{}"),
        ("arts", "a1", "cmts_via_art", "a1{cmts_via_art[x,y]}"),
        ("arts", "a1", "CMTS_via_art", "a1{CMTS_via_art[x,y]}"),
        ("arts", "a1", "cmts(art)", "a1{cmts(art)[x,y]}"),
        ("arts", "a3", "cmts_via_art.nope", "a3{}"),
        ("arts", "a1", "reacts_via_arts", "a1{reacts_via_arts[like,love]}"),
        ("arts", "a1", "meta_via_art.art", "a1{meta_via_art:m1{art:a1}}"),
        ("arts", "a3", "meta_via_art", "a3{}"),
        ("arts", "a1", "auths_via_boss", "a1"),
        ("arts", "a1", "locked_via_art", "a1"),
        ("arts", "a1", "locked_via_art,author", "a1{author:ann}"),
        ("auths", "ann", "arts_via_author.locked_via_art", "ann"),
        ("auths", "ann", "arts_via_author.locked_via_art,arts_via_author.hid", "ann{arts_via_author[a1{hid:bob}]}"),
        (
            "auths",
            "ann",
            "auths_via_boss.arts_via_author.cmts_via_art",
            "ann{auths_via_boss[bob{arts_via_author[a2{cmts_via_art[z]}]},cat{arts_via_author[a3{}]},dan{}]}",
        ),
        ("arts", "a2", deep, "a2{cmts_via_art[z{art:a2{cmts_via_art[z{art:a2{cmts_via_art[z{art:a2}]}}]}}]}"),
    ] {
        assert_eq!(gallery.expanded(&Caller::Guest, collection, id, expand).await, expected, "{expand}");
    }
    let system = Caller::system();
    assert_eq!(gallery.expanded(&system, "arts", "a1", "locked_via_art").await, "a1{locked_via_art[l1]}");
    let page = gallery.list(&Caller::Guest, "arts", &[("expand", "author.boss,meta_via_art")]).await.unwrap();
    let outlines: Vec<String> = page["items"].as_array().unwrap().iter().map(outline).collect();
    assert_eq!(
        outlines,
        ["a1{author:ann{} meta_via_art:m1}", "a2{author:bob{boss:ann}}", "a3{author:cat{boss:ann}}", "a4{}"]
    );
    // One author with an unknown relation spoils the path for the whole page.
    let page = gallery.list(&Caller::Guest, "arts", &[("expand", "author.nope")]).await.unwrap();
    assert!(page["items"].as_array().unwrap().iter().all(|item| item.get("expand").is_none()));
}

#[tokio::test]
async fn expanded_records_are_judged_by_their_view_rule() {
    let gallery = Gallery::open().await;
    let rule = "@request.context = 'expand' && age > 30";
    gallery.rules("auths", json!({"viewRule": rule, "listRule": null})).await;
    let guest = Caller::Guest;
    assert_eq!(gallery.expanded(&guest, "arts", "a1", "author,coauthors").await, "a1{coauthors[bob]}");
    let shown = gallery.view(&guest, "arts", "a1", ("coauthors,hid", "")).await.unwrap();
    let visible = "age boss collectionId collectionName emailVisibility id name verified";
    assert_eq!(keys(&shown["expand"]["coauthors"][0]), visible);
    assert_eq!(keys(&shown["expand"]["hid"]), visible);
    assert!(shown.get("hid").is_none());
}

#[tokio::test]
async fn answers_after_signing_in_show_the_address() {
    let gallery = Gallery::open().await;
    let Caller::Record(bob) = gallery.caller("bob").await else { panic!("a record") };
    let request = Request::default();
    let answer = gallery.records.render_authenticated(request, &bob, shape(("boss", ""))).await.unwrap();
    let answer: Json = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["email"], "bob@x.co");
    assert_eq!(outline(&answer), "bob{boss:ann}");
    assert!(answer.get("secret").is_none() && answer.get("tokenKey").is_none());
}

/// Readers hammer a record through the cache while a writer counts up: none may read behind an acknowledged write.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_row_cache_is_never_behind_an_acknowledgement() {
    let gallery = Arc::new(Gallery::open().await);
    let (acknowledged, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    gallery.set("cmts", "x", "score", json!(0)).await;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (gallery, acknowledged, stop) = (gallery.clone(), acknowledged.clone(), stop.clone());
            tokio::spawn(async move {
                let mut reads = 0;
                while !stop.load(Ordering::SeqCst) {
                    let known = acknowledged.load(Ordering::SeqCst);
                    let seen = gallery.view(&Caller::Guest, "cmts", "x", ("", "")).await.unwrap();
                    assert!(seen["score"].as_i64().unwrap() >= known, "{seen} after {known}");
                    reads += 1;
                    tokio::task::yield_now().await;
                }
                reads
            })
        })
        .collect();
    for n in 1..500 {
        gallery.set("cmts", "x", "score", json!(n)).await;
        acknowledged.store(n, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    let collection = gallery.schema.find("cmts").unwrap();
    gallery.records.load(&collection, "x").await.unwrap();
    assert!(gallery.records.rows.get(&collection.id, "x").is_some(), "the cache was used");
}

/// Totals may come from memory: they are those of some moment between the question and the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn totals_are_never_behind_an_acknowledgement() {
    let gallery = Arc::new(Gallery::open().await);
    let (begun, done, stop) =
        (Arc::new(AtomicI64::new(3)), Arc::new(AtomicI64::new(3)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = ["", "score > 0", "art.title != ''"]
        .map(|filter| {
            let (gallery, begun, done, stop) = (gallery.clone(), begun.clone(), done.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let known = done.load(Ordering::SeqCst);
                    let query = [("perPage", "1"), ("filter", filter)];
                    let page = gallery.list(&Caller::Guest, "cmts", &query).await.unwrap();
                    let (total, begun) = (page["totalItems"].as_i64().unwrap(), begun.load(Ordering::SeqCst));
                    assert!((known..=begun).contains(&total), "{total} is not in {known}..={begun}");
                    tokio::task::yield_now().await;
                }
            })
        })
        .into();
    for n in 4..300 {
        begun.store(n, Ordering::SeqCst);
        gallery.insert("cmts", json!({"id": format!("c{n}"), "score": 1, "art": "a1"})).await;
        done.store(n, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    // A change of the related collection counts as well.
    let query = [("perPage", "1"), ("filter", "art.title = 'new'")];
    for (title, total) in [("old", 0), ("new", 298), ("old", 0)] {
        gallery.set("arts", "a1", "title", title.into()).await;
        for _ in 0..2 {
            let page = gallery.list(&Caller::Guest, "cmts", &query).await.unwrap();
            assert_eq!(page["totalItems"], total, "{title}");
        }
    }
}

#[tokio::test]
async fn a_schema_change_never_serves_a_row_of_the_old_columns() {
    let gallery = Gallery::open().await;
    let guest = Caller::Guest;
    assert_eq!(gallery.view(&guest, "meta", "m1", ("", "")).await.unwrap()["note"], "n1");
    let mut fields = gallery.schema.find("meta").unwrap().to_json()["fields"].as_array().unwrap().clone();
    let note = fields.iter_mut().find(|field| field["name"] == "note").unwrap();
    note["name"] = "remark".into();
    gallery.schema.update("meta", object(json!({"fields": fields}))).await.unwrap();
    let seen = gallery.view(&guest, "meta", "m1", ("", "")).await.unwrap();
    assert_eq!(keys(&seen), "art collectionId collectionName id remark");
    assert_eq!(seen["remark"], "n1");
    let mut fields = fields.clone();
    fields.iter_mut().find(|field| field["name"] == "remark").unwrap()["hidden"] = true.into();
    gallery.schema.update("meta", object(json!({"fields": fields}))).await.unwrap();
    assert_eq!(
        keys(&gallery.view(&guest, "meta", "m1", ("", "")).await.unwrap()),
        "art collectionId collectionName id"
    );
}
