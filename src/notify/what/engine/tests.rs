use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::*;
use crate::{clock::Timestamp, notify::when::zone};

fn scene(data: Json) -> Scene {
    Scene {
        data: Scene::value(&data),
        user: Scene::value(&json!({"id": "u1", "name": "Ann <b>", "profile": {"city": "Wien"}})),
        count: 1,
        app: Scene::value(&json!({"name": "Acme", "url": "https://acme.test"})),
        now: Timestamp(1_796_108_400_000),
        zone: zone::find("Europe/Vienna").ok(),
        locale: "de-AT".into(),
        ..Scene::default()
    }
}

fn body(source: &str, data: Json) -> Result<String, Broken> {
    let texts = Texts { body: source.to_owned(), ..Texts::default() };
    Ok(Compiled::new(&texts)?.render(&scene(data))?.body)
}

#[test]
fn texts_become_what_they_say() {
    for (source, expected) in [
        ("Hello", "Hello"),
        ("Hello {{ user.name }}!", "Hello Ann <b>!"),
        ("{{ nobody }}{{ user.nothing.at.all }}{{ data.none }}.", "."),
        ("{{ user.profile.city | upper }} {{ app.name }}", "WIEN Acme"),
        ("{% for item in data.list %}{{ loop.index }}:{{ item.n }} {% endfor %}", "1:a 2:b "),
        ("{% if count == 1 %}one{% else %}{{ count }}{% endif %}", "one"),
        ("{{ data.price | number(2) }} {{ 1234567 | number }} {{ -1234.5 | number }}", "1.234,50 1.234.567 -1.234,5"),
        ("{{ data.at | date }} {{ data.at | time }}", "24.12.2026 18:30"),
        ("{{ data.at | date('full') }}", "Donnerstag, 24. Dezember 2026"),
        ("{{ data.at | date('%A, %d. %B') }}", "Donnerstag, 24. Dezember"),
        ("{{ data.day | date('long') }}", "3. März 2026"),
        ("{{ data.at | datetime('iso') }}", "2026-12-24T18:30:00+01:00"),
        ("{{ now | datetime }}", "01.12.2026 08:00"),
        ("{{ 'soon' | date }}|{{ nothing | time }}|{{ nothing | number }}", "soon||"),
        ("{% for x in ['recursive'] %}{{ x }} recursive %}{% endfor %}", "recursive recursive %}"),
        ("{% set who %}<{{ user.id }}>{% endset %}{{ who }}", "<u1>"),
        ("{{ range(3) | join(',') }} {{ range(5, 1, -2) | join(',') }}", "0,1,2 5,3"),
        ("{{ 'a b&c' | urlencode }} {{ data.list }}", r#"a%20b%26c [{"n":"a"},{"n":"b"}]"#),
    ] {
        let data = json!({
            "price": 1234.5, "list": [{"n": "a"}, {"n": "b"}], "at": "2026-12-24 17:30:00.000Z", "day": "2026-03-03",
            "none": null,
        });
        assert_eq!(body(source, data).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn only_html_is_escaped_and_a_link_is_known_to_all() {
    let texts = Texts {
        title: " New\n from {{ user.name }} ".to_owned(),
        body: "{{ link }}".to_owned(),
        html: "<a href=\"{{ link }}\">{{ user.name }}</a>{{ user.name | safe }}".to_owned(),
        link: " {{ app.url }}/o/{{ data.id | urlencode }}?a=1&b=2 ".to_owned(),
    };
    let rendered = Compiled::new(&texts).unwrap().render(&scene(json!({"id": "x y"}))).unwrap();
    let link = "https://acme.test/o/x%20y?a=1&b=2";
    assert_eq!((rendered.link.as_str(), rendered.body.as_str()), (link, link));
    assert_eq!(rendered.title, "New from Ann <b>");
    assert_eq!(
        rendered.html.replace("&#x2f;", "/"),
        format!("<a href=\"{}\">Ann &lt;b&gt;</a>Ann <b>", link.replace('&', "&amp;")),
    );
    for link in ["javascript:alert(1)", " JavaScript:x", "data:text/html,x", "/a b", "/a\tb", &"/x".repeat(3000)] {
        let texts = Texts { link: link.to_owned(), ..Texts::default() };
        let broken = Compiled::new(&texts).unwrap().render(&scene(Json::Null)).unwrap_err();
        assert_eq!(broken.field, "link", "{link}");
    }
    for link in ["", "/orders/1", "https://acme.test/?x=1", "myapp://orders/1", "mailto:ann@example.com"] {
        let texts = Texts { link: link.to_owned(), ..Texts::default() };
        assert_eq!(Compiled::new(&texts).unwrap().render(&scene(Json::Null)).unwrap().link, link);
    }
}

#[test]
fn what_is_broken_or_costs_too_much_is_told_with_its_line() {
    let nested = format!("{}x{}", "{% for x in [1] %}".repeat(60), "{% endfor %}".repeat(60));
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    let huge = "x".repeat(MAX_SOURCE + 1);
    let raw = format!("{{% for x in range(1000) %}}{}{{% endfor %}}", "x".repeat(1000));
    let doubled = "{% set x = 'xxxxxxxxxx' %}".to_owned() + &"{% set x %}{{ x }}{{ x }}{% endset %}".repeat(40);
    for (source, line, words) in [
        ("a\n{{ user.", Some(2), "syntax error"),
        ("a\n\n{% for x in %}", Some(3), "syntax error"),
        ("{% if 1 %}", Some(1), "syntax error"),
        ("{{ 1 | nothing }}", Some(1), "unknown filter"),
        ("{% include 'x' %}", Some(1), "syntax error"),
        ("{% import 'x' as x %}", Some(1), "syntax error"),
        ("{% extends 'x' %}", Some(1), "syntax error"),
        ("{% macro a() %}{% endmacro %}", Some(1), "syntax error"),
        ("{{ debug() }}", Some(1), "unknown function"),
        ("\n{% for x in range(1000) %}{% for y in range(1000) %}{{ y }}{% endfor %}{% endfor %}", None, "steps"),
        ("{% for x in range(100000000) %}{% endfor %}", Some(1), "range"),
        ("{% for x in range(-9223372036854775807, 9223372036854775807) %}{% endfor %}", Some(1), "range"),
        ("\n{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", Some(2), "calls itself"),
        ("{%-for x in [1] if 'recursive' recursive-%}{{ loop([1]) }}{% endfor %}", Some(1), "calls itself"),
        ("{{ 'x' * 1000000 }}", Some(1), "prints too much"),
        (&raw, None, "longer"),
        ("{{ [0] * 100000000 }}", Some(1), "prints too much"),
        (&doubled, None, "prints too much"),
        (&deep, Some(1), ""),
        (&nested, None, ""),
        (&huge, None, "bytes"),
        ("{{ now | date('soon') }}", Some(1), "expected short"),
        ("{{ user.name() }}", Some(1), ""),
        ("{{ 1 / 0 }}", Some(1), ""),
    ] {
        let started = Instant::now();
        let rendered = body(source, Json::Null);
        let source = &source[..source.len().min(80)];
        let Err(broken) = rendered else { panic!("{source} was rendered {:?}", started.elapsed()) };
        assert_eq!(broken.field, "body", "{source}");
        assert!(broken.words.contains(words), "{source}: {broken}");
        assert!(line.is_none() || broken.line == line, "{source}: {broken}");
        assert!(started.elapsed() < Duration::from_secs(5), "{source}");
    }
}

#[test]
fn what_was_compiled_is_kept_and_not_without_end() {
    let cache = Cache::default();
    let texts = |n: usize| Texts { body: format!("{{{{ {n} }}}}"), ..Texts::default() };
    let first = cache.get(&texts(0)).unwrap();
    assert!(Arc::ptr_eq(&first, &cache.get(&texts(0)).unwrap()));
    for n in 1..MAX_CACHED + 10 {
        cache.get(&texts(n)).unwrap();
    }
    assert!(!Arc::ptr_eq(&first, &cache.get(&texts(0)).unwrap()));
    let kept = cache.kept.lock();
    assert_eq!((kept.order.len(), kept.by_hash.len()), (MAX_CACHED, MAX_CACHED));
}

#[test]
fn long_titles_are_cut_between_characters() {
    assert_eq!(one_line("a\u{0}b\r\nSubject: x"), "a b Subject: x");
    let cut = one_line(&"ä".repeat(MAX_TITLE));
    assert!(cut.len() <= MAX_TITLE && cut.ends_with("ä…"), "{}", cut.len());
}
