//! `auth-with-oauth2` and the way back from a provider (`docs/wire/auth-oauth2.md` §3.10, §3.11).

use actix_web::http::{Method, StatusCode};
use serde_json::Value as Json;

use super::login;
use crate::{
    auth::{
        Method as SignIn,
        oauth2::returned::{Landing, Returned},
    },
    error::Result,
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
};

/// `POST /api/collections/{collection}/auth-with-oauth2`
pub async fn with_oauth2(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, Some(SignIn::OAuth2))?;
    let login = login::read(&mut call).await?;
    call.app().auth.with_oauth2(login, collection).await.map(login::answer)
}

/// `GET|POST /api/oauth2-redirect`: the parameters are in the query, or for POST in the body. Whatever is wrong, a person
/// is sent to a page.
pub async fn redirected(mut call: Call) -> Result<Reply> {
    let is_post = call.http.method() == Method::POST;
    let returned = if is_post { in_body(&mut call).await } else { in_query(&call) };
    let landing = returned.map_or(Landing::Failure, |returned| {
        let waiting = call.app().realtime.popup(&returned.state, call.client_ip());
        call.app().auth.returned(&returned, waiting)
    });
    let page = match landing {
        Landing::Success => "../_/#/auth/oauth2-redirect-success",
        Landing::Failure => "../_/#/auth/oauth2-redirect-failure",
    };
    let status = if is_post { StatusCode::SEE_OTHER } else { StatusCode::TEMPORARY_REDIRECT };
    let mut reply = Reply::redirect(page);
    reply.status = status;
    Ok(reply)
}

fn in_query(call: &Call) -> Result<Returned> {
    let params = call.query()?;
    Ok(Returned::read(|name| params.get(name).map(str::to_owned)))
}

async fn in_body(call: &mut Call) -> Result<Returned> {
    let received = body::read(call, body::LOGIN_LIMIT, Form::Texts).await?;
    Ok(Returned::read(|name| received.body.values.get(name).and_then(Json::as_str).map(str::to_owned)))
}
