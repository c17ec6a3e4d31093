//! The way out that stands in every mail of a category, for people and for the programs that they read mails with
//! (RFC 8058). Whoever holds the link may use it: they need not sign in.
//!
//! An account's preferences take it down, as if its owner had set them; a bare address has a row of the suppression list.
//! What is already waiting does not go out either.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Map, Value as Json};

use super::{
    Channel, Notify, State,
    collections::PREFERENCES,
    suppression,
    whether::{Profile, Reason, profile::Stored},
    who::Recipient,
    withdraw::withdraw,
};
use crate::{
    clock::Timestamp,
    db::{ReadTx, Value, WriteTx, quote_ident},
    error::{Error, Result},
    records::Records,
};

/// Changes that one link may make within [`SPAN`].
const MOST: u32 = 20;
const SPAN: Duration = Duration::from_secs(3600);
/// Links that are counted at the same time; then all counts begin anew.
const COUNTED: usize = 10_000;
/// Deliveries that are called back in one transaction.
const AT_ONCE: usize = 500;

/// Counts what links change, so that none is a way to keep the writer busy.
#[derive(Default)]
pub struct Bound {
    counts: Mutex<HashMap<u64, (Timestamp, u32)>>,
    hasher: RandomState,
}

impl Bound {
    /// `TooMany` when this link has changed too much lately.
    fn admit(&self, recipient: &Recipient, category: &str, now: Timestamp) -> Result<()> {
        let key = self.hasher.hash_one((recipient, category));
        let mut counts = self.counts.lock();
        if counts.len() >= COUNTED && !counts.contains_key(&key) {
            counts.clear();
        }
        let (since, count) = counts.entry(key).or_insert((now, 0));
        if since.plus(SPAN) <= now || now < *since {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        match *count > MOST {
            true => Err(Error::too_many("That was tried too often.", now.until(since.plus(SPAN)))),
            false => Ok(()),
        }
    }
}

impl Notify {
    /// Whether the mails of this category do not reach the recipient any more.
    pub async fn is_unsubscribed(&self, recipient: &Recipient, category: &str) -> Result<bool> {
        let (recipient, category) = (recipient.clone(), category.to_owned());
        self.rooms.db.read(move |tx| is_out(tx, &recipient, &category)).await
    }

    /// Ends the mails of a category to a recipient, those that wait included. Again changes nothing.
    pub async fn unsubscribe(&self, recipient: &Recipient, category: &str) -> Result<()> {
        self.change(recipient, category, false).await?;
        loop {
            let (records, recipient, category) = (self.rooms.records.clone(), recipient.clone(), category.to_owned());
            let called_back = self.rooms.db.write(move |tx| call_back(&records, tx, &recipient, &category)).await?;
            if called_back < AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Lets them through again. What was called back stays so.
    pub async fn resubscribe(&self, recipient: &Recipient, category: &str) -> Result<()> {
        self.change(recipient, category, true).await
    }

    async fn change(&self, recipient: &Recipient, category: &str, wanted: bool) -> Result<()> {
        if self.is_unsubscribed(recipient, category).await? != wanted {
            return Ok(());
        }
        self.unsubscribing.admit(recipient, category, self.rooms.clock.now())?;
        let (records, recipient, category) = (self.rooms.records.clone(), recipient.clone(), category.to_owned());
        let write = move |tx: &mut WriteTx<'_>| match (&recipient, wanted) {
            (Recipient::Account { collection, record }, _) => {
                set_preference(&records, tx, collection, record, &category, wanted)
            }
            (Recipient::Address(address), false) => {
                suppression::unsubscribe(&records, tx, address, &category).map(drop)
            }
            (Recipient::Address(address), true) => suppression::resubscribe(&records, tx, address, &category).map(drop),
        };
        self.rooms.db.write(write).await
    }
}

/// Whether mails of the category are stopped, by what their owner said or by the list.
fn is_out(tx: &ReadTx<'_>, recipient: &Recipient, category: &str) -> Result<bool> {
    match recipient {
        Recipient::Account { collection, record } => {
            let channels = preference(tx, collection, record)?.map(|(_, channels)| channels).unwrap_or_default();
            let stored = Stored { channels: &channels, ..Stored::default() };
            Ok(!Profile::parse(&stored).wants(category, Channel::Email))
        }
        Recipient::Address(address) => {
            let sql = "SELECT reason, note FROM _suppressions WHERE address = ?1";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let found = tx.query_one(sql, [suppression::key(address)], read)?;
            Ok(found.is_some_and(|(reason, note)| suppression::stops(&reason, &note, category)))
        }
    }
}

/// Id and channels of an account's preferences.
fn preference(tx: &ReadTx<'_>, collection: &str, record: &str) -> Result<Option<(String, String)>> {
    let sql = "SELECT id, CAST(channels AS TEXT) FROM _preferences WHERE collectionRef = ?1 AND recordRef = ?2";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?.unwrap_or_default()));
    tx.query_one(sql, [collection, record], read)
}

/// Writes one answer into an account's preferences, beside the others. An account that is gone has none.
fn set_preference(
    records: &Records,
    tx: &mut WriteTx<'_>,
    collection: &str,
    record: &str,
    category: &str,
    wanted: bool,
) -> Result<()> {
    let mut bulk = records.bulk(tx);
    let Some(accounts) = bulk.catalog().find(collection).filter(|found| found.is_auth()).cloned() else {
        return Ok(());
    };
    let sql = format!("SELECT 1 FROM {} WHERE id = ?1", quote_ident(&accounts.name));
    if bulk.tx().query_one(&sql, [record], |_| Ok(()))?.is_none() {
        return Ok(());
    }
    let known = preference(bulk.tx(), collection, record)?;
    let channels = known.as_ref().map_or("", |(_, channels)| channels);
    let channels = Value::Text(with_answer(channels, category, wanted));
    match known {
        Some((id, _)) => bulk.update(PREFERENCES, &id, &[("channels", channels)]).map(drop),
        None => {
            let text = |text: &str| Value::Text(text.to_owned());
            let columns = [("collectionRef", text(collection)), ("recordRef", text(record)), ("channels", channels)];
            bulk.insert(PREFERENCES, &columns).map(drop)
        }
    }
}

/// The answers with this one in its place. What makes no sense counts as not said.
fn with_answer(channels: &str, category: &str, wanted: bool) -> String {
    let mut answers = match serde_json::from_str(channels) {
        Ok(Json::Object(answers)) => answers,
        _ => Map::new(),
    };
    let of_category = answers.entry(category).or_insert_with(|| Json::Object(Map::new()));
    if !of_category.is_object() {
        *of_category = Json::Object(Map::new());
    }
    of_category[Channel::Email.as_str()] = wanted.into();
    Json::Object(answers).to_string()
}

/// Ends what waits to be mailed, some of it: how many.
fn call_back(records: &Records, tx: &mut WriteTx<'_>, recipient: &Recipient, category: &str) -> Result<usize> {
    let (collection, record, address) = recipient.columns();
    let most = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    let id = |row: &rusqlite::Row<'_>| row.get(0);
    let found: Vec<String> = match recipient {
        Recipient::Account { .. } => {
            let sql = "
                SELECT id FROM _deliveries
                WHERE recordRef = ?1 AND collectionRef = ?2 AND state IN ('scheduled', 'batched')
                  AND channel = 'email' AND category = ?3 LIMIT ?4";
            tx.query_all(sql, (record, collection, category, most), id)?
        }
        Recipient::Address(_) => {
            let sql = "
                SELECT id FROM _deliveries
                WHERE address = ?1 AND address != '' AND state IN ('scheduled', 'batched')
                  AND channel = 'email' AND category = ?2 LIMIT ?3";
            tx.query_all(sql, (address, category, most), id)?
        }
    };
    let reason = Reason::new("opted_out", "They unsubscribed.").to_string();
    for id in &found {
        withdraw(tx, records, id, State::Suppressed, &reason)?;
    }
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_its_place_beside_the_others() {
        for (channels, expected) in [
            ("", r#"{"orders":{"email":false}}"#),
            ("null", r#"{"orders":{"email":false}}"#),
            ("[1]", r#"{"orders":{"email":false}}"#),
            (r#"{"orders":1}"#, r#"{"orders":{"email":false}}"#),
            (
                r#"{"*":{"push":false},"orders":{"push":true,"email":true}}"#,
                r#"{"*":{"push":false},"orders":{"push":true,"email":false}}"#,
            ),
        ] {
            assert_eq!(with_answer(channels, "orders", false), expected, "{channels}");
        }
    }

    #[test]
    fn a_link_changes_only_so_much() {
        let bound = Bound::default();
        let (ann, bob) = (Recipient::Address("ann@x.co".into()), Recipient::Address("bob@x.co".into()));
        for _ in 0..MOST {
            bound.admit(&ann, "c", Timestamp(0)).unwrap();
        }
        assert!(bound.admit(&ann, "c", Timestamp(1000)).is_err());
        assert!(bound.admit(&bob, "c", Timestamp(1000)).is_ok() && bound.admit(&ann, "d", Timestamp(1000)).is_ok());
        assert!(bound.admit(&ann, "c", Timestamp(0).plus(SPAN)).is_ok());
        for number in 0..2 * COUNTED {
            let _ = bound.admit(&Recipient::Address(number.to_string().into()), "c", Timestamp(0));
        }
        assert!(bound.counts.lock().len() <= COUNTED);
    }
}
