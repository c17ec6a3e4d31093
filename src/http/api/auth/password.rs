//! `auth-with-password` (`docs/wire/auth.md` §3.3).

use super::login;
use crate::{
    auth::Method,
    error::Result,
    http::{extract::Call, reply::Reply},
};

/// `POST /api/collections/{collection}/auth-with-password`
pub async fn with_password(mut call: Call, collection: &str) -> Result<Reply> {
    call.app().auth.offers(collection, Some(Method::Password))?;
    let login = login::read(&mut call).await?;
    call.app().auth.with_password(login, collection).await.map(login::answer)
}
