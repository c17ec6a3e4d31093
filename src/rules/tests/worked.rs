//! The tables of `records-filter.md` §2–§9, row by row.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::{
    clock::Timestamp,
    rules::{Verdict, judge},
};

#[test]
fn relations_and_multi_match() {
    let fixture = articles();
    let request = superuser();
    for (filter, expected) in [
        ("author.name='ann'", "a1 a5"),
        ("author.name!='ann'", "a2 a3 a4"),
        ("author.name=''", "a4"),
        ("author=''", "a4"),
        ("author.id=null", "a4"),
        ("coauthors.name='ann'", "a2"),
        ("coauthors.name?='ann'", "a1 a2 a4"),
        ("coauthors.name!='ann'", "a3 a5"),
        ("coauthors.name?!='ann'", "a1 a3 a4 a5"),
        ("coauthors.name=''", "a3"),
        ("coauthors.name!=''", "a1 a2 a4 a5"),
        ("coauthors.age>30", "a5"),
        ("coauthors.age?>30", "a1 a5"),
        ("coauthors.name~'a'", "a2 a4"),
        ("coauthors.name!~'a'", "a5"),
        ("coauthors='ann'", ""),
        ("coauthors?='ann'", ""),
        ("coauthors.id?='ann'", "a1 a2 a4"),
        ("coauthors:each?='ann'", "a1 a2 a4"),
        ("coauthors~'ann'", "a1 a2 a4"),
        ("coauthors:length=2", "a1 a4"),
        ("coauthors:length=0", "a3"),
        ("coauthors.boss.name='ann'", "a1 a4 a5"),
        ("coauthors.boss.name=''", "a2 a3"),
        ("coauthors.name=coauthors.name", "a2 a3 a5"),
        ("coauthors.name?=author.name", "a1"),
        ("author.roles:each='w'", "a1 a5"),
        ("author.roles:each?='w'", "a1 a2 a5"),
        ("author.roles:length=0", "a4"),
        ("cmts_via_art.score=5", ""),
        ("cmts_via_art.score?=5", "a1 a2"),
        ("cmts_via_art.score>3", "a2"),
        ("cmts_via_art.score!=5", "a3 a4 a5"),
        ("cmts_via_art.id=''", "a4 a5"),
        ("reacts_via_arts.kind='like'", "a2"),
        ("reacts_via_arts.kind?='like'", "a1 a2"),
        ("@collection.cmts.art?=id", "a1 a2 a3"),
        ("@collection.cmts.art?=id && @collection.cmts.score?>5", "a2"),
        ("@collection.cmts:a.art?=id && @collection.cmts:b.score?>5", "a1 a2 a3"),
        ("@collection.cmts.text='x'", ""),
        // §7.5: one path, one joined row.
        ("coauthors.name?='ann' && coauthors.name?='bob'", ""),
        ("coauthors.name?='bob' && coauthors.age?=40", "a1 a5"),
        ("coauthors.name?='ann' && coauthors.age?=40", ""),
        ("coauthors ~ 'ann' && coauthors ~ 'bob'", "a1"),
        ("@collection.auths:a.id?=coauthors.id && @collection.auths:a.age?=40", "a1 a5"),
        // EXISTS is pushed below OR and kept around what shares a row.
        ("title='a3' || coauthors.name?='bob'", "a1 a3 a5"),
        ("(title='a2' || coauthors.name?='bob') && coauthors.age?=30", "a2"),
        ("(coauthors.name?='ann' || coauthors.name?='bob') && coauthors.age?>30", "a1 a5"),
        ("coauthors.name?='ann' && cmts_via_art.score?=5", "a1 a2"),
        ("coauthors.name?='bob' && cmts_via_art.score?=5 && author.name='ann'", "a1"),
        // Names of collections in paths are case-insensitive, ids work as well.
        ("CMTS_via_art.score?=7", "a2"),
        ("id_cmts_via_art.score?=7", "a2"),
    ] {
        assert_eq!(fixture.filter("arts", filter, &request).unwrap(), expected, "{filter}");
    }
}

/// Asked of the reference server, where the tables are silent.
#[test]
fn paths_as_the_reference_resolves_them() {
    let fixture = articles();
    let request = superuser();
    for (filter, expected) in [
        ("coauthors.boss.name!=coauthors.name", "a2 a5"),
        ("coauthors.boss.name?!=coauthors.name", "a1 a2 a4 a5"),
        ("coauthors.boss.name=author.name", "a5"),
        ("coauthors.name=@request.auth.id", ""),
        ("coauthors.name>coauthors.boss.name", "a5"),
        ("coauthors.roles:each='w'", "a2"),
        ("coauthors.roles:each?='e'", "a1 a4 a5"),
        ("coauthors.roles:length=1", "a2 a4"),
        ("coauthors.roles:length?=2", "a1 a5"),
        ("auths_via_boss.name='x'", "invalid"),
        ("coauthors.auths_via_boss.name?='dan'", "a1 a2 a4"),
        ("author.arts_via_author.coauthors.name?='bob'", "a1 a5"),
        ("author.arts_via_author.title?='a5' && author.arts_via_author.coauthors.name?='ann'", ""),
        ("author.arts_via_author.coauthors.name!='bob'", "a2 a3 a4"),
        ("coauthors.name~author.name", ""),
        ("author.name~coauthors.name", ""),
        ("'ann'=coauthors.name", "a2"),
        ("'ann'?=coauthors.name", "a1 a2 a4"),
        ("coauthors:each~'ann'", "a2"),
        ("coauthors:each!~'ann'", "a5"),
        ("coauthors:each?='ann' && coauthors.name?='bob'", ""),
        ("coauthors.id=''", "a3"),
        ("coauthors.id!=''", "a1 a2 a4 a5"),
        ("@collection.cmts.score>0", "a1 a2 a3 a4 a5"),
        ("@collection.cmts.score>1", ""),
        ("@collection.cmts:a.score?>@collection.cmts:b.score", "a1 a2 a3 a4 a5"),
        ("strftime('%Y',cmts_via_art.art.id)=''", "a1 a2 a3 a4 a5"),
        ("geoDistance(cmts_via_art.score,0,0,0)>500", "a1 a2"),
        ("coauthors.age?>author.age", "a1 a5"),
        ("coauthors.age>=author.age", "a1 a5"),
        ("cmts_via_art.score>coauthors.age", ""),
        ("coauthors:lower~'ann'", "a1 a2 a4"),
        ("cmts_via_art.art.title=title", "a1 a2 a3"),
        ("reacts_via_arts.arts.title?='a2'", "a1 a2"),
        ("reacts_via_arts.arts:length?=2", "a1 a2"),
        ("author.boss.boss.boss.name=''", "a1 a2 a3 a4 a5"),
    ] {
        let found = fixture.filter("arts", filter, &request).unwrap_or_else(|_| "invalid".to_owned());
        assert_eq!(found, expected, "{filter}");
    }
    for (sort, expected) in [
        ("coauthors.name", "a3 a1 a2 a5 a4"),
        ("-coauthors.name", "a4 a5 a1 a2 a3"),
        ("cmts_via_art.score", "a4 a5 a1 a3 a2"),
    ] {
        let mut query = Query::new(&fixture.catalog, fixture.base("arts"), &request);
        query.sort(sort).unwrap();
        assert_eq!(fixture.ids(&query.select(&["id"], None, 0)).join(" "), expected, "{sort}");
    }
}

#[test]
fn scalars_compare_as_the_table_says() {
    let fixture = scalars();
    let request = superuser();
    for (filter, expected) in [
        ("n='5'", "r4"),
        ("n='5.0'", "r4"),
        ("t=5", ""),
        ("t='5'", "r4"),
        ("n=null", ""),
        ("j=5", "r4"),
        ("j='5'", ""),
        ("j=''", "r6"),
        ("j=null", "r2"),
        ("j=true", "r7"),
        ("j.arr.1=2", "r1"),
        ("j.x=null", "r2 r3 r4 r5 r6 r7"),
        ("j.x!=1", "r2 r3 r4 r5 r6 r7"),
        ("j.1='2'", "r5"),
        ("j:length=1", "r7"),
        ("j.arr:length=3", ""),
        ("s:each='a'", "r1"),
        ("s:each?='a'", "r1 r3 r5"),
        ("s:each!='a'", "r2 r4 r6 r7"),
        ("s:each?!='a'", "r2 r3 r4 r5 r6 r7"),
        ("s:length=0", "r2 r7"),
        ("s='[\"a\"]'", "r1"),
        ("t:lower='hello'", "r1"),
        ("title:length=5", "invalid"),
        ("t:length='5'", "r4"),
        ("t~'HELLO'", "r1 r3"),
        ("n~1", "r1 r5 r6 r7"),
        ("t~''", "r1 r2 r3 r4 r5 r6 r7"),
        ("t!~''", ""),
        ("t~'100%'", ""),
        ("t~'hello 100%'", "r3"),
        (r"t~'100\%'", "r3"),
        ("t~'a_b'", "r5"),
        ("t~'%a_b'", "r5 r6"),
        ("'hello there'~t", "r1 r2 r7"),
        ("t=null", "r2 r7"),
        ("t=''", "r2 r7"),
        ("t!=''", "r1 r3 r4 r5 r6"),
        ("b=true", "r1"),
        ("b='true'", ""),
        ("b=FALSE", "r2 r3 r4 r5 r6 r7"),
        ("d>='2024-05-15'", "r3"),
        ("d!='' && d<'2024-05-15'", "r1"),
        ("d<'2024-05-15'", "r1 r2 r4 r5 r6 r7"),
        ("0=''", ""),
        ("null=''", "r1 r2 r3 r4 r5 r6 r7"),
        ("'1'=1", ""),
        ("'a'>5", "r1 r2 r3 r4 r5 r6 r7"),
        ("1=1 && n>2", "r3 r4 r6 r7"),
        ("g='{\"lon\":0,\"lat\":0}'", "r2 r3 r4 r5 r6 r7"),
        ("g.lon>20", "r1"),
        ("strftime('%Y',d)='2024'", "r1 r3"),
        ("strftime('%Y',d)=''", "r2 r4 r5 r6 r7"),
        ("strftime('%m', d, '+1 month')='06'", "r1"),
        ("strftime('%Y')=strftime('%Y',@now)", "r1 r2 r3 r4 r5 r6 r7"),
        ("strftime('%Y', 'now')=strftime('%Y',@now)", "r1 r2 r3 r4 r5 r6 r7"),
        ("geoDistance(g.lon,g.lat,23.32,42.69)<10", "r1"),
        ("geoDistance(g.lon,g.lat,null,42.69)<10", ""),
        ("a=1 b=2", "invalid"),
        ("t:upper='x'", "invalid"),
        ("t:lower:lower='x'", "invalid"),
        ("t.x='x'", "invalid"),
        ("collectionId='x'", "invalid"),
        ("T='x'", "invalid"),
        ("#t='x'", "invalid"),
        ("nothing(t)='x'", "invalid"),
        ("geoDistance(g.lon,g.lat,'23.32',42.69)<10", "invalid"),
        ("geoDistance(1,2,3)<10", "invalid"),
        ("strftime(t)='x'", "invalid"),
        ("strftime('%Y',strftime('%Y'))='x'", "invalid"),
        ("strftime('%Y',d,'1','2','3','4','5','6','7','8','9')='x'", "invalid"),
        ("j..a=1", "invalid"),
        ("j.:.a=1", "invalid"),
        ("j.99999999999999999999=1", ""),
        ("j.arr.00000000001=2", "r1"),
        ("j:lower='text'", "r3"),
        ("g:lower~'lon'", "r1 r2 r3 r4 r5 r6 r7"),
        ("t~null", ""),
        ("null~t", ""),
    ] {
        let found = fixture.filter("scalars", filter, &request).unwrap_or_else(|_| "invalid".to_owned());
        assert_eq!(found, expected, "{filter}");
    }
}

#[test]
fn a_time_without_arguments_is_the_requests_and_not_sqlites() {
    let fixture = scalars();
    let request = Request { now: Timestamp(0), ..superuser() };
    for filter in
        ["strftime('%Y')='1970'", "strftime('%Y','now')='1970'", "strftime('%Y', 'NOW', '+1 day')='1970'", "@year=1970"]
    {
        assert_eq!(fixture.filter("scalars", filter, &request).unwrap(), "r1 r2 r3 r4 r5 r6 r7", "{filter}");
    }
}

fn posts() -> Fixture {
    let fixture = Fixture::new(vec![
        auth(
            "users",
            json!([
                { "name": "name", "type": "text" },
                { "name": "level", "type": "number" },
                { "name": "tags", "type": "select", "values": ["x", "y"], "maxSelect": 2 },
                { "name": "friend", "type": "relation", "collectionId": "id_users", "maxSelect": 1 },
            ]),
        ),
        base(
            "posts",
            json!([
                { "name": "t", "type": "text" },
                { "name": "n", "type": "number" },
                { "name": "s", "type": "select", "values": ["a", "b"], "maxSelect": 2 },
                { "name": "owner", "type": "relation", "collectionId": "id_users", "maxSelect": 1 },
                { "name": "readers", "type": "relation", "collectionId": "id_users", "maxSelect": 9 },
                { "name": "cr", "type": "autodate" },
                { "name": "j", "type": "json" },
            ]),
        ),
    ]);
    for (id, friend, tags) in [("u1", "u2", json!(["x"])), ("u2", "", json!(["x", "y"]))] {
        fixture.insert(
            "users",
            json!({ "id": id, "name": id, "level": 5, "friend": friend, "tags": tags, "email": format!("{id}@example.com") }),
        );
    }
    fixture
        .insert("posts", json!({ "id": "p1", "t": "x", "n": 1, "s": ["a"], "owner": "u1", "readers": ["u1", "u2"] }));
    fixture
}

fn new_row(fixture: &Fixture, body: &Map<String, Json>) -> Row {
    let base = fixture.base("posts");
    let value = |field: &Field| match body.get(&field.name) {
        Some(sent) => field.kind.as_type().normalise(sent),
        None if field.name == "id" => Value::Text("new".to_owned()),
        None => field.kind.as_type().zero(),
    };
    Row {
        columns: base.fields.iter().map(|field| Arc::from(field.name.as_str())).collect(),
        values: base.fields.iter().map(value).collect(),
    }
}

/// §9.2: what the body gives, what the one-row table gives, and what is refused.
#[test]
fn create_rules() {
    let fixture = posts();
    for (rule, body, expected) in [
        ("@request.body.t:isset=false", json!({}), true),
        ("@request.body.t:isset=false", json!({ "t": "" }), false),
        ("@request.body.n>2", json!({ "n": 3.0 }), true),
        ("@request.body.n='3'", json!({ "n": 3.0 }), false),
        ("@request.body.zz.a=5", json!({ "zz": { "a": 5 } }), true),
        ("@request.body.zz.list.1='b'", json!({ "zz": { "list": ["a", "b"] } }), true),
        ("@request.body.s:each='a'", json!({ "s": ["a", "b"] }), false),
        ("@request.body.s:each='a'", json!({ "s": ["a"] }), true),
        ("@request.body.s:each?='a'", json!({ "s": ["a", "b"] }), true),
        ("@request.body.s:each='a'", json!({}), false),
        ("@request.body.s:each!='a'", json!({}), true),
        ("@request.body.s:length=0", json!({}), true),
        ("@request.body.s:length=2", json!({ "s": ["a", "b"] }), true),
        ("@request.body.s='[\"a\",\"b\"]'", json!({ "s": ["a", "b"] }), true),
        ("@request.body.t:changed=true", json!({ "t": "x" }), false),
        ("@request.body.owner.name='u1'", json!({ "owner": "u1" }), true),
        ("@request.body.owner.name='u1'", json!({ "owner": "u2" }), false),
        ("@request.body.owner.name=''", json!({}), true),
        ("@request.body.owner.name=''", json!({ "owner": "" }), true),
        ("@request.body.owner.friend.name='u2'", json!({ "owner": "u1" }), true),
        ("@request.body.owner.id='u9'", json!({ "owner": "u9" }), false),
        ("@request.body.owner:length=0", json!({}), true),
        ("@request.body.owner:length=1", json!({ "owner": "" }), true),
        ("@request.body.owner:each=''", json!({ "owner": "" }), true),
        ("@request.body.owner:each=''", json!({}), false),
        ("@request.body.owner:each!='x'", json!({}), true),
        ("@request.body.s='[]'", json!({}), false),
        ("@request.body.s=''", json!({}), true),
        ("@request.body.s.0='a'", json!({ "s": ["a"] }), true),
        ("@request.body.n~'3'", json!({ "n": 3.0 }), true),
        ("@request.body.n:lower='3'", json!({ "n": 3.0 }), true),
        ("@request.body.zz='1'", json!({ "zz": 1 }), false),
        ("@request.body.zz:isset=true", json!({ "zz": null }), true),
        ("@request.body.zz.a:isset=true", json!({ "zz": { "a": null } }), true),
        ("@request.body.zz.a:isset=false", json!({ "zz": {} }), true),
        ("@request.body.j:changed=false", json!({ "j": { "a": 1 } }), true),
        ("j.a=1", json!({ "j": { "a": 1 } }), true),
        ("s~'b'", json!({ "s": ["a", "b"] }), true),
        ("@request.body.readers.name='u1'", json!({ "readers": ["u1", "u2"] }), false),
        ("@request.body.readers.name?='u2'", json!({ "readers": ["u1", "u2"] }), true),
        ("@request.body.t:lower='abc'", json!({ "t": "ABC" }), true),
        ("@request.auth.zzz=''", json!({}), true),
        ("@request.body.hid:isset=false", json!({}), true),
        ("@request.query.q=1", json!({}), false),
        ("@request.query.q='1'", json!({}), true),
        ("@request.query.n=7", json!({}), true),
        ("@request.headers.x_foo='bar'", json!({}), true),
        ("@request.headers.x_bar:isset=false", json!({}), true),
        ("@request.method='POST' && @request.context='default'", json!({}), true),
        ("cr=''", json!({}), true),
        ("n='5'", json!({ "n": 5 }), false),
        ("n=5", json!({ "n": 5 }), true),
        ("t=5", json!({ "t": "5" }), false),
        ("t=5", json!({ "t": "5.0" }), false),
        ("s:each?='b'", json!({ "s": ["a", "b"] }), true),
        ("owner.name='u1'", json!({ "owner": "u1" }), true),
        ("readers.name='u1'", json!({ "readers": ["u1"] }), true),
        ("@collection.posts.id?='new'", json!({}), false),
        ("@collection.posts.id?='p1'", json!({}), true),
        ("owner.posts_via_owner.id?='new'", json!({ "owner": "u1" }), false),
        ("owner.posts_via_owner.id?='p1'", json!({ "owner": "u1" }), true),
    ] {
        let body = body.as_object().unwrap().clone();
        let row = new_row(&fixture, &body);
        let query = json!({ "q": "1", "n": "7" }).as_object().unwrap().clone();
        let headers = json!({ "x_foo": "bar" }).as_object().unwrap().clone();
        let request = Request { method: "POST".to_owned(), query, headers, body, ..Request::default() };
        assert_eq!(fixture.create_rule("posts", &row, rule, &request).unwrap(), expected, "{rule}");
    }
}

#[test]
fn back_relations_from_a_new_record_compile_at_save_and_fail_at_request_time() {
    let fixture = Fixture::new(vec![
        base("a", json!([])),
        base("b", json!([{ "name": "r", "type": "relation", "collectionId": "id_a" }])),
    ]);
    let rule = "b_via_r.id=''";
    assert_eq!(crate::schema::CheckRule::check(&Checker, &fixture.catalog, fixture.base("a"), rule), Ok(()));
    let row = Row { columns: Arc::new(["id".into()]), values: vec![Value::Text("new".into())] };
    let failed = fixture.create_rule("a", &row, rule, &Request::default());
    assert_eq!(failed.map_err(|error| error.kind), Err(crate::error::Kind::Invalid));
}

/// §9.3 and §6.6: bare names are the stored values.
#[test]
fn update_rules() {
    let fixture = posts();
    for (rule, body, expected) in [
        ("t='x'", json!({ "t": "y" }), true),
        ("t='y'", json!({ "t": "y" }), false),
        ("@request.body.t='y'", json!({ "t": "y" }), true),
        ("@request.body.t:changed=false", json!({}), true),
        ("@request.body.t:changed=true", json!({ "t": "y" }), true),
        ("@request.body.t:changed=false", json!({ "t": "x" }), true),
        ("@request.body.t:changed=true", json!({ "t": "" }), true),
        ("@request.body.n:changed=false", json!({ "n": 1.0 }), true),
        ("@request.body.n=2", json!({ "n": 2.0 }), true),
        ("@request.body.s:length=2", json!({ "s": ["a", "b"] }), true),
        ("@request.body.s:changed=false", json!({ "s": ["a"] }), true),
        ("@request.body.s:changed=true", json!({ "s": ["b", "a"] }), true),
        ("@request.body.j:changed=true", json!({ "j": { "a": 1 } }), true),
        ("@request.body.j:changed=false", json!({ "j": null }), true),
    ] {
        let body = body.as_object().unwrap().clone();
        let request = Request { method: "PATCH".to_owned(), body, ..Request::default() };
        assert_eq!(fixture.rule("posts", "p1", rule, &request).unwrap(), expected, "{rule}");
    }
}

#[test]
fn rules_about_the_caller() {
    let fixture = posts();
    for (rule, guest, u1, u2) in [
        ("owner = @request.auth.id", false, true, false),
        ("@request.auth.id != '' && owner = @request.auth.id", false, true, false),
        ("@request.auth.id = ''", true, false, false),
        ("@request.auth.name = owner.name", false, true, false),
        ("readers.id ?= @request.auth.id", false, true, true),
        ("readers ~ @request.auth.id", false, true, true),
        ("@request.auth.level > 4 && @request.auth.collectionName = 'users'", false, true, true),
        ("@request.auth.level = '5'", false, true, true),
        ("@request.auth.level ~ '5'", false, true, true),
        ("@request.auth.verified = false", false, true, true),
        ("@request.auth.verified = '0'", false, false, false),
        ("@request.auth.id:isset = true", false, false, false),
        ("'u1' ~ @request.auth.name", false, true, false),
        ("@request.auth.tags = '[\"x\"]'", false, true, false),
        ("@request.auth.tags:each ?= 'y'", false, false, true),
        ("@request.auth.tags:length = 1", false, true, false),
        ("@request.auth.friend = ''", true, false, true),
        ("@request.auth.friend.id = 'u2'", false, true, false),
        ("@request.auth.friend.name = 'u2'", false, true, false),
        ("@request.auth.posts_via_owner.id ?= id", false, true, false),
        ("@request.auth.unknown.path = ''", true, true, true),
        ("@request.auth.email:lower = 'u1@example.com'", false, true, false),
        ("@collection.users:m.id ?= @request.auth.id && @collection.users:m.id ?= owner", false, true, false),
    ] {
        let callers = [Caller::Guest, fixture.caller("users", "u1"), fixture.caller("users", "u2")];
        for (caller, expected) in callers.into_iter().zip([guest, u1, u2]) {
            let request = Request { caller, ..Request::default() };
            assert_eq!(fixture.rule("posts", "p1", rule, &request).unwrap(), expected, "{rule} {:?}", request.caller);
        }
    }
}

#[test]
fn rules_are_checked_when_a_collection_is_saved() {
    let fixture = posts();
    for (rule, valid) in [
        ("", true),
        ("@request.auth.nothing.at.all = 1", true),
        ("@request.body.nothing.x = 1", true),
        ("owner.name = 'x'", true),
        ("posts_via_owner.id = ''", false),
        ("nothing = 1", false),
        ("owner.nothing = 1", false),
        ("@collection.nothing.x = 1", false),
        ("@collection.users.nothing = 1", false),
        ("@request.auth.name:upper = 1", false),
        ("@request.body.t:length = 1", false),
        ("@request.body.zz:each = 1", false),
        ("@request.body.zz:changed = true", false),
        ("@request.body.owner.name:bad = 1", false),
        ("owner.friend.friend.friend.friend.friend.name = ''", true),
        ("owner.friend.friend.friend.friend.friend.friend.name = ''", false),
        ("t = ", false),
        ("@request.data.x = 1", false),
    ] {
        let checked = crate::schema::CheckRule::check(&Checker, &fixture.catalog, fixture.base("posts"), rule);
        assert_eq!(checked.is_ok(), valid, "{rule}: {checked:?}");
    }
}

/// SQLite refuses patterns over 50000 bytes.
#[test]
fn patterns_may_be_long() {
    let fixture = posts();
    let long = "x".repeat(60_000);
    fixture.insert("posts", json!({ "id": "p2", "t": long }));
    let body = json!({ "t": long }).as_object().unwrap().clone();
    let request = Request { body, ..Request::default() };
    let row = fixture.row("posts", "p2");
    for (rule, expected) in [
        ("t ~ @request.body.t", true),
        ("t !~ @request.body.t", false),
        ("t ~ t", true),
        ("'x' !~ t", true),
        ("t = @request.body.t", true),
        ("t ~ 'xxx'", true),
    ] {
        assert_eq!(fixture.rule("posts", "p2", rule, &request).unwrap(), expected, "{rule}");
        let judged = judge(rule, &fixture.catalog, fixture.base("posts"), &row, &request);
        assert_eq!(judged == Verdict::Match, expected, "{rule}");
    }
}
