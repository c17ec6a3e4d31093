//! What clients need to read files (`docs/wire/services-files.md` §3).

use serde_json::json;

use super::picked_value;
use crate::{
    error::Result,
    http::{extract::Call, reply::Reply},
};

/// `POST /api/files/token` (`docs/wire/auth.md` §2.7)
pub fn token(call: Call) -> Result<Reply> {
    let token = call.app().auth.file_token(&call.caller)?;
    picked_value(&json!({"token": token}), &call.query()?)
}
