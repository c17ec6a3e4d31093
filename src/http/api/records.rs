//! Records of a collection (`docs/wire/records-api.md` §1).

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{member, picked_value};
use crate::{
    error::{Error, Leaf, Result},
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    records::MAX_UNDELETED,
    rules::Context,
};

pub async fn list(call: Call, collection: &str) -> Result<Reply> {
    let params = call.query()?;
    let request = call.rule_request(Context::Default, &params);
    call.app().records.list(request, collection, params.list(), params.shape()).await.map(Reply::json)
}

pub async fn view(call: Call, collection: &str, id: &str) -> Result<Reply> {
    let params = call.query()?;
    let request = call.rule_request(Context::Default, &params);
    call.app().records.view(request, collection, id, params.shape()).await.map(Reply::json)
}

pub async fn create(mut call: Call, collection: &str) -> Result<Reply> {
    let params = call.query()?;
    let limit = body::record_limit(&*call.app().schema.find(collection)?);
    let received = body::read(&mut call, limit, Form::Record).await?;
    let request = call.rule_request(Context::Default, &params);
    call.app().records.create(request, collection, received.body, params.shape()).await.map(Reply::json)
}

pub async fn update(mut call: Call, collection: &str, id: &str) -> Result<Reply> {
    let params = call.query()?;
    let limit = body::record_limit(&*call.app().schema.find(collection)?);
    let received = body::read(&mut call, limit, Form::Record).await?;
    let request = call.rule_request(Context::Default, &params);
    call.app().records.update(request, collection, id, received.body, params.shape()).await.map(Reply::json)
}

pub async fn delete(call: Call, collection: &str, id: &str) -> Result<Reply> {
    let request = call.rule_request(Context::Default, &call.query()?);
    call.app().records.delete(request, collection, id).await?;
    Ok(Reply::no_content())
}

/// `POST /api/collections/{collection}/records/undelete` (`docs/admin.md`). For superusers.
pub async fn undelete(mut call: Call, collection: &str) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let mut received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Values).await?;
    let wrong = |message: String| Error::field("ids", Leaf::new("validation_invalid_value", message));
    let ids = match member(&mut received, "ids") {
        None => return Err(Error::field("ids", Leaf::required())),
        Some(Json::Array(ids)) if ids.len() <= MAX_UNDELETED => ids,
        Some(_) => return Err(wrong(format!("Has to be a list of {MAX_UNDELETED} ids at most."))),
    };
    let mut known = HashSet::new();
    let mut wanted = Vec::with_capacity(ids.len());
    for id in ids {
        let Json::String(id) = id else { return Err(wrong("Has to be a list of ids.".to_owned())) };
        if known.insert(id.clone()) {
            wanted.push(id);
        }
    }
    let actor = call.caller.actor();
    picked_value(&call.app().records.undelete(collection, wanted, actor).await?, &params)
}
