//! What a row of `_schedules` says, read once: a recurring time or a kind of change, and what is sent then.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

use super::span;
use crate::{
    clock::Timestamp,
    db::{Kind, Row, Value},
    error::{Error, Leaf},
    identity::Caller,
    jobs::cron::{Cron, Missed},
    notify::{
        collections,
        intent::{Intent, To},
        what::compile,
    },
    rules::{Query, Request},
    schema::{Catalog, Collection, FieldKind, field::value::scalar},
};

/// Runs that are made up for when the server was away for long.
const MAX_MISSED: u16 = 100;
/// Characters of a key in the body of a schedule: what tells its notifications apart is put behind it.
const MAX_KEY: usize = 160;
/// Bytes of a condition, as of every filter.
const MAX_RULE: usize = 3_500;
/// Changes of these are made by sending: whoever is told of them would never be done.
const OF_SENDING: [&str; 4] =
    [collections::NOTIFICATIONS, collections::DELIVERIES, collections::INBOX, collections::SCHEDULES];

/// A schedule that makes sense.
#[derive(Debug)]
pub(super) struct Definition {
    pub id: String,
    pub name: String,
    pub sets_off: SetsOff,
    pub intent: Intent,
    /// The body leaves the channels to the house: which ones it takes depends on who is named.
    pub any_channel: bool,
}

/// What sets a schedule off.
#[derive(Debug)]
pub(super) enum SetsOff {
    /// A recurring time.
    Time { cron: Cron, missed: Missed },
    /// A change of a record.
    Change(Follow),
}

/// Which changes, and what follows from them.
#[derive(Debug)]
pub(super) struct Follow {
    /// Id of the collection.
    pub collection: Arc<str>,
    pub action: Kind,
    /// A rule; blank holds always.
    pub condition: String,
    pub delay: Option<Duration>,
    /// Cancels while it is pending; blank never does.
    pub unless: String,
}

impl Definition {
    /// Reads a row, values under column names. The error is for whoever wrote it.
    pub fn read(row: &Row, catalog: &Catalog, default_zone: &str, now: Timestamp) -> Result<Self, String> {
        let text = |column| row.text(column).unwrap_or_default();
        let sets_off = match text("kind") {
            "cron" => SetsOff::Time { cron: cron(row, default_zone)?, missed: missed(text("missed")) },
            "change" => SetsOff::Change(Follow::read(row, catalog, now)?),
            other => return Err(format!("kind: \"{other}\" is neither cron nor change.")),
        };
        let (intent, any_channel) = intent(row, now)?;
        match &sets_off {
            SetsOff::Change(follow) => follow.check(&intent, catalog)?,
            SetsOff::Time { .. } if intent.to.iter().any(|to| matches!(to, To::Field(_))) => {
                return Err("notification.to: only changes have a record whose fields name recipients.".to_owned());
            }
            SetsOff::Time { .. } => {}
        }
        Ok(Self { id: text("id").to_owned(), name: text("name").to_owned(), sets_off, intent, any_channel })
    }

    /// What it follows, if it follows changes.
    pub fn follow(&self) -> Option<&Follow> {
        match &self.sets_off {
            SetsOff::Change(follow) => Some(follow),
            SetsOff::Time { .. } => None,
        }
    }
}

impl Follow {
    fn read(row: &Row, catalog: &Catalog, now: Timestamp) -> Result<Self, String> {
        let text = |column| row.text(column).unwrap_or_default();
        let name = text("collection");
        let collection = catalog.find(name).ok_or_else(|| format!("collection: there is none called \"{name}\"."))?;
        if collection.is_view() {
            return Err(format!("collection: {name} is a view, which has no changes of its own."));
        }
        if OF_SENDING.contains(&&*collection.name) {
            return Err(format!("collection: {name} changes when notifications are sent; that would never end."));
        }
        let action = match text("action") {
            "create" => Kind::Create,
            "update" => Kind::Update,
            "delete" => Kind::Delete,
            _ => return Err("action: is needed: create, update or delete.".to_owned()),
        };
        let delay = match text("delay") {
            "" => None,
            text => Some(span::parse(text).map_err(|leaf| format!("delay: {}", leaf.message))?),
        };
        let (condition, unless) = (text("condition").to_owned(), text("unless").to_owned());
        if action == Kind::Delete && !unless.is_empty() {
            return Err("unless: a record that is deleted satisfies nothing later.".to_owned());
        }
        check_rule("condition", &condition, catalog, collection, now)?;
        check_rule("unless", &unless, catalog, collection, now)?;
        Ok(Self { collection: collection.id.clone(), action, condition, delay, unless })
    }

    fn check(&self, intent: &Intent, catalog: &Catalog) -> Result<(), String> {
        if self.delay.is_some() && intent.when != super::When::Now {
            return Err("delay: is there, and notification.when as well; one of the two says when.".to_owned());
        }
        if !self.unless.is_empty() && intent.unless.is_some() {
            return Err("unless: is there, and notification.unless as well; one of the two counts.".to_owned());
        }
        let collection = catalog.by_id(&self.collection).ok_or("collection: is gone.")?;
        let fields = intent.to.iter().filter_map(|to| if let To::Field(name) = to { Some(name) } else { None });
        for name in fields {
            if Naming::of(name, catalog, collection).is_none() {
                let needed = "a relation to accounts, an e-mail address, or the id of an account";
                return Err(format!("notification.to: {name} is no field that names somebody: {needed}."));
            }
        }
        Ok(())
    }

    /// Whether what it sends may be cancelled before it is sent: nothing is pending for long otherwise.
    pub fn waits(&self, intent: &Intent) -> bool {
        let chain = intent.channels.iter().any(|step| !step.after.is_zero());
        let digest = intent.digest.is_some();
        self.delay.is_some() || intent.when != super::When::Now || chain || digest || !self.unless.is_empty()
    }
}

/// How a field of a record names recipients.
pub(super) enum Naming {
    /// By ids of accounts of this collection (name).
    Accounts(Arc<str>),
    Address,
}

impl Naming {
    pub fn of(field: &str, catalog: &Catalog, collection: &Collection) -> Option<Self> {
        let found = collection.field(field)?;
        match &found.kind {
            FieldKind::Relation(relation) => {
                let target = catalog.by_id(&relation.collection_id).filter(|target| target.is_auth())?;
                Some(Self::Accounts(target.name.clone()))
            }
            FieldKind::Email(_) => Some(Self::Address),
            _ if field == "id" && collection.is_auth() => Some(Self::Accounts(collection.name.clone())),
            _ => None,
        }
    }
}

/// How conditions are judged: with all rights. `before` is the record before an update, as `@request.body`.
pub(super) fn request(now: Timestamp, before: Map<String, Json>) -> Request {
    Request { caller: Caller::system(), body: before, now, ..Request::default() }
}

/// Whether an active row.
pub(super) fn is_active(row: &Row) -> bool {
    row.get("active").is_some_and(|value| scalar::stored_float(value) != 0.0)
}

fn cron(row: &Row, default_zone: &str) -> Result<Cron, String> {
    let text = |column| row.text(column).unwrap_or_default();
    let zone = Some(text("zone")).filter(|zone| !zone.is_empty()).unwrap_or(default_zone);
    super::zone::find(zone).map_err(|leaf| format!("zone: {}", leaf.message))?;
    Cron::parse(text("cron"), zone).map_err(|message| format!("cron: {message}"))
}

/// Unless said otherwise, what was missed is made up for once.
fn missed(policy: &str) -> Missed {
    match policy {
        "skip" => Missed::Skip,
        "all" => Missed::All(MAX_MISSED),
        _ => Missed::Once,
    }
}

/// What it sends, and whether it leaves the channels to the house.
fn intent(row: &Row, now: Timestamp) -> Result<(Intent, bool), String> {
    let stored = row.get("notification").map(scalar::stored_text).unwrap_or_default();
    let body = match serde_json::from_str(stored) {
        Ok(Json::Object(body)) => body,
        _ => return Err("notification: must be an object, the body of a send.".to_owned()),
    };
    let intent = Intent::parse_scheduled(&body, now).map_err(|error| told(&error))?;
    if let Some(Err(broken)) = intent.texts().map(|texts| compile(&texts)) {
        return Err(format!("notification.{}: {}", broken.field, Leaf::from(&broken).message));
    }
    if intent.key.len() > MAX_KEY {
        return Err(format!("notification.key: {MAX_KEY} bytes at most."));
    }
    Ok((intent, body.get("channels").is_none_or(|channels| channels.as_array().is_none_or(Vec::is_empty))))
}

/// Every failed member of the body with its words.
fn told(error: &Error) -> String {
    let Ok(issues) = serde_json::to_value(&error.issues) else { return error.message.to_string() };
    let mut words = Vec::new();
    collect("notification", &issues, &mut words);
    if words.is_empty() { error.message.to_string() } else { words.join(" ") }
}

fn collect(path: &str, issue: &Json, words: &mut Vec<String>) {
    match (issue.get("code"), issue.get("message").and_then(Json::as_str), issue) {
        (Some(Json::String(_)), Some(message), _) => words.push(format!("{path}: {message}")),
        (_, _, Json::Object(members)) => {
            members.iter().for_each(|(name, inner)| collect(&format!("{path}.{name}"), inner, words));
        }
        _ => {}
    }
}

fn check_rule(
    name: &str,
    rule: &str,
    catalog: &Catalog,
    collection: &Collection,
    now: Timestamp,
) -> Result<(), String> {
    if rule.len() > MAX_RULE {
        return Err(format!("{name}: {MAX_RULE} bytes at most."));
    }
    let columns: Arc<[Arc<str>]> = collection.fields.iter().map(|field| Arc::from(field.name.as_str())).collect();
    let values: Vec<Value> = collection.fields.iter().map(|field| field.kind.as_type().zero()).collect();
    let (row, request) = (Row { columns, values }, request(now, Map::new()));
    let mut query = Query::over_new_row(catalog, collection, &request, &row);
    query.and_rule(rule).map_err(|error| {
        let why = error.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        format!("{name}: {}{why}", error.message)
    })
}
