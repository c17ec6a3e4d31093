//! The preferences of whoever is signed in (`docs/notifications.md`).

use super::{owner, read_body};
use crate::{
    error::Result,
    http::{api::picked_value, extract::Call, reply::Reply},
};

/// `GET /api/notify/preferences`
pub async fn get(call: Call) -> Result<Reply> {
    let owner = owner(&call).await?;
    let preferences = call.app().notify.preferences(owner).await?;
    picked_value(&preferences, &call.query()?)
}

/// `PATCH /api/notify/preferences`
pub async fn patch(mut call: Call) -> Result<Reply> {
    let owner = owner(&call).await?;
    let body = read_body(&mut call).await?;
    let preferences = call.app().notify.change_preferences(owner, &body).await?;
    picked_value(&preferences, &call.query()?)
}
