//! Superusers made by the house itself, and the account that can create the first one (`docs/wire/services.md` §3.3).

use super::{
    Auth,
    find::{id_by_email, values},
};
use crate::{
    db::quote_ident,
    error::{Error, Result},
    identity::{AuthRecord, SUPERUSERS_ID},
    random,
    records::Script,
};

/// Deleted by the creation of any other superuser.
pub const INSTALLER_EMAIL: &str = "__pbinstaller@example.com";

/// How long the link works, in seconds.
const LIFETIME: i64 = 30 * 60;

impl Auth {
    /// While nobody but the installer account is a superuser: a static token of that account, which lets its bearer create
    /// the first one. `None` when there is a superuser.
    pub async fn installer(&self) -> Result<Option<String>> {
        let superusers = self.auth_collection(SUPERUSERS_ID)?;
        let others = format!("SELECT 1 FROM {} WHERE email != ?1 LIMIT 1", quote_ident(&superusers.name));
        let taken = self.db.read(move |tx| Ok(tx.query_one(&others, [INSTALLER_EMAIL], |_| Ok(()))?.is_some())).await?;
        if taken {
            return Ok(None);
        }
        let account = match self.superuser(INSTALLER_EMAIL).await? {
            Some(account) => account,
            None => {
                self.create_superuser(INSTALLER_EMAIL, &random::string(random::ALPHANUMERIC, 30)).await?;
                self.superuser(INSTALLER_EMAIL).await?.ok_or_else(gone)?
            }
        };
        self.issue(&superusers, &account, Some(LIFETIME)).map(Some)
    }

    /// A new token of the superuser with this e-mail, as a login would give.
    pub async fn superuser_token(&self, email: &str) -> Result<String> {
        let account = self.superuser(email).await?.ok_or_else(Error::not_found)?;
        self.issue(&*self.auth_collection(SUPERUSERS_ID)?, &account, None)
    }

    /// The superuser with this e-mail.
    pub async fn superuser(&self, email: &str) -> Result<Option<AuthRecord>> {
        let superusers = self.auth_collection(SUPERUSERS_ID)?;
        self.by_email(&superusers, email).await
    }

    /// The e-mail addresses of superusers, up to a hundred.
    pub async fn superuser_addresses(&self) -> Result<Vec<String>> {
        let superusers = self.auth_collection(SUPERUSERS_ID)?;
        let sql = format!("SELECT email FROM {} WHERE email != ?1 LIMIT 100", quote_ident(&superusers.name));
        self.db.read(move |tx| tx.query_all(&sql, [INSTALLER_EMAIL], |row| row.get(0))).await
    }

    /// Creates a superuser as the house itself, through the one door that every record takes.
    pub async fn create_superuser(&self, email: &str, password: &str) -> Result<()> {
        let values = values([("email", email), ("password", password)]);
        self.records.transact(None, move |script| script.create(SUPERUSERS_ID, values.clone())).await.map(drop)
    }

    /// Sets the password of a superuser, which ends all sessions. False when there is none with this e-mail.
    pub async fn set_superuser_password(&self, email: &str, password: &str) -> Result<bool> {
        let values = values([("password", password)]);
        let set = move |script: &mut Script<'_, '_>, id: Option<String>| match id {
            Some(id) => script.update(SUPERUSERS_ID, &id, values.clone()).map(|_| true),
            None => Ok(false),
        };
        self.at_superuser(email, set).await
    }

    /// Creates a superuser, or sets the password of the one that there is. True when it was created.
    pub async fn upsert_superuser(&self, email: &str, password: &str) -> Result<bool> {
        let (new, changed) = (values([("email", email), ("password", password)]), values([("password", password)]));
        let upsert = move |script: &mut Script<'_, '_>, id: Option<String>| match id {
            Some(id) => script.update(SUPERUSERS_ID, &id, changed.clone()).map(|_| false),
            None => script.create(SUPERUSERS_ID, new.clone()).map(|_| true),
        };
        self.at_superuser(email, upsert).await
    }

    /// False when there is no superuser with this e-mail.
    pub async fn delete_superuser(&self, email: &str) -> Result<bool> {
        let delete = |script: &mut Script<'_, '_>, id: Option<String>| match id {
            Some(id) => script.delete(SUPERUSERS_ID, &id).map(|()| true),
            None => Ok(false),
        };
        self.at_superuser(email, delete).await
    }

    /// Does something with the id of the superuser of this e-mail, in the transaction that has looked for it.
    async fn at_superuser<F>(&self, email: &str, act: F) -> Result<bool>
    where
        F: Fn(&mut Script<'_, '_>, Option<String>) -> Result<bool> + Send + Sync + 'static,
    {
        let (superusers, email) = (self.auth_collection(SUPERUSERS_ID)?, email.to_owned());
        let found = move |script: &mut Script<'_, '_>| {
            let id = id_by_email(script.tx(), &superusers, &email)?;
            act(script, id)
        };
        self.records.transact(None, found).await
    }
}

fn gone() -> Error {
    Error::internal(anyhow::anyhow!("the installer account is gone right after its creation"))
}
