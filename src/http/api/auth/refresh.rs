//! `auth-refresh` (`docs/wire/auth.md` §3.4).

use actix_web::http::header::AUTHORIZATION;

use crate::{
    error::Result,
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    rules::Context,
};

/// `POST /api/collections/{collection}/auth-refresh`. The body is read, so that a broken one fails, and ignored; whether
/// the caller may do this at all is told first.
pub async fn refresh(mut call: Call, collection: &str) -> Result<Reply> {
    let params = call.query()?;
    let request = call.rule_request(Context::Default, &params);
    let token = call.header(AUTHORIZATION.as_str()).unwrap_or_default();
    let answer = call.app().auth.refresh(request, collection, token, params.shape()).await?;
    body::read(&mut call, body::LOGIN_LIMIT, Form::Texts).await?;
    Ok(Reply::json(answer))
}
