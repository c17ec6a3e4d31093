//! `/api/health` (`docs/wire/services.md` §5).

use serde_json::json;

use super::picked_value;
use crate::{
    error::Result,
    http::{extract::Call, reply::Reply},
    settings::network,
};

/// Headers that proxies are known to put the client's address into.
const USUAL_PROXY_HEADERS: [&str; 3] = ["CF-Connecting-IP", "Fly-Client-IP", "X-Forwarded-For"];
const HEALTHY: &[u8] = br#"{"message":"The API is healthy.","code":200,"data":{}}"#;

/// Says that the server is well; tells superusers how it sees them.
pub fn check(call: Call) -> Result<Reply> {
    let params = call.query()?;
    if !call.caller.is_superuser() {
        return match params.get("fields") {
            Some(_) => super::picked(HEALTHY.to_vec(), &params),
            None => Ok(Reply::json(HEALTHY)),
        };
    }
    let settings = call.app().settings.current();
    let trusted = settings.trusted_proxy.headers.iter().map(String::as_str);
    let filled = |name: &&str| call.http.headers().get(*name).is_some_and(|value| !value.is_empty());
    let proxy = trusted.chain(USUAL_PROXY_HEADERS).find(filled);
    let data = json!({
        "canBackup": !call.app().backups.is_busy(),
        "realIP": network::expanded(call.client_ip()),
        "possibleProxyHeader": proxy.unwrap_or_default(),
    });
    picked_value(&json!({ "message": "The API is healthy.", "code": 200, "data": data }), &params)
}
