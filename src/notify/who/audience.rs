//! `to` as recipients, a batch at a time: how many there are is nobody's concern but the cursor's.
//!
//! Each entry is read in the order of a key, so that the cursor (entry, last key) continues where the batch before ended,
//! in another process if need be. Who comes in meanwhile behind the cursor is left out, who comes in before it is not; a
//! recipient who is in two entries is found twice, and the unique index of deliveries decides.

use rusqlite::params_from_iter;
use serde::{Deserialize, Serialize};

use super::Recipient;
use crate::{
    clock::Timestamp,
    db::{ReadTx, quote_ident},
    error::{Kind, Leaf, Result},
    identity::Caller,
    notify::{collections, intent::To},
    rules::{Located, Purpose, Query, Request, locate},
    schema::{Catalog, Collection},
};

/// Recipients of one batch.
pub const BATCH: usize = 200;
/// Reasons that are kept of entries and recipients that are passed over.
const MAX_TOLD: usize = 10;
/// Characters of one of them.
const MAX_WORDS: usize = 160;

/// How far an audience has been read. Small, whatever the audience.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    /// Index of the entry that is being read.
    pub entry: usize,
    /// Key of the last one that was read of it; blank at its beginning.
    pub after: String,
    /// Collection of the last subscriber that was read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub of: String,
    /// How many were passed over.
    pub skipped: u64,
    /// Why: of the first few.
    pub why: Vec<String>,
}

impl Cursor {
    /// The stored form. Its length changes seldom: so SQLite rewrites the page that it lies on, and not the whole row with
    /// its long texts.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("texts and numbers are always JSON");
        let full = text.len().next_multiple_of(256);
        text.extend(std::iter::repeat_n(' ', full - text.len()));
        text
    }

    /// What was stored; the beginning for what never was a cursor.
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Passes somebody or something over.
    pub fn skip(&mut self, what: &dyn std::fmt::Display, why: &str) {
        self.skipped += 1;
        if self.why.len() < MAX_TOLD {
            let told = format!("{what}: {why}");
            self.why.push(told.chars().filter(|char| !char.is_control()).take(MAX_WORDS).collect());
        }
    }

    fn next_entry(&mut self) {
        self.entry += 1;
        self.after.clear();
        self.of.clear();
    }
}

/// A part of an audience.
#[derive(Debug, Default)]
pub struct Batch {
    pub recipients: Vec<Recipient>,
    /// Where the next one begins.
    pub next: Cursor,
    /// There is no next one.
    pub over: bool,
}

/// Who is meant by `to`, as the data is in this snapshot.
pub struct Audience<'a> {
    pub tx: &'a ReadTx<'a>,
    pub catalog: &'a Catalog,
    pub to: &'a [To],
}

impl Audience<'_> {
    /// Up to `limit` recipients from `cursor` on. Nobody may be among them and more to come: the read is bounded by the
    /// entries that it looks at, too.
    pub fn batch(&self, cursor: &Cursor, limit: usize) -> Result<Batch> {
        let mut batch = Batch { next: cursor.clone(), ..Batch::default() };
        let mut looked_at = 0;
        while batch.recipients.len() < limit && looked_at < limit {
            let Some(entry) = self.to.get(batch.next.entry) else { break };
            self.read(entry, limit, &mut batch)?;
            looked_at += 1;
        }
        batch.over = batch.next.entry >= self.to.len();
        Ok(batch)
    }

    fn read(&self, entry: &To, limit: usize, batch: &mut Batch) -> Result<()> {
        let room = limit - batch.recipients.len();
        match entry {
            To::Address(address) => batch.recipients.push(Recipient::Address(address.as_str().into())),
            To::Account { collection, id } => match self.accounts(collection) {
                Ok(found) if self.is_there(found, id)? => batch.recipients.push(account(found, id)),
                Ok(_) => batch.next.skip(entry, "there is no such account"),
                Err(why) => batch.next.skip(entry, why),
            },
            To::Topic(key) => match self.topic(key)? {
                Some(topic) => return self.subscribers(&topic, room, batch),
                None => batch.next.skip(entry, "there is no such topic"),
            },
            To::Filter { collection, filter } => match self.accounts(collection) {
                Ok(found) => return self.matching(entry, found, filter, room, batch),
                Err(why) => batch.next.skip(entry, why),
            },
            To::Field(_) => batch.next.skip(entry, "only a schedule that follows changes can name a field"),
        }
        batch.next.next_entry();
        Ok(())
    }

    fn accounts(&self, name: &str) -> Result<&Collection, &'static str> {
        let found = self.catalog.find(name).ok_or("there is no such collection")?;
        if found.is_auth() { Ok(found) } else { Err("the collection has no accounts") }
    }

    fn is_there(&self, collection: &Collection, id: &str) -> Result<bool> {
        let sql = format!("SELECT 1 FROM {} WHERE `id` = ?1", quote_ident(&collection.name));
        Ok(self.tx.query_one(&sql, [id], |_| Ok(()))?.is_some())
    }

    /// Id of a topic.
    fn topic(&self, key: &str) -> Result<Option<String>> {
        let sql = format!("SELECT `id` FROM {} WHERE `key` = ?1", collections::TOPICS);
        self.tx.query_one(&sql, [key], |row| row.get(0))
    }

    /// Subscribers in the order of the unique index. Accounts that are gone are passed over.
    fn subscribers(&self, topic: &str, room: usize, batch: &mut Batch) -> Result<()> {
        let sql = format!(
            "SELECT `collectionRef`, `recordRef` FROM {} \
             WHERE `topic` = ?1 AND (`collectionRef`, `recordRef`) > (?2, ?3) \
             ORDER BY `collectionRef`, `recordRef` LIMIT ?4",
            collections::SUBSCRIPTIONS
        );
        let next = &mut batch.next;
        let params = rusqlite::params![topic, next.of, next.after, bound(room)];
        let found: Vec<(String, String)> = self.tx.query_all(&sql, params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (collection, id) in &found {
            match self.catalog.by_id(collection).filter(|collection| collection.is_auth()) {
                Some(known) if self.is_there(known, id)? => batch.recipients.push(account(known, id)),
                Some(_) => next.skip(&format_args!("subscriber {id}"), "the account is gone"),
                None => {
                    let why = format!("{collection} is no id of a collection with accounts");
                    next.skip(&format_args!("subscriber {id}"), &why);
                }
            }
        }
        let full = found.len() == room;
        match found.into_iter().next_back() {
            Some((collection, id)) if full => (next.of, next.after) = (collection, id),
            _ => next.next_entry(),
        }
        Ok(())
    }

    /// Accounts that match a filter, in the order of their ids.
    fn matching(
        &self,
        entry: &To,
        collection: &Collection,
        filter: &str,
        room: usize,
        batch: &mut Batch,
    ) -> Result<()> {
        let request = house(self.tx.now());
        let mut query = Query::new(self.catalog, collection, &request);
        query.and_after(&batch.next.after);
        let compiled = query.and_filter(filter).and_then(|()| query.sort("id"));
        if let Err(error) = compiled {
            if error.kind != Kind::Invalid {
                return Err(error);
            }
            let fault = locate(self.catalog, collection, filter, Purpose::Filter).map(|fault| fault.message);
            let why = fault.unwrap_or_else(|| "it cannot be read".to_owned());
            batch.next.skip(entry, &format!("the filter is not valid: {why}"));
            batch.next.next_entry();
            return Ok(());
        }
        let sql = query.select(&["id"], Some(u64::from(bound(room))), 0);
        let found: Vec<String> = self.tx.query_all(&sql.text, params_from_iter(&sql.params), |row| row.get(0))?;
        batch.recipients.extend(found.iter().map(|id| account(collection, id)));
        let full = found.len() == room;
        match found.into_iter().next_back() {
            Some(last) if full => batch.next.after = last,
            _ => batch.next.next_entry(),
        }
        Ok(())
    }
}

/// What is wrong with an entry, as far as it can be told before anybody is looked for; what is wrong with us fails.
pub fn check(catalog: &Catalog, to: &To, now: Timestamp) -> Result<Option<Leaf>> {
    let invalid = |message: &'static str| Ok(Some(Leaf::new("validation_invalid_value", message)));
    match to {
        To::Address(_) | To::Topic(_) | To::Field(_) => Ok(None),
        To::Account { collection, .. } | To::Filter { collection, .. } => match catalog.find(collection) {
            None => invalid("There is no such collection."),
            Some(found) if !found.is_auth() => invalid("The collection has no accounts."),
            Some(found) => match to {
                To::Filter { filter, .. } => check_filter(catalog, found, filter, now),
                _ => Ok(None),
            },
        },
    }
}

/// What is wrong with a filter over a collection, and where: `from` and `to` count as JavaScript does.
pub fn check_filter(catalog: &Catalog, collection: &Collection, filter: &str, now: Timestamp) -> Result<Option<Leaf>> {
    let code = "validation_invalid_value";
    if let Some(Located { message, place }) = locate(catalog, collection, filter, Purpose::Filter) {
        let words = format!("The filter is not valid at character {}: {message}.", place.start + 1);
        return Ok(Some(Leaf::new(code, words).param("from", place.start).param("to", place.end)));
    }
    match Query::new(catalog, collection, &house(now)).and_filter(filter) {
        Err(error) if error.kind == Kind::Invalid => Ok(Some(Leaf::new(code, error.message))),
        compiled => compiled.map(|()| None),
    }
}

/// Filters are a superuser's: they see everything.
fn house(now: Timestamp) -> Request {
    Request { caller: Caller::system(), now, ..Request::default() }
}

fn account(collection: &Collection, id: &str) -> Recipient {
    Recipient::Account { collection: collection.id.clone(), record: id.into() }
}

fn bound(room: usize) -> u32 {
    u32::try_from(room).unwrap_or(u32::MAX)
}
