//! `/api/test/snapshot`, `restore`, `reset`: a temporary server back at an earlier moment (`docs/TESTING.md`). For
//! superusers of `conch serve --temp`; elsewhere nothing is here.

use serde_json::{Value as Json, json};

use super::picked_value;
use crate::{
    error::{Error, Leaf, Result},
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    snapshots::Snapshots,
};

/// `POST /api/test/snapshot`: the id of a new one.
pub async fn take(call: Call) -> Result<Reply> {
    let id = snapshots(&call)?.take().await?;
    picked_value(&json!({ "id": id.to_string() }), &call.query()?)
}

/// `POST /api/test/restore` with `{"id"}`.
pub async fn restore(mut call: Call) -> Result<Reply> {
    snapshots(&call)?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Values).await?;
    let id = match received.body.values.get("id") {
        Some(Json::String(id)) if !id.is_empty() => id.as_str(),
        None | Some(Json::Null | Json::String(_)) => return Err(Error::field("id", Leaf::required())),
        Some(_) => {
            return Err(Error::field("id", Leaf::new("validation_invalid_value", "Must be the id of a snapshot.")));
        }
    };
    snapshots(&call)?.restore(number(id)?).await?;
    Ok(Reply::no_content())
}

/// `POST /api/test/reset`
pub async fn reset(call: Call) -> Result<Reply> {
    snapshots(&call)?.reset().await?;
    Ok(Reply::no_content())
}

/// `DELETE /api/test/snapshot/{id}`
pub async fn forget(call: Call, id: &str) -> Result<Reply> {
    snapshots(&call)?.forget(number(id)?).await?;
    Ok(Reply::no_content())
}

/// 404 for what is no id of ours.
fn number(id: &str) -> Result<u64> {
    id.parse().map_err(|_| Error::not_found())
}

/// 404 where there are none, then 401 and 403 as usual.
fn snapshots(call: &Call) -> Result<Snapshots> {
    let snapshots = call.app().snapshots.clone().ok_or_else(Error::not_found)?;
    call.require_superuser()?;
    Ok(snapshots)
}
