//! Who asks: whom the `Authorization` header names.

use actix_web::{HttpRequest, http::header::AUTHORIZATION};

use crate::{error::Result, http::Wire, identity::Caller};

/// Fails only when the account cannot be read; whatever is wrong with the header is a guest.
pub async fn of(wire: &Wire, http: &HttpRequest) -> Result<Caller> {
    match http.headers().get(AUTHORIZATION).map(|value| value.to_str()) {
        Some(Ok(authorization)) if !authorization.is_empty() => wire.app.auth.caller(authorization).await,
        _ => Ok(Caller::Guest),
    }
}
