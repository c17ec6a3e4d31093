//! `/api/jobs`: the queue of the house's work (`docs/jobs.md`). For superusers.

use actix_web::http::Method;
use serde::Serialize;

use super::{named, number, picked_items, picked_value};
use crate::{
    error::{Error, Result},
    http::{
        extract::{Call, query::Params},
        reply::Reply,
    },
    jobs::{OfKind, Search, State},
};

/// Items in one answer, unless asked for fewer or more.
const LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 500;

#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
}

#[derive(Serialize)]
struct Kinds {
    kinds: Vec<OfKind>,
}

/// The route table below `/api/jobs`.
pub async fn dispatch(call: Call, method: &Method, path: &[&str]) -> Result<Reply> {
    let route = (method, path);
    if !matches!(route, (&Method::GET, [] | ["history" | "stats"]) | (&Method::POST, [_, "replay" | "cancel" | "run"]))
    {
        return Err(Error::not_found());
    }
    call.require_superuser()?;
    let jobs = call.app().runner.jobs();
    match route {
        (_, [id, act]) => {
            let id = id.parse().map_err(|_| Error::not_found())?;
            match *act {
                "replay" => jobs.replay(id).await?,
                "cancel" => jobs.cancel(id).await?,
                _ => jobs.run_now(id).await?,
            }
            Ok(Reply::no_content())
        }
        (_, path) => {
            let params = call.query()?;
            if path == ["stats"] {
                return picked_value(&Kinds { kinds: call.app().runner.stats().await?.by_kind() }, &params);
            }
            let search = search(&params)?;
            match path {
                [] => picked_items(&Page { items: jobs.list(search).await? }, &params),
                _ => picked_items(&Page { items: jobs.history(search).await? }, &params),
            }
        }
    }
}

fn search(params: &Params) -> Result<Search> {
    let state = named(params, "state", &State::ALL.map(State::as_str))?;
    let state = State::ALL.into_iter().find(|known| Some(known.as_str()) == state);
    Ok(Search {
        kind: params.get("kind").filter(|kind| !kind.is_empty()).map(str::to_owned),
        state,
        before: number(params, "before", i64::MAX.unsigned_abs())?.map(u64::cast_signed),
        limit: number(params, "limit", MAX_LIMIT)?.unwrap_or(LIMIT),
    })
}
