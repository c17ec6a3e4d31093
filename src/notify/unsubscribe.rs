//! The way out that stands in every mail of a category, for people and for the programs that they read mails with
//! (RFC 8058). Whoever holds the link may use it: they need not sign in.
//!
//! An account's preferences take it down, as if its owner had set them; a bare address has a row of the suppression list.
//! What is already waiting does not go out either.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::{
    Channel, Notify, State, suppression,
    whether::{Profile, Reason, Stored, profile::ANY},
    who::{Owner, Recipient},
    withdraw::withdraw,
};
use crate::{
    clock::Timestamp,
    db::{ReadTx, WriteTx, quote_ident},
    error::{Error, Kind, Result},
    records::Records,
    windows::{Limit, Windows},
};

/// Changes that one link may make.
const LIMIT: Limit = Limit { most: 20, span: Duration::from_secs(3600) };
/// Links that are counted at the same time.
const COUNTED: usize = 10_000;
/// Deliveries that are called back in one transaction.
const AT_ONCE: usize = 200;

/// Counts what links change, so that none is a way to keep the writer busy.
pub struct Bound(Windows);

impl Default for Bound {
    fn default() -> Self {
        Self(Windows::new(COUNTED))
    }
}

impl Bound {
    /// `TooMany` when this link has changed too much lately.
    fn admit(&self, recipient: &Recipient, category: &str, now: Timestamp) -> Result<()> {
        let counted = self.0.count((recipient, category), LIMIT, now);
        counted.map_err(|wait| Error::too_many("That was tried too often.", wait))
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
        let Recipient::Address(address) = recipient else { return Ok(()) };
        loop {
            let (looked, of) = (address.clone(), category.to_owned());
            // A link can be followed for ever: the writer is asked only while there is something to do.
            if self.rooms.db.read(move |tx| waiting(tx, &looked, &of)).await?.is_empty() {
                return Ok(());
            }
            let (records, address, category) = (self.rooms.records.clone(), address.clone(), category.to_owned());
            let called_back = self.rooms.db.write(move |tx| call_back(&records, tx, &address, &category)).await?;
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
        match recipient {
            Recipient::Account { collection, record } => {
                let owner = Owner { collection: collection.to_string(), record: record.to_string() };
                self.answer_for(owner, category, wanted).await
            }
            Recipient::Address(address) => {
                let (records, address, category) = (self.rooms.records.clone(), address.clone(), category.to_owned());
                let write = move |tx: &mut WriteTx<'_>| match wanted {
                    true => suppression::resubscribe(&records, tx, &address, &category),
                    false => suppression::unsubscribe(&records, tx, &address, &category),
                };
                self.rooms.db.write(write).await.map(drop)
            }
        }
    }

    /// Answers for the owner of an account, as they would. An account that is gone has no preferences.
    async fn answer_for(&self, owner: Owner, category: &str, wanted: bool) -> Result<()> {
        let Ok(accounts) = self.rooms.schema.find(&owner.collection) else { return Ok(()) };
        if !accounts.is_auth() {
            return Ok(());
        }
        let (sql, id) = (format!("SELECT 1 FROM {} WHERE id = ?1", quote_ident(&accounts.name)), owner.record.clone());
        if self.rooms.db.read(move |tx| tx.query_one(&sql, [&id], |_| Ok(()))).await?.is_none() {
            return Ok(());
        }
        let patch = |category: &str| {
            let answer = json!({ category: { Channel::Email.as_str(): wanted } });
            Map::from_iter([("channels".to_owned(), answer)])
        };
        match self.change_preferences(owner.clone(), &patch(category)).await {
            // There are only so many categories with an answer: who leaves that many wants none.
            Err(error) if error.kind == Kind::Invalid && !wanted => {
                let mut patch = patch(ANY);
                let known = self.preferences(owner.clone()).await?;
                for (category, answers) in known["channels"].as_object().into_iter().flatten() {
                    // Answered by the one for all.
                    if category != ANY && *answers == json!({ Channel::Email.as_str(): false }) {
                        patch["channels"][category] = Json::Null;
                    }
                }
                self.change_preferences(owner, &patch).await.map(drop)
            }
            changed => changed.map(drop),
        }
    }
}

/// Whether mails of the category are stopped, by what their owner said or by the list.
fn is_out(tx: &ReadTx<'_>, recipient: &Recipient, category: &str) -> Result<bool> {
    match recipient {
        Recipient::Account { collection, record } => {
            let sql = "SELECT CAST(channels AS TEXT) FROM _preferences WHERE collectionRef = ?1 AND recordRef = ?2";
            let found = tx.query_one(sql, [collection, record], |row| row.get::<_, Option<String>>(0))?;
            let channels = found.flatten().unwrap_or_default();
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

/// What waits to be mailed to a bare address, some of it.
fn waiting(tx: &ReadTx<'_>, address: &str, category: &str) -> Result<Vec<String>> {
    let sql = "
        SELECT id FROM _deliveries
        WHERE address = ?1 AND address != '' AND state IN ('scheduled', 'batched')
          AND channel = 'email' AND category = ?2 LIMIT ?3";
    let most = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    tx.query_all(sql, (address, category, most), |row| row.get(0))
}

/// Ends some of what waits: how many.
fn call_back(records: &Records, tx: &mut WriteTx<'_>, address: &str, category: &str) -> Result<usize> {
    let found = waiting(tx, address, category)?;
    let reason = Reason::new("opted_out", "They unsubscribed while it was pending.").to_string();
    for id in &found {
        withdraw(tx, records, id, State::Cancelled, &reason)?;
    }
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_changes_only_so_much() {
        let bound = Bound::default();
        let (ann, bob) = (Recipient::Address("ann@x.co".into()), Recipient::Address("bob@x.co".into()));
        for _ in 0..LIMIT.most {
            bound.admit(&ann, "c", Timestamp(0)).unwrap();
        }
        assert!(bound.admit(&ann, "c", Timestamp(1000)).is_err());
        assert!(bound.admit(&bob, "c", Timestamp(1000)).is_ok() && bound.admit(&ann, "d", Timestamp(1000)).is_ok());
        assert!(bound.admit(&ann, "c", Timestamp(0).plus(LIMIT.span)).is_ok());
    }
}
