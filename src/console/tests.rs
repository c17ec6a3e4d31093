//! The console over a real database with collections in it.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    db::testing::{TempDir, options},
    error::Kind,
    rules,
};

struct House {
    console: Console,
    db: Db,
    schema: Schema,
    _dir: TempDir,
}

async fn house() -> House {
    let dir = TempDir::new();
    let db = Db::open(dir.path(), db_options()).unwrap();
    crate::settings::Store::open(db.clone(), None).unwrap();
    let schema = Schema::open(db.clone(), Arc::new(rules::Checker)).unwrap();
    let posts = json!({ "name": "posts", "type": "base", "fields": [{ "name": "title", "type": "text" }] });
    schema.create(posts.as_object().unwrap().clone()).await.unwrap();
    House { console: Console::new(db.clone(), schema.clone()), db, schema, _dir: dir }
}

fn db_options() -> crate::db::Options {
    crate::db::Options { functions: vec![rules::register], ..options() }
}

impl House {
    async fn run(&self, sql: &str) -> Result<Outcome> {
        self.console.run(sql, Asker::HOUSE).await
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).rows
    }
}

fn cells(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| (*text != "NULL").then(|| (*text).to_owned())).collect()
}

#[actix_web::test]
async fn reads_return_the_rows_of_the_last_statement() {
    let house = house().await;
    for (sql, names, rows) in [
        ("SELECT 1, NULL AS x", vec!["1", "x"], vec![cells(&["1", "NULL"])]),
        ("select 1; select 2 AS y;", vec!["y"], vec![cells(&["2"])]),
        ("-- why\n/* not */ SELECT 'a' b", vec!["b"], vec![cells(&["a"])]),
        ("WITH t(x) AS (VALUES (1), (2)) SELECT x FROM t", vec!["x"], vec![cells(&["1"]), cells(&["2"])]),
        ("; ;", vec![], vec![]),
        ("EXPLAIN DELETE FROM posts; SELECT 1", vec!["1"], vec![cells(&["1"])]),
        ("SELECT value FROM _params WHERE id = 'settings'", vec!["value"], vec![cells(&["NULL"])]),
        ("SELECT options FROM _collections WHERE name = 'users'", vec!["options"], vec![cells(&["NULL"])]),
        ("SELECT name FROM pragma_table_info('posts') WHERE pk", vec!["name"], vec![cells(&["id"])]),
    ] {
        let outcome = house.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let found: Vec<&str> = outcome.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((found, outcome.rows, outcome.affected_rows, outcome.wrote), (names, rows, 0, false), "{sql}");
    }
    let many = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000) SELECT x FROM c";
    assert_eq!(house.rows(many).await.len(), 1000);
    let columns = house.run("SELECT id, title, 1 FROM posts").await.unwrap().columns;
    assert_eq!(columns.iter().map(|column| column.kind.as_str()).collect::<Vec<_>>(), ["TEXT", "TEXT", ""]);
}

#[actix_web::test]
async fn writes_are_all_or_nothing_and_begin_a_new_epoch() {
    let house = house().await;
    let insert = "INSERT INTO posts (id, title) VALUES ('a', 'x'), ('b', 'y')";
    for (sql, affected) in [
        (insert, 2),
        (" update posts SET title = 'z'", 2),
        ("UPDATE posts SET title = 'w' WHERE id = 'a' RETURNING id", 1),
        ("/* c */ UPDATE posts SET title = 'v' WHERE id = 'a'", 1),
        ("WITH x AS (SELECT 'c' AS id) INSERT INTO posts (id, title) SELECT id, '' FROM x", 1),
        ("UPDATE posts SET title = '1'; DELETE FROM posts WHERE id = 'c'", 1),
        ("CREATE TABLE own (a); INSERT INTO own VALUES (1); CREATE INDEX i ON own (a)", 0),
    ] {
        let epoch = house.db.epoch();
        let outcome = house.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let expected = Outcome { affected_rows: affected, wrote: true, ..Outcome::default() };
        assert_eq!(outcome, expected, "{sql}");
        assert_ne!(house.db.epoch(), epoch, "{sql}");
    }
    assert_eq!(house.rows("SELECT id, title FROM posts").await, [cells(&["a", "1"]), cells(&["b", "1"])]);
    let epoch = house.db.epoch();
    for sql in [
        "UPDATE posts SET title = '2'; nonsense",
        "UPDATE posts SET title = '2'; INSERT INTO posts (id) VALUES ('a')",
        "UPDATE posts SET title = '2'; COMMIT",
        "DELETE FROM posts WHERE id = 'none'; DELETE FROM own; ROLLBACK",
    ] {
        assert_eq!(house.run(sql).await.unwrap_err().kind, Kind::Invalid, "{sql}");
    }
    assert_eq!(house.run("DELETE FROM posts WHERE id = 'none'").await.unwrap(), Outcome::default());
    assert_eq!(house.db.epoch(), epoch, "nothing has changed");
    assert_eq!(house.rows("SELECT title, count(*) FROM posts, own").await, [cells(&["1", "2"])]);
}

#[actix_web::test]
async fn the_catalog_follows_and_stays_whole() {
    let house = house().await;
    house.run("UPDATE _collections SET listRule = 'id = ''x''' WHERE name = 'posts'").await.unwrap();
    assert_eq!(house.schema.find("posts").unwrap().list_rule.as_deref(), Some("id = 'x'"));
    let version = house.schema.catalog().version;
    for (sql, told) in [
        ("ALTER TABLE posts DROP COLUMN title", "no column"),
        ("ALTER TABLE posts RENAME TO articles", "no table"),
        ("DROP TABLE posts", "no table"),
        ("DROP TABLE _collections", "_collections"),
        ("DELETE FROM _collections WHERE name = '_superusers'", "would be missing"),
        ("UPDATE _collections SET fields = 'x' WHERE name = 'posts'", "cannot be read"),
    ] {
        let error = house.run(sql).await.unwrap_err();
        assert_eq!(error.kind, Kind::Invalid, "{sql}");
        assert!(error.message.contains("Nothing was changed") && error.message.contains(told), "{sql}: {error}");
    }
    assert_eq!(house.schema.catalog().version, version);
    house.run("ALTER TABLE posts ADD COLUMN more TEXT").await.unwrap();
    house.run("CREATE TABLE free (x); DROP TABLE free").await.unwrap();
}

#[actix_web::test]
async fn what_keeps_the_house_together_is_out_of_reach() {
    let house = house().await;
    let before = house.rows("SELECT count(*) FROM sqlite_schema").await;
    for sql in [
        "BEGIN",
        "COMMIT",
        "SAVEPOINT x",
        "ATTACH 'x.db' AS x",
        "DETACH main",
        "PRAGMA user_version = 3",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "UPDATE posts SET title = ''; PRAGMA query_only = ON",
        "VACUUM",
        "VACUUM INTO '/tmp/conch-stolen.db'",
        "SELECT load_extension('x')",
        "CREATE TEMP TABLE t (x)",
        "INSERT INTO _params (id, value) VALUES ('a', 'b')",
        "DROP TABLE _params",
        "CREATE TABLE copy AS SELECT * FROM _params",
        "UPDATE _collections SET options = json_set(options, '$.x', 1)",
        "DELETE FROM __conch_log",
        "DROP TABLE __conch_jobs",
        "CREATE INDEX i ON __conch_log (seq)",
        "CREATE TRIGGER t AFTER INSERT ON __conch_log BEGIN SELECT 1; END",
        "CREATE TRIGGER t AFTER INSERT ON posts BEGIN DELETE FROM __conch_log; END",
        "CREATE TRIGGER t AFTER INSERT ON posts BEGIN UPDATE posts SET title = 1; END",
        "CREATE TABLE __conch_mine (x)",
        "CREATE TABLE mine (x); ALTER TABLE mine RENAME TO __conch_mine",
        "UPDATE sqlite_schema SET sql = ''",
        "SELECT ?",
        "SELECT 1 WHERE :a",
        "SELECT 'a\0b'",
        "  ",
    ] {
        let error = house.run(sql).await.unwrap_err();
        assert_eq!(error.kind, Kind::Invalid, "{sql}: {error}");
    }
    assert_eq!(house.rows("SELECT count(*) FROM sqlite_schema").await, before);
    // The connections are as they were.
    house.run("INSERT INTO posts (id, title) VALUES ('a', '')").await.unwrap();
    for _ in 0..20 {
        assert_eq!(house.rows("SELECT count(*) FROM posts").await, [cells(&["1"])]);
    }
}
