//! `POST /api/batch` (`docs/wire/records-api.md` §9).

use std::{sync::Arc, time::Duration};

use actix_web::http::header::AUTHORIZATION;
use serde_json::{Map, Value as Json};

use super::member;
use crate::{
    error::{Error, Issues, Kind, Leaf, Result},
    http::{
        error::envelope,
        extract::{
            Call,
            body::{self, Form, Received},
            form, path,
            query::Params,
            rule_request::snake_name,
        },
        limits::Action,
        reply::Reply,
    },
    records::{BatchAction, BatchFailure, BatchItem, Body, Picker, Rendered},
    rules::{Context, Request},
    schema::Collection,
};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const MAX_URL: usize = 2000;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs several record writes in one transaction.
pub async fn run(mut call: Call) -> Result<Reply> {
    let settings = call.app().settings.current();
    let batch = &settings.batch;
    let params = call.query()?;
    if !batch.enabled || batch.max_requests <= 0 {
        return Err(Error::forbidden("Batch requests are not enabled."));
    }
    let limit = u64::try_from(batch.max_body_size).ok().filter(|&size| size > 0).unwrap_or(body::BATCH_LIMIT);
    let received = body::read(&mut call, limit, Form::Record).await?;
    let entries = entries(received)?;
    check(&entries, batch.max_requests)?;
    if call.wire.shared.limits.apply_to(&call) {
        count(&call, &entries).await?;
    }
    // A bad one has to be told before anything is written.
    let picker = params.get("fields").map(Picker::parse).transpose()?;

    let outer = call.rule_request(Context::Batch, &Params::default());
    let items = entries.into_iter().map(|entry| item(&call, &outer, entry)).collect();
    let timeout = u64::try_from(batch.timeout).ok().filter(|&seconds| seconds > 0);
    let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
    match call.app().records.batch(items, timeout).await {
        Ok(bodies) => {
            let answer = rendered(bodies);
            Ok(Reply::json(match picker {
                Some(picker) => picker.apply(&answer, false)?,
                None => answer,
            }))
        }
        Err(BatchFailure { index, error }) => Err(failed(index, error)),
    }
}

/// One entry as it was sent.
#[derive(Debug, Default)]
struct Entry {
    method: String,
    url: String,
    headers: Map<String, Json>,
    body: Body,
}

/// The entries of a body, each with the files that were sent for it.
fn entries(mut received: Received) -> Result<Vec<Entry>> {
    let requests = match member(&mut received, "requests") {
        None => Vec::new(),
        Some(Json::Array(requests)) => requests,
        Some(_) => return Err(Error::invalid("requests has to be a list.")),
    };
    let mut entries = requests.into_iter().map(entry).collect::<Result<Vec<Entry>>>()?;
    for mut upload in received.body.uploads {
        let Some((index, key)) = addressed(&upload.key) else { continue };
        if let Some(entry) = entries.get_mut(index) {
            upload.key = key.to_owned();
            entry.body.uploads.push(upload);
        }
    }
    Ok(entries)
}

fn entry(value: Json) -> Result<Entry> {
    let members = match value {
        Json::Object(members) => members,
        Json::Null => Map::new(),
        _ => return Err(Error::invalid("A request of a batch has to be an object.")),
    };
    let mut entry = Entry::default();
    for (key, value) in members {
        match (key.to_ascii_lowercase().as_str(), value) {
            (_, Json::Null) => {}
            ("method", Json::String(method)) => entry.method = method,
            ("url", Json::String(url)) => entry.url = url,
            ("body", Json::Object(values)) => entry.body.values = values,
            ("headers", Json::Object(headers)) if headers.values().all(Json::is_string) => entry.headers = headers,
            (name @ ("method" | "url" | "body" | "headers"), _) => {
                return Err(Error::invalid(format!("{name} of a batch request has a wrong type.")));
            }
            _ => {}
        }
    }
    Ok(entry)
}

/// Index and key of a file's name: `requests.N.key` or `requests[N].key`.
fn addressed(name: &str) -> Option<(usize, &str)> {
    let rest = name.strip_prefix("requests")?;
    let (index, key) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("].")?,
        None => rest.strip_prefix('.')?.split_once('.')?,
    };
    Some((index.parse().ok()?, key))
}

fn check(entries: &[Entry], max: i64) -> Result<()> {
    if entries.is_empty() {
        return Err(Error::field("requests", Leaf::required()));
    }
    if i64::try_from(entries.len()).is_ok_and(|length| length > max) {
        let leaf = Leaf::new("validation_length_too_long", format!("Has to have at most {max} requests."));
        return Err(Error::field("requests", leaf.param("min", 0).param("max", max)));
    }
    let mut requests = Issues::default();
    for (index, entry) in entries.iter().enumerate() {
        let mut issues = Issues::default();
        if entry.method.is_empty() {
            issues.insert("method", Leaf::required());
        } else if !METHODS.contains(&entry.method.as_str()) {
            issues.insert("method", Leaf::new("validation_in_invalid", "Has to be an HTTP method in capital letters."));
        }
        if entry.url.is_empty() {
            issues.insert("url", Leaf::required());
        } else if entry.url.len() > MAX_URL {
            let leaf = Leaf::new("validation_length_too_long", format!("Has to have at most {MAX_URL} characters."));
            issues.insert("url", leaf.param("min", 0).param("max", MAX_URL));
        }
        requests.nest(&index.to_string(), issues);
    }
    let mut issues = Issues::default();
    issues.nest("requests", requests);
    issues.into_result("The batch is not valid.")
}

/// Counts each entry where rates are limited (`docs/wire/services.md` §2.4); fails like the first that is one too many.
async fn count(call: &Call, entries: &[Entry]) -> Result<()> {
    for (index, entry) in entries.iter().enumerate() {
        let path = entry.url.split_once('?').map_or(entry.url.as_str(), |(path, _)| path);
        let (action, name) = action(&entry.method, path);
        // What names no collection fails for that.
        let Ok(collection) = call.app().schema.find(&name) else { continue };
        let action = match action {
            BatchAction::Create => Action::Create,
            BatchAction::Update { .. } => Action::Update,
            BatchAction::Delete { .. } => Action::Delete,
            BatchAction::Upsert if exists(call, &collection, entry).await? => Action::Update,
            BatchAction::Upsert => Action::Create,
            BatchAction::Unsupported => continue,
        };
        let counted = call.wire.shared.limits.check_item(call, &collection, action, &entry.method, path);
        counted.map_err(|error| failed(Some(index), error))?;
    }
    Ok(())
}

/// Whether an upsert is going to be an update, as things are now.
async fn exists(call: &Call, collection: &Arc<Collection>, entry: &Entry) -> Result<bool> {
    let Some(Json::String(id)) = entry.body.values.get("id") else { return Ok(false) };
    if collection.is_view() {
        return Ok(false);
    }
    Ok(call.app().records.load(collection, id).await?.is_some())
}

/// What the records room is to do for `entry`, which runs as the outer caller.
fn item(call: &Call, outer: &Request, entry: Entry) -> BatchItem {
    let (path, query) = entry.url.split_once('?').unwrap_or((&entry.url, ""));
    let params = Params::parse(query);
    let (action, collection) = match params {
        Ok(_) if form::is_well_formed(query.as_bytes()) => action(&entry.method, path),
        _ => (BatchAction::Unsupported, String::new()),
    };
    let params = params.unwrap_or_default();
    let request = Request {
        query: if call.wire.asked.borrow().query { params.to_map() } else { Map::new() },
        headers: headers(&outer.headers, entry.headers),
        method: entry.method,
        ..outer.clone()
    };
    BatchItem { action, collection, body: entry.body, shape: params.shape(), request }
}

/// One of the four executable shapes, and its collection, whose name is taken as it is; only ids are decoded.
fn action(method: &str, path: &str) -> (BatchAction, String) {
    let segments: Vec<&str> = path.split('/').collect();
    let ["", "api", "collections", collection, "records", rest @ ..] = segments.as_slice() else {
        return (BatchAction::Unsupported, String::new());
    };
    let action = match (method, rest) {
        _ if collection.is_empty() || segments.iter().any(|segment| is_broken(segment)) => BatchAction::Unsupported,
        ("POST", []) => BatchAction::Create,
        ("PUT", []) => BatchAction::Upsert,
        ("PATCH", [id]) if !id.is_empty() => BatchAction::Update { id: decoded(id) },
        ("DELETE", [id]) if !id.is_empty() => BatchAction::Delete { id: decoded(id) },
        _ => BatchAction::Unsupported,
    };
    (action, (*collection).to_owned())
}

/// An id; what is not UTF-8 names no record as it stands.
fn decoded(id: &str) -> String {
    path::decode(id).map_or_else(|_| id.to_owned(), |id| id.into_owned())
}

/// True for a segment with a broken percent escape.
fn is_broken(segment: &str) -> bool {
    path::decode(segment).is_err_and(|error| error.kind == Kind::Invalid)
}

/// The outer headers with the item's own over them; who asks is not the item's to say.
fn headers(outer: &Map<String, Json>, own: Map<String, Json>) -> Map<String, Json> {
    let mut headers = outer.clone();
    for (name, value) in own {
        if !name.eq_ignore_ascii_case(AUTHORIZATION.as_str()) {
            headers.insert(snake_name(&name), value);
        }
    }
    headers
}

fn rendered(bodies: Vec<Option<Rendered>>) -> Vec<u8> {
    let size: usize = bodies.iter().flatten().map(|body| body.len() + 32).sum();
    let mut out = Vec::with_capacity(size + 32);
    out.push(b'[');
    for (index, body) in bodies.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match body {
            Some(body) => {
                out.extend_from_slice(br#"{"status":200,"body":"#);
                out.extend_from_slice(body);
                out.push(b'}');
            }
            None => out.extend_from_slice(br#"{"status":204,"body":null}"#),
        }
    }
    out.push(b']');
    out
}

/// The failure of item `index`. What is not the client's fault, or of the whole batch, stays what it is.
fn failed(index: Option<usize>, error: Error) -> Error {
    let Some(index) = index else { return error };
    if matches!(error.kind, Kind::Internal | Kind::StorageFull | Kind::Busy) {
        return error;
    }
    let mut leaf = Leaf::new("batch_request_failed", "This request of the batch failed.");
    leaf.response = serde_json::from_slice(&envelope(&error)).ok();
    let mut requests = Issues::default();
    requests.insert(&index.to_string(), leaf);
    let mut issues = Issues::default();
    issues.nest("requests", requests);
    Error { source: error.source, ..Error::issues("The batch failed, nothing of it was done.", issues) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::extract::json;

    fn received(text: &str) -> Received {
        Received { body: Body { values: json::object(text.as_bytes()).unwrap(), uploads: Vec::new() }, is_form: false }
    }

    #[test]
    fn only_four_shapes_are_executable() {
        let update = |id: &str| BatchAction::Update { id: id.to_owned() };
        for (method, path, expected) in [
            ("POST", "/api/collections/a/records", Some(BatchAction::Create)),
            ("PUT", "/api/collections/a/records", Some(BatchAction::Upsert)),
            ("PATCH", "/api/collections/a/records/x%2Fy", Some(update("x/y"))),
            ("PATCH", "/api/collections/a/records/x%zz", None),
            ("POST", "/api/collections//records", None),
            ("POST", "/api/collections/a/records#x", None),
            ("DELETE", "/api/collections/a/records/x", Some(BatchAction::Delete { id: "x".to_owned() })),
            ("GET", "/api/collections/a/records", None),
            ("PUT", "/api/collections/a/records/x", None),
            ("POST", "/api/collections/a/records/", None),
            ("PATCH", "/api/collections/a/records/", None),
            ("POST", "api/collections/a/records", None),
            ("POST", "http://h/api/collections/a/records", None),
            ("POST", "/api/batch", None),
        ] {
            let (found, collection) = action(method, path);
            assert_eq!(found, expected.clone().unwrap_or(BatchAction::Unsupported), "{method} {path}");
            assert!(expected.is_none() || collection == "a", "{method} {path}");
        }
    }

    #[test]
    fn entries_are_checked() {
        let long = format!(r#"{{"requests":[{{"method":"POST","url":"/{}"}}]}}"#, "x".repeat(MAX_URL));
        for (text, expected) in [
            ("{}", "requests validation_required"),
            (r#"{"requests":[]}"#, "requests validation_required"),
            (r#"{"requests":[{},{},{}]}"#, "requests validation_length_too_long"),
            (r#"{"requests":[null]}"#, "requests.0.method validation_required,requests.0.url validation_required"),
            (r#"{"Requests":[{"METHOD":"get","url":"/"}]}"#, "requests.0.method validation_in_invalid"),
            (&long, "requests.0.url validation_length_too_long"),
            (r#"{"requests":[{"method":"GET","url":"/","x":1}]}"#, ""),
            (r#"{"requests":{}}"#, "wrong type"),
            (r#"{"requests":[1]}"#, "wrong type"),
            (r#"{"requests":[{"body":[1]}]}"#, "wrong type"),
            (r#"{"requests":[{"headers":{"a":1}}]}"#, "wrong type"),
            (r#"{"requests":[{"method":1}]}"#, "wrong type"),
        ] {
            let outcome = match entries(received(text)) {
                Err(error) => {
                    assert!(error.issues.is_empty());
                    "wrong type".to_owned()
                }
                Ok(entries) => check(&entries, 2).map_or_else(
                    |error| {
                        let leaves = error.issues.leaves();
                        leaves.iter().map(|(path, code)| format!("{path} {code}")).collect::<Vec<_>>().join(",")
                    },
                    |()| String::new(),
                ),
            };
            assert_eq!(outcome, expected, "{text}");
        }
    }

    #[test]
    fn files_are_addressed_by_index() {
        for (name, expected) in [
            ("requests.2.many", Some((2, "many"))),
            ("requests[0].f+", Some((0, "f+"))),
            ("requests.1.a.b", Some((1, "a.b"))),
            ("requests.x.f", None),
            ("requests.-1.f", None),
            ("requests", None),
            ("other.1.f", None),
        ] {
            assert_eq!(addressed(name), expected, "{name}");
        }
    }

    #[test]
    fn a_failure_carries_the_items_answer() {
        let failure = failed(Some(1), Error::not_found());
        assert_eq!(failure.kind, Kind::Invalid);
        let body: Json = serde_json::from_slice(&envelope(&failure)).unwrap();
        assert_eq!(body.pointer("/data/requests/1/code"), Some(&Json::from("batch_request_failed")));
        assert_eq!(body.pointer("/data/requests/1/response/status"), Some(&Json::from(404)));
        assert_eq!(failed(None, Error::not_found()).kind, Kind::NotFound);
        assert_eq!(failed(Some(0), Error::internal(anyhow::anyhow!("x"))).kind, Kind::Internal);
    }

    #[test]
    fn an_item_cannot_say_who_asks() {
        let mut outer = Map::new();
        outer.insert("authorization".to_owned(), "outer".into());
        outer.insert("x_a".to_owned(), "outer".into());
        let own = json::object(br#"{"Authorization":"mine","X-A":"mine","X-B":"mine"}"#).unwrap();
        let text = serde_json::to_string(&headers(&outer, own)).unwrap();
        assert_eq!(text, r#"{"authorization":"outer","x_a":"mine","x_b":"mine"}"#);
    }

    #[test]
    fn answers_keep_the_order_of_the_requests() {
        let text = rendered(vec![Some(br#"{"id":"a"}"#.to_vec()), None]);
        assert_eq!(text, br#"[{"status":200,"body":{"id":"a"}},{"status":204,"body":null}]"#);
    }
}
