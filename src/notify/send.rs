//! Sending: a body is checked, against what there is, too, and becomes an intent; or a schedule, if it recurs.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use tokio::task;

use super::{
    Notify,
    collections::{NOTIFICATIONS, SCHEDULES, TEMPLATES},
    intent::Intent,
    stored,
    what::{Broken, compile},
    when::zone::find as find_zone,
    who::audience,
};
use crate::{
    clock::Timestamp,
    db::{ReadTx, Value, WriteTx},
    error::{Error, Issue, Issues, Leaf, Result},
    jobs::cron::Cron,
    records::Records,
    schema::Catalog,
};

/// Bytes of texts that are compiled where they are asked for: that takes a moment only.
const SHORT: usize = 16 << 10;
/// Entries of `to` whose failures are told.
const MAX_TOLD: usize = 20;
/// How runs that were missed while the server was down are made up for.
const MISSED: [&str; 3] = ["skip", "once", "all"];

/// What has become of a send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Of the notification, or of the schedule.
    pub id: String,
    pub collection: &'static str,
    /// `new`, or how far it is if it was there before; `scheduled` for a schedule.
    pub state: &'static str,
    /// It was asked for before under the same key.
    pub duplicate: bool,
}

impl Notify {
    /// Sends what the body says, once for each key. With `{"cron", "zone", "missed"?}` as its `when` it recurs: then it is
    /// a schedule, named by the key.
    pub async fn send(&self, body: &Map<String, Json>) -> Result<Sent> {
        let now = self.rooms.clock.now();
        if let Some(Json::Object(when)) = body.get("when")
            && when.contains_key("cron")
        {
            return self.recur(body, when, now).await;
        }
        let intent = Arc::new(Intent::parse(body, now)?);
        self.check(intent.clone(), |_| Ok(())).await?;
        let records = self.rooms.records.clone();
        let write = move |tx: &mut WriteTx<'_>| stored::add(tx, &records, &intent);
        let added = self.rooms.db.write(write).await?;
        let state = added.stage.as_str();
        Ok(Sent { id: added.id, collection: NOTIFICATIONS, state, duplicate: added.duplicate })
    }

    /// Fails where the intent names what there is not (a template, a collection, a filter over it) or has texts that are
    /// no templates. Accounts and topics may come and go; those that there are not when it is their turn are passed over.
    /// What else is to be read is read on the same snapshot.
    pub(super) async fn check<T: Send + 'static>(
        &self,
        intent: Arc<Intent>,
        read: impl Fn(&ReadTx<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let broken = broken(&intent).await?;
        let catalog = self.rooms.schema.catalog();
        self.rooms
            .db
            .read(move |tx| {
                check(tx, &catalog, &intent, broken.as_ref())?;
                read(tx)
            })
            .await
    }

    async fn recur(&self, body: &Map<String, Json>, when: &Map<String, Json>, now: Timestamp) -> Result<Sent> {
        let recurring = Recurring::parse(body, when, now)?;
        self.check(recurring.intent.clone(), |_| Ok(())).await?;
        let records = self.rooms.records.clone();
        let write = move |tx: &mut WriteTx<'_>| recurring.add(tx, &records);
        let (id, duplicate) = self.rooms.db.write(write).await?;
        Ok(Sent { id, collection: SCHEDULES, state: "scheduled", duplicate })
    }
}

/// What is wrong with the texts of an intent, as far as it can be told without rendering them.
async fn broken(intent: &Intent) -> Result<Option<Broken>> {
    match intent.texts() {
        None => Ok(None),
        Some(texts) if texts.bytes() <= SHORT => Ok(compile(&texts).err()),
        Some(texts) => task::spawn_blocking(move || compile(&texts).err()).await.map_err(Error::internal),
    }
}

fn check(tx: &ReadTx<'_>, catalog: &Catalog, intent: &Intent, broken: Option<&Broken>) -> Result<()> {
    let mut issues = Issues::default();
    if let Some(broken) = broken {
        issues.insert(broken.field, Leaf::from(broken));
    }
    if !intent.template.is_empty() {
        let sql = format!("SELECT 1 FROM {TEMPLATES} WHERE `key` = ?1 LIMIT 1");
        if tx.query_one(&sql, [&intent.template], |_| Ok(()))?.is_none() {
            issues.insert("template", invalid("There is no such template."));
        }
    }
    let mut entries = Issues::default();
    for (index, entry) in intent.to.iter().enumerate() {
        if let Some(leaf) = audience::check(catalog, entry, tx.now())? {
            entries.insert(&index.to_string(), leaf);
        }
        if entries.leaves().len() == MAX_TOLD {
            break;
        }
    }
    issues.nest("to", entries);
    if let Some(unless) = &intent.unless {
        let issue = match catalog.find(&unless.collection) {
            None => Some(("collection", invalid("There is no such collection."))),
            Some(found) => {
                audience::check_filter(catalog, found, &unless.filter, tx.now())?.map(|leaf| ("filter", leaf))
            }
        };
        if let Some((member, leaf)) = issue {
            let mut group = Issues::default();
            group.insert(member, leaf);
            issues.nest("unless", group);
        }
    }
    issues.into_result("The notification is not valid.")
}

/// Fails where a send that recurs cannot be one.
pub(super) fn check_recurring(body: &Map<String, Json>, when: &Map<String, Json>, now: Timestamp) -> Result<()> {
    Recurring::parse(body, when, now).map(drop)
}

fn invalid(message: &'static str) -> Leaf {
    Leaf::new("validation_invalid_value", message)
}

/// A send that recurs.
struct Recurring {
    name: String,
    cron: String,
    zone: String,
    missed: &'static str,
    /// Without `when` and `key`: those are the schedule's.
    body: Map<String, Json>,
    intent: Arc<Intent>,
}

impl Recurring {
    fn parse(body: &Map<String, Json>, when: &Map<String, Json>, now: Timestamp) -> Result<Self> {
        let mut members = Issues::default();
        for name in when.keys().filter(|name| !["cron", "zone", "missed"].contains(&name.as_str())).take(MAX_TOLD) {
            members.insert(name, Leaf::new("validation_unknown_field", "There is no such member."));
        }
        let text = |name: &str| match when.get(name) {
            None | Some(Json::Null) => Ok(""),
            Some(Json::String(text)) if text.len() <= 255 => Ok(text.as_str()),
            Some(_) => Err(invalid("Must be a text.")),
        };
        let mut read = |name: &str| {
            text(name).unwrap_or_else(|leaf| {
                members.insert(name, leaf);
                ""
            })
        };
        let (cron, zone, missed) = (read("cron"), read("zone"), read("missed"));
        let policy = MISSED.into_iter().find(|policy| *policy == missed || missed.is_empty() && *policy == "once");
        if policy.is_none() {
            members.insert("missed", invalid("Must be skip, once or all."));
        }
        if !zone.is_empty()
            && !members.contains("zone")
            && let Err(leaf) = find_zone(zone)
        {
            members.insert("zone", leaf);
        }
        if !members.contains("cron")
            && !members.contains("zone")
            && let Err(why) = Cron::parse(cron, if zone.is_empty() { "UTC" } else { zone })
        {
            members.insert("cron", Leaf::new("validation_invalid_value", why));
        }
        if !members.is_empty() {
            let issues: Issue = members.into();
            return Err(Error::field("when", issues));
        }
        let mut rest = body.clone();
        rest.shift_remove("when");
        let intent = Arc::new(Intent::parse(&rest, now)?);
        rest.shift_remove("key");
        let name = [&intent.key, &intent.title, &intent.template].into_iter().find(|name| !name.is_empty());
        let name = name.map_or_else(|| "notification".to_owned(), |name| name.chars().take(255).collect());
        let (cron, zone) = (cron.to_owned(), zone.to_owned());
        Ok(Self { name, cron, zone, missed: policy.unwrap_or("once"), body: rest, intent })
    }

    /// The schedule's id, and whether it was there before.
    fn add(&self, tx: &mut WriteTx<'_>, records: &Records) -> Result<(String, bool)> {
        if !self.intent.key.is_empty() {
            let sql = format!("SELECT id FROM {SCHEDULES} WHERE name = ?1 AND kind = 'cron' LIMIT 1");
            if let Some(id) = tx.query_one(&sql, [&self.intent.key], |row| row.get(0))? {
                return Ok((id, true));
            }
        }
        let text = |text: &str| Value::Text(text.to_owned());
        let columns = [
            ("name", text(&self.name)),
            ("active", Value::Integer(1)),
            ("kind", text("cron")),
            ("cron", text(&self.cron)),
            ("zone", text(&self.zone)),
            ("missed", text(self.missed)),
            ("notification", Value::Text(Json::Object(self.body.clone()).to_string())),
        ];
        Ok((records.bulk(tx).insert(SCHEDULES, &columns)?, false))
    }
}

#[cfg(test)]
mod tests;
