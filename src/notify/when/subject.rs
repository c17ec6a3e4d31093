//! From a schedule to a notification: its intent, with the record that it is about.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json, json};

use super::definition::{Definition, Follow, Naming};
use crate::{
    address,
    clock::Timestamp,
    db::{Kind, Row, Value},
    notify::{
        Channel,
        intent::{Intent, MAX_DATA, Step, To, Unless},
        when::When,
    },
    records::Records,
    schema::{
        Catalog, Collection, FieldKind,
        field::value::{list, scalar},
    },
};

/// Bytes of `data` that are left for what a template gets besides the record.
const MARGIN: usize = 1 << 10;

/// A column of `_notifications` with its value.
pub(super) type Column = (&'static str, Value);

/// What a recurring schedule sends for one of its times. Under this key it cannot be sent twice.
pub(super) fn of_time(definition: &Definition, planned: Timestamp, key: &str) -> Vec<Column> {
    let mut intent = definition.intent.clone();
    let about = json!({"id": definition.id, "name": definition.name, "planned": planned.to_string()});
    intent.data.insert("schedule".to_owned(), about);
    let own = if intent.key.is_empty() { format!("schedule:{}", definition.id) } else { intent.key };
    intent.key = format!("{own}:{key}");
    with(&intent, &definition.id, "", "")
}

/// A change that a schedule follows.
pub(super) struct Subject<'a> {
    pub catalog: &'a Catalog,
    pub collection: &'a Arc<Collection>,
    /// The record after the change; what was deleted.
    pub row: &'a Row,
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    pub now: Timestamp,
}

impl Subject<'_> {
    /// What a schedule sends for it, as columns of `_notifications`; `None` if the record names nobody.
    pub fn notification(&self, records: &Records, definition: &Definition, follow: &Follow) -> Option<Vec<Column>> {
        let record = self.row.text("id").unwrap_or_default();
        let mut intent = definition.intent.clone();
        intent.to = self.recipients(&intent.to);
        if intent.to.is_empty() {
            return None;
        }
        if definition.any_channel && intent.to.iter().all(|to| matches!(to, To::Address(_))) {
            intent.channels = vec![Step { channel: Channel::Email, after: Duration::ZERO, unless: None }];
        }
        if !intent.key.is_empty() {
            // One for each record.
            intent.key = format!("{}:{record}", intent.key);
        }
        if let Some(delay) = follow.delay {
            let due = self.at.plus(delay);
            // What is late is not refused for it.
            intent.when = if due > self.now { When::At(due) } else { When::Now };
        }
        if !follow.unless.is_empty() {
            let collection = self.collection.name.to_string();
            intent.unless = Some(Unless { collection, record: record.to_owned(), filter: follow.unless.clone() });
        }
        self.tell(records, definition, &mut intent.data);
        Some(with(&intent, &definition.id, &self.collection.id, record))
    }

    /// The same people are named once.
    fn recipients(&self, to: &[To]) -> Vec<To> {
        let mut found: Vec<To> = Vec::new();
        for to in to {
            let named = match to {
                To::Field(field) => self.named_by(field),
                other => vec![other.clone()],
            };
            for to in named {
                if !found.contains(&to) {
                    found.push(to);
                }
            }
        }
        found
    }

    fn named_by(&self, field: &str) -> Vec<To> {
        let Some(value) = self.row.get(field) else { return Vec::new() };
        match Naming::of(field, self.catalog, self.collection) {
            Some(Naming::Accounts(collection)) => {
                let account = |id| To::Account { collection: collection.to_string(), id };
                list::read(value).into_iter().filter(|id| !id.is_empty()).map(account).collect()
            }
            Some(Naming::Address) => {
                let address = scalar::stored_text(value).to_lowercase();
                if address::is_email(&address) { vec![To::Address(address)] } else { Vec::new() }
            }
            None => Vec::new(),
        }
    }

    /// What templates know of it. Of a record that is too large the largest fields are left out.
    fn tell(&self, records: &Records, definition: &Definition, data: &mut Map<String, Json>) {
        let action = match self.kind {
            Kind::Create => "create",
            Kind::Update => "update",
            Kind::Delete => "delete",
        };
        data.insert("schedule".to_owned(), json!({"id": definition.id, "name": definition.name}));
        data.insert("action".to_owned(), action.into());
        let known = Json::Object(data.clone()).to_string().len();
        let room = MAX_DATA.saturating_sub(known + MARGIN);
        data.insert("record".to_owned(), Json::Object(within(shown(records, self.collection, self.row), room)));
    }
}

/// A record without hidden fields. An address that its owner does not show is not told to others.
fn shown(records: &Records, collection: &Arc<Collection>, row: &Row) -> Map<String, Json> {
    let rendered = records.visible(collection, row);
    let mut members = match serde_json::from_slice(&rendered) {
        Ok(Json::Object(members)) => members,
        _ => Map::new(),
    };
    if collection.is_auth() && !matches!(row.get("emailVisibility"), Some(Value::Integer(shown)) if *shown != 0) {
        members.remove("email");
    }
    members
}

fn within(mut members: Map<String, Json>, room: usize) -> Map<String, Json> {
    let mut sizes: Vec<(usize, String)> =
        members.iter().map(|(name, value)| (name.len() + value.to_string().len() + 4, name.clone())).collect();
    let mut total: usize = sizes.iter().map(|(size, _)| size).sum();
    sizes.sort_unstable();
    while total > room
        && let Some((size, name)) = sizes.pop()
    {
        members.remove(&name);
        total -= size;
    }
    members
}

/// All fields but secrets, as rules see a submitted body.
pub(super) fn whole(collection: &Collection, row: &Row) -> Map<String, Json> {
    let mut members = Map::new();
    for field in &collection.fields {
        let secret = matches!(field.kind, FieldKind::Password(_)) || collection.is_auth() && field.name == "tokenKey";
        let Some(value) = row.get(&field.name).filter(|_| !secret) else { continue };
        let mut json = Vec::new();
        field.kind.as_type().write_json(value.into(), &mut json);
        if let Ok(value) = serde_json::from_slice(&json) {
            members.insert(field.name.clone(), value);
        }
    }
    members
}

fn with(intent: &Intent, schedule: &str, collection: &str, record: &str) -> Vec<Column> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut columns = intent.columns();
    columns.extend([
        ("schedule", text(schedule)),
        ("sourceCollection", text(collection)),
        ("sourceRecord", text(record)),
    ]);
    columns
}
