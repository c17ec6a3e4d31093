//! Many collections at once, all or nothing.

use super::*;

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
        json!([{"name": "a\u{0}b"}]),
        json!([{"name": "three", "fields": [{"name": "a\u{0}b", "type": "text"}]}]),
        json!([{"name": "three", "fields": [{"name": "a`b", "type": "text"}]}]),
        json!([{"name": "three", "type": "view", "viewQuery": "select id, 1 as `a\u{0}b` from users"}]),
        json!([{"name": "three", "indexes": ["create index `a\u{0}b` on three (id)"]}]),
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
