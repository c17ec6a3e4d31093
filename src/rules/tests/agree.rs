//! Both readers give the same answer: random schemas, rows (odd ones too), requests and rules, judged by SQLite and in
//! memory. More cases with `CONCH_CASES=100000`.

use std::cell::Cell;

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::rules::{Verdict, judge};

/// Texts that conversions, patterns and JSON treat differently.
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "5",
    "5.0",
    " 5",
    "05",
    "-1",
    "1",
    "true",
    "null",
    "[\"a\"]",
    "{\"x\": 1}",
    "100%",
    "a_b",
    "axb",
    "a\\b",
    "ä",
    "it's",
    "2024-05-01 10:00:00.000Z",
    "1e3",
    "[",
    "b",
    "c",
    "now",
];

/// Values that meet each other often: equal in one type, not in the other.
const CORE: &[&str] = &["", "a", "5", "5.0", "1"];
const CORE_NUMBERS: &[f64] = &[0.0, 1.0, 5.0];

const MULTI: &[&str] = &[
    "[]",
    "[\"a\"]",
    "[\"a\",\"b\"]",
    "[\"b\",\"c\"]",
    "[\"a\", 5 ,null,true,{\"x\": [1, 2]},2.5]",
    "a",
    "",
    "5",
    "[",
    "[\"\"]",
    "{\"a\":1}",
    "[null]",
    "[1.0,\"1.0\"]",
];

const JSONS: &[&str] = &[
    "null",
    "true",
    "false",
    "1",
    "5",
    "2.5",
    "\"\"",
    "\"a\"",
    "\"5\"",
    "[]",
    "[1,\"2\",null]",
    "{\"x\":1,\"arr\":[1,2,3]}",
    "{\"x\" : { \"y\" : \"a b\" } , \"x\" : 2}",
    "{\"0\":1,\"a\\u0062\":5}",
    "not json",
    "1e3",
    "-0",
    "1.50",
    " 5 ",
    "[[5],{\"x\":null}]",
    "\"\\u00e4\\n\"",
    "12345678901234567890",
];

const NUMBERS: &[f64] = &[0.0, 1.0, -1.0, 2.0, 2.5, 5.0, 10.0, 100.0, 1e15, 1e18, 0.1, 1e-7];

/// The kinds a generated field may have, as wire JSON without a name.
fn kinds() -> Vec<Json> {
    vec![
        json!({ "type": "text" }),
        json!({ "type": "editor" }),
        json!({ "type": "email" }),
        json!({ "type": "url" }),
        json!({ "type": "date" }),
        json!({ "type": "autodate" }),
        json!({ "type": "password" }),
        json!({ "type": "number" }),
        json!({ "type": "bool" }),
        json!({ "type": "json" }),
        json!({ "type": "geoPoint" }),
        json!({ "type": "select", "values": ["a", "b", "c"], "maxSelect": 1 }),
        json!({ "type": "select", "values": ["a", "b", "c"], "maxSelect": 3 }),
        json!({ "type": "file", "maxSelect": 1 }),
        json!({ "type": "file", "maxSelect": 3 }),
        json!({ "type": "relation", "collectionId": "id_people", "maxSelect": 1 }),
        json!({ "type": "relation", "collectionId": "id_people", "maxSelect": 3 }),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    kinds: Vec<Json>,
    /// Raw values, as some other program may have left them.
    row: Vec<Value>,
    caller: Option<(Value, Value)>,
    query: Vec<(usize, Json)>,
    body: Vec<(usize, Json)>,
    rules: Vec<String>,
}

fn stored(kind: &Json) -> BoxedStrategy<Value> {
    let text = |pool: &'static [&'static str]| {
        prop_oneof![select(CORE), select(pool)].prop_map(|text| Value::Text(text.to_owned()))
    };
    let number = prop_oneof![
        3 => select(CORE_NUMBERS).prop_map(Value::Real),
        1 => select(NUMBERS).prop_map(Value::Real),
        1 => (-3_i64..12).prop_map(Value::Integer),
        1 => Just(Value::Integer(9_007_199_254_740_993))
    ];
    let multiple = kind["maxSelect"].as_i64().unwrap_or(1) > 1;
    match kind["type"].as_str().unwrap_or_default() {
        "number" => prop_oneof![8 => number, 1 => text(TEXTS)].boxed(),
        "bool" => prop_oneof![8 => (0_i64..2).prop_map(Value::Integer), 1 => text(TEXTS)].boxed(),
        "json" => prop_oneof![8 => text(JSONS), 1 => Just(Value::Null), 1 => number, 1 => text(TEXTS)].boxed(),
        "geoPoint" => prop_oneof![
            Just(Value::Text(r#"{"lon":23.3,"lat":42.7}"#.to_owned())),
            Just(Value::Text(r#"{"lon":0,"lat":0}"#.to_owned())),
            text(JSONS)
        ]
        .boxed(),
        _ if multiple => text(MULTI).boxed(),
        _ => prop_oneof![6 => text(TEXTS), 1 => number].boxed(),
    }
}

fn sent() -> BoxedStrategy<Json> {
    prop_oneof![
        3 => select(CORE).prop_map(|text| json!(text)),
        2 => select(TEXTS).prop_map(|text| json!(text)),
        2 => select(CORE_NUMBERS).prop_map(|number| json!(number)),
        1 => select(NUMBERS).prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(|flag| json!(flag)),
        1 => Just(Json::Null),
        2 => vec(select(&["a", "b", "c", "", "5"][..]), 0..4).prop_map(|list| json!(list)),
        1 => Just(json!({ "x": { "y": "a" }, "list": [1, "b"] })),
    ]
    .boxed()
}

fn operand(fields: usize) -> BoxedStrategy<String> {
    let field = (0..fields).prop_map(|index| format!("f{index}"));
    let modifier = select(&["", "", "", "", ":each", ":each", ":length", ":lower", ":isset", ":changed"][..]);
    let below = select(&["x", "0", "1", "arr.1", "x.y", "lon", "lat", "id", "ab", "arr:length"][..]);
    let request = select(
        &[
            "query.f0",
            "query.f1",
            "query.q0",
            "query.q1",
            "query.q0:isset",
            "headers.h",
            "body.f0",
            "body.f1",
            "body.f2",
            "body.f3",
            "body.f0:isset",
            "body.f1:changed",
            "body.f2:changed",
            "body.f3:changed",
            "body.f1:lower",
            "body.f0.x.y",
            "body.f0.list.1",
            "body.f1.id",
            "auth.id",
            "auth.name",
            "auth.level",
            "auth.name:lower",
            "auth.friend.id",
            "auth.friend",
            "auth.nothing",
            "auth.collectionName",
            "auth.verified",
            "method",
            "context",
            "body.f0:each",
            "body.f1:each",
            "body.f2:length",
        ][..],
    );
    prop_oneof![
        6 => (field.clone(), modifier).prop_map(|(field, modifier)| format!("{field}{modifier}")),
        2 => (field.clone(), below).prop_map(|(field, path)| format!("{field}.{path}")),
        3 => select(CORE).prop_map(|text| format!("'{text}'")),
        2 => select(TEXTS).prop_map(|text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))),
        1 => select(TEXTS).prop_map(|text| format!("\"{}\"", text.replace('"', "\\\""))),
        2 => select(CORE_NUMBERS).prop_map(|number| number.to_string()),
        1 => select(NUMBERS).prop_map(|number| number.to_string()),
        1 => select(&["null", "true", "false", "@now", "@year", "@todayStart"][..]).prop_map(str::to_owned),
        4 => request.prop_map(|path| format!("@request.{path}")),
        1 => (field.clone(), field).prop_map(|(a, b)| format!("geoDistance({a}.lon, {b}.lat, 23, 42.5)")),
    ]
    .boxed()
}

fn rule(fields: usize) -> BoxedStrategy<String> {
    let operator = select(
        &[
            "=", "!=", ">", ">=", "<", "<=", "~", "!~", "?=", "?!=", "?>", "?>=", "?<", "?<=", "?~", "?!~", "=", "!=",
            "~",
        ][..],
    );
    let comparison = (operand(fields), operator, operand(fields))
        .prop_map(|(left, operator, right)| format!("{left} {operator} {right}"));
    comparison
        .prop_recursive(3, 8, 3, |inner| {
            (vec(inner, 2..4), any::<bool>())
                .prop_map(|(members, all)| format!("({})", members.join(if all { " && " } else { " || " })))
        })
        .boxed()
}

fn case() -> impl Strategy<Value = Case> {
    vec(select(kinds()), 1..6).prop_flat_map(|kinds| {
        let fields = kinds.len();
        let row: Vec<_> = kinds.iter().map(stored).collect();
        let caller = proptest::option::of((stored(&json!({ "type": "text" })), stored(&json!({ "type": "number" }))));
        let pairs = || vec((0..fields + 2, sent()), 0..4);
        (Just(kinds), row, caller, pairs(), pairs(), vec(rule(fields), 10))
            .prop_map(|(kinds, row, caller, query, body, rules)| Case { kinds, row, caller, query, body, rules })
    })
}

fn fixture(case: &Case) -> Fixture {
    let fields: Vec<Json> = case
        .kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| {
            let mut field = kind.clone();
            field["name"] = json!(format!("f{index}"));
            field
        })
        .collect();
    let people = json!([
        { "name": "name", "type": "text" },
        { "name": "level", "type": "number" },
        { "name": "friend", "type": "relation", "collectionId": "id_people", "maxSelect": 1 },
    ]);
    let fixture = Fixture::new(vec![auth("people", people), base("things", Json::Array(fields))]);
    let names: Vec<String> = (0..case.row.len()).map(|index| format!("f{index}")).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let sql = format!("INSERT INTO things (id, {}) VALUES ('r', {marks})", names.join(", "));
    fixture.connection.execute(&sql, params_from_iter(&case.row)).unwrap();
    if let Some((name, level)) = &case.caller {
        fixture
            .connection
            .execute("INSERT INTO people (id, name, level, friend) VALUES ('p', ?, ?, ?)", [name, level, name])
            .unwrap();
    }
    fixture
}

/// Values for known fields come normalised, under their names; the others as they are.
fn request(case: &Case, fixture: &Fixture) -> Request {
    let map = |pairs: &[(usize, Json)], other: &str| -> Map<String, Json> {
        let name = |index: usize| match index.checked_sub(case.kinds.len()) {
            None => format!("f{index}"),
            Some(beyond) => format!("{other}{beyond}"),
        };
        pairs.iter().map(|(index, value)| (name(*index), value.clone())).collect()
    };
    let text = |(name, value): (String, Json)| (name, Json::String(value.as_str().unwrap_or("5").to_owned()));
    let base = fixture.base("things");
    let body = map(&case.body, "b").into_iter().map(|(name, value)| match base.field(&name) {
        Some(field) => {
            let kind = field.kind.as_type();
            let mut json = Vec::new();
            kind.write_json((&kind.normalise(&value)).into(), &mut json);
            (name, serde_json::from_slice(&json).expect("a field writes JSON"))
        }
        None => (name, value),
    });
    Request {
        method: "PATCH".to_owned(),
        query: map(&case.query, "q").into_iter().map(text).collect(),
        body: body.collect(),
        caller: case.caller.as_ref().map_or(Caller::Guest, |_| fixture.caller("people", "p")),
        ..Request::default()
    }
}

#[test]
fn sql_and_memory_agree() {
    let cases = std::env::var("CONCH_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let (decided, matched, asked) = (Cell::new(0_u32), Cell::new(0_u32), Cell::new(0_u32));
    let checked = TestRunner::new(config).run(&case(), |case| {
        let fixture = fixture(&case);
        let request = request(&case, &fixture);
        let row = fixture.row("things", "r");
        for rule in &case.rules {
            // A rule that SQL refuses (a path into a text field, say) has no answer to agree with.
            let Ok(by_sql) = fixture.rule("things", "r", rule, &request) else { continue };
            let in_memory = judge(rule, &fixture.catalog, fixture.base("things"), &row, &request);
            asked.set(asked.get() + 1);
            if in_memory != Verdict::NeedsSql {
                decided.set(decided.get() + 1);
                matched.set(matched.get() + u32::from(by_sql));
                let expected = if by_sql { Verdict::Match } else { Verdict::NoMatch };
                prop_assert_eq!(in_memory, expected, "{} on {:?} with {:?}", rule, row, request);
            }
        }
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
    // The test says something only if the memory reader dares to answer, and not always the same.
    assert!(decided.get() * 10 > asked.get() * 8, "{} of {} decided in memory", decided.get(), asked.get());
    assert!(matched.get() * 10 > decided.get(), "{} of {} match", matched.get(), decided.get());
}

/// Found by the test above: an element is a column without a type, so a number does not become a text beside a text
/// column, as it would beside an expression.
#[test]
fn elements_of_lists_convert_as_columns_without_a_type() {
    let case = Case {
        kinds: vec![json!({ "type": "select", "values": ["a", "b"], "maxSelect": 2 }), json!({ "type": "text" })],
        row: vec![Value::Integer(5), Value::Text("5".to_owned())],
        caller: None,
        query: Vec::new(),
        body: Vec::new(),
        rules: Vec::new(),
    };
    let fixture = fixture(&case);
    let row = fixture.row("things", "r");
    for (rule, expected) in
        [("f0:each > f1", false), ("f0:each < f1", true), ("f0:each = 5", true), ("f0:each = '5'", false)]
    {
        let request = request(&case, &fixture);
        assert_eq!(fixture.rule("things", "r", rule, &request).unwrap(), expected, "{rule}");
        let verdict = judge(rule, &fixture.catalog, fixture.base("things"), &row, &request);
        assert_eq!(verdict == Verdict::Match, expected, "{rule}");
    }
}
