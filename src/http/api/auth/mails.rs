//! Verification, password reset and e-mail change (`docs/wire/auth.md` §3.7): each is asked for, which sends a mail, and
//! confirmed with the token in it.

use serde_json::{Map, Value as Json};

use crate::{
    error::Result,
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
};

/// `POST /api/collections/{collection}/request-verification`
pub async fn request_verification(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, None)?;
    let body = read(&mut call).await?;
    call.app().auth.request_verification(collection, &body, call.client_ip()).await.map(done)
}

/// `POST /api/collections/{collection}/request-password-reset`
pub async fn request_password_reset(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, None)?;
    let body = read(&mut call).await?;
    call.app().auth.request_password_reset(collection, &body, call.client_ip()).await.map(done)
}

/// `POST /api/collections/{collection}/request-email-change`. Whether the caller may do this at all is told first.
pub async fn request_email_change(mut call: Call, collection: &str) -> Result<Reply> {
    let record = call.app().auth.changes_email(&call.caller, collection)?;
    let body = read(&mut call).await?;
    call.app().auth.request_email_change(&record, &body, call.client_ip()).await.map(done)
}

/// `POST /api/collections/{collection}/confirm-verification`
pub async fn confirm_verification(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, None)?;
    let body = read(&mut call).await?;
    call.app().auth.confirm_verification(collection, &body).await.map(done)
}

/// `POST /api/collections/{collection}/confirm-password-reset`
pub async fn confirm_password_reset(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, None)?;
    let body = read(&mut call).await?;
    call.app().auth.confirm_password_reset(collection, &body).await.map(done)
}

/// `POST /api/collections/{collection}/confirm-email-change`
pub async fn confirm_email_change(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, None)?;
    let body = read(&mut call).await?;
    call.app().auth.confirm_email_change(collection, &body, call.client_ip()).await.map(done)
}

async fn read(call: &mut Call) -> Result<Map<String, Json>> {
    Ok(body::read(call, body::LOGIN_LIMIT, Form::Texts).await?.body.values)
}

fn done((): ()) -> Reply {
    Reply::no_content()
}
