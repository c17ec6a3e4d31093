//! `auth-with-password` (`docs/wire/auth.md` §3.3).

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

/// `POST /api/collections/{collection}/auth-with-password`
pub async fn with_password(mut call: Call, collection: &str) -> Result<Reply> {
    let params = call.query()?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Texts).await?;
    let request = call.rule_request(Context::Password, &params);
    let (app, address) = (call.app(), call.client_ip());
    app.auth.with_password(request, collection, received.body.values, params.shape(), address).await.map(Reply::json)
}
