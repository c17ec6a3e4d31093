//! Superusers made by the house itself, and the account that can create the first one (`docs/wire/services.md` §3.3).

use super::Auth;
use crate::{
    db::quote_ident,
    error::{Error, Result},
    identity::{AuthRecord, Caller, SUPERUSERS_ID},
    random,
    records::{Body, Shape},
    rules::Request,
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

    /// Creates a superuser as the house itself, through the one door that every record takes.
    pub async fn create_superuser(&self, email: &str, password: &str) -> Result<()> {
        let values = [("email", email), ("password", password), ("passwordConfirm", password)];
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let body = Body { values, uploads: Vec::new() };
        let request =
            Request { method: "POST".into(), caller: Caller::system(), now: self.now(), ..Request::default() };
        self.records.create(request, SUPERUSERS_ID, body, Shape::default()).await?;
        Ok(())
    }
}

fn gone() -> Error {
    Error::internal(anyhow::anyhow!("the installer account is gone right after its creation"))
}
