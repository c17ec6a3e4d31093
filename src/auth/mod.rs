//! Accounts: tokens and login flows (`docs/wire/auth.md`).
//!
//! May touch `mail`, `records`, `files`, `jobs`, `rules`, `schema`, `identity`, `settings` and `db`. Main type: [`Auth`].

mod asking;
mod attempts;
mod background;
mod cleanup;
mod email_change;
mod expiring;
mod file_token;
mod find;
mod form;
mod impersonate;
mod known;
mod mails;
mod markers;
mod methods;
mod mfa;
pub mod oauth2;
mod origins;
mod otp;
mod password;
mod password_reset;
mod phantoms;
mod redeem;
mod rehearsal;
mod sign_in;
mod superusers;
mod test_mail;
#[cfg(test)]
mod tests;
pub mod token;
mod verification;

use std::sync::Arc;

use self::{
    asking::Asking,
    attempts::Attempts,
    background::Background,
    known::{Known, Verified},
    markers::Markers,
    phantoms::Phantoms,
    redeem::Redeemed,
    token::Purpose,
};
pub use self::{
    otp::Otp,
    sign_in::{Login, Method, SignedIn, Visitor},
};
#[cfg(test)]
use crate::identity::SUPERUSERS_ID;
use crate::{
    clock::Timestamp,
    db::{Db, Row, Value},
    error::{Error, Result},
    identity::{AuthRecord, Caller, Passwords, Throttle},
    jobs::Jobs,
    mail::Mail,
    records::Records,
    schema::{Collection, Schema, auth_options::AuthOptions},
    settings,
};

/// All flows of accounts. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    db: Db,
    schema: Schema,
    records: Records,
    passwords: Passwords,
    settings: settings::Store,
    mail: Mail,
    jobs: Jobs,
    known: Arc<Known>,
    throttle: Arc<Throttle>,
    attempts: Attempts,
    phantoms: Arc<Phantoms>,
    asking: Arc<Asking>,
    background: Background,
    outside: Arc<oauth2::Outside>,
    /// When an account was last sent a mail of a kind that anybody can ask for.
    markers: Arc<Markers>,
}

impl Auth {
    pub fn new(
        db: Db,
        schema: Schema,
        records: Records,
        passwords: Passwords,
        settings: settings::Store,
        mail: Mail,
        jobs: Jobs,
    ) -> Self {
        Self {
            db,
            schema,
            records,
            passwords,
            settings,
            mail,
            jobs,
            known: Arc::default(),
            throttle: Arc::default(),
            attempts: Attempts::default(),
            phantoms: Arc::default(),
            asking: Arc::default(),
            background: Background::default(),
            outside: Arc::default(),
            markers: Arc::default(),
        }
    }

    /// Whom the value of an `Authorization` header names; anything wrong with it is a guest (§2.3). Fails only when the
    /// record cannot be read.
    pub async fn caller(&self, authorization: &str) -> Result<Caller> {
        let text = token::from_header(authorization);
        if text.is_empty() {
            return Ok(Caller::Guest);
        }
        let now = self.now();
        let known = self.known.get(text);
        if let Some(verified) = &known
            && token::is_over(verified.expires, now)
        {
            return Ok(Caller::Guest);
        }
        match known {
            Some(verified) => self.recognise(&verified).await,
            None => self.verify(text).await,
        }
    }

    /// The caller of a token whose signature was verified before: still good as long as its key is.
    async fn recognise(&self, verified: &Verified) -> Result<Caller> {
        let catalog = self.schema.catalog();
        let Some((collection, options)) = catalog.by_id(&verified.collection).and_then(|c| Some((c, c.auth()?))) else {
            return Ok(Caller::Guest);
        };
        let Some(row) = self.records.load(collection, &verified.id).await? else { return Ok(Caller::Guest) };
        let Some(token_key) = row.text("tokenKey") else { return Ok(Caller::Guest) };
        if !verified.is_signed_with(token_key, &options.auth_token.secret) {
            return Ok(Caller::Guest);
        }
        Ok(caller_of(collection, verified.id.clone(), row))
    }

    /// The caller of a token that was not seen before.
    async fn verify(&self, text: &str) -> Result<Caller> {
        let Some(redeemed) = self.redeem(text, Purpose::Auth).await? else { return Ok(Caller::Guest) };
        let Redeemed { collection, id, row, key, expires, .. } = redeemed;
        let verified = Verified { collection: collection.id.clone(), id: id.clone(), expires, key };
        self.known.insert(text, verified);
        Ok(caller_of(&collection, id, row))
    }

    /// Forgets what it remembers of requests: counts, waits, markers. For a server that goes back to an earlier moment.
    pub fn forget_what_was(&self) {
        self.throttle.forget_all();
        self.records.forget_failures();
        self.attempts.forget_all();
        self.phantoms.forget_all();
        self.asking.forget_all();
        self.markers.forget_all();
    }

    /// The auth collection of this id or name, or `NotFound` (§0.4).
    fn auth_collection(&self, id_or_name: &str) -> Result<Arc<Collection>> {
        self.schema.find(id_or_name).and_then(|found| if found.is_auth() { Ok(found) } else { Err(Error::not_found()) })
    }

    fn now(&self) -> Timestamp {
        self.db.clock().now()
    }
}

/// The options of what is known to be an auth collection.
fn options(collection: &Collection) -> &AuthOptions {
    collection.auth().expect("only auth collections come this far")
}

/// Token key and secret, or `None` for a record that cannot have tokens.
fn signing_key(row: &Row, secret: &str) -> Option<String> {
    let token_key = row.text("tokenKey").filter(|key| !key.is_empty())?;
    Some([token_key, secret].concat())
}

fn auth_record(collection: &Collection, id: Arc<str>, row: Arc<Row>) -> AuthRecord {
    AuthRecord { collection_id: collection.id.clone(), collection_name: collection.name.clone(), id, row }
}

fn caller_of(collection: &Collection, id: Arc<str>, row: Arc<Row>) -> Caller {
    Caller::of(auth_record(collection, id, row))
}

fn is_verified(row: &Row) -> bool {
    row.get("verified") == Some(&Value::Integer(1))
}
