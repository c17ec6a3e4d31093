//! `request-otp` and `auth-with-otp` (`docs/wire/auth.md` §3.6).

use serde_json::json;

use super::login;
use crate::{
    auth::Method,
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

/// `POST /api/collections/{collection}/request-otp`
pub async fn request_otp(mut call: Call, collection: &str) -> Result<Reply> {
    let params = call.query()?;
    call.app().auth.offers(collection, Some(Method::Otp))?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Texts).await?;
    let id = call.app().auth.request_otp(collection, &received.body.values, call.client_ip()).await?;
    picked_value(&json!({ "otpId": id }), &params)
}

/// `POST /api/collections/{collection}/auth-with-otp`
pub async fn with_otp(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, Some(Method::Otp))?;
    let login = login::read(&mut call).await?;
    call.app().auth.with_otp(login, collection).await.map(login::answer)
}
