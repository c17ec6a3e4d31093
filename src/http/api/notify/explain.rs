//! What would become of a notification, and what has (`docs/notifications.md`). For superusers.

use crate::{
    error::{Error, Result},
    http::{
        api::picked_value,
        extract::{
            Call,
            body::{self, Form},
            query::Params,
        },
        reply::Reply,
    },
    notify::{explain, timeline},
};

/// Recipients or deliveries on a page, unless asked for fewer or more.
const LIMIT: usize = 50;

/// `POST /api/notify/explain`: the body of a send, and nothing is sent. Query: `limit`, `after`.
pub async fn explain(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let limit = limit(&params, explain::MAX_PAGE)?;
    let received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Values).await?;
    let told = call.app().notify.explain(&received.body.values, limit, params.get("after")).await?;
    picked_value(&told, &params)
}

/// `GET /api/notify/notifications/{id}`. Query: `limit`, `after`, `state`, `user`.
pub async fn timeline(call: Call, id: &str) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let text = |name: &str| params.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let asked = timeline::Asked {
        limit: limit(&params, timeline::MAX_PAGE)?,
        after: text("after"),
        state: timeline::state(params.get("state"))?,
        user: text("user"),
    };
    picked_value(&call.app().notify.timeline(id, asked).await?, &params)
}

fn limit(params: &Params, max: usize) -> Result<usize> {
    match params.get("limit").map(str::parse) {
        None => Ok(LIMIT),
        Some(Ok(limit)) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(Error::invalid(format!("\"limit\" has to be a whole number from 1 to {max}."))),
    }
}
