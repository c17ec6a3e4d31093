//! Views: what is refused, what is derived, what follows.

use super::*;

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
        ("select fts3_tokenizer('x') as id", "fields=validation_required viewQuery=validation_invalid_view_query"),
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
