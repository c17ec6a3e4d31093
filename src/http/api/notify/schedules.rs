//! Schedules by hand (`docs/notifications.md`). For superusers.

use serde_json::json;

use crate::{
    error::Result,
    http::{api::picked_value, extract::Call, reply::Reply},
};

/// `POST /api/notify/schedules/{id}/run`: sends now what a recurring schedule sends; its next time stays.
pub async fn run(call: Call, id: &str) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let notification = call.app().notify.run_schedule(id).await?;
    picked_value(&json!({ "notification": notification }), &params)
}
