//! What SQL comes out: simple where it can be, following indexes, compiled once.

use serde_json::json;

use super::*;
use crate::schema::collection;

fn text(fixture: &Fixture, base: &str, rule: &str, sort: &str, request: &Request) -> String {
    let mut query = Query::new(&fixture.catalog, fixture.base(base), request);
    query.and_rule(rule).unwrap();
    query.sort(sort).unwrap();
    query.select(&["id"], None, 0).text.to_string()
}

#[test]
fn simple_conditions_are_simple_sql() {
    let fixture = articles();
    let ann = Request { caller: fixture.caller("auths", "ann"), ..Request::default() };
    for (base, rule, sort, expected) in [
        ("arts", "", "", "SELECT b.`id` FROM `arts` AS b"),
        ("arts", "id = 'a1'", "", "SELECT b.`id` FROM `arts` AS b WHERE b.`id` = ?"),
        ("arts", "title = 'x'", "-title", "SELECT b.`id` FROM `arts` AS b WHERE b.`title` = ? ORDER BY b.`title` DESC"),
        ("auths", "id = @request.auth.id", "", "SELECT b.`id` FROM `auths` AS b WHERE b.`id` = ?"),
        (
            "arts",
            "@request.auth.id != '' && author = @request.auth.id",
            "",
            "SELECT b.`id` FROM `arts` AS b WHERE b.`author` = ?",
        ),
        ("arts", "author.id = @request.auth.id", "", "SELECT b.`id` FROM `arts` AS b WHERE b.`author` = ?"),
        ("arts", "title = @request.auth.name", "", "SELECT b.`id` FROM `arts` AS b WHERE b.`title` = CAST(? AS TEXT)"),
        ("arts", "@request.auth.nothing != ''", "", "SELECT b.`id` FROM `arts` AS b WHERE 0"),
        (
            "arts",
            "author.name = 'ann'",
            "author.age",
            "SELECT b.`id` FROM `arts` AS b LEFT JOIN `auths` AS j1 ON j1.`id` = b.`author` WHERE j1.`name` = ? ORDER BY j1.`age`",
        ),
        (
            "arts",
            "title = 'x' || cmts_via_art.score ?= 5",
            "",
            "SELECT b.`id` FROM `arts` AS b WHERE (b.`title` = ? OR EXISTS (SELECT 1 FROM (SELECT 1) \
             LEFT JOIN `cmts` AS j1 ON j1.`art` = b.`id` WHERE j1.`score` = ?))",
        ),
    ] {
        assert_eq!(text(&fixture, base, rule, sort, &ann), expected, "{rule}");
    }
}

#[test]
fn lists_follow_the_index_of_their_sort_and_lookups_the_index_of_their_column() {
    let fixture = articles();
    fixture
        .connection
        .execute_batch("CREATE INDEX by_title ON arts (title); CREATE INDEX by_art ON cmts (art); CREATE UNIQUE INDEX by_id ON arts (id); CREATE UNIQUE INDEX auths_by_id ON auths (id)")
        .unwrap();
    let request = Request { caller: fixture.caller("auths", "ann"), ..Request::default() };
    for (rule, sort, expected, refused) in [
        ("", "-title", "USING COVERING INDEX by_title", "TEMP B-TREE"),
        ("author != ''", "title", "USING INDEX by_title", "TEMP B-TREE"),
        ("id = @request.auth.id", "", "SEARCH b USING COVERING INDEX by_id", "SCAN"),
        ("title = 'x'", "", "SEARCH b USING INDEX by_title", "SCAN"),
        ("cmts_via_art.score ?= 5", "title", "SEARCH j1 USING INDEX by_art", "TEMP B-TREE"),
        ("author.name = 'ann' || title = 'x'", "title", "SEARCH j1 USING INDEX auths_by_id", "TEMP B-TREE"),
    ] {
        let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &request);
        query.and_rule(rule).unwrap();
        query.sort(sort).unwrap();
        let columns: &[&str] = if rule.is_empty() { &["title"] } else { &["id"] };
        let sql = query.select(columns, Some(30), 0);
        let plan = format!("EXPLAIN QUERY PLAN {}", sql.text);
        let mut statement = fixture.connection.prepare(&plan).unwrap();
        let steps: Vec<String> = statement
            .query_map(params_from_iter(&sql.params), |row| row.get(3))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        let steps = steps.join("; ");
        assert!(steps.contains(expected) && !steps.contains(refused), "{rule} {sort}: {steps}\n{}", sql.text);
    }
}

#[test]
fn plans_are_compiled_once_per_shape_of_request() {
    let fixture = articles();
    let request = |caller: &str| Request { caller: fixture.caller("auths", caller), ..Request::default() };
    let rule = "author = @request.auth.id && title != @request.query.not";
    let select = |request: &Request, rule: &str| {
        let mut query = Query::new(&fixture.catalog, fixture.base("arts"), request);
        query.and_rule(rule).unwrap();
        query.select(&["id"], Some(1), 0)
    };
    let ann = select(&request("ann"), rule);
    let bob = select(&request("bob"), rule);
    assert!(Arc::ptr_eq(&ann.text, &bob.text), "the same text for every caller");
    assert_ne!(ann.params, bob.params);
    // Another shape: guests, or a value where there was none.
    let guest = select(&Request::default(), rule);
    assert_ne!(ann.text, guest.text);
    let mut with_value = request("ann");
    with_value.query.insert("not".to_owned(), json!("a1"));
    let valued = select(&with_value, rule);
    assert_ne!(ann.text, valued.text);
    assert_eq!(fixture.ids(&valued), ["a5"]);
    // All shapes stay known.
    assert!(Arc::ptr_eq(&select(&request("ann"), rule).text, &ann.text));
    assert!(Arc::ptr_eq(&select(&Request::default(), rule).text, &guest.text));
    // Another catalog compiles for itself.
    let other = articles();
    let mut query = Query::new(&other.catalog, other.base("arts"), &with_value);
    query.and_rule(rule).unwrap();
    assert!(!Arc::ptr_eq(&query.select(&["id"], Some(1), 0).text, &valued.text));
}

#[test]
fn keys_of_plans_cannot_be_forged() {
    let fixture = articles();
    let request = superuser();
    let mut honest = Query::new(&fixture.catalog, fixture.base("arts"), &request);
    honest.and_rule("title='a1'").unwrap();
    honest.and_filter("title!='x'").unwrap();
    let ids = fixture.ids(&honest.select(&["id"], None, 0));
    let mut forged = Query::new(&fixture.catalog, fixture.base("arts"), &request);
    forged.and_filter("title='a1\nfilter 10 title!=\\'x\\''").unwrap();
    assert_eq!(ids, ["a1"]);
    assert!(fixture.ids(&forged.select(&["id"], None, 0)).is_empty());
}

#[test]
fn ids_and_columns_narrow_a_query() {
    let fixture = articles();
    let request = Request::default();
    let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &request);
    query.and_in("author", &["ann", "cat"]);
    query.and_rule("title != 'a1'").unwrap();
    query.sort("-title").unwrap();
    assert_eq!(fixture.ids(&query.select(&["id", "title"], Some(10), 0)), ["a5", "a3"]);
    assert_eq!(fixture.ids(&query.select(&["id"], Some(10), 1)), ["a3"]);
    assert_eq!(fixture.ids(&query.select(&["id"], None, 1)), ["a3"]);
    query.and_id("a3");
    assert_eq!(fixture.ids(&query.select(&["id"], Some(1), 0)), ["a3"]);
    assert_eq!(fixture.number(&query.count()), 1);
}

/// §8: through a multi-value path by the first matching joined row; every record once.
#[test]
fn sorting_through_a_multi_value_path_lists_every_record_once() {
    let fixture = articles();
    let request = superuser();
    let sorted = |filter: &str, sort: &str, columns: &[&str]| {
        let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &request);
        query.and_filter(filter).unwrap();
        query.sort(sort).unwrap();
        let found = fixture.ids(&query.select(columns, None, 0));
        assert_eq!(fixture.number(&query.count()), i64::try_from(found.len()).unwrap());
        found.join(" ")
    };
    assert_eq!(sorted("coauthors.name?!=''", "cmts_via_art.score,title", &["id"]).split(' ').count(), 4);
    assert_eq!(sorted("", "coauthors.age", &["title"]).split(' ').count(), 5);
    // The filter and the sort see the same joined row.
    assert_eq!(sorted("cmts_via_art.score?>4", "-cmts_via_art.score", &["id"]), "a1 a2");
    assert_eq!(sorted("cmts_via_art.score?>6", "-cmts_via_art.score", &["id"]), "a2");
}

#[test]
fn a_query_knows_what_it_reads() {
    let fixture = articles();
    let request = Request { caller: fixture.caller("auths", "ann"), ..Request::default() };
    let row = fixture.row("arts", "a1");
    for (rule, stored, new) in [
        ("title='x'", "id_arts", ""),
        ("@request.auth.name='x'", "id_arts", ""),
        ("@request.auth.boss.name='x'", "id_arts id_auths", "id_auths"),
        ("author.name='x'", "id_arts id_auths", "id_auths"),
        ("@collection.arts.title?='x'", "id_arts", "id_arts"),
        ("author.auths_via_boss.id='x' && @collection.cmts.id?='x'", "id_arts id_auths id_cmts", "id_auths id_cmts"),
    ] {
        for (mut query, expected) in [
            (Query::new(&fixture.catalog, fixture.base("arts"), &request), stored),
            (Query::over_new_row(&fixture.catalog, fixture.base("arts"), &request, &row), new),
        ] {
            query.and_rule(rule).unwrap();
            assert_eq!(query.reads().join(" "), expected, "{rule}");
        }
    }
}

#[test]
fn a_unique_back_relation_has_one_value() {
    let mut profiles = base(
        "profiles",
        json!([{ "name": "user", "type": "relation", "collectionId": "id_users" }, { "name": "n", "type": "number" }]),
    );
    profiles.indexes = vec!["CREATE UNIQUE INDEX one ON profiles (user)".to_owned()];
    let profiles = collection::Collection::clone(&profiles);
    let fixture = Fixture::new(vec![auth("users", json!([])), profiles]);
    let sql = text(&fixture, "users", "profiles_via_user.n = 1", "", &superuser());
    assert!(!sql.contains("EXISTS"), "{sql}");
}

/// Thousands of joins and conditions are refused before SQLite has to.
#[test]
fn hostile_filters_are_refused_or_run() {
    let fixture = articles();
    let request = superuser();
    let aliases = |count: usize| {
        (0..count).map(|index| format!("@collection.auths:x{index}.id?='{index}'")).collect::<Vec<_>>().join("&&")
    };
    assert_eq!(fixture.filter("arts", &aliases(40), &request).unwrap(), "");
    assert!(fixture.filter("arts", &aliases(61), &request).is_err());
    let deep = (1..200).fold("title='a1'".to_owned(), |inner, index| {
        format!("(id='a1' {} {inner})", if index % 2 == 0 { "&&" } else { "||" })
    });
    assert_eq!(fixture.filter("arts", &deep, &request).unwrap(), "a1");
    let wide = vec!["coauthors.boss.name!=coauthors.name"; 60].join("||");
    assert_eq!(fixture.filter("arts", &wide, &request).unwrap(), "a2 a5");
}
