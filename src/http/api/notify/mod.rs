//! `/api/notify/…`: notifications (`docs/notifications.md`).

mod deliveries;
mod devices;
mod explain;
mod inbox;
mod links;
mod preferences;
mod preview;
mod schedules;
mod send;

use actix_web::http::Method;
use serde_json::{Map, Value as Json};

use crate::{
    error::{Error, Leaf, Result},
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    identity::Caller,
    notify::who::Owner,
};

/// Bytes of a body of somebody who is no superuser.
const LIMIT: u64 = 64 << 10;

/// The route table below `/api/notify`.
pub async fn dispatch(call: Call, method: &Method, path: &[&str]) -> Result<Reply> {
    match (method, path) {
        (&Method::GET, ["vapid-key"]) => devices::vapid_key(call).await,
        (&Method::POST, ["devices"]) => devices::register(call).await,
        (&Method::POST, ["devices", id, "test"]) => devices::test(call, id).await,
        (&Method::POST, ["send"]) => send::send(call).await,
        (&Method::POST, ["explain"]) => explain::explain(call).await,
        (&Method::GET, ["notifications", id]) => explain::timeline(call, id).await,
        (&Method::POST, ["cancel"]) => send::cancel(call).await,
        (&Method::GET, ["unsubscribe", token]) => links::ask(call, token).await,
        (&Method::POST, ["unsubscribe", token]) => links::unsubscribe(call, token).await,
        (&Method::GET, ["open", token]) => links::open(call, token).await,
        (&Method::GET, ["click", token]) => links::click(call, token).await,
        (&Method::POST, ["receipts", token]) => links::receive(call, token).await,
        (&Method::GET, ["preferences"]) => preferences::get(call).await,
        (&Method::PATCH, ["preferences"]) => preferences::patch(call).await,
        (&Method::GET, ["stats"]) => deliveries::stats(call).await,
        (&Method::POST, ["deliveries", id, "retry"]) => deliveries::retry(call, id).await,
        (&Method::POST, ["preview"]) => preview::preview(call).await,
        (&Method::POST, ["test"]) => preview::test(call).await,
        (&Method::POST, ["schedules", id, "run"]) => schedules::run(call, id).await,
        (&Method::GET, ["inbox", "unread"]) => inbox::unread(call).await,
        (&Method::POST, ["inbox", "read"]) => inbox::read(call).await,
        (&Method::POST, ["inbox", "archive"]) => inbox::archive(call).await,
        (&Method::POST, ["inbox", "snooze"]) => inbox::snooze(call).await,
        _ => Err(Error::not_found()),
    }
}

/// Whose things are asked for: the caller's own, or, for a superuser, those of the account that `?user=users/ID` names.
async fn owner(call: &Call) -> Result<Owner> {
    let named = call.query()?.get("user").map(str::to_owned);
    match (&call.caller, named) {
        (Caller::Guest, _) => Err(Error::unauthorized("Sign in to do this.")),
        (Caller::Record(record) | Caller::Superuser(record), None) => {
            Ok(Owner { collection: record.collection_id.to_string(), record: record.id.to_string() })
        }
        (Caller::Record(_), Some(_)) => Err(Error::forbidden("Only superusers may do this for others.")),
        (Caller::Superuser(_), Some(name)) => call.app().notify.account(&name).await?.ok_or_else(|| {
            Error::field("user", Leaf::new("validation_missing_record", format!("There is no account {name:?}.")))
        }),
    }
}

async fn read_body(call: &mut Call) -> Result<Map<String, Json>> {
    Ok(body::read(call, LIMIT, Form::Values).await?.body.values)
}
