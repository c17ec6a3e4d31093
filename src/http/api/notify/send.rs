//! Sending, calling back, and what became of it (`docs/notifications.md`). For superusers.

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

/// `POST /api/notify/send`: the notification is safe, and on its way.
pub async fn send(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Values).await?;
    picked_value(&call.app().notify.send(&received.body.values).await?, &params)
}

/// `POST /api/notify/cancel`: what has not gone out does not.
pub async fn cancel(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Values).await?;
    picked_value(&call.app().notify.cancel(&received.body.values).await?, &params)
}
