//! Tables and indexes follow their collections.

use std::sync::Mutex;

use super::*;

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
async fn scaffolds_are_blank() {
    let scaffolds = House::new().schema.scaffolds();
    assert_eq!(scaffolds.as_object().unwrap().keys().collect::<Vec<_>>(), ["auth", "base", "view"]);
    assert_eq!(scaffolds["base"]["fields"].as_array().unwrap().len(), 1);
    assert_eq!(scaffolds["view"]["viewQuery"], "");
    assert!(scaffolds["auth"]["indexes"][0].as_str().unwrap().ends_with(" ON `` (`tokenKey`)"));
    assert!(scaffolds["auth"]["authToken"].get("secret").is_none());
}
