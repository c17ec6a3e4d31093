//! Who may use what: `records-filter.md` §6.3, §6.4 and the limits of §10.

use serde_json::json;

use super::*;
use crate::error::Kind;

fn outcome(fixture: &Fixture, base: &str, filter: &str, request: &Request) -> String {
    match fixture.filter(base, filter, request) {
        Ok(ids) => ids,
        Err(error) if error.kind == Kind::Forbidden => "forbidden".to_owned(),
        Err(error) if error.kind == Kind::Invalid && error.issues.is_empty() => "invalid".to_owned(),
        Err(error) => panic!("{filter}: {error}"),
    }
}

#[test]
fn clients_reach_neither_hidden_fields_nor_the_request() {
    let fixture = articles();
    let (guest, root) = (Request::default(), superuser());
    for (filter, to_guest, to_superuser) in [
        ("author.secret='secret of ann'", "invalid", "a1 a5"),
        ("author.tokenKey=''", "invalid", "a1 a2 a3 a4 a5"),
        ("coauthors.boss.secret~'ann'", "invalid", "a1 a4 a5"),
        ("@request.auth.id=''", "forbidden", ""),
        ("@collection.cmts.score?>5 && title='a1'", "forbidden", "a1"),
        ("title='@request.'", "forbidden", ""),
        ("title='@collection.x' || title='a1'", "forbidden", "a1"),
        ("title=@todayStart || title='a1'", "a1", "a1"),
        ("author.name='ann'", "a1 a5", "a1 a5"),
        ("strftime('%Y',author.secret)=''", "invalid", "a1 a2 a3 a4 a5"),
    ] {
        assert_eq!(outcome(&fixture, "arts", filter, &guest), to_guest, "{filter}");
        assert_eq!(outcome(&fixture, "arts", filter, &root), to_superuser, "{filter}");
    }
    for (sort, allowed) in [
        ("author.secret", false),
        ("-author.name", true),
        ("@request.auth.id", false),
        ("@collection.cmts.score", false),
        ("author.email", true),
    ] {
        let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &guest);
        assert_eq!(query.sort(sort).is_ok(), allowed, "{sort}");
    }
}

#[test]
fn hidden_relations_and_back_relations_are_closed_to_clients() {
    let fixture = Fixture::new(vec![
        base("a", json!([{ "name": "r", "type": "relation", "collectionId": "id_b", "hidden": true }])),
        base("b", json!([{ "name": "t", "type": "text" }])),
    ]);
    for (collection, filter) in [("a", "r.t='x'"), ("a", "r.id='x'"), ("b", "a_via_r.id='x'")] {
        assert_eq!(outcome(&fixture, collection, filter, &Request::default()), "invalid", "{filter}");
        assert_eq!(outcome(&fixture, collection, filter, &superuser()), "", "{filter}");
    }
}

/// Only bob shows his e-mail. A comparison that would have to look at another one is false, whatever it says.
#[test]
fn emails_are_compared_only_where_they_are_visible() {
    let fixture = articles();
    let guest = Request::default();
    for (base, filter, expected) in [
        ("auths", "email~'example'", "bob"),
        ("auths", "email!='nobody'", "bob"),
        ("auths", "email:lower~'ann' || name='ann'", "ann"),
        ("arts", "author.email~'example'", "a2"),
        ("arts", "coauthors.email?~'example'", "a1 a5"),
        ("arts", "coauthors.email~'example'", "a5"),
        ("arts", "strftime('%Y',author.email)=''", "a2"),
    ] {
        assert_eq!(outcome(&fixture, base, filter, &guest), expected, "{filter}");
    }
    // The owner as well; rules and superusers see everything.
    let owner = Request { caller: fixture.caller("auths", "ann"), ..Request::default() };
    assert_eq!(outcome(&fixture, "auths", "email~'ann'", &owner), "");
    assert_eq!(outcome(&fixture, "auths", "email~'ann'", &superuser()), "ann");
    assert!(fixture.rule("auths", "ann", "email~'ann'", &guest).unwrap());
}

fn restricted(list_rule: Option<&str>) -> Fixture {
    let mut fixture = articles();
    let collections = fixture.catalog.all().iter().map(|collection| {
        let mut collection = Collection::clone(collection);
        if &*collection.name == "auths" {
            collection.list_rule = list_rule.map(str::to_owned);
        }
        Arc::new(collection)
    });
    fixture.catalog = Catalog::new(2, collections.collect());
    fixture
}

/// §6.4: the restriction is on the whole query.
#[test]
fn list_rules_of_joined_collections_hold_for_clients() {
    for (rule, filter, expected) in [
        (Some("age>30"), "author.name='' || title='a1'", "a4"),
        (Some("age>30"), "author.name!='zzz'", "a2 a4"),
        (Some("age>30"), "author.id='ann'", "a1 a5"),
        (Some("age>30"), "coauthors.name?!='zzz'", "a1 a3 a5"),
        (Some("boss.name='ann' || name='ann'"), "author.name!=''", "a1 a2 a3 a5"),
        (Some("roles:each?='e'"), "author.name!=''", "a2 a3"),
        (Some("auths_via_boss.id?='dan'"), "author.name!=''", "a1 a5"),
        (Some("@request.auth.id=id"), "author.name!=''", ""),
        (Some("secret='secret of bob'"), "author.name!=''", "a2"),
        (Some(""), "author.name='ann'", "a1 a5"),
        (None, "author.name='ann'", "invalid"),
        (None, "author.id='ann'", "a1 a5"),
        (None, "title='a1'", "a1"),
    ] {
        let fixture = restricted(rule);
        assert_eq!(outcome(&fixture, "arts", filter, &Request::default()), expected, "{rule:?}: {filter}");
        assert_ne!(outcome(&fixture, "arts", filter, &superuser()), "invalid", "{filter}");
        assert!(Query::new(&fixture.catalog, fixture.base("arts"), &Request::default()).and_rule(filter).is_ok());
    }
    let fixture = restricted(Some("age>30"));
    let request = Request::default();
    let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &request);
    query.sort("author.name").unwrap();
    assert_eq!(fixture.ids(&query.select(&["id"], None, 0)), ["a4", "a2"]);
    assert_eq!(fixture.number(&query.count()), 2);
    assert!(Query::new(&restricted(None).catalog, fixture.base("arts"), &request).sort("author.name").is_err());
}

#[test]
fn limits_of_client_texts() {
    let fixture = articles();
    let request = Request::default();
    let long = |length: usize| format!("title='{}'", "x".repeat(length - 8));
    for (filter, expected) in [
        (long(3500), ""),
        (long(3501), "invalid"),
        (vec!["title='a1'"; 200].join("||"), "a1"),
        (" ".to_owned(), "invalid"),
        ("// nothing".to_owned(), "invalid"),
        (String::new(), "a1 a2 a3 a4 a5"),
    ] {
        assert_eq!(outcome(&fixture, "arts", &filter, &request), expected);
    }
    // A rule has no limit of length, but one of comparisons.
    let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &request);
    assert!(query.and_rule(&long(100_000)).is_ok());
    assert!(query.and_rule(&vec!["title='a1'"; 201].join("||")).is_err());
    for (sort, valid) in [
        ("title,,id", false),
        ("title, -author.name , +id", true),
        ("title,title,title,title,title,title,title,title", true),
        ("title,title,title,title,title,title,title,title,title", false),
        ("nothing", false),
        ("'x'", false),
        ("1", false),
        ("null", false),
        ("@now", false),
        ("coauthors:length", true),
        ("title:lower", true),
        ("cmts_via_art.score", true),
        ("@random", true),
        ("-@rowid", true),
        ("--title", false),
        (&"x".repeat(256), false),
    ] {
        let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &request);
        assert_eq!(query.sort(sort).is_ok(), valid, "{sort}");
        // What failed leaves no trace.
        fixture.ids(&query.select(&["id"], Some(5), 0));
    }
}

#[test]
fn plain_tables_have_columns_only() {
    let connection = Connection::open_in_memory().expect("memory is always there");
    register(&connection).unwrap();
    connection.execute_batch("CREATE TABLE _collections (id, name, system); INSERT INTO _collections VALUES ('1', 'a', 0), ('2', 'b', 1)").unwrap();
    let fixture = Fixture { catalog: Catalog::new(1, Vec::new()), connection };
    let request = superuser();
    for (filter, sort, expected) in [
        ("name='a'", "", "1"),
        ("system=true", "", "2"),
        ("name~'%' && id!='7'", "-name", "2 1"),
        ("", "@rowid", "1 2"),
        ("name:lower='a'", "", "invalid"),
        ("name.x='a'", "", "invalid"),
        ("nothing='a'", "", "invalid"),
        ("@request.auth.id='a'", "", "invalid"),
        ("@collection.x.y='a'", "", "invalid"),
        ("", "nothing", "invalid"),
    ] {
        let mut query = Query::over_table("_collections", &["id", "name", "system"], &request);
        let added = query.and_filter(filter).and_then(|()| query.sort(sort));
        let found = match added {
            Ok(()) => fixture.ids(&query.select(&["id"], Some(10), 0)).join(" "),
            Err(_) => "invalid".to_owned(),
        };
        assert_eq!(found, expected, "{filter} {sort}");
    }
}
