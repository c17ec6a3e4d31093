//! The inbox of whoever is signed in (`docs/notifications.md`). All but these is the records API of `_inbox`.

use serde_json::json;

use super::{owner, read_body};
use crate::{
    error::Result,
    http::{api::picked_value, extract::Call, reply::Reply},
    notify::inbox::{Act, Which},
};

/// `GET /api/notify/inbox/unread`
pub async fn unread(call: Call) -> Result<Reply> {
    let owner = owner(&call).await?;
    let count = call.app().notify.unread(owner).await?;
    picked_value(&json!({ "count": count }), &call.query()?)
}

/// `POST /api/notify/inbox/read`
pub async fn read(call: Call) -> Result<Reply> {
    act(call, Act::Read).await
}

/// `POST /api/notify/inbox/archive`
pub async fn archive(call: Call) -> Result<Reply> {
    act(call, Act::Archive).await
}

/// `POST /api/notify/inbox/snooze`
pub async fn snooze(mut call: Call) -> Result<Reply> {
    let owner = owner(&call).await?;
    let body = read_body(&mut call).await?;
    let act = Act::snooze(&body, call.app().clock.now())?;
    let changed = call.app().notify.inbox(owner.clone(), Which::parse(&body)?, act).await?;
    answer(call, owner, changed).await
}

async fn act(mut call: Call, act: Act) -> Result<Reply> {
    let owner = owner(&call).await?;
    let body = read_body(&mut call).await?;
    let changed = call.app().notify.inbox(owner.clone(), Which::parse(&body)?, act).await?;
    answer(call, owner, changed).await
}

/// How many items were changed, and how many are unread now.
async fn answer(call: Call, owner: crate::notify::who::Owner, changed: usize) -> Result<Reply> {
    let count = call.app().notify.unread(owner).await?;
    picked_value(&json!({ "changed": changed, "count": count }), &call.query()?)
}
