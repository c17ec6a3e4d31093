//! Templates tried out (`docs/notifications.md`). For superusers.

use crate::{
    error::Result,
    http::{
        api::picked_value,
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
};

/// Bytes of a body: a template is half of that at most.
const LIMIT: u64 = 2 << 20;

/// `POST /api/notify/preview`
pub async fn preview(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let body = body::read(&mut call, LIMIT, Form::Values).await?.body.values;
    let preview = call.app().notify.preview(&body).await?;
    picked_value(&preview, &params)
}

/// `POST /api/notify/test`
pub async fn test(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let body = body::read(&mut call, LIMIT, Form::Values).await?.body.values;
    let sent = call.app().notify.send_test(&body).await?;
    picked_value(&sent, &params)
}
