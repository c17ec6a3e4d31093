//! The log read again, with both images of every change, for readers that were not there when it happened.
//!
//! The log keeps what a change took away. What it made is told by the record's next change, or by its row today: so a
//! record is followed backwards from now.

use std::{
    collections::{HashMap, VecDeque},
    ops::ControlFlow,
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value as Json};

use super::Records;
use crate::{
    clock::Timestamp,
    db::{Change, Db, Kind, LogEntry, ReadTx, Row, Value},
    error::{Error, Result},
    schema::{Catalog, Collection, FieldKind},
};

/// Changes of one record that are gone through to find one of its states. A record that has changed more often since
/// cannot be told any more.
const MAX_STEPS: usize = 20_000;

/// Bytes of the log that are gone through for that. They are read one by one, so this bounds time and not memory.
const MAX_STEP_BYTES: usize = 256 << 20;

/// Bytes of images that are told at once; the reader asks again for the rest. Those that are found on the way there may
/// take as much again.
const MAX_BYTES: usize = 8 << 20;

/// A stretch of the log as if it happened now.
#[derive(Debug)]
pub struct Story {
    /// Sequence number and change, oldest first. Changes of collections that are gone are left out.
    pub changes: Vec<(u64, Arc<Change>)>,
    /// When each of them happened.
    pub times: Vec<Timestamp>,
    /// The number of the last entry that was read, also if it was left out.
    pub read: u64,
    /// False when the log cannot tell what came after the asked number: the reader has to start over.
    pub complete: bool,
}

/// The values of a row under field ids, as far as they are known.
pub(super) type Image = HashMap<String, Value>;

impl Records {
    /// Up to `limit` changes after `seq`.
    pub fn story(&self, tx: &ReadTx<'_>, catalog: &Catalog, seq: u64, limit: usize) -> Result<Story> {
        self.story_about(tx, catalog, seq, limit, |_| true)
    }

    /// What of up to `limit` changes after `seq` happened in the collections (ids) that are `wanted`. The others cost
    /// little.
    pub fn story_about(
        &self,
        tx: &ReadTx<'_>,
        catalog: &Catalog,
        seq: u64,
        limit: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Story> {
        let page = Db::read_after(tx, seq, limit)?;
        let mut story = Story { changes: Vec::new(), times: Vec::new(), read: seq, complete: page.complete };
        let mut pasts: HashMap<(String, String), Past> = HashMap::new();
        let end = page.entries.last().map_or(seq, |entry| entry.seq);
        let (mut bytes, mut found) = (0, 0);
        for entry in page.entries {
            let before = std::mem::replace(&mut story.read, entry.seq);
            let Some(collection) = catalog.by_id(&entry.collection).filter(|found| wanted(&found.id)) else { continue };
            let key = (entry.collection.clone(), entry.record.clone());
            let past = match pasts.entry(key) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    let room = MAX_BYTES.saturating_sub(found);
                    match self.past(tx, collection, &entry.record, entry.seq - 1, end, room)? {
                        Some(past) => {
                            found += past.bytes;
                            place.insert(past)
                        }
                        None => {
                            (story.complete, story.read) = (false, before);
                            return Ok(story);
                        }
                    }
                }
            };
            if entry.seq > past.until {
                story.read = before;
                break;
            }
            story.times.push(entry.at);
            let told = past.change(collection, entry);
            bytes += told.1.weight();
            story.changes.push(told);
            if bytes > MAX_BYTES || found > MAX_BYTES {
                break;
            }
        }
        Ok(story)
    }

    /// A record that was there after change number `seq`, as it was then, values under field ids; `None` if too much has
    /// happened to it since.
    pub fn row_at(&self, tx: &ReadTx<'_>, collection: &Arc<Collection>, record: &str, seq: u64) -> Result<Option<Row>> {
        let past = self.past(tx, collection, record, seq, seq, MAX_BYTES)?;
        Ok(past.and_then(|past| past.end).map(|image| row_of(collection, &image)))
    }

    /// The states of a record between two numbers; `None` when too much has happened to it since. Of those that take more
    /// than `room` bytes the oldest are kept, at least the first.
    fn past(
        &self,
        tx: &ReadTx<'_>,
        collection: &Arc<Collection>,
        record: &str,
        after: u64,
        end: u64,
        room: usize,
    ) -> Result<Option<Past>> {
        let table = self.tables.of(collection);
        let mut state = table.by_id(tx, record)?.map(|row| {
            let named = collection.fields.iter().zip(row.values);
            let public = named.filter(|(field, _)| !is_secret(collection, &field.name, &field.kind));
            public.map(|(field, value)| (field.id.clone(), value)).collect::<Image>()
        });
        let mut past = Past { until: end, bytes: weight(&state), end: state.clone(), befores: VecDeque::new() };
        let (mut steps, mut walked) = (0, 0);
        Db::changes_of(tx, &collection.id, record, after, |seq, kind, before| {
            (steps, walked) = (steps + 1, walked + before.len());
            if steps > MAX_STEPS || walked > MAX_STEP_BYTES {
                return Ok(ControlFlow::Break(()));
            }
            state = step_back(state.take(), kind, before)?;
            if seq > end {
                past.bytes = weight(&state);
                past.end = state.clone();
            } else {
                past.push(seq, state.clone(), room);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((steps <= MAX_STEPS && walked <= MAX_STEP_BYTES).then_some(past))
    }
}

/// What a record was in a stretch of the log.
struct Past {
    /// The last number of the stretch.
    until: u64,
    /// After the stretch.
    end: Option<Image>,
    /// Before each update and delete in it, newest first.
    befores: VecDeque<(u64, Option<Image>)>,
    /// Of all these images.
    bytes: usize,
}

impl Past {
    /// One state further back. If that is too much, the stretch ends earlier.
    fn push(&mut self, seq: u64, before: Option<Image>, room: usize) {
        self.bytes += weight(&before);
        self.befores.push_back((seq, before));
        while self.bytes > room
            && self.befores.len() > 1
            && let Some((newest, before)) = self.befores.pop_front()
        {
            self.bytes -= weight(&self.end);
            (self.until, self.end) = (newest - 1, before);
        }
    }

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

/// Bytes of an image in memory, roughly.
fn weight(image: &Option<Image>) -> usize {
    let outside = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
    };
    let entry = |(id, value): (&String, &Value)| id.len() + size_of::<(String, Value)>() + outside(value);
    image.iter().flatten().map(entry).sum()
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

/// The row that a delete took away, by field id.
pub(super) fn deleted(before: &str) -> Result<Image> {
    Ok(step_back(None, Kind::Delete, before)?.unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_that_is_too_much_ends_earlier() {
        let image = |number: i64| {
            let values = [("n", Value::Integer(number)), ("text", Value::Text("x".repeat(1000)))];
            Some(values.map(|(id, value)| (id.to_owned(), value)).into_iter().collect::<Image>())
        };
        let one = weight(&image(0));
        // Change number n made n of n - 1; it is followed back from 100.
        for (room, expected) in [(200 * one, 100), (10 * one, 9), (one, 1), (0, 1)] {
            let mut past = Past { until: 100, end: image(100), befores: VecDeque::new(), bytes: one };
            for seq in (1..=100).rev() {
                past.push(seq, image(i64::try_from(seq).unwrap() - 1), room);
                assert!(past.bytes <= room.max(2 * one) && past.bytes == one * (past.befores.len() + 1));
            }
            assert_eq!(past.until, expected);
            for seq in 1..=expected {
                let number = i64::try_from(seq).unwrap();
                assert_eq!((past.before(seq), past.after(seq)), (image(number - 1), image(number)), "{seq}");
            }
        }
    }
}
