//! Proving that an address belongs to its account (`docs/wire/auth.md` §3.7).

use std::{net::IpAddr, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    Auth,
    find::values,
    form::{only_email, text},
    is_verified,
    redeem::Redeemed,
    token::{self, Purpose},
};
use crate::{
    error::{Error, Leaf, Result},
    identity::SUPERUSERS_ID,
    mail::Template,
    random,
    records::Script,
    schema::Collection,
};

impl Auth {
    /// `POST …/request-verification`: the mail is sent later, if there is such an account and it needs one. Nobody can
    /// tell from the answer, nor from its time.
    pub async fn request_verification(&self, collection: &str, body: &Map<String, Json>, client: IpAddr) -> Result<()> {
        let collection = self.verifiable(collection)?;
        let email = only_email(body)?;
        self.asking.count(client, self.now())?;
        self.post_later(Template::Verification, &collection, email).await
    }

    /// `POST …/confirm-verification`. Repeatable while the token's key stays: for who is verified nothing changes.
    pub async fn confirm_verification(&self, collection: &str, body: &Map<String, Json>) -> Result<()> {
        let collection = self.verifiable(collection)?;
        let token = text(body, "token")?;
        let redeemed =
            self.check_verification(&collection, &token).await?.map_err(|leaf| Error::field("token", leaf))?;
        // A script may run again, so the password is chosen outside of it.
        let password = random::string(random::ALPHANUMERIC, 30);
        self.records.transact(None, move |script| verify(script, &redeemed, &password)).await
    }

    async fn check_verification(&self, collection: &Collection, token: &str) -> Result<Result<Redeemed, Leaf>> {
        if !token.is_empty() && !says_anything(token::unproven_claim(token, "email").as_ref()) {
            return Ok(Err(Leaf::new("validation_invalid_token_claims", "The token names no address.")));
        }
        let redeemed = self.redeem_for(collection, token, Purpose::Verification).await?;
        Ok(redeemed.and_then(|redeemed| match redeemed.row.text("email") {
            Some(email) if email == redeemed.email => Ok(redeemed),
            _ => Err(other_email()),
        }))
    }

    /// The auth collection, unless its accounts are verified by being there.
    fn verifiable(&self, collection: &str) -> Result<Arc<Collection>> {
        let collection = self.auth_collection(collection)?;
        if &*collection.id == SUPERUSERS_ID {
            return Err(Error::invalid("Superusers are always verified."));
        }
        Ok(collection)
    }
}

/// Verifies the account. Where passwords are not accepted, one that somebody set before the address was proven must not
/// open the account if they ever are: a random one takes its place.
fn verify(script: &mut Script<'_, '_>, redeemed: &Redeemed, password: &str) -> Result<()> {
    let row = redeemed.current(script)?;
    if row.text("email") != Some(&redeemed.email) {
        return Err(Error::field("token", other_email()));
    }
    if is_verified(&row) {
        return Ok(());
    }
    let (collection, id) = (&redeemed.collection.id, &redeemed.id);
    let accepts_passwords = script.catalog().by_id(collection).and_then(|found| found.auth());
    if accepts_passwords.is_some_and(|options| options.password_auth.enabled) {
        script.update(collection, id, values([("verified", true)]))?;
    } else {
        script.update_with_random_password(collection, id, values([("verified", true)]), password)?;
    }
    Ok(())
}

fn other_email() -> Leaf {
    Leaf::new("validation_token_email_mismatch", "The account has another address by now.")
}

/// Whether a claim is a text, or a value that the wire takes for one.
fn says_anything(claim: Option<&Json>) -> bool {
    match claim {
        Some(Json::String(text)) => !text.is_empty(),
        Some(Json::Number(_) | Json::Bool(_)) => true,
        _ => false,
    }
}
