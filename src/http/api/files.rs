//! Stored files, and the tokens that protected ones need (`docs/wire/services-files.md` §3).

use serde_json::json;

use super::picked_value;
use crate::{
    error::{Error, Result},
    http::{
        download::{self, Showing},
        extract::{Call, query::Params},
        middleware::superuser_ips,
        reply::Reply,
    },
    identity::Caller,
    rules::Context,
};

/// `POST /api/files/token` (`docs/wire/auth.md` §2.7)
pub fn token(call: Call) -> Result<Reply> {
    let token = call.app().auth.file_token(&call.caller)?;
    picked_value(&json!({"token": token}), &call.query()?)
}

/// `GET /api/files/{collection}/{record}/{name}`
pub async fn download(call: Call, collection: &str, record: &str, name: &str) -> Result<Reply> {
    let params = call.query()?;
    let call = by_token(call, &params).await?;
    let request = call.rule_request(Context::ProtectedFile, &params);
    let file = call.app().records.file(request, collection, record, name).await?;
    let key = file.key().map_err(|error| Error::not_found().because(error))?;
    let object = call.app().storage.find(&key).await?.ok_or_else(Error::not_found)?;
    if let Some(size) = params.get("thumb").filter(|size| file.offers(size))
        && let Some(thumb) = call.app().thumbs.get(&key, &object.head.content_type, size).await?
    {
        return download::reply(&call.http, &thumb, &format!("{size}_{}", file.name), showing(&params));
    }
    download::reply(&call.http, &object, &file.name, showing(&params))
}

/// The call in the name of whom the file token in the address names. Nothing else in the request counts, and a superuser
/// who would not be let in is a guest.
pub(super) async fn by_token(mut call: Call, params: &Params) -> Result<Call> {
    call.caller = match params.get("token") {
        Some(token) => call.app().auth.file_caller(token).await?,
        None => Caller::Guest,
    };
    if superuser_ips::check(&call).is_err() {
        call.caller = Caller::Guest;
    }
    Ok(call)
}

fn showing(params: &Params) -> Showing {
    match params.get("download") {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Showing::Never,
        _ => Showing::ByType,
    }
}
