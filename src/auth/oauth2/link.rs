//! Whose record a provider's account is (`docs/wire/auth-oauth2.md` §3.10), decided in one transaction.
//!
//! Two sign-ins with the same account follow each other on the writer: the second finds the link that the first made.
//! Whoever registered somebody else's address first gains nothing by it: before the owner of the address is let in, the
//! password, the sessions and the links of an unverified record go.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::user::User;
use crate::{
    auth::{
        find::{current, id_by_email, values},
        is_verified,
    },
    db::{ReadTx, Row},
    error::{Error, Result},
    identity::AuthRecord,
    records::Script,
    schema::Collection,
};

const LINKS: &str = "_externalAuths";

/// A provider's account at the door of a collection.
pub struct Arrival {
    pub collection: Arc<Collection>,
    /// The provider's key.
    pub provider: &'static str,
    pub user: User,
    /// Whoever is signed in already, if to this collection.
    pub caller: Option<Arc<AuthRecord>>,
    /// For a record whose owner is not known for certain; nobody knows it.
    pub password: String,
}

/// Where it ended up.
pub struct Landed {
    pub row: Arc<Row>,
    /// Whether the record was created by this sign-in.
    pub is_new: bool,
}

impl Arrival {
    /// The id of the record that this account signs in to, if there is one: rules 1 to 3.
    pub fn resolve(&self, tx: &ReadTx<'_>) -> Result<Option<String>> {
        if let Some(linked) = self.linked(tx)? {
            return Ok(Some(linked));
        }
        if let Some(caller) = &self.caller {
            return Ok(Some((*caller.id).to_owned()));
        }
        match self.user.email.as_str() {
            "" => Ok(None),
            email => id_by_email(tx, &self.collection, email),
        }
    }

    /// The record that is linked with this account.
    fn linked(&self, tx: &ReadTx<'_>) -> Result<Option<String>> {
        if self.user.id.is_empty() {
            return Ok(None);
        }
        let sql = "
            SELECT recordRef FROM _externalAuths
            WHERE collectionRef = ?1 AND provider = ?2 AND providerId = ?3";
        tx.query_one(sql, [&*self.collection.id, self.provider, &self.user.id], |row| row.get(0))
    }

    /// Signs in to the record that there is. `None` when there is none.
    pub fn find(&self, script: &mut Script<'_, '_>) -> Result<Option<Landed>> {
        let Some(id) = self.resolve(script.tx())? else { return Ok(None) };
        let row = self.enter(script, &id)?;
        Ok(Some(Landed { row, is_new: false }))
    }

    /// The same, or carries out the creation that was asked for.
    pub fn find_or_join(&self, script: &mut Script<'_, '_>) -> Result<Landed> {
        match self.find(script)? {
            Some(landed) => Ok(landed),
            None => self.join(script).map(|row| Landed { row, is_new: true }),
        }
    }

    /// An existing record.
    fn enter(&self, script: &mut Script<'_, '_>, id: &str) -> Result<Arc<Row>> {
        let collection = &*self.collection.id;
        let own = self.caller.as_ref().filter(|caller| &*caller.id == id);
        let row = match own {
            // Whose session ended while the provider was asked must not be linked by it.
            Some(caller) => current(script, caller)?,
            None => script.load(collection, id)?.ok_or_else(Error::not_found)?,
        };
        let (verified, email) = (is_verified(&row), row.text("email").unwrap_or_default());
        if !verified {
            // Before the rest: a record that becomes verified while it has links would lose its sessions once more.
            self.unlink_all(script, id)?;
        }
        let mut changes = Map::new();
        if email.is_empty() && !self.user.email.is_empty() {
            changes.insert("email".to_owned(), Json::from(self.user.email.as_str()));
        }
        if !verified && (email.is_empty() || email == self.user.email) {
            changes.insert("verified".to_owned(), true.into());
        }
        let row = if !verified && own.is_none() {
            script.update_with_random_password(collection, id, changes, &self.password)?
        } else if changes.is_empty() {
            row
        } else {
            script.update(collection, id, changes)?
        };
        if self.linked(script.tx())?.is_none() {
            self.link(script, id)?;
        }
        Ok(row)
    }

    /// A new record, by its collection's own rules.
    fn join(&self, script: &mut Script<'_, '_>) -> Result<Arc<Row>> {
        let mut row = script.carry_out_asked()?;
        let id = row.text("id").unwrap_or_default().to_owned();
        if !is_verified(&row) && row.text("email").unwrap_or_default() == self.user.email {
            let verified = Map::from_iter([("verified".to_owned(), true.into())]);
            row = script.update(&self.collection.id, &id, verified)?;
        }
        self.link(script, &id)?;
        Ok(row)
    }

    fn link(&self, script: &mut Script<'_, '_>, id: &str) -> Result<()> {
        let link = values([
            ("collectionRef", &*self.collection.id),
            ("recordRef", id),
            ("provider", self.provider),
            ("providerId", &*self.user.id),
        ]);
        script.create(LINKS, link).map(drop)
    }

    fn unlink_all(&self, script: &mut Script<'_, '_>, id: &str) -> Result<()> {
        let sql = "SELECT id FROM _externalAuths WHERE collectionRef = ?1 AND recordRef = ?2";
        let links: Vec<String> = script.tx().query_all(sql, [&*self.collection.id, id], |row| row.get(0))?;
        links.iter().try_for_each(|link| script.delete(LINKS, link))
    }
}
