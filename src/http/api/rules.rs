//! `/api/rules`: what whoever writes rules wants to know of them (`docs/admin.md`). For superusers.

use std::{ops::Range, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{member, picked_value};
use crate::{
    error::{Error, Leaf, Result},
    http::{
        error::sentence,
        extract::{
            Call,
            body::{self, Form, Received},
            rule_request::snake_name,
        },
        reply::Reply,
    },
    records::{Act, Trial},
    rules::{Context, Purpose, Request, locate},
    schema::Collection,
};

#[derive(Serialize)]
struct Checked {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

#[derive(Serialize)]
struct Fault {
    message: String,
    #[serde(flatten)]
    place: Place,
}

/// In UTF-16 units of the rule.
#[derive(Serialize)]
struct Place {
    from: usize,
    to: usize,
}

impl From<Range<usize>> for Place {
    fn from(range: Range<usize>) -> Self {
        Self { from: range.start, to: range.end }
    }
}

/// `POST /api/rules/check`: whether a text is a rule or a filter, and if not, what is wrong where.
pub async fn check(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let mut received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Values).await?;
    let base = base(&call, &mut received)?;
    let purpose = match member(&mut received, "kind") {
        None => Purpose::Rule,
        Some(Json::String(kind)) if kind == "rule" => Purpose::Rule,
        Some(Json::String(kind)) if kind == "filter" => Purpose::Filter,
        Some(_) => {
            let leaf = Leaf::new("validation_in_invalid", "Has to be \"rule\" or \"filter\".");
            return Err(Error::field("kind", leaf));
        }
    };
    let rule = text(&mut received, "rule")?.unwrap_or_default();
    let catalog = call.app().schema.catalog();
    let fault = locate(&catalog, &base, &rule, purpose);
    let error = fault.map(|fault| Fault { message: sentence(&fault.message), place: fault.place.into() });
    picked_value(&Checked { ok: error.is_none(), error }, &params)
}

/// `POST /api/rules/test`: whether a rule would let somebody do something, and which part of it decides. Nothing is
/// written.
pub async fn test(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let mut received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Values).await?;
    let action = text(&mut received, "action")?.ok_or_else(|| Error::field("action", Leaf::required()))?;
    let act = Act::ALL.into_iter().find(|(name, _)| *name == action).map(|(_, act)| act);
    let act = act.ok_or_else(|| {
        let names = Act::ALL.map(|(name, _)| name).join(", ");
        Error::field("action", Leaf::new("validation_in_invalid", format!("Has to be one of {names}.")))
    })?;
    let collection = text(&mut received, "collection")?.unwrap_or_default();
    if collection.is_empty() {
        return Err(Error::field("collection", Leaf::required()));
    }
    // `null` is a rule as well.
    let rule = match received.body.values.contains_key("rule") {
        true => Some(text(&mut received, "rule")?),
        false => None,
    };
    let headers = object(&mut received, "headers")?;
    let request = Request {
        context: if act == Act::Auth { Context::Password } else { Context::Default },
        method: text(&mut received, "method")?.unwrap_or_else(|| act.method().to_owned()).to_ascii_uppercase(),
        query: texts(object(&mut received, "query")?),
        headers: texts(headers.into_iter().map(|(name, value)| (snake_name(&name), value)).collect()),
        ..Request::default()
    };
    let trial = Trial {
        collection,
        act,
        rule,
        record: text(&mut received, "record")?.unwrap_or_default(),
        body: object(&mut received, "body")?,
        caller: caller(&mut received)?,
        request,
    };
    let asker = call.rule_request(Context::Default, &params).asker();
    picked_value(&call.app().records.try_rule(trial, asker).await?, &params)
}

/// Who is to be thought to ask: the collection and the id.
fn caller(received: &mut Received) -> Result<Option<(String, String)>> {
    let named = |mut of: Map<String, Json>, name: &str| match of.remove(name) {
        Some(Json::String(text)) if !text.is_empty() => Ok((text, of)),
        _ => {
            Err(Error::field("as", Leaf::new("validation_invalid_value", "Has to be null, or name collection and id.")))
        }
    };
    let wanted = match member(received, "as") {
        None => return Ok(None),
        Some(Json::Object(wanted)) => wanted,
        Some(_) => Map::new(),
    };
    let (collection, wanted) = named(wanted, "collection")?;
    let (id, _) = named(wanted, "id")?;
    Ok(Some((collection, id)))
}

/// An object of the body; empty when there is none.
fn object(received: &mut Received, name: &str) -> Result<Map<String, Json>> {
    match member(received, name) {
        None => Ok(Map::new()),
        Some(Json::Object(object)) => Ok(object),
        Some(_) => Err(Error::field(name, Leaf::new("validation_invalid_value", "Has to be an object."))),
    }
}

/// Values of a query or of headers are texts.
fn texts(values: Map<String, Json>) -> Map<String, Json> {
    let text = |value: Json| match value {
        Json::String(text) => text,
        other => other.to_string(),
    };
    values.into_iter().map(|(name, value)| (name, Json::String(text(value)))).collect()
}

/// The collection that is named or defined.
fn base(call: &Call, received: &mut Received) -> Result<Arc<Collection>> {
    match member(received, "collection") {
        Some(Json::Object(definition)) => call.app().schema.proposed(&definition).map(Arc::new),
        Some(Json::String(name)) => call.app().schema.find(&name).map_err(|_| missing("collection")),
        Some(_) => {
            Err(Error::field("collection", Leaf::new("validation_invalid_value", "Has to be a name or an object.")))
        }
        None => Err(Error::field("collection", Leaf::required())),
    }
}

fn missing(field: &str) -> Error {
    Error::field(field, Leaf::new("validation_missing_record", "There is nothing of this name."))
}

/// A text of the body.
fn text(received: &mut Received, name: &str) -> Result<Option<String>> {
    match member(received, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::field(name, Leaf::new("validation_invalid_value", "Has to be a text."))),
    }
}
