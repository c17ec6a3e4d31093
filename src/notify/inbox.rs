//! The inbox of one account, as far as records alone do not do it: how much is unread, many items at once, and items that
//! were put off and come back.
//!
//! An item is *unread* when it is neither read nor archived nor put off. `snoozed` is the time when it comes back; then
//! somebody has to write, or no client would hear of it: a loop that sleeps until the earliest of them.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

use super::{
    Notify,
    collections::INBOX,
    when::{instant, span},
    who::Owner,
};
use crate::{
    clock::Timestamp,
    db::{Commit, ReadTx, Value},
    error::{Error, Issues, Leaf, Result},
    schema::{bootstrap::notify::LONGEST_SNOOZE, field::value::moment},
};

/// Items that one request names.
const MAX_IDS: usize = 500;
/// Items that one transaction writes.
const AT_ONCE: usize = 200;
/// After a failure nothing is woken for a while.
const PAUSE: Duration = Duration::from_secs(1);

const MESSAGE: &str = "The request is not valid.";

/// Which items of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Ids(Vec<String>),
    All,
    /// Made at this time or earlier.
    Before(Timestamp),
}

/// What is done to items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Read,
    Archive,
    /// Put off until then; with none they come back at once.
    Snooze(Option<Timestamp>),
}

impl Which {
    /// `{"ids": […]}` (or one `id`), `{"all": true}`, `{"before": instant}`: one of them.
    pub fn parse(body: &Map<String, Json>) -> Result<Self> {
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let wrong = |field: &str, message: &'static str| {
            Err(Error::field(field, Leaf::new("validation_invalid_value", message)))
        };
        let ways = [given("ids"), given("id"), given("all"), given("before")];
        match ways {
            [Some(Json::Array(ids)), None, None, None] => {
                if ids.len() > MAX_IDS {
                    let message = format!("{MAX_IDS} ids at most.");
                    return Err(Error::field("ids", Leaf::new("validation_too_many_values", message)));
                }
                let texts: Option<Vec<String>> = ids.iter().map(|id| Some(id.as_str()?.to_owned())).collect();
                texts.map_or_else(|| wrong("ids", "Must be a list of ids."), |ids| Ok(Self::Ids(ids)))
            }
            [None, Some(Json::String(id)), None, None] => Ok(Self::Ids(vec![id.clone()])),
            [None, None, Some(Json::Bool(true)), None] => Ok(Self::All),
            [None, None, None, Some(Json::String(before))] => match instant(before) {
                Ok(before) => Ok(Self::Before(before)),
                Err(leaf) => Err(Error::field("before", leaf)),
            },
            [None, None, None, None] => {
                Err(Error::field("ids", Leaf::new("validation_required", "Needs ids, all or before.")))
            }
            _ => wrong("ids", "Must be one of: ids, a list of ids; all, true; before, an instant."),
        }
    }
}

impl Act {
    /// `{"until": instant}` or `{"for": "2h"}`; `{"until": null}` takes it back.
    pub fn snooze(body: &Map<String, Json>, now: Timestamp) -> Result<Self> {
        let mut issues = Issues::default();
        let time = match (body.get("until"), body.get("for").filter(|value| !value.is_null())) {
            (Some(Json::Null), None) => return Ok(Self::Snooze(None)),
            (Some(Json::String(until)), None) => instant(until).map_err(|leaf| issues.insert("until", leaf)).ok(),
            (None, Some(Json::String(after))) => {
                span::parse(after).map(|span| now.plus(span)).map_err(|leaf| issues.insert("for", leaf)).ok()
            }
            _ => {
                let message = "Needs until, an instant, or for, a duration like 2h.";
                issues.insert("until", Leaf::new("validation_required", message));
                None
            }
        };
        if let Some(time) = time {
            let field = if body.contains_key("for") { "for" } else { "until" };
            if time <= now {
                issues.insert(field, Leaf::new("validation_invalid_value", "Must lie in the future."));
            } else if now.until(time) > LONGEST_SNOOZE {
                issues.insert(field, Leaf::new("validation_invalid_value", "Must lie within a year."));
            }
        }
        issues.into_result(MESSAGE)?;
        Ok(Self::Snooze(time))
    }

    /// What the items have to be for this to change them.
    fn condition(self) -> &'static str {
        match self {
            Self::Read => "read = ''",
            Self::Archive => "archived = ''",
            // What was never put off is not fetched back.
            Self::Snooze(None) => "snoozed != ''",
            Self::Snooze(Some(_)) => "id != ''",
        }
    }

    fn columns(self, now: Timestamp) -> Vec<(&'static str, Value)> {
        let text = |time: Option<Timestamp>| Value::Text(time.map(|time| time.to_string()).unwrap_or_default());
        match self {
            Self::Read => vec![("read", text(Some(now)))],
            Self::Archive => vec![("archived", text(Some(now)))],
            Self::Snooze(until) => vec![("snoozed", text(until)), ("read", text(None))],
        }
    }
}

impl Notify {
    /// How many items an account has not read.
    pub async fn unread(&self, owner: Owner) -> Result<u64> {
        self.rooms.db.read(move |tx| unread(tx, &owner)).await
    }

    /// Does something to items of an account; what is not its own, or is so already, is passed over. Returns how many
    /// were changed.
    pub async fn inbox(&self, owner: Owner, which: Which, act: Act) -> Result<usize> {
        let mut changed = 0;
        // New items that come in meanwhile are not meant.
        let which = match which {
            Which::All => Which::Before(self.rooms.clock.now()),
            other => other,
        };
        let mut after = String::new();
        loop {
            let (owner, which, from, records) =
                (owner.clone(), which.clone(), after.clone(), self.rooms.records.clone());
            let some = self.rooms.db.write(move |tx| {
                let ids = some_of(tx, &owner, &which, act, &from)?;
                let columns = act.columns(tx.now());
                let mut bulk = records.bulk(tx);
                for id in &ids {
                    bulk.update(INBOX, id, &columns)?;
                }
                Ok(ids)
            });
            let ids = some.await?;
            changed += ids.len();
            match ids.last() {
                Some(last) if ids.len() == AT_ONCE => after.clone_from(last),
                _ => break,
            }
        }
        Ok(changed)
    }

    /// Rings for items that somebody puts off, through whatever door.
    pub(super) fn hear_of_snoozes(&self) {
        let bells = self.bells.clone();
        let inbox = self.rooms.schema.catalog().by_name(INBOX).map(|inbox| {
            let field = inbox.field("snoozed").map(|field| field.id.to_string()).unwrap_or_default();
            (inbox.id.clone(), field)
        });
        // The house made it; it is always there and cannot go.
        let Some((inbox, field)) = inbox else { return };
        self.rooms.db.on_commit(move |commit| {
            if let Some(time) = earliest_snooze(commit, &inbox, &field) {
                bells.inbox.set(time);
            }
        });
    }

    /// Wakes what was put off, until the end of time.
    pub(super) async fn wake_snoozed(self) {
        loop {
            // Before the look: what is put off later sets it anew.
            self.bells.inbox.clear();
            match self.wake_some().await {
                // There may be more.
                Ok(AT_ONCE) => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "items that were put off could not be woken");
                    self.bells.inbox.set(self.rooms.clock.now().plus(PAUSE));
                }
            }
            self.bells.inbox.rings(&self.rooms.clock).await;
        }
    }

    /// Wakes some of what is over, and sets the alarm to the next. Returns how many it woke.
    async fn wake_some(&self) -> Result<usize> {
        let records = self.rooms.records.clone();
        let due = self.rooms.db.read(|tx| due(tx, tx.now(), 1)).await?;
        let woken = match due.is_empty() {
            true => 0,
            false => {
                let wake = self.rooms.db.write(move |tx| {
                    let ids = self::due(tx, tx.now(), AT_ONCE)?;
                    let mut bulk = records.bulk(tx);
                    for id in &ids {
                        bulk.update(INBOX, id, &[("snoozed", Value::Text(String::new()))])?;
                    }
                    Ok(ids.len())
                });
                wake.await?
            }
        };
        let sql = "SELECT snoozed FROM _inbox WHERE snoozed != '' ORDER BY snoozed LIMIT 1";
        let next = self.rooms.db.read(move |tx| tx.query_one(sql, [], |row| row.get::<_, String>(0))).await?;
        if let Some(next) = next.as_deref().and_then(moment::parse) {
            self.bells.inbox.set(next);
        }
        Ok(woken)
    }
}

fn unread(tx: &ReadTx<'_>, owner: &Owner) -> Result<u64> {
    let sql = "
        SELECT count(*) FROM _inbox
        WHERE recordRef = ?1 AND collectionRef = ?2 AND read = '' AND archived = '' AND (snoozed = '' OR snoozed <= ?3)";
    let asked = (&owner.record, &owner.collection, tx.now().to_string());
    let count: i64 = tx.query_one(sql, asked, |row| row.get(0))?.unwrap_or(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Up to [`AT_ONCE`] ids after `after` that the act would change.
fn some_of(tx: &ReadTx<'_>, owner: &Owner, which: &Which, act: Act, after: &str) -> Result<Vec<String>> {
    let which_sql = match which {
        Which::Ids(_) => "id IN (SELECT value FROM json_each(?3))",
        Which::All | Which::Before(_) => "created <= ?3",
    };
    let asked = match which {
        Which::Ids(ids) => serde_json::to_string(ids).unwrap_or_default(),
        Which::Before(time) => time.to_string(),
        Which::All => tx.now().to_string(),
    };
    let sql = format!(
        "SELECT id FROM _inbox WHERE recordRef = ?1 AND collectionRef = ?2 AND {} AND {which_sql} AND id > ?4 \
         ORDER BY id LIMIT {AT_ONCE}",
        act.condition()
    );
    tx.query_all(&sql, (&owner.record, &owner.collection, asked, after), |row| row.get(0))
}

/// What was put off until `now` or before.
fn due(tx: &ReadTx<'_>, now: Timestamp, limit: usize) -> Result<Vec<String>> {
    let sql = "SELECT id FROM _inbox WHERE snoozed != '' AND snoozed <= ?1 ORDER BY snoozed LIMIT ?2";
    tx.query_all(sql, (now.to_string(), i64::try_from(limit).unwrap_or(i64::MAX)), |row| row.get(0))
}

/// Of the items of a commit.
fn earliest_snooze(commit: &Arc<Commit>, inbox: &Arc<str>, field: &str) -> Option<Timestamp> {
    let of_inbox = commit.changes.iter().filter(|(_, change)| change.collection == *inbox);
    of_inbox.filter_map(|(_, change)| moment::parse(change.new.as_ref()?.text(field)?)).min()
}
