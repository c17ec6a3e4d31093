//! `GET /api/overview` (`docs/admin.md`). For superusers.

use super::picked_value;
use crate::{
    error::Result,
    http::{extract::Call, reply::Reply},
};

/// The server at a glance.
pub async fn show(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    picked_value(&call.wire.health.overview().await, &params)
}
