//! The room as a whole, over a real database: what a change of a collection does to tables, rows and catalog.

use std::sync::Mutex;

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
        let mut all = self.rows("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name");
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

#[tokio::test]
async fn a_new_directory_has_the_reference_layout() {
    let house = House::new();
    let catalog = house.schema.catalog();
    let found: Vec<_> = catalog.all().iter().map(|it| (&*it.id, &*it.name, it.kind().as_str(), it.system)).collect();
    assert_eq!(
        found,
        [
            ("pbc_2279338944", "_mfas", "base", true),
            ("pbc_1638494021", "_otps", "base", true),
            ("pbc_2281828961", "_externalAuths", "base", true),
            ("pbc_4275539003", "_authOrigins", "base", true),
            ("pbc_3142635823", "_superusers", "auth", true),
            ("_pb_users_auth_", "users", "auth", false),
        ]
    );
    assert_eq!(
        house.rows("SELECT sql FROM sqlite_master WHERE tbl_name = '_otps' AND sql IS NOT NULL ORDER BY type DESC"),
        [
            "CREATE TABLE `_otps` (`collectionRef` TEXT DEFAULT '' NOT NULL, `created` TEXT DEFAULT '' NOT NULL, \
             `id` TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL, \
             `password` TEXT DEFAULT '' NOT NULL, `recordRef` TEXT DEFAULT '' NOT NULL, \
             `sentTo` TEXT DEFAULT '' NOT NULL, `updated` TEXT DEFAULT '' NOT NULL)",
            "CREATE INDEX `idx_otps_collectionRef_recordRef` ON `_otps` (\n  `collectionRef`,\n  `recordRef`\n)",
        ]
    );
    assert_eq!(house.rows("SELECT count(*) FROM _migrations"), ["8"]);
    let users = house.schema.find("USERS").unwrap();
    let fields = "id password tokenKey email emailVisibility verified name avatar created updated";
    assert_eq!(names(&users).join(" "), fields);
    assert!(users.has_unique_index("email") && !users.has_unique_index("name"));
    assert_eq!(house.schema.find("_superusers").unwrap().auth().unwrap().auth_token.duration, 86_400);
    let before = house.everything();
    let house = house.again().await;
    assert!(house.everything() == before, "the second start changes something");
}

#[tokio::test]
async fn create_update_delete() {
    let house = House::new();
    let version = house.schema.catalog().version;
    let arts = house
        .create(json!({"name": "arts", "listRule": "", "fields": [
            {"name": "title", "type": "text"}, {"name": "n", "type": "number"}]}))
        .await
        .unwrap();
    assert_eq!((&*arts.id, names(&arts)), ("pbc_1358497920", vec!["id", "title", "n"]));
    assert_eq!(arts.created, "2026-11-22 01:00:00.123Z");
    assert_eq!(house.schema.catalog().version, version + 1);
    let keys: Vec<String> = arts.to_json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys.join(" "),
        "id listRule viewRule createRule updateRule deleteRule name type fields indexes created updated system"
    );
    house.run("INSERT INTO arts (id, title) VALUES ('a', 'x')");

    house.clock.set(Timestamp(1_795_309_260_000));
    let changed = house.update("ARTS", json!({"viewRule": "id = ''", "created": "2020-01-01"})).await.unwrap();
    assert_eq!(
        (changed.created.as_str(), changed.updated.as_str()),
        ("2020-01-01 00:00:00.000Z", "2026-11-22 01:01:00.000Z")
    );
    assert_eq!(changed.list_rule.as_deref(), Some(""));
    assert_eq!(house.update("arts", json!({"id": "other"})).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(house.update("none", json!({})).await.unwrap_err().kind, Kind::NotFound);

    let house = house.again().await;
    assert_eq!(*house.schema.find("arts").unwrap(), *changed);
    house.schema.delete("arts").await.unwrap();
    assert!(house.schema.find("arts").is_err());
    assert!(house.rows("SELECT name FROM sqlite_master WHERE name = 'arts'").is_empty());
    assert_eq!(house.schema.delete("arts").await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(house.schema.delete("_mfas").await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test]
async fn every_refusal_has_its_code() {
    let house = House::new();
    let text = |name: &str| json!({"name": name, "type": "text"});
    for (body, expected) in [
        (json!({}), "name=validation_required"),
        (json!({"name": "a", "type": "zzz"}), "type=validation_in_invalid"),
        (
            json!({"name": "a", "type": "zzz", "fields": [text("x")]}),
            "fields=validation_missing_primary_key type=validation_in_invalid",
        ),
        (json!({"name": "a b"}), "name=validation_match_invalid"),
        (json!({"name": "a_VIA_b c"}), "name=validation_found_via"),
        (json!({"name": "a".repeat(256)}), "name=validation_length_out_of_range"),
        (json!({"name": "_params"}), "name=validation_collection_name_invalid"),
        (json!({"name": "__conch_x"}), "name=validation_collection_name_invalid"),
        (json!({"name": "USERS"}), "name=validation_collection_name_exists"),
        (json!({"name": "_pb_users_auth_"}), "name=validation_collection_name_id_duplicate"),
        (json!({"name": "sqlite_x"}), ""),
        (json!({"id": "a b", "name": "q"}), "id=validation_match_invalid"),
        (json!({"id": "_pb_users_auth_", "name": "q"}), "id=validation_invalid_or_existing_id"),
        (json!({"name": 5}), ""),
        (json!({"name": "q", "fields": [{"name": "x", "type": "zz"}]}), ""),
        (json!({"name": "q", "fields": ["x"]}), ""),
        (json!({"name": "q", "indexes": [5]}), ""),
        (json!({"name": "q", "fields": [text("a"), text("A")]}), "fields.2.name=validation_duplicated_field_name"),
        (
            json!({"name": "q", "fields": [text("a b"), text("null"), text("x_VIA_y"), text("")]}),
            "fields.1.name=validation_match_invalid fields.2.name=validation_not_in_invalid \
             fields.3.name=validation_found_via fields.4.name=validation_required",
        ),
        (
            json!({"name": "q", "fields": [{"name": "id", "type": "number"}]}),
            "fields.1.name=validation_duplicated_field_name",
        ),
        (
            json!({"name": "q", "fields": [{"id": "text3208210256", "name": "idd", "type": "text"}]}),
            "fields=validation_missing_primary_key",
        ),
        (
            json!({"id": "selfy", "name": "q", "fields": [{"name": "r", "type": "relation", "collectionId": "selfy"}]}),
            "fields.1.collectionId=validation_field_relation_missing_collection",
        ),
        (
            json!({"name": "q", "fields": [{"name": "r", "type": "relation"}, {"name": "s", "type": "relation", "collectionId": "users"}]}),
            "fields.1.collectionId=validation_required fields.2.collectionId=validation_field_relation_missing_collection",
        ),
        (
            json!({"name": "q", "listRule": "nope = 1", "viewRule": "", "deleteRule": "nope"}),
            "deleteRule=validation_invalid_rule listRule=validation_invalid_rule",
        ),
        (
            json!({"name": "q", "type": "auth", "fields": [text("oldPassword")]}),
            "fields.1.name=validation_reserved_field_name",
        ),
        (json!({"name": "q", "indexes": ["create index i on q"]}), "indexes.0=validation_invalid_index_expression"),
        (
            json!({"name": "q", "indexes": ["create index i on q (id)", "create index I on q (id desc)"]}),
            "indexes.1=validation_duplicated_index_name",
        ),
        (
            json!({"name": "q", "indexes": ["create index i on q (id)", "create index j on q (id)"]}),
            "indexes.1=validation_duplicated_index_definition",
        ),
        (
            json!({"name": "q", "indexes": ["create index `idx_email__pb_users_auth_` on q (id)"]}),
            "indexes.0=validation_existing_index_name",
        ),
        (
            json!({"name": "q", "indexes": ["create index i on q (zz)"]}),
            "indexes.0=validation_invalid_index_expression",
        ),
    ] {
        let before = house.everything();
        assert_eq!(house.create_codes(body.clone()).await.join(" "), expected, "{body}");
        assert!(house.everything() == before, "{body} changed something");
    }
}

#[tokio::test]
async fn what_is_fixed_stays() {
    let house = House::new();
    let post = house.create(json!({"name": "post", "fields": [{"name": "a", "type": "text"}]})).await.unwrap();
    let a = post.field("a").unwrap().id.clone();
    for (name, body, expected) in [
        ("post", json!({"type": "auth"}), "type=validation_collection_type_change"),
        ("post", json!({"system": true}), "system=validation_collection_system_flag_change"),
        (
            "post",
            json!({"fields": [{"id": a, "name": "a", "type": "number"}]}),
            "fields.1=validation_field_type_change",
        ),
        (
            "_superusers",
            json!({"name": "x", "listRule": "", "authRule": null, "mfa": {"rule": "id != ''"}}),
            "authRule=validation_collection_system_rule_change listRule=validation_collection_system_rule_change \
             name=validation_collection_system_name_change",
        ),
        ("_externalAuths", json!({"indexes": []}), "indexes=validation_invalid_unique_system_field_index"),
        ("_mfas", json!({"fields": []}), "fields=validation_system_field_change"),
    ] {
        assert_eq!(house.update_codes(name, body.clone()).await.join(" "), expected, "{body}");
    }
    let dates = |on: bool| {
        json!({"fields": house.schema.find("_mfas").unwrap().fields.iter().map(|field| {
        let mut field = field.to_json();
        if field["name"] == "created" { field["onUpdate"] = json!(on); }
        field
    }).collect::<Vec<_>>()})
    };
    assert_eq!(house.update_codes("_mfas", dates(true)).await, ["fields.4.onUpdate=validation_values_mismatch"]);
    house.update("_mfas", dates(false)).await.unwrap();
}

#[tokio::test]
async fn auth_options_are_checked_in_the_wires_order() {
    let house = House::new();
    for (body, expected) in [
        (
            json!({"authRule": "nope", "manageRule": "", "passwordAuth": {"identityFields": []}, "otp": {"enabled": true,
                "duration": 5, "length": 0, "emailTemplate": {"subject": ""}}, "mfa": {"enabled": true, "duration": 0,
                "rule": "nope"}, "authToken": {"secret": "", "duration": 3}, "fileToken": {"secret": "x".repeat(256),
                "duration": 0}, "resetPasswordTemplate": null}),
            "authRule=validation_invalid_rule authToken.duration=validation_min_greater_equal_than_required \
             authToken.secret=validation_required fileToken.duration=validation_required \
             fileToken.secret=validation_length_out_of_range manageRule=validation_nil_or_not_empty_required \
             mfa.duration=validation_required otp.duration=validation_min_greater_equal_than_required \
             otp.emailTemplate.subject=validation_required otp.length=validation_required \
             passwordAuth.identityFields=validation_required resetPasswordTemplate.body=validation_required \
             resetPasswordTemplate.subject=validation_required",
        ),
        (json!({"mfa": {"enabled": true, "rule": "nope"}}), "mfa.enabled=validation_mfa_not_enough_auths"),
        (
            json!({"mfa": {"enabled": true, "rule": "nope"}, "otp": {"enabled": true}}),
            "mfa.rule=validation_invalid_rule",
        ),
        (
            json!({"passwordAuth": {"identityFields": ["email", "zz"]}}),
            "passwordAuth.identityFields=validation_missing_field",
        ),
        (
            json!({"passwordAuth": {"identityFields": ["email", "name"]}}),
            "passwordAuth.identityFields=validation_missing_unique_constraint",
        ),
        (
            json!({"oauth2": {"enabled": true, "providers": [{"name": "google"}, {"name": "google"}, {"name": "zz"}]}}),
            "oauth2.providers.1.name=validation_duplicated_provider",
        ),
        (
            json!({"oauth2": {"enabled": true, "providers": [{"name": "google"}, {"name": "zz", "clientId": "a",
                "clientSecret": "b"}, {"name": "oidc", "clientId": "a", "clientSecret": "b", "authURL": "zz"}]}}),
            "oauth2.providers.0.clientId=validation_required oauth2.providers.0.clientSecret=validation_required \
             oauth2.providers.1.name=validation_missing_provider oauth2.providers.2.authURL=validation_is_url",
        ),
        (json!({"otp": {"duration": "5"}}), ""),
    ] {
        assert_eq!(house.update_codes("users", body.clone()).await.join(" "), expected, "{body}");
    }
    let secret = |house: &House| house.schema.find("users").unwrap().auth().unwrap().auth_token.secret.clone();
    let first = secret(&house);
    house.update("users", json!({"authRule": null})).await.unwrap();
    assert_eq!(secret(&house), first, "null and blank are equal");
    house.update("users", json!({"authRule": "verified = true"})).await.unwrap();
    assert_ne!(secret(&house), first);
    let mapped = json!({"oauth2": {"mappedFields": {"username": "zz", "name": "name"}}});
    let users = house.update("users", mapped).await.unwrap();
    assert_eq!((users.auth().unwrap().oauth2.mapped_fields.username.as_str(), names(&users).len()), ("", 10));
    let bare = house.update("users", json!({"indexes": [], "fields": null})).await.unwrap();
    assert_eq!(bare.indexes, users.indexes, "automatic indexes come back");
    assert_eq!(names(&bare).join(" "), "id password tokenKey email emailVisibility verified");
}

#[tokio::test]
async fn superusers_are_forced() {
    let house = House::new();
    let body = json!({"oauth2": {"enabled": true, "providers": [{"name": "google", "clientId": "a", "clientSecret": "b"}]},
        "passwordAuth": {"enabled": false}, "otp": {"enabled": true}});
    let superusers = house.update("_superusers", body).await.unwrap();
    let options = superusers.auth().unwrap();
    assert!(!options.oauth2.enabled && options.oauth2.providers.is_empty());
    assert!(options.password_auth.enabled && options.mfa.enabled);
    let off = json!({"otp": {"enabled": false}});
    assert_eq!(house.update_codes("_superusers", off).await, ["mfa.enabled=validation_mfa_not_enough_auths"]);
    house.update("_superusers", json!({"otp": {"enabled": false}, "mfa": {"enabled": false}})).await.unwrap();
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

#[tokio::test]
async fn tables_follow_their_fields() {
    let house = House::new();
    let post = house
        .create(json!({"name": "post", "indexes": ["create index i1 on zz (a)"], "fields": [
            {"name": "a", "type": "text"}, {"name": "b", "type": "text"},
            {"name": "one", "type": "select", "values": ["x", "y"], "maxSelect": 1},
            {"name": "many", "type": "select", "values": ["x", "y"], "maxSelect": 2}]}))
        .await
        .unwrap();
    assert_eq!(post.indexes, ["CREATE INDEX `i1` ON `post` (`a`)"]);
    house.run(
        "INSERT INTO post (id, a, b, one, many) VALUES ('1', 'A', 'B', 'x', '[\"x\",\"y\"]'), ('2', 'C', 'D', '', '[]'),
         ('3', '', '', '[\"y\"]', 'legacy')",
    );
    // Names swap, a column comes, one goes; columns turn from single to multiple and back.
    let swapped = patch(&post, |name, json| {
        match name {
            "a" => json["name"] = json!("b"),
            "b" => json["name"] = json!("a"),
            "one" => json["maxSelect"] = json!(2),
            "many" => json["maxSelect"] = json!(0),
            _ => {}
        }
        true
    });
    let post = house.update("post", swapped).await.unwrap();
    assert_eq!(
        house.rows("SELECT id, a, b, one, many FROM post ORDER BY id"),
        ["1|B|A|[\"x\"]|y", "2|D|C|[]|", "3|||[\"y\"]|legacy"]
    );
    let mut changed = patch(&post, |name, _| name != "b");
    let added = json!({"name": "n", "type": "number"});
    changed["fields"].as_array_mut().unwrap().push(added);
    assert_eq!(names(&house.update("post", changed).await.unwrap()), ["id", "a", "one", "many", "n"]);
    assert_eq!(house.rows("SELECT id, a, n FROM post ORDER BY id"), ["1|B|0", "2|D|0", "3||0"]);
    let columns = "SELECT name, type FROM pragma_table_info('post') ORDER BY name";
    assert_eq!(house.rows(columns), ["a|TEXT", "id|TEXT", "many|TEXT", "n|NUMERIC", "one|JSON"]);
    assert_eq!(house.rows("SELECT sql FROM sqlite_master WHERE name = 'i1'"), ["CREATE INDEX `i1` ON `post` (`a`)"]);
    // The index is on a column that goes: everything stays.
    let before = house.everything();
    let post = house.schema.find("post").unwrap();
    assert_eq!(
        house.update_codes("post", patch(&post, |name, _| name != "a")).await,
        ["indexes.0=validation_invalid_index_expression"]
    );
    assert!(house.everything() == before, "something changed");
    assert_eq!(house.rows("SELECT a FROM post WHERE id = '1'"), ["B"]);
}

#[tokio::test]
async fn collections_are_renamed_in_one_transaction_with_what_follows() {
    let house = House::new();
    let seen: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let noted = seen.clone();
    house.schema.on_rename(move |_, renamed| {
        if renamed.values().any(|new| new == "refused") {
            return Err(Error::invalid("no"));
        }
        noted.lock().unwrap().extend(renamed.clone());
        Ok(())
    });
    house.create(json!({"name": "post", "fields": [{"name": "a", "type": "text"}], "indexes": ["create index i on post (a)"]})).await.unwrap();
    house.run("INSERT INTO post (id, a) VALUES ('1', 'A')");
    let renamed = house.update("post", json!({"name": "POST"})).await.unwrap();
    assert_eq!(renamed.indexes, ["CREATE INDEX `i` ON `POST` (`a`)"]);
    let id = renamed.id.clone();
    assert_eq!(house.update("POST", json!({"name": "article"})).await.unwrap().id, id);
    assert_eq!(house.rows("SELECT a FROM article"), ["A"]);
    assert_eq!(seen.lock().unwrap().get("POST").map(String::as_str), Some("article"));
    let before = house.everything();
    assert!(house.update("article", json!({"name": "refused"})).await.is_err());
    assert!(house.everything() == before, "something changed");
    assert!(house.schema.find("post").is_err() && house.schema.find("ARTICLE").is_ok());
}

#[tokio::test]
async fn what_is_referred_to_stays() {
    let house = House::new();
    let post = house.create(json!({"name": "post"})).await.unwrap();
    let relation = json!({"name": "p", "type": "relation", "collectionId": &*post.id});
    house.create(json!({"name": "note", "fields": [relation]})).await.unwrap();
    house.create(json!({"name": "all_notes", "type": "view", "viewQuery": "select id, p from note"})).await.unwrap();
    house
        .create(json!({"name": "more", "type": "view", "viewQuery": "select id from (select id from all_notes)"}))
        .await
        .unwrap();
    let catalog = house.schema.catalog();
    let sources = |name: &str| catalog.sources_of(catalog.find(name).unwrap());
    assert_eq!(sources("more").len(), 3);
    assert_eq!(catalog.references_to(&post.id).len(), 2);
    for name in ["post", "note", "all_notes"] {
        let before = house.everything();
        assert_eq!(codes(house.schema.delete(name).await), [""; 0], "{name}");
        assert!(house.everything() == before, "something changed");
    }
    for name in ["more", "all_notes", "note", "post"] {
        house.schema.delete(name).await.unwrap();
    }
}

#[tokio::test]
async fn rows_about_an_auth_collection_go_with_it_and_are_logged() {
    let house = House::new();
    let staff = house.create(json!({"name": "staff", "type": "auth"})).await.unwrap();
    house.run(&format!(
        "INSERT INTO _otps (id, collectionRef, recordRef, password) VALUES ('o1', '{0}', 'r', 'hash'), ('o2', 'other', 'r', 'h');
         INSERT INTO _mfas (id, collectionRef, recordRef, method) VALUES ('m1', '{0}', 'r', 'otp')",
        staff.id
    ));
    house.schema.delete("staff").await.unwrap();
    assert_eq!(house.rows("SELECT id FROM _otps UNION SELECT id FROM _mfas"), ["o2"]);
    let page = house.schema.db.read_blocking(|tx| Db::read_after(tx, 0, 10)).unwrap();
    let mut found: Vec<_> = page.entries.iter().map(|entry| entry.record.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["m1", "o1"]);
    assert!(page.entries.iter().all(|entry| entry.before.as_ref().is_some_and(|before| !before.contains("hash"))));
}

#[tokio::test]
async fn views_are_derived() {
    let house = House::new();
    let view = |query: &str| json!({"name": "v", "type": "view", "viewQuery": query});
    for (query, expected) in [
        ("", "fields=validation_required viewQuery=validation_required"),
        ("select zzz from users", "fields=validation_required viewQuery=validation_invalid_view_query"),
        ("select email from users", "fields=validation_missing_primary_key viewQuery=validation_invalid_view_query"),
        ("select id as ID from users", "fields=validation_missing_primary_key viewQuery=validation_invalid_view_query"),
        ("select id from users; select 1", "fields=validation_required viewQuery=validation_invalid_view_query"),
        (
            "select id from users) ; drop table users; --",
            "fields=validation_required viewQuery=validation_invalid_view_query",
        ),
        ("select * from users", "fields=validation_required viewQuery=validation_invalid_view_query"),
        ("insert into users (id) values (1)", "fields=validation_required viewQuery=validation_invalid_view_query"),
        ("select ? as id", "fields=validation_required viewQuery=validation_invalid_view_query"),
        ("select id, value from _params", "fields=validation_required viewQuery=validation_invalid_view_query"),
        ("select id, options from _collections", "fields=validation_required viewQuery=validation_invalid_view_query"),
        ("select seq as id from __conch_log", "fields=validation_required viewQuery=validation_invalid_view_query"),
        ("select load_extension('x') as id", "fields=validation_required viewQuery=validation_invalid_view_query"),
        (
            "select id, 1 as `a b` from users",
            "fields.1.name=validation_match_invalid viewQuery=validation_invalid_view_query",
        ),
        ("select 'x' as id from _collections", "viewQuery=validation_invalid_view_query"),
        ("select '' as id from _collections", "viewQuery=validation_invalid_view_query"),
    ] {
        assert_eq!(house.create_codes(view(query)).await.join(" "), expected, "{query}");
    }
    let mut locked = view("select id from users");
    locked["createRule"] = json!("");
    locked["indexes"] = json!(["create index a on b (c)"]);
    assert_eq!(
        house.create_codes(locked).await.join(" "),
        "createRule=validation_nil indexes=validation_indexes_not_supported"
    );

    house.create(json!({"name": "post", "fields": [{"name": "title", "type": "text", "max": 9}, {"name": "n", "type": "number"},
        {"name": "tags", "type": "select", "values": ["x"], "maxSelect": 1}]})).await.unwrap();
    house.run("INSERT INTO post (id, title, n) VALUES ('a', 'A', 1), ('b', 'B', 2)");
    let query = "select (row_number() over()) as id, p.title, p.TITLE as t2, p.tags, p.id as post, count(*) as c, max(n) m, \
                 cast(n as int) i from post as p group by p.id";
    let made = house.create(view(query)).await.unwrap();
    let shape: Vec<_> = made.fields.iter().map(|field| (field.name.as_str(), field.kind.as_type().name())).collect();
    assert_eq!(
        shape,
        [
            ("id", "text"),
            ("title", "text"),
            ("t2", "text"),
            ("tags", "select"),
            ("post", "relation"),
            ("c", "number"),
            ("m", "json"),
            ("i", "number")
        ]
    );
    assert!(made.field("title").unwrap().id.starts_with("_clone_"));
    assert_eq!(house.rows("SELECT typeof(id), id, title FROM v"), ["text|1|A", "text|2|B"]);

    // The view follows: a copied field changes with its origin.
    let post = house.schema.find("post").unwrap();
    let wide = patch(&post, |name, json| {
        if name == "tags" {
            json["maxSelect"] = json!(2);
            json["values"] = json!(["x", "y"]);
        }
        true
    });
    house.update("post", wide).await.unwrap();
    assert!(house.schema.find("v").unwrap().field("tags").unwrap().kind.as_type().is_multiple());
    assert_eq!(house.rows("SELECT tags FROM v"), ["[]", "[]"]);
    // A column that a view reads cannot go.
    let before = house.everything();
    assert_eq!(house.update_codes("post", patch(&post, |name, _| name != "title")).await, [""; 0]);
    assert!(house.everything() == before, "something changed");

    house.update("v", view("select id, title from post")).await.unwrap();
    assert_eq!(house.rows("SELECT * FROM v"), ["a|A", "b|B"]);
    let (fields, rows) = house.schema.dry_run_view("select id, n from post;".to_owned()).await.unwrap();
    assert_eq!((fields.len(), rows.len()), (2, 2));
    assert_eq!(rows[1].get("n"), Some(&Value::Integer(2)));
    assert!(house.schema.dry_run_view("select n from post".to_owned()).await.is_err());
}

#[tokio::test]
async fn imports_are_all_or_nothing() {
    let house = House::new();
    let mutual = json!([
        {"id": "aa", "name": "one", "fields": [{"name": "r", "type": "relation", "collectionId": "bb"}, {"name": "keep", "type": "text"}]},
        {"id": "vv", "name": "shown", "type": "view", "viewQuery": "select id, keep from one"},
        {"id": "bb", "name": "two", "fields": [{"name": "r", "type": "relation", "collectionId": "aa"}]},
    ]);
    house.import(mutual, false).await.unwrap();
    house.run("INSERT INTO one (id, keep) VALUES ('1', 'K')");
    assert_eq!(house.rows("SELECT keep FROM shown"), ["K"]);
    // Fields are kept unless missing ones are to go; a field of the same name and type takes the stored id over.
    house
        .import(json!([{"name": "one", "fields": [{"id": "new", "name": "keep", "type": "text", "max": 5}]}]), false)
        .await
        .unwrap();
    let one = house.schema.find("one").unwrap();
    assert_eq!(names(&one), ["keep", "id", "r"]);
    assert_ne!(one.field("keep").unwrap().id, "new");
    assert_eq!(house.rows("SELECT keep FROM one"), ["K"]);
    for bad in [
        json!([{"name": "three"}, {"name": "one", "listRule": "nope"}]),
        json!([{"name": "three", "fields": [{"name": "x", "type": "zz"}]}]),
        json!([{"name": "three"}, {"name": "three", "id": "other"}]),
        json!([{"name": "users", "type": "base"}]),
        json!([{"name": "three", "indexes": ["create index x on y (zz)"]}]),
        json!([{"name": "sqlite_x"}]),
        json!([{"name": "_params"}]),
        json!([{"name": ""}]),
        json!([{"name": "three", "type": "view", "viewQuery": "select 1"}]),
        json!([{"name": "three", "fields": [{"name": "r", "type": "relation", "collectionId": "zz"}]}]),
    ] {
        let before = house.everything();
        let codes = codes(house.import(bad.clone(), false).await);
        assert_eq!(codes, ["collections=validation_collections_import_failure"], "{bad}");
        assert!(house.everything() == before, "{bad} changed something");
    }
    assert_eq!(codes(house.import(json!([]), false).await), ["collections=validation_required"]);
    // What still points at a missing collection fails at the end.
    let dangling = json!([{"name": "two", "fields": [{"name": "r", "type": "relation", "collectionId": "aa"}]}]);
    assert!(house.import(dangling, true).await.is_err());
    house.import(json!([{"name": "two", "fields": [{"name": "x", "type": "text"}]}]), true).await.unwrap();
    let left: Vec<_> =
        house.schema.catalog().all().iter().filter(|it| !it.system).map(|it| it.name.to_string()).collect();
    assert_eq!(left, ["two"]);
    assert_eq!(names(&house.schema.find("two").unwrap()), ["x", "id"]);
}

#[tokio::test]
async fn scaffolds_are_blank() {
    let scaffolds = House::new().schema.scaffolds();
    assert_eq!(scaffolds.as_object().unwrap().keys().collect::<Vec<_>>(), ["auth", "base", "view"]);
    assert_eq!(scaffolds["base"]["fields"].as_array().unwrap().len(), 1);
    assert_eq!(scaffolds["view"]["viewQuery"], "");
    assert!(scaffolds["auth"]["indexes"][0].as_str().unwrap().ends_with(" ON `` (`tokenKey`)"));
    assert!(scaffolds["auth"]["authToken"].get("secret").is_none());
}

#[tokio::test]
async fn directories_of_older_versions_are_brought_up_to_date() {
    let house = House::new();
    let staff = house
        .create(json!({"name": "staff", "type": "auth", "fields": [
        {"name": "boss", "type": "relation", "collectionId": "pbc_3142635823"}]}))
        .await
        .unwrap();
    let fresh = house.rows("SELECT id, fields, indexes FROM _collections WHERE system ORDER BY rowid");
    // As 0.23.0 left it: random ids, no `sentTo`, indexes that nobody listed, a rule too many.
    house.run(&format!(
        "DELETE FROM _migrations WHERE file > '1717233557';
         DROP INDEX idx__collections_type;
         UPDATE _collections SET deleteRule = '' WHERE name = '_otps';
         UPDATE _collections SET id = 'old_' || rowid, fields = replace(fields, '\"id\":\"', '\"id\":\"old_') WHERE system;
         UPDATE _collections SET fields = replace(fields, 'pbc_3142635823', 'old_5') WHERE name = 'staff';
         UPDATE _collections SET fields = json_remove(fields, '$[4]') WHERE name = '_otps';
         ALTER TABLE _otps DROP COLUMN sentTo;
         INSERT INTO _mfas (id, collectionRef, recordRef, method) VALUES ('m', 'old_5', 'r', 'otp');
         UPDATE _collections SET indexes = '[]' WHERE name = '_mfas';
         CREATE UNIQUE INDEX twice ON staff (email);
         CREATE INDEX extra ON staff (verified);
         UPDATE _collections SET indexes = replace(indexes, 'ON `staff`', 'ON `gone`') WHERE name = 'staff';
         UPDATE _collections SET options = json_set(options, '$.authAlert.emailTemplate.body', '{alert}') WHERE name = 'staff'",
        alert = adopt::OLD_ALERT.replace('\'', "''"),
    ));
    let house = house.again().await;
    assert_eq!(house.rows("SELECT count(*) FROM _migrations"), ["8"]);
    assert_eq!(house.rows("SELECT count(*) FROM sqlite_master WHERE name = 'idx__collections_type'"), ["1"]);
    assert_eq!(house.rows("SELECT deleteRule FROM _collections WHERE name = '_otps'"), ["NULL"]);
    assert_eq!(house.rows("SELECT collectionRef FROM _mfas"), ["pbc_3142635823"]);
    let again = house.rows("SELECT id, fields, indexes FROM _collections WHERE system ORDER BY rowid");
    let parts = |rows: &[String], part: usize| -> Vec<String> {
        rows.iter().map(|row| row.split('|').nth(part).unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(parts(&again, 0), parts(&fresh, 0));
    let sorted = |row: &str| {
        let mut ids: Vec<&str> = row.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        ids.sort_unstable();
        ids.join(" ")
    };
    for (have, want) in again.iter().zip(&fresh) {
        assert_eq!(sorted(have), sorted(want));
    }
    assert_eq!(house.schema.find("_mfas").unwrap().indexes.len(), 1);
    let adopted = house.schema.find("staff").unwrap();
    assert!(
        matches!(&adopted.field("boss").unwrap().kind, FieldKind::Relation(it) if it.collection_id == "pbc_3142635823")
    );
    assert_eq!(adopted.indexes[..2], staff.indexes[..]);
    assert_eq!(adopted.indexes[2..], ["CREATE INDEX `extra` ON `staff` (`verified`)"]);
    assert_eq!(house.rows("SELECT count(*) FROM sqlite_master WHERE name = 'twice'"), ["0"]);
    assert!(adopted.auth().unwrap().auth_alert.email_template.body.contains("{ALERT_INFO}"));
    house.update("_otps", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_directory_before_0_23_is_refused() {
    for sql in ["CREATE TABLE _admins (id TEXT)", "ALTER TABLE _collections DROP COLUMN options"] {
        let House { schema, clock, dir } = House::new();
        schema.db.write_blocking(move |tx| tx.execute_batch(sql)).unwrap();
        schema.db.close().await;
        drop(schema);
        let db = Db::open(dir.path(), options(&clock)).unwrap();
        let error = Schema::open(db, Arc::new(Rules)).err().expect("refused");
        assert!(error.message.contains("0.23"), "{error}");
    }
}
