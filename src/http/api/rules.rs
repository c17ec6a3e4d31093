//! `/api/rules`: what whoever writes rules wants to know of them (`docs/admin.md`). For superusers.

use std::{ops::Range, sync::Arc};

use serde::Serialize;
use serde_json::Value as Json;

use super::{member, picked_value};
use crate::{
    error::{Error, Leaf, Result},
    http::{
        error::sentence,
        extract::{
            Call,
            body::{self, Form, Received},
        },
        reply::Reply,
    },
    rules::{Purpose, locate},
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
