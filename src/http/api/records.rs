//! Records of a collection (`docs/wire/records-api.md` §1).

use crate::{
    error::Result,
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
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
