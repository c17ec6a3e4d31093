//! A new password for who has lost the old one (`docs/wire/auth.md` §3.7).

use std::net::IpAddr;

use serde_json::{Map, Value as Json};

use super::{
    Auth,
    find::values,
    form::{self, text},
    is_verified, options,
    redeem::Redeemed,
    token::Purpose,
};
use crate::{
    error::{Error, Issues, Leaf, Result},
    mail::Template,
    records::Script,
    schema::{Collection, field::FieldKind},
};

/// The most bytes of a new password in the form; its field allows fewer.
const LONGEST: usize = 255;

impl Auth {
    /// `POST …/request-password-reset`: the mail is sent later, if there is such an account. Nobody can tell from the
    /// answer, nor from its time.
    pub async fn request_password_reset(
        &self,
        collection: &str,
        body: &Map<String, Json>,
        client: IpAddr,
    ) -> Result<()> {
        let collection = self.auth_collection(collection)?;
        if !options(&collection).password_auth.enabled {
            return Err(Error::invalid("The collection does not accept passwords."));
        }
        let email = form::only_email(body)?;
        self.asking.count(client, self.now())?;
        self.post_later(Template::PasswordReset, &collection, email).await
    }

    /// `POST …/confirm-password-reset`. The new password changes the token's key, so a token works once, and every
    /// session ends.
    pub async fn confirm_password_reset(&self, collection: &str, body: &Map<String, Json>) -> Result<()> {
        let collection = self.auth_collection(collection)?;
        let (token, password, confirm) =
            (text(body, "token")?, text(body, "password")?, text(body, "passwordConfirm")?);
        let mut issues = Issues::default();
        let redeemed = self.redeem_for(&collection, &token, Purpose::PasswordReset).await?;
        let redeemed = redeemed.map_err(|leaf| issues.insert("token", leaf)).ok();
        form::require_between(&mut issues, "password", &password, shortest(&collection), LONGEST);
        if confirm.is_empty() {
            issues.insert("passwordConfirm", Leaf::required());
        } else if confirm != password {
            issues.insert("passwordConfirm", Leaf::new("validation_values_mismatch", "The passwords differ."));
        }
        issues.into_result("The password could not be set.")?;
        let redeemed = redeemed.ok_or_else(Error::not_found)?;
        let id = redeemed.id.clone();
        self.records.transact(None, move |script| set_password(script, &redeemed, &password)).await?;
        // Who has lost the new one as well may ask at once.
        self.markers.clear(Template::PasswordReset, &collection.id, &id);
        Ok(())
    }
}

/// Sets the password. Who holds the token reads the mails of its address: that proves the address as well, unless the
/// account has another by now.
fn set_password(script: &mut Script<'_, '_>, redeemed: &Redeemed, password: &str) -> Result<()> {
    let row = redeemed.current(script)?;
    let mut values = values([("password", password)]);
    if !is_verified(&row) && row.text("email").is_some_and(|email| !email.is_empty() && email == redeemed.email) {
        values.insert("verified".to_owned(), true.into());
    }
    script.update(&redeemed.collection.id, &redeemed.id, values).map(drop)
}

/// The least bytes of a new password in the form.
fn shortest(collection: &Collection) -> usize {
    let field = collection.field("password").map(|field| &field.kind);
    let min = match field {
        Some(FieldKind::Password(password)) => password.min,
        _ => 0,
    };
    usize::try_from(min).unwrap_or(0).max(1)
}
