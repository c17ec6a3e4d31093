//! The document against the route table, and against itself.

use std::collections::{BTreeSet, HashSet};

use regex::Regex;

use super::*;
use crate::{
    app::{App, Config},
    db::testing::TempDir,
};

/// Where routes are, with the path that is before theirs.
const TABLES: [(&str, &str); 2] =
    [("", include_str!("../routes.rs")), ("api/notify", include_str!("../api/notify/mod.rs"))];
/// Routes that hand over to a table of their own: those above, and those written down here.
const HANDED_OVER: [&str; 3] = ["api/notify", "api/jobs", "_"];
/// Those that stand before the table.
const OUTSIDE: [(&str, &str); 4] = [("get", "livez"), ("get", "readyz"), ("get", "metrics"), ("get", "_/{}")];
const JOBS: [(&str, &str); 6] = [
    ("get", "api/jobs/stats"),
    ("get", "api/jobs"),
    ("get", "api/jobs/history"),
    ("post", "api/jobs/{}/replay"),
    ("post", "api/jobs/{}/cancel"),
    ("post", "api/jobs/{}/run"),
];

/// Methods and paths of `(&Method::GET | &Method::POST, ["api", "x", id])` in a source text; parameters are `{}`.
fn routes(prefix: &str, source: &str) -> Vec<(String, String)> {
    let source = &source[source.find("match (").unwrap_or_default()..];
    let arm = Regex::new(r#"\(\s*((?:&Method::[A-Z]+\s*\|?\s*)+|method),\s*\[([^\]]*)\]\s*\)[^=]*=>"#).unwrap();
    let mut found = Vec::new();
    for captures in arm.captures_iter(source) {
        let segments: Vec<_> = captures[2].split(',').map(str::trim).filter(|segment| !segment.is_empty()).collect();
        // The static folder, which is no route.
        if segments.first() == Some(&"..") {
            continue;
        }
        let quoted =
            |segment: &str| segment.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
        let handed_over = segments.iter().any(|segment| segment.contains(".."));
        let path = segments.iter().filter(|segment| !segment.contains(".."));
        let path = path.map(|segment| quoted(segment).unwrap_or_else(|| "{}".to_owned()));
        let path = prefix.split('/').filter(|part| !part.is_empty()).map(str::to_owned).chain(path);
        let path = path.collect::<Vec<_>>().join("/");
        if handed_over {
            assert!(HANDED_OVER.contains(&path.as_str()), "{path} has a table of routes that this test does not know");
            continue;
        }
        for method in captures[1].split('|') {
            let method = method.trim().trim_start_matches("&Method::").to_ascii_lowercase();
            found.push((method, path.clone()));
        }
    }
    found
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let mut expected: BTreeSet<(String, String)> =
        TABLES.iter().flat_map(|(prefix, source)| routes(prefix, source)).collect();
    // Of tests only.
    expected.remove(&("get".to_owned(), "api/test/panic".to_owned()));
    expected.extend(OUTSIDE.into_iter().chain(JOBS).map(|(method, path)| (method.to_owned(), path.to_owned())));
    assert!(expected.len() > 80, "the route table can be read: {}", expected.len());
    let parameter = Regex::new(r"\{[^}]*\}").unwrap();
    let described: BTreeSet<_> = operations::fixed()
        .iter()
        .map(|operation| {
            let path = parameter.replace_all(operation.path.trim_start_matches('/'), "{}").into_owned();
            (operation.method.to_owned(), path)
        })
        .collect();
    let missing: Vec<_> = expected.difference(&described).collect();
    let surplus: Vec<_> = described.difference(&expected).collect();
    assert!(missing.is_empty(), "not described in operations.rs: {missing:?}");
    assert!(surplus.is_empty(), "described, but not there: {surplus:?}");
}

/// Every `$ref` below a value.
fn references<'a>(value: &'a Json, found: &mut Vec<&'a str>) {
    match value {
        Json::Object(members) => {
            found.extend(members.get("$ref").and_then(Json::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[actix_web::test]
async fn the_document_is_whole() {
    let dir = TempDir::new();
    let app = App::open(Config { temporary: true, ..Config::new(dir.path().join("data")) }).unwrap();
    for (name, kind) in [("order_items", "base"), ("orderItems", "base"), ("Error", "base"), ("2fa", "auth")] {
        let fields = json!([
            {"name": "title", "type": "text", "required": true, "max": 7},
            {"name": "kind", "type": "select", "values": ["a", "b"], "maxSelect": 1},
            {"name": "tags", "type": "select", "values": ["x", "y", "z"], "maxSelect": 3},
            {"name": "secret", "type": "text", "hidden": true},
        ]);
        let Json::Object(body) = json!({"name": name, "type": kind, "fields": fields, "listRule": ""}) else {
            unreachable!()
        };
        app.schema.create(body).await.unwrap();
    }
    let document = document(&app.schema.catalog());
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 200);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    let mut ids = HashSet::new();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} is the id of two operations");
        assert!(operation["responses"].as_object().unwrap().keys().any(|status| status < &"400".to_owned()), "{id}");
    }
    let schemas = &document["components"]["schemas"];
    for name in ["OrderItems", "OrderItems_", "Error_", "N2fa", "N2faAuthResponse", "Users", "SystemInbox"] {
        assert!(schemas[name].is_object(), "{name}");
    }
    let names = |schema: &Json| -> Vec<String> {
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&schemas["OrderItemsCreate"]), ["title"]);
    assert!(names(&schemas["OrderItemsUpdate"]).is_empty());
    let shown = names(&schemas["OrderItems"]);
    assert!(shown.contains(&"title".to_owned()) && !shown.contains(&"secret".to_owned()), "{shown:?}");
    assert_eq!(schemas["OrderItemsCreate"]["properties"]["kind"], json!({"enum": ["a", "b", ""]}));
    assert_eq!(schemas["OrderItemsCreate"]["properties"]["title"], json!({"type": "string", "maxLength": 7}));
    assert!(schemas["Users"]["properties"].get("password").is_none());
    assert_eq!(names(&schemas["UsersCreate"]), ["password", "email", "passwordConfirm"]);
    let path = |path: &str, method: &str| document["paths"][path][method].clone();
    assert_eq!(path("/api/collections/order_items/records", "get")["security"], json!([{}, {"token": []}]));
    assert_eq!(path("/api/collections/order_items/records", "post")["security"], json!([{"token": []}]));
    app.db.close().await;
}
