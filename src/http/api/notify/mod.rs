//! `/api/notify/…`: notifications (`docs/notifications.md`).

mod links;

use actix_web::http::Method;

use crate::{
    error::{Error, Result},
    http::{extract::Call, reply::Reply},
};

/// The route table below `/api/notify`.
pub async fn dispatch(call: Call, method: &Method, path: &[&str]) -> Result<Reply> {
    match (method, path) {
        (&Method::GET, ["unsubscribe", token]) => links::ask(call, token).await,
        (&Method::POST, ["unsubscribe", token]) => links::unsubscribe(call, token).await,
        (&Method::GET, ["open", token]) => links::open(call, token).await,
        (&Method::GET, ["click", token]) => links::click(call, token).await,
        (&Method::POST, ["receipts", token]) => links::receive(call, token).await,
        _ => Err(Error::not_found()),
    }
}
