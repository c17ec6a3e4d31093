//! The log read again, with both images of every change, for readers that were not there when it happened.
//!
//! The log keeps what a change took away. What it made is told by the record's next change, or by its row today: so a
//! record is followed backwards from now.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value as Json};

use super::Records;
use crate::{
    db::{Change, Db, Kind, LogEntry, ReadTx, Row, Value},
    error::{Error, Result},
    schema::{Catalog, Collection, FieldKind},
};

/// Changes of one record that are gone through to find one of its states. A record that has changed more often since
/// cannot be told any more.
const MAX_STEPS: usize = 20_000;

/// Bytes of images that are told at once; the reader asks again for the rest.
const MAX_BYTES: usize = 8 << 20;

/// A stretch of the log as if it happened now.
#[derive(Debug)]
pub struct Story {
    /// Sequence number and change, oldest first. Changes of collections that are gone are left out.
    pub changes: Vec<(u64, Arc<Change>)>,
    /// The number of the last entry that was read, also if it was left out.
    pub read: u64,
    /// False when the log cannot tell what came after the asked number: the reader has to start over.
    pub complete: bool,
    /// The newest number of the snapshot.
    pub last: u64,
}

/// The values of a row under field ids, as far as they are known.
type Image = HashMap<String, Value>;

impl Records {
    /// Up to `limit` changes after `seq`.
    pub fn story(&self, tx: &ReadTx<'_>, catalog: &Catalog, seq: u64, limit: usize) -> Result<Story> {
        let page = Db::read_after(tx, seq, limit)?;
        let mut story = Story { changes: Vec::new(), read: seq, complete: page.complete, last: page.last };
        let mut pasts: HashMap<(String, String), Past> = HashMap::new();
        let end = page.entries.last().map_or(seq, |entry| entry.seq);
        let mut bytes = 0;
        for entry in page.entries {
            let before = std::mem::replace(&mut story.read, entry.seq);
            let Some(collection) = catalog.by_id(&entry.collection) else { continue };
            let key = (entry.collection.clone(), entry.record.clone());
            let past = match pasts.entry(key) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    match self.past(tx, collection, &entry.record, entry.seq - 1, end)? {
                        Some(past) => place.insert(past),
                        None => {
                            (story.complete, story.read) = (false, before);
                            return Ok(story);
                        }
                    }
                }
            };
            let told = past.change(collection, entry);
            bytes += told.1.weight();
            story.changes.push(told);
            if bytes > MAX_BYTES {
                break;
            }
        }
        Ok(story)
    }

    /// The states of a record between two numbers; `None` when too much has happened to it since.
    fn past(
        &self,
        tx: &ReadTx<'_>,
        collection: &Arc<Collection>,
        record: &str,
        after: u64,
        end: u64,
    ) -> Result<Option<Past>> {
        let table = self.tables.of(collection);
        let mut state = table.by_id(tx, record)?.map(|row| {
            let named = collection.fields.iter().zip(row.values);
            let public = named.filter(|(field, _)| !is_secret(collection, &field.name, &field.kind));
            public.map(|(field, value)| (field.id.clone(), value)).collect::<Image>()
        });
        let later = Db::changes_of(tx, &collection.id, record, after, MAX_STEPS + 1)?;
        if later.len() > MAX_STEPS {
            return Ok(None);
        }
        let mut past = Past { end: state.clone(), befores: Vec::new() };
        for (seq, kind, before) in later {
            state = step_back(state, kind, &before)?;
            if seq > end {
                past.end = state.clone();
            } else {
                past.befores.push((seq, state.clone()));
            }
        }
        Ok(Some(past))
    }
}

/// What a record was in a stretch of the log.
struct Past {
    /// After the stretch.
    end: Option<Image>,
    /// Before each update and delete in it, newest first.
    befores: Vec<(u64, Option<Image>)>,
}

impl Past {
    fn after(&self, seq: u64) -> Option<Image> {
        let next = self.befores.iter().take_while(|(later, _)| *later > seq).last();
        next.map_or_else(|| self.end.clone(), |(_, image)| image.clone())
    }

    fn before(&self, seq: u64) -> Option<Image> {
        self.befores.iter().find(|(at, _)| *at == seq).and_then(|(_, image)| image.clone())
    }

    /// One entry with both images.
    fn change(&self, collection: &Collection, entry: LogEntry) -> (u64, Arc<Change>) {
        let old = if entry.kind == Kind::Create { None } else { self.before(entry.seq) };
        let new = if entry.kind == Kind::Delete { None } else { self.after(entry.seq) };
        let row = |image: Image| Arc::new(row_of(collection, &image));
        let change = Change {
            collection: collection.id.clone(),
            record: entry.record,
            kind: entry.kind,
            old: old.map(row),
            new: new.map(row),
            actor: entry.actor,
            mutation: entry.mutation,
        };
        (entry.seq, Arc::new(change))
    }
}

/// The state before a change, from the one after it and what it took away.
fn step_back(after: Option<Image>, kind: Kind, before: &str) -> Result<Option<Image>> {
    let taken: Map<String, Json> = serde_json::from_str(before).map_err(unreadable)?;
    let mut image = match kind {
        Kind::Delete => Image::new(),
        Kind::Create => return Ok(None),
        Kind::Update => after.unwrap_or_default(),
    };
    for (id, value) in taken {
        image.insert(id, stored(value)?);
    }
    Ok(Some(image))
}

/// A value of an image as it was stored (`db/image.rs` wrote it).
fn stored(value: Json) -> Result<Value> {
    Ok(match value {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Real(number.as_f64().ok_or_else(|| unreadable("a number"))?),
        },
        Json::Object(blob) => {
            let text = blob.get("$blob").and_then(Json::as_str).ok_or_else(|| unreadable("an object"))?;
            Value::Blob(BASE64_STANDARD.decode(text).map_err(unreadable)?)
        }
        Json::Bool(_) | Json::Array(_) => return Err(unreadable("a value")),
    })
}

fn row_of(collection: &Collection, image: &Image) -> Row {
    let known =
        collection.fields.iter().filter_map(|field| Some((Arc::from(field.id.as_str()), image.get(&field.id)?)));
    let (columns, values): (Vec<Arc<str>>, Vec<Value>) = known.map(|(id, value)| (id, value.clone())).unzip();
    Row { columns: columns.into(), values }
}

/// What never enters the log.
fn is_secret(collection: &Collection, name: &str, kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Password(_)) || collection.is_auth() && name == "tokenKey"
}

fn unreadable(what: impl std::fmt::Display) -> Error {
    Error::internal(anyhow::anyhow!("the change log cannot be read: {what}"))
}
