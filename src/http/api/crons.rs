//! `/api/crons` (`docs/wire/services.md` §7). For superusers.

use super::picked_value;
use crate::{
    error::{Error, Result},
    http::{extract::Call, reply::Reply},
};

/// `GET /api/crons`
pub fn list(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    picked_value(&call.app().runner.crons(), &call.query()?)
}

/// `POST /api/crons/{id}`: 204 when it is going to run, in the background.
pub async fn run(call: Call, id: &str) -> Result<Reply> {
    call.require_superuser()?;
    if call.app().runner.run_cron(id).await? { Ok(Reply::no_content()) } else { Err(Error::not_found()) }
}
