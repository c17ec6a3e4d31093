//! `/api/settings` (`docs/wire/services.md` §4).

use serde_json::json;

use super::picked_value;
use crate::{
    error::Result,
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    settings::nest_form,
};

/// The whole tree without its secrets.
pub fn get(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    picked_value(&call.app().settings.current().redacted(), &call.query()?)
}

/// Merges a partial tree over the stored one.
pub async fn patch(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Texts).await?;
    let patch = if received.is_form { nest_form(received.body.values) } else { received.body.values };
    let settings = call.app().settings.patch(patch).await?;
    picked_value(&settings.redacted(), &params)
}

/// `POST /api/settings/test/email` (§4.4): 204 when the mail is on its way.
pub async fn test_email(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Texts).await?;
    call.app().auth.send_test_mail(&received.body.values).await?;
    Ok(Reply::no_content())
}

/// `POST /api/settings/apple/generate-client-secret` (`docs/wire/auth-oauth2.md` §6.5)
pub async fn apple_client_secret(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Values).await?;
    let secret = call.app().auth.apple_client_secret(&received.body.values)?;
    picked_value(&json!({ "secret": secret }), &params)
}
