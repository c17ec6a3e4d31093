//! Registering devices and trying them.

use serde_json::json;

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

/// `GET /api/notify/vapid-key`: what browsers subscribe with.
pub async fn vapid_key(call: Call) -> Result<Reply> {
    let params = call.query()?;
    let key = call.app().notify.vapid_key().await?;
    picked_value(&json!({ "publicKey": key }), &params)
}

/// `POST /api/notify/devices`
pub async fn register(mut call: Call) -> Result<Reply> {
    let params = call.query()?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Texts).await?;
    let registered = call.app().notify.register_device(&call.caller, &received.body.values).await?;
    picked_value(&registered.device, &params)
}

/// `POST /api/notify/devices/{id}/test`: 200 whatever came of it.
pub async fn test(call: Call, id: &str) -> Result<Reply> {
    let params = call.query()?;
    let told = call.app().notify.try_device(&call.caller, id).await?;
    picked_value(&told, &params)
}
