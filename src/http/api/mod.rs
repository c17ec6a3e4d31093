//! One file per resource. A handler parses, calls one function of the house, renders.

pub mod auth;
pub mod backups;
pub mod batch;
pub mod collections;
pub mod crons;
pub mod files;
pub mod health;
pub mod jobs;
pub mod logs;
pub mod mailbox;
pub mod notify;
mod oauth2_providers;
pub mod openapi;
pub mod overview;
pub mod pages;
pub mod realtime;
pub mod records;
pub mod rules;
pub mod settings;
pub mod snapshots;
pub mod sql;
pub mod test;

use super::{
    extract::{body::Received, query::Params},
    reply::Reply,
};
use crate::{
    error::{Error, Leaf, Result},
    records::{pick, pick_items},
};

/// 200 with rendered JSON, cut down to what `fields` asks for (`docs/wire/services.md` §1.5).
fn picked(body: Vec<u8>, params: &Params) -> Result<Reply> {
    Ok(Reply::json(match params.get("fields") {
        Some(fields) => pick(&body, fields)?,
        None => body,
    }))
}

/// The same for a value.
fn picked_value(value: &impl serde::Serialize, params: &Params) -> Result<Reply> {
    picked(serde_json::to_vec(value).map_err(Error::internal)?, params)
}

/// The same for `{"items": […], …}`: `fields` are those of the items, as in lists of records.
fn picked_items(page: &impl serde::Serialize, params: &Params) -> Result<Reply> {
    let page = serde_json::to_vec(page).map_err(Error::internal)?;
    Ok(Reply::json(match params.get("fields") {
        Some(fields) => pick_items(&page, fields)?,
        None => page,
    }))
}

/// The member of a body that a handler looks for; letter case does not matter (`docs/wire/auth.md` §0.2).
fn member(received: &mut Received, name: &str) -> Option<serde_json::Value> {
    let values = &mut received.body.values;
    let key = match values.contains_key(name) {
        true => name.to_owned(),
        false => values.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone(),
    };
    values.shift_remove(&key).filter(|value| !value.is_null())
}

/// The SQL in `query`: required, at most `max` bytes.
fn sql_text(received: &mut Received, max: usize) -> Result<String> {
    let query = match member(received, "query") {
        None => String::new(),
        Some(serde_json::Value::String(query)) => query,
        Some(_) => return Err(Error::invalid("query has to be a text.")),
    };
    if query.is_empty() {
        return Err(Error::field("query", Leaf::required()));
    }
    if query.len() > max {
        let leaf = Leaf::new("validation_length_too_long", format!("Has to have at most {max} characters."));
        return Err(Error::field("query", leaf.param("min", 0).param("max", max)));
    }
    Ok(query)
}

/// A whole number from 0 to `max`.
fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    params: &Params,
    name: &'static str,
    max: T,
) -> Result<Option<T>> {
    let Some(text) = params.get(name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if number <= max => Ok(Some(number)),
        _ => Err(Error::invalid(format!("{name:?} has to be a whole number from 0 to {max}."))),
    }
}

/// One of these names.
fn named<'a>(params: &'a Params, name: &'static str, names: &[&str]) -> Result<Option<&'a str>> {
    match params.get(name) {
        Some(asked) if !names.contains(&asked) => {
            Err(Error::invalid(format!("{name:?} has to be one of {}.", names.join(", "))))
        }
        asked => Ok(asked),
    }
}
