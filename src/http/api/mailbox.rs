//! `/api/mailbox`: what was kept instead of sent (`docs/mailbox.md`). For superusers.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{named, number, picked_items, picked_value};
use crate::{
    error::{Error, Result},
    http::{extract::Call, reply::Reply},
    mail::{Captured, Medium, Search, Template},
};

/// Mails in one answer, unless asked for fewer or more.
const LIMIT: usize = 30;
const MAX_LIMIT: usize = 500;
/// The longest wait for a mail, in seconds.
const MAX_WAIT: u64 = 30;

#[derive(Serialize)]
struct Page {
    items: Vec<Arc<Captured>>,
    total: usize,
}

/// `GET /api/mailbox`: newest first; with `wait` not before one matches.
pub async fn list(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let limit = number(&params, "limit", MAX_LIMIT)?.unwrap_or(LIMIT);
    let wait = number(&params, "wait", MAX_WAIT)?.unwrap_or(0);
    let search = Search {
        to: params.get("to").map(str::to_owned),
        channel: named(&params, "channel", &Medium::ALL.map(Medium::as_str))?.and_then(Medium::parse),
        target: params.get("target").map(str::to_owned),
        template: named(&params, "template", &Template::ALL.map(Template::as_str))?.and_then(Template::parse),
        after: number(&params, "after", u64::MAX)?,
    };
    let mailbox = call.app().mail.mailbox();
    let (items, total) = mailbox.wait(&search, limit, Duration::from_secs(wait)).await;
    picked_items(&Page { items, total }, &params)
}

/// `GET /api/mailbox/{id}`
pub fn view(call: Call, id: &str) -> Result<Reply> {
    call.require_superuser()?;
    let mail = id.parse().ok().and_then(|id| call.app().mail.mailbox().get(id)).ok_or_else(Error::not_found)?;
    picked_value(&mail, &call.query()?)
}

/// `DELETE /api/mailbox`: forgets all of them.
pub fn clear(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    call.app().mail.mailbox().clear();
    Ok(Reply::no_content())
}
