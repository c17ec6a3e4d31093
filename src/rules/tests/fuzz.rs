//! The parser against noise: it never panics, its positions lie inside the text, and what it prints it reads back.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};

use crate::rules::{Expr, parse};

const VALID: &[&str] = &[
    "a=1",
    "title ~ 'it\\'s' && (a.b:each ?= \"x\" || n >= -1.5)",
    "// why\n@request.auth.id != '' && owner = @request.auth.id // end",
    "geoDistance(g.lon, g.lat, 23.32, 42.69,) < 10 || strftime('%Y', d, '+1 day') = '2024'",
    "((a=1 && b=2) || (c!=null && (d?!~'%x\\%y' || e<=@now)))",
    "@collection.members:m.user ?= @request.auth.id && a='ä\u{1f600}'",
];

const TOKENS: &[&str] = &[
    "a",
    "b.c:each",
    "@now",
    "@request.body.x",
    "#x",
    "_",
    "null",
    "f(",
    "(",
    ")",
    ",",
    "'x'",
    "\"\\\"\"",
    "'",
    "\\",
    "1",
    "-1",
    "1.5",
    "1.",
    "-",
    "=",
    "!=",
    "?=",
    "?!~",
    "~",
    "<>",
    "==",
    "&&",
    "||",
    "&",
    "|",
    "//",
    "\n",
    " ",
    "\t",
    "\r",
    "\0",
    "é",
    "\u{1f600}",
    "!",
    "?",
];

fn check(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(expr) => {
            let printed = expr.to_string();
            prop_assert_eq!(parse(&printed), Ok(expr), "{:?} printed as {:?}", text, printed);
        }
        Err(error) => prop_assert!(
            error.position <= text.len() && text.is_char_boundary(error.position),
            "{:?}: position {} of {}",
            text,
            error.position,
            text.len()
        ),
    }
    Ok(())
}

#[test]
fn the_parser_survives_noise() {
    let cases = std::env::var("CONCH_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3000);
    let noise = prop_oneof![
        1 => any::<String>(),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        3 => vec(select(TOKENS), 0..16).prop_map(|tokens| tokens.concat()),
        2 => vec(select(TOKENS), 0..16).prop_map(|tokens| tokens.join(" ")),
        3 => (select(VALID), vec((any::<Index>(), 0_u8..3, select(TOKENS)), 1..4)).prop_map(|(text, edits)| mutate(text, &edits)),
    ];
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(&noise, |text| check(&text)) {
        panic!("{error}");
    }
}

/// Deletes, doubles or replaces characters of a valid text.
fn mutate(text: &str, edits: &[(Index, u8, &str)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, kind, token) in edits {
        let at = at.index(chars.len().max(1)).min(chars.len().saturating_sub(1));
        match kind {
            0 if !chars.is_empty() => drop(chars.remove(at)),
            1 if !chars.is_empty() => chars.insert(at, chars[at]),
            _ => drop(chars.splice(at..at, token.chars())),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn valid_and_invalid_texts() {
    for text in VALID.iter().copied().chain([
        "a=1&&b=2",
        "a='x'",
        "a = 00001",
        "n=-1",
        "a=f(f(f(1)))",
        "f()=1",
        "a=1//",
        "((a=1))",
    ]) {
        check(text).unwrap();
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
    for text in [
        "",
        " ",
        "// only",
        "()",
        "a",
        "a=",
        "=1",
        "a=1 &&",
        "&& a=1",
        "a=1 & b=2",
        "a=1 &&& b=2",
        "a=1 b=2",
        "a=1 (b=2)",
        "a=(b=2)",
        "!(a=1)",
        "not a=1",
        "n=!x",
        "a==1",
        "a<>1",
        "a=>1",
        "n=1e1",
        "n=.5",
        "n=5.",
        "n=+1",
        "n=1.2.3",
        "n=0x10",
        "a.=1",
        "a:=1",
        "_=1",
        "@=1",
        "#=1",
        "f (1)=1",
        "f(1 2)=1",
        "f(,)=1",
        "f(f(f(f(1))))=1",
        "a='x",
        "a=\"x'",
        "a='x\0'",
        "a\0=1",
        "a=1\r\n",
        "(a=1",
        "a=1)",
        "a in (1)",
        "a='x'/b",
        "é=1",
    ] {
        check(text).unwrap();
        assert!(parse(text).is_err(), "{text:?}: {:?}", parse(text));
    }
}

#[test]
fn and_binds_tighter_than_or() {
    let tree = |text: &str| match parse(text).unwrap() {
        Expr::Or(members) => format!("or{}", members.len()),
        Expr::And(members) => format!("and{}", members.len()),
        Expr::Compare(_) => "one".to_owned(),
    };
    for (text, expected) in [
        ("a=1 && b=1 && c=1", "and3"),
        ("a=1 || b=1 || c=1", "or3"),
        ("a=1 && b=1 || c=1", "or2"),
        ("a=1 || b=1 && c=1", "or2"),
        ("(a=1 || b=1) && c=1", "and2"),
        ("(((a=1)))", "one"),
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn limits_hold_without_a_stack_overflow() {
    let nested = |depth: usize| format!("{}a=1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(1500)).is_ok());
    assert!(parse(&nested(90_000)).is_ok());
    assert!(parse(&nested(2_000_000)).is_err());
    let chain = |count: usize| vec!["a=1"; count].join(" && ");
    assert!(parse(&chain(200)).is_ok());
    assert!(parse(&chain(201)).is_err());
    // The deepest tree that the limit on comparisons allows.
    let deep = (1..200)
        .fold("a=1".to_owned(), |inner, index| format!("(a=1 {} {inner})", if index % 2 == 0 { "&&" } else { "||" }));
    check(&deep).unwrap();
    assert!(parse(&deep).is_ok());
}

#[test]
fn errors_say_where() {
    for (text, position) in
        [("a = ", 4), ("a == 1", 2), ("a = 1 && ", 9), ("(a=1", 0), ("a=1)", 3), ("ä", 0), ("a='ä' €", 7), ("a='x", 2)]
    {
        assert_eq!(parse(text).unwrap_err().position, position, "{text}");
    }
}
