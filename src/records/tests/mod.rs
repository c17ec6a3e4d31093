//! Reading as clients see it, over a real database: what PocketBase 0.40.6 answered to the same requests.

mod coherence;
mod gallery;

use std::sync::Arc;

use serde_json::{Value as Json, json};

use self::gallery::{Gallery, ids, keys, object, outline, request, shape};
use crate::{db::Asker, error::Kind as ErrorKind, identity::Caller, rules::Request};

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

#[tokio::test]
async fn a_page_that_is_too_large_is_refused() {
    let gallery = Gallery::open().await;
    for id in ["b1", "b2", "b3"] {
        gallery.insert("arts", json!({"id": id, "title": "x".repeat(2 << 20), "author": "ann"})).await;
    }
    for (query, fits) in [
        (&[("filter", "title~'xxx'")][..], false),
        (&[("filter", "title~'xxx'"), ("expand", "author")], false),
        (&[("filter", "title~'xxx'"), ("fields", "id")], true),
        (&[("filter", "title~'xxx'"), ("perPage", "1"), ("expand", "author")], true),
    ] {
        let listed = gallery.list(&Caller::Guest, "arts", query).await;
        assert_eq!(listed.is_ok(), fits, "{query:?}");
        assert!(listed.err().is_none_or(|error| error.message.contains("perPage")));
    }
}

/// Ids can be made up without end, but the share of the slow lane is that of whoever asks for the files.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_costly_view_are_looked_up_at_the_expense_of_whoever_asks() {
    let gallery = Arc::new(Gallery::open().await);
    let query = "SELECT (ROW_NUMBER() OVER ()) as id, a.text FROM cmts a, cmts b, cmts c, cmts d";
    gallery.schema.create(object(json!({"name": "costly", "type": "view", "viewQuery": query}))).await.unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)
        INSERT INTO cmts (id, text, score) SELECT 'n' || i, 'n', 1 FROM n";
    gallery.db.write(move |tx| tx.execute(fill, [])).await.unwrap();
    let greedy = Request { address: Some([192, 0, 2, 1].into()), ..Request::default() };
    let asking = (0..12).map(|number| {
        let (gallery, request) = (gallery.clone(), greedy.clone());
        tokio::spawn(async move { gallery.records.file(request, "costly", &format!("made-up-{number}"), "x").await })
    });
    let asking: Vec<_> = asking.collect();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(asking.iter().all(|asking| !asking.is_finished()), "the view is not costly");
    let slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT count(*) FROM n";
    let other = Asker::named(&"somebody else");
    let read = gallery.db.read_for(other, move |tx| tx.query_one(slow, [], |row| row.get::<_, i64>(0)));
    let read = tokio::time::timeout(std::time::Duration::from_secs(10), read).await;
    assert_eq!(read.expect("one who asks takes all places").unwrap(), Some(200_000));
    asking.iter().for_each(tokio::task::JoinHandle::abort);
}
