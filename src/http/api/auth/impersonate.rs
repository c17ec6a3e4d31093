//! `impersonate` (`docs/wire/auth.md` §3.5).

use serde_json::Value as Json;

use crate::{
    error::{Error, Result},
    http::{
        api::member,
        extract::{
            Call,
            body::{self, Form, Received},
        },
        reply::Reply,
    },
    rules::Context,
};

/// `POST /api/collections/{collection}/impersonate/{id}`. Whether the caller may do this is told first, then whether
/// there is such an account.
pub async fn impersonate(mut call: Call, collection: &str, id: &str) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let record = call.app().auth.account(collection, id).await?;
    let mut received = body::read(&mut call, body::LOGIN_LIMIT, Form::Texts).await?;
    let seconds = seconds(&mut received)?;
    let request = call.rule_request(Context::Default, &params);
    call.app().auth.impersonate(request, &record, seconds, params.shape()).await.map(Reply::json)
}

/// The asked lifetime: a whole number, in a form its text. Blank is 0.
fn seconds(received: &mut Received) -> Result<i64> {
    let seconds = match member(received, "duration") {
        None => Some(0),
        Some(Json::Number(number)) => number.as_i64(),
        Some(Json::String(text)) if received.is_form && text.is_empty() => Some(0),
        Some(Json::String(text)) if received.is_form => text.parse().ok(),
        Some(_) => None,
    };
    seconds.ok_or_else(|| Error::invalid("The body could not be read."))
}
