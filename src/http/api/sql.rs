//! `POST /api/sql` (`docs/wire/services.md` §9). For superusers.

use std::time::Instant;

use serde::Serialize;
use serde_json::Value as Json;

use super::{member, picked_value};
use crate::{
    console::Outcome,
    error::{Error, Leaf, Result},
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    rules::Context,
};

/// Bytes of a query.
const MAX_QUERY: usize = 5000;

#[derive(Serialize)]
struct Answer {
    /// Whole milliseconds.
    #[serde(rename = "execTime")]
    took: u128,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Runs one text of statements.
pub async fn run(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let mut received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Texts).await?;
    let query = match member(&mut received, "query") {
        None => String::new(),
        Some(Json::String(query)) => query,
        Some(_) => return Err(Error::invalid("query has to be a text.")),
    };
    if query.is_empty() {
        return Err(Error::field("query", Leaf::required()));
    }
    if query.len() > MAX_QUERY {
        let leaf = Leaf::new("validation_length_too_long", format!("Has to have at most {MAX_QUERY} characters."));
        return Err(Error::field("query", leaf.param("min", 0).param("max", MAX_QUERY)));
    }
    let asker = call.rule_request(Context::Default, &params).asker();
    let started = Instant::now();
    let outcome = call.app().console.run(&query, asker).await?;
    if let Some(superuser) = call.caller.record().filter(|_| outcome.wrote) {
        tracing::info!(superuser = &*superuser.id, affected = outcome.affected_rows, "the database was changed by SQL");
    }
    picked_value(&Answer { took: started.elapsed().as_millis(), outcome }, &params)
}
