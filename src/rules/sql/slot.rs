//! What a compiled plan asks of each request: [`Slot`]s are bound parameters, [`Probe`]s are questions whose answers
//! shaped the SQL text. A plan serves every request that gives the same answers.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::{
    db::{Row, Value},
    rules::{
        like,
        macros::Macro,
        request::{Request, RequestPath, pattern_text, to_sql},
    },
};

/// Where a bound parameter's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::rules) enum Slot {
    Const(Value),
    Macro(Macro),
    Context,
    Method,
    /// A value of query, headers or body; `number`: converted if it is a number's text.
    Request {
        path: RequestPath,
        number: bool,
    },
    /// Whether the path is present.
    Isset(RequestPath),
    /// The submitted elements of a body key as a JSON array.
    Items(Box<str>),
    ItemCount(Box<str>),
    AuthId,
    AuthCollectionId,
    AuthCollectionName,
    /// A column of the caller's row.
    AuthColumn(Box<str>),
    /// ASCII lower case of a text.
    Lower(Box<Slot>),
    /// The LIKE pattern of a value.
    Pattern(Box<Slot>),
    /// A time text; `now` is the request's time, not SQLite's.
    Time(Box<Slot>),
    /// A value given to the query beside the texts (`and_id`, `and_in`).
    Extra(usize),
    /// A column of the new record's row.
    NewRow(Box<str>),
    Limit,
    Offset,
}

/// Everything that slots may be bound from.
pub(in crate::rules) struct Binding<'b> {
    pub request: &'b Request,
    pub new_row: Option<&'b Row>,
    pub extras: &'b [Value],
    pub limit: i64,
    pub offset: i64,
}

impl Slot {
    pub fn bind(&self, from: &Binding<'_>) -> Value {
        let request = from.request;
        let auth = || request.caller.record();
        match self {
            Slot::Const(value) => value.clone(),
            Slot::Macro(which) => which.value(request.now),
            Slot::Context => text(request.context.as_str()),
            Slot::Method => text(&request.method),
            Slot::Request { path, number } => to_sql(request.value(path), *number),
            Slot::Isset(path) => Value::Integer(i64::from(request.value(path).is_some())),
            Slot::Items(key) => Value::Text(Json::from(request.items(key)).to_string()),
            Slot::ItemCount(key) => Value::Integer(i64::try_from(request.items(key).len()).unwrap_or(i64::MAX)),
            Slot::AuthId => auth().map_or(Value::Null, |record| text(&record.id)),
            Slot::AuthCollectionId => auth().map_or(Value::Null, |record| text(&record.collection_id)),
            Slot::AuthCollectionName => auth().map_or(Value::Null, |record| text(&record.collection_name)),
            Slot::AuthColumn(name) => auth().and_then(|record| record.row.get(name)).cloned().unwrap_or(Value::Null),
            Slot::Lower(inner) => lower(inner.bind(from)),
            Slot::Pattern(inner) => {
                let text = pattern_text(&inner.bind(from));
                text.map_or(Value::Null, |text| Value::Text(like::pattern(&text)))
            }
            Slot::Time(inner) => match inner.bind(from) {
                Value::Text(time) if time.eq_ignore_ascii_case("now") => Macro::Now.value(request.now),
                other => other,
            },
            Slot::Extra(index) => from.extras.get(*index).cloned().unwrap_or(Value::Null),
            Slot::NewRow(name) => from.new_row.and_then(|row| row.get(name)).cloned().unwrap_or(Value::Null),
            Slot::Limit => Value::Integer(from.limit),
            Slot::Offset => Value::Integer(from.offset),
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn lower(value: Value) -> Value {
    pattern_text(&value).map_or(Value::Null, |text| Value::Text(text.to_ascii_lowercase()))
}

/// A question about a request whose answer changes the SQL.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::rules) enum Probe {
    /// The class of a value.
    Value(RequestPath),
    Method,
    /// Whether an id was submitted under a body key.
    HasIds(Box<str>),
    /// The caller's collection.
    AuthCollection,
    /// The class of a column of the caller's row.
    AuthColumn(Box<str>),
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::rules) enum Answer {
    /// Missing or null.
    Null,
    /// A blank text.
    Blank,
    Text,
    Number,
    /// Present, and neither a plain text nor a number.
    Other,
    Collection(Option<Arc<str>>),
    Flag(bool),
}

impl Answer {
    fn of_sql(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Answer::Null,
            Some(Value::Text(text)) if text.is_empty() => Answer::Blank,
            Some(Value::Text(_)) => Answer::Text,
            Some(Value::Integer(_) | Value::Real(_)) => Answer::Number,
            Some(Value::Blob(_)) => Answer::Other,
        }
    }
}

impl Probe {
    pub fn answer(&self, request: &Request) -> Answer {
        match self {
            Probe::Value(path) => match request.value(path) {
                None | Some(Json::Null) => Answer::Null,
                Some(Json::String(text)) if text.is_empty() => Answer::Blank,
                Some(_) => Answer::Other,
            },
            Probe::Method if request.method.is_empty() => Answer::Blank,
            Probe::Method => Answer::Other,
            Probe::HasIds(key) => {
                let is_id = |item: &Json| item.as_str().is_some_and(|id| !id.is_empty());
                Answer::Flag(request.items(key).iter().any(is_id))
            }
            Probe::AuthCollection => {
                Answer::Collection(request.caller.record().map(|record| record.collection_id.clone()))
            }
            Probe::AuthColumn(name) => Answer::of_sql(request.caller.record().and_then(|record| record.row.get(name))),
        }
    }
}
