//! Where faults are said to be, and that they are the faults on which saving fails.

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::json;

use super::{articles, base};
use crate::{
    rules::{
        Checker, Expr, Purpose, locate,
        parse::{
            outline::{Outline, Parts},
            parse, parse_outlined,
        },
    },
    schema::{Catalog, CheckRule},
};

/// The UTF-16 units of a text in this range.
fn units(text: &str, place: std::ops::Range<usize>) -> String {
    let all: Vec<u16> = text.encode_utf16().collect();
    String::from_utf16(&all[place]).unwrap()
}

#[test]
fn a_fault_is_where_it_is() {
    let fixture = articles();
    for (rule, place) in [
        ("nope = 1", "nope"),
        ("title = 1 && (nope = 2 || title = 3)", "nope"),
        ("title = 'nope' && title = nope", "nope"),
        ("/* no */ title = 1", "/"),
        ("// nope\ntitle = '\u{1f600}ä' && nope = 1", "nope"),
        ("author.nope = 1", "author.nope"),
        ("author.name.deeper = 1", "author.name.deeper"),
        ("title = title:nope", "title:nope"),
        ("@request.data.x = 1", "@request.data.x"),
        ("@collection.nope.x = 1", "@collection.nope.x"),
        ("nope_via_art.x = 1", "nope_via_art.x"),
        ("title = nope('x')", "nope('x')"),
        ("geoDistance(1, 2, 3) < 4", "geoDistance(1, 2, 3)"),
        ("strftime('%Y', nope) = 4", "nope"),
        ("title = 1 && strftime('%Y', strftime('x')) = 4", "strftime('%Y', strftime('x'))"),
        ("title =", ""),
        ("title = 1 &&", ""),
        ("title == 1", "=="),
        ("title = 1 && ä = 1", "ä"),
        ("title = 1 title", "title"),
        ("title = 'x", "'"),
        ("(title = 1", "("),
        ("title = 1)", ")"),
        ("title 1", "1"),
        ("title = 1 & title = 2", "&"),
        ("   ", ""),
    ] {
        let fault = locate(&fixture.catalog, fixture.base("arts"), rule, Purpose::Rule);
        let fault = fault.unwrap_or_else(|| panic!("{rule} is none"));
        assert_eq!(units(rule, fault.place.clone()), place, "{rule}: {fault:?}");
        let shown = fault.place.start;
        let expected = if rule.starts_with("title = 'nope'") { rule.rfind("nope").unwrap() } else { shown };
        assert_eq!(shown, expected, "{rule}");
    }
    for rule in ["", "title = 1", "@request.auth.nope = 1", "author.boss.name ~ 'x' // why", "cmts_via_art.score > 1"] {
        for purpose in [Purpose::Rule, Purpose::Filter] {
            assert_eq!(locate(&fixture.catalog, fixture.base("arts"), rule, purpose), None, "{rule}");
        }
    }
}

#[test]
fn what_is_too_long_is_refused_as_a_whole() {
    let fixture = articles();
    let long = format!("title = '{}'", "x".repeat(4000));
    assert_eq!(locate(&fixture.catalog, fixture.base("arts"), &long, Purpose::Rule), None);
    let fault = locate(&fixture.catalog, fixture.base("arts"), &long, Purpose::Filter).unwrap();
    assert_eq!(fault.place, 0..long.len());
    let many = vec!["title = 1"; 201].join(" && ");
    let fault = locate(&fixture.catalog, fixture.base("arts"), &many, Purpose::Rule).unwrap();
    assert_eq!(fault.place.start, many.len() - "title = 1".len());
}

#[test]
fn a_collection_may_be_new() {
    let fixture = articles();
    let proposed =
        base("tags", json!([{ "name": "art", "type": "relation", "collectionId": "id_arts", "maxSelect": 1 }]));
    let check = |rule: &str| locate(&fixture.catalog, &proposed, rule, Purpose::Rule);
    assert_eq!(check("art.author.name = 'ann' && @collection.tags.art = art"), None);
    assert_eq!(check("art.nope = 1").unwrap().place, 0..8);
    assert_eq!(locate(&Catalog::default(), &proposed, "art.title = 1", Purpose::Rule).unwrap().place, 0..9);
}

const PIECES: &[&str] = &[
    "title",
    "nope",
    "author.name",
    "author.nope",
    "'x'",
    "'ä\u{1f600}'",
    "1",
    "=",
    "?=",
    "&&",
    "||",
    "(",
    ")",
    "f(",
    ",",
    "strftime(",
    "geoDistance(",
    "@now",
    "@request.auth.id",
    "@nope",
    "coauthors:each",
    "coauthors:length",
    "title:lower",
    "// x\n",
    "\u{1f600}",
];

fn check_outline(text: &str, expr: &Expr, outline: &Outline) {
    assert_eq!(parse(&text[outline.place.clone()]).as_ref(), Ok(expr), "{text}");
    match (expr, &outline.parts) {
        (Expr::And(members) | Expr::Or(members), Parts::Members(outlines)) => {
            assert_eq!(members.len(), outlines.len());
            members.iter().zip(outlines).for_each(|(member, outline)| check_outline(text, member, outline));
        }
        (Expr::Compare(_), Parts::Sides { left, right }) => {
            assert!(left.place.end <= right.place.start);
        }
        _ => panic!("{text}: {outline:?}"),
    }
}

#[test]
fn places_lie_within_and_verdicts_are_those_of_saving() {
    let fixture = articles();
    let base = fixture.base("arts");
    let mut runner = TestRunner::new(Config { cases: 3000, failure_persistence: None, ..Config::default() });
    let whole = prop_oneof![
        vec(select(PIECES), 1..16).prop_map(|pieces| pieces.join(" ")),
        vec(
            (select(PIECES), select(&["=", "~", "?!="][..]), select(PIECES), select(&["&&", "||", ") || ("][..])),
            1..5
        )
        .prop_map(|terms| {
            let text: String = terms.iter().map(|(a, sign, b, join)| format!("{a} {sign} {b} {join} ")).collect();
            format!("({text} title = 1)")
        }),
    ];
    runner
        .run(&whole, |text| {
            let fault = locate(&fixture.catalog, base, &text, Purpose::Rule);
            prop_assert_eq!(fault.is_none(), Checker.check(&fixture.catalog, base, &text).is_ok(), "{}", text);
            if let Some(fault) = fault {
                prop_assert!(fault.place.start <= fault.place.end);
                prop_assert!(fault.place.end <= text.encode_utf16().count(), "{}", text);
            }
            if let Ok((expr, outline)) = parse_outlined(&text) {
                check_outline(&text, &expr, &outline);
            }
            Ok(())
        })
        .unwrap();
}
