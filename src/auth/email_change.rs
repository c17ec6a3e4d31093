//! Another address for an account (`docs/wire/auth.md` §3.7): asked for in a session, confirmed from the new address with
//! the password.

use std::{net::IpAddr, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    Auth,
    find::{id_by_email, values},
    form::{self, text},
    redeem::Redeemed,
    token::{self, Grant, Purpose},
};
use crate::{
    db::{Asker, Row},
    error::{Error, Issues, Leaf, Result},
    identity::{AuthRecord, Caller, SUPERUSERS_ID, network},
    mail::Template,
    records::Script,
    schema::Collection,
};

/// The most bytes of the password in the form.
const LONGEST_PASSWORD: usize = 100;

impl Auth {
    /// Whose address `POST …/request-email-change` would change: the caller's, in this collection.
    pub fn changes_email(&self, caller: &Caller, collection: &str) -> Result<Arc<AuthRecord>> {
        let (collection, record) = self.same_collection(caller, collection)?;
        refuse_superusers(&collection)?;
        Ok(record)
    }

    /// The rest of `POST …/request-email-change`: a mail to the new address, sent before the answer.
    pub async fn request_email_change(
        &self,
        record: &AuthRecord,
        body: &Map<String, Json>,
        client: IpAddr,
    ) -> Result<()> {
        let collection = self.auth_collection(&record.collection_id)?;
        let new_email = text(body, "newEmail")?;
        let email = record.row.text("email").unwrap_or_default();
        let mut issues = Issues::default();
        if form::require_email(&mut issues, "newEmail", &new_email) {
            if new_email == email {
                issues.insert("newEmail", Leaf::new("validation_not_in_invalid", "This is your address already."));
            } else if self.by_email(&collection, &new_email).await?.is_some() {
                let leaf = Leaf::new("validation_invalid_new_email", "Another account has this address.");
                issues.insert("newEmail", leaf);
            }
        }
        issues.into_result("The address cannot be changed so.")?;
        // Or whoever has signed up could have our mails sent to all the world.
        self.asking.count(client, self.now())?;
        let token = self.mint(&collection, record, Grant::EmailChange { email, new_email: &new_email }, None)?;
        self.post(Template::EmailChange, &collection, record, &new_email, &token).await
    }

    /// `POST …/confirm-email-change`. The new address changes the token's key, so a token works once, and every session
    /// ends.
    pub async fn confirm_email_change(
        &self,
        collection: &str,
        body: &Map<String, Json>,
        address: IpAddr,
    ) -> Result<()> {
        let collection = self.auth_collection(collection)?;
        refuse_superusers(&collection)?;
        let (token, password) = (text(body, "token")?, text(body, "password")?);
        let mut issues = Issues::default();
        let redeemed = self.check_email_change(&collection, &token).await?;
        let redeemed = redeemed.map_err(|leaf| issues.insert("token", leaf)).ok();
        if form::require(&mut issues, "password", &password, LONGEST_PASSWORD) {
            // Without an account there is no password that could be right.
            let right = match &redeemed {
                Some(redeemed) => self.has_password(&collection, &redeemed.row, password, address).await?,
                None => false,
            };
            if !right {
                issues.insert("password", Leaf::new("validation_invalid_password", "The password is wrong."));
            }
        }
        issues.into_result("The address could not be changed.")?;
        let redeemed = redeemed.ok_or_else(Error::not_found)?;
        self.records.transact(None, move |script| change_email(script, &redeemed)).await
    }

    async fn check_email_change(&self, collection: &Arc<Collection>, token: &str) -> Result<Result<Redeemed, Leaf>> {
        let claim = token::unproven_claim(token, "newEmail");
        let names_one = claim.as_ref().and_then(Json::as_str).is_some_and(|email| !email.is_empty());
        if !token.is_empty() && !names_one {
            return Ok(Err(Leaf::new("validation_invalid_token_payload", "The token names no new address.")));
        }
        let redeemed = match self.redeem_for(collection, token, Purpose::EmailChange).await? {
            Ok(redeemed) => redeemed,
            Err(leaf) => return Ok(Err(leaf)),
        };
        // Only for who holds a true token: nobody else learns whose address is taken.
        Ok(match self.by_email(collection, &redeemed.new_email).await? {
            Some(_) => Err(taken()),
            None => Ok(redeemed),
        })
    }

    async fn has_password(
        &self,
        collection: &Collection,
        row: &Row,
        password: String,
        address: IpAddr,
    ) -> Result<bool> {
        let attempt = self.password_attempt(collection, row.text("email").unwrap_or_default(), address).await?;
        let hash = row.text("password").unwrap_or_default().to_owned();
        let right = self.passwords.verify(Asker::named(&network(address)), password, hash).await?;
        if right {
            attempt.succeeded()
        } else {
            attempt.failed()
        }
        Ok(right)
    }
}

fn change_email(script: &mut Script<'_, '_>, redeemed: &Redeemed) -> Result<()> {
    redeemed.current(script)?;
    if id_by_email(script.tx(), &redeemed.collection, &redeemed.new_email)?.is_some() {
        return Err(Error::field("token", taken()));
    }
    let values = values([("email", Json::from(&*redeemed.new_email)), ("verified", true.into())]);
    script.update(&redeemed.collection.id, &redeemed.id, values).map(drop)
}

fn taken() -> Leaf {
    Leaf::new("validation_invalid_token_email", "An account has the new address already.")
}

fn refuse_superusers(collection: &Collection) -> Result<()> {
    if &*collection.id == SUPERUSERS_ID {
        return Err(Error::invalid("Superusers change their address directly."));
    }
    Ok(())
}
