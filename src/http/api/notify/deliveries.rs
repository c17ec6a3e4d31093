//! Deliveries: their numbers, and one more try (`docs/notifications.md`). For superusers.

use crate::{
    error::Result,
    http::{api::picked_value, extract::Call, reply::Reply},
};

/// `GET /api/notify/stats`
pub async fn stats(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let stats = call.app().notify.stats().await?;
    picked_value(&stats, &params)
}

/// `POST /api/notify/deliveries/{id}/retry`
pub async fn retry(call: Call, id: &str) -> Result<Reply> {
    call.require_superuser()?;
    call.app().notify.retry(id).await?;
    Ok(Reply::no_content())
}
