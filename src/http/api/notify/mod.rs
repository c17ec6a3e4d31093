//! `/api/notify/…`: notifications (`docs/notifications.md`).

use actix_web::http::Method;

use crate::{
    error::{Error, Result},
    http::{extract::Call, reply::Reply},
};

/// The route table below `/api/notify`.
pub async fn dispatch(_call: Call, method: &Method, path: &[&str]) -> Result<Reply> {
    match (method, path) {
        _ => Err(Error::not_found()),
    }
}
