//! `POST /api/sql` (`docs/wire/services.md` §9). For superusers.

use std::time::Instant;

use serde::Serialize;

use super::{picked_value, sql_text};
use crate::{
    console::Outcome,
    error::Result,
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
    let query = sql_text(&mut received, MAX_QUERY)?;
    let asker = call.rule_request(Context::Default, &params).asker();
    let started = Instant::now();
    let outcome = call.app().console.run(&query, asker).await?;
    if let Some(superuser) = call.caller.record().filter(|_| outcome.wrote) {
        tracing::info!(superuser = &*superuser.id, affected = outcome.affected_rows, "the database was changed by SQL");
    }
    picked_value(&Answer { took: started.elapsed().as_millis(), outcome }, &params)
}
