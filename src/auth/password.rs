//! `auth-with-password` (`docs/wire/auth.md` §3.3).

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value as Json};

use super::{
    Auth, auth_record,
    find::lookup,
    form::{self, is_email, text},
    options,
    sign_in::{Login, Method, SignedIn},
};
use crate::{
    db::{Asker, ReadTx, Row, quote_ident},
    error::{Error, Issues, Leaf, Result},
    identity::Attempt,
    random,
    schema::{Collection, auth_options::PasswordAuth},
};

/// How often a password is checked again when the stored hash changes meanwhile.
const ATTEMPTS: usize = 3;

impl Auth {
    /// `POST …/auth-with-password` (§3.3).
    pub async fn with_password(&self, login: Login, collection: &str) -> Result<SignedIn> {
        let collection = self.auth_collection(collection)?;
        Method::Password.admit(&collection)?;
        let form = Form::parse(&login.request.body)?;
        form.check(&options(&collection).password_auth)?;
        let attempt = self.password_attempt(&collection, &form.identity, login.visitor.address).await?;
        let found = self.find(&collection, &form, login.request.asker()).await?;
        let Some(row) = self.check_password(&collection, login.request.asker(), &form.password, found).await? else {
            attempt.failed();
            return Err(refused());
        };
        attempt.succeeded();

        let id: Arc<str> = row.text("id").unwrap_or_default().into();
        let record = auth_record(&collection, id, row);
        self.upgrade_hash(&collection, form.password, &record.row).await;
        self.sign_in(Method::Password, login, &collection, &record, None).await
    }

    /// To be asked before a password of an account is checked, and told the outcome: whoever fails often has to wait
    /// (`TooMany`). `identity` is what names the account, as it was given.
    pub(super) async fn password_attempt(
        &self,
        collection: &Collection,
        identity: &str,
        address: IpAddr,
    ) -> Result<Attempt<'_>> {
        self.throttle.attempt(self.db.clock(), &collection.id, identity, address).await
    }

    /// The account of this identity, and what to check the password against if there is none.
    async fn find(&self, collection: &Arc<Collection>, form: &Form, asker: Asker) -> Result<Found> {
        let form = form.clone();
        let find = move |tx: &ReadTx<'_>, collection: &Collection| {
            // Both reads are done for known and unknown accounts alike.
            let around = decoy_id(&options(collection).auth_token.secret, &form.identity);
            let decoy = decoy_hash(tx, &decoy_query(collection), &around)?;
            for sql in form.lookups(collection) {
                if let Some(id) = tx.query_one(&sql, [&form.identity], |row| row.get(0))? {
                    return Ok(Found { id: Some(id), decoy });
                }
            }
            Ok(Found { id: None, decoy })
        };
        self.read_of(collection, asker, find).await
    }

    /// The row of the account if the password is its own. An unknown account takes as long as a known one.
    async fn check_password(
        &self,
        collection: &Arc<Collection>,
        asker: Asker,
        password: &str,
        found: Found,
    ) -> Result<Option<Arc<Row>>> {
        let mut row = match found.id {
            Some(id) => self.records.load(collection, &id).await?,
            None => None,
        };
        for _ in 0..ATTEMPTS {
            let Some(checked) = row else {
                self.passwords.verify(asker, password.to_owned(), found.decoy.unwrap_or_default()).await?;
                return Ok(None);
            };
            let hash = checked.text("password").unwrap_or_default();
            if !self.passwords.verify(asker, password.to_owned(), hash.to_owned()).await? {
                return Ok(None);
            }
            // Whoever changed the password meanwhile has ended all sessions: an old password must not begin a new one.
            let id = checked.text("id").unwrap_or_default();
            match self.records.load(collection, id).await? {
                Some(fresh) if fresh.text("password") == Some(hash) => return Ok(Some(fresh)),
                other => row = other,
            }
            if row.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Stores a bcrypt password as Argon2id once it is known. Compare-and-swap on the old hash, beside the record path:
    /// nothing about the record changes for anybody, so there is no log entry and the token key stays. A failure is
    /// tried again at the next login.
    pub(super) async fn upgrade_hash(&self, collection: &Arc<Collection>, password: String, row: &Row) {
        let (Some(id), Some(old)) = (row.text("id"), row.text("password")) else { return };
        if !self.passwords.needs_upgrade(&password, old) {
            return;
        }
        let (id, old) = (id.to_owned(), old.to_owned());
        let stored = async {
            let new = self.passwords.hash(Asker::HOUSE, password).await?;
            let sql =
                format!("UPDATE {} SET password = ?1 WHERE id = ?2 AND password = ?3", quote_ident(&collection.name));
            let (records, collection_id) = (self.records.clone(), collection.id.clone());
            self.db
                .write(move |tx| {
                    if tx.execute(&sql, [&new, &id, &old])? == 1 {
                        let (records, collection_id, id) = (records.clone(), collection_id.clone(), id.clone());
                        tx.after_commit(move || records.forget(&collection_id, &id));
                    }
                    Ok(())
                })
                .await
        };
        if let Err(error) = stored.await {
            tracing::warn!(collection = &*collection.name, %error, "a password hash could not be upgraded");
        }
    }
}

struct Found {
    id: Option<String>,
    /// A hash of some other account.
    decoy: Option<String>,
}

/// One answer for an unknown account and a wrong password.
fn refused() -> Error {
    Error::invalid("The identity or the password is wrong.")
}

/// The body of the request.
#[derive(Clone)]
struct Form {
    identity: String,
    password: String,
    /// Blank: every identity field.
    identity_field: String,
}

impl Form {
    fn parse(body: &Map<String, Json>) -> Result<Self> {
        Ok(Self {
            identity: text(body, "identity")?,
            password: text(body, "password")?,
            identity_field: text(body, "identityField")?,
        })
    }

    fn check(&self, method: &PasswordAuth) -> Result<()> {
        let mut issues = Issues::default();
        for (name, value) in [("identity", &self.identity), ("password", &self.password)] {
            form::require(&mut issues, name, value, form::MAX);
        }
        if !self.identity_field.is_empty() && !method.identity_fields.contains(&self.identity_field) {
            issues.insert("identityField", Leaf::new("validation_in_invalid", "Must be one of the identity fields."));
        }
        issues.into_result("The login is not valid.")
    }

    /// One query for each field that the identity may be in, e-mail first: the first record found counts.
    fn lookups(&self, collection: &Collection) -> Vec<String> {
        let fields: Vec<&str> = if self.identity_field.is_empty() {
            let configured = options(collection).password_auth.identity_fields.iter().map(String::as_str);
            let (mut fields, others): (Vec<_>, Vec<_>) = configured.partition(|name| *name == "email");
            if !is_email(&self.identity) {
                fields.clear();
            }
            fields.extend(others);
            fields
        } else {
            vec![&self.identity_field]
        };
        fields
            .into_iter()
            .filter(|name| collection.field(name).is_some())
            .map(|name| lookup(collection, name))
            .collect()
    }
}

/// (from here on, from the beginning)
fn decoy_query(collection: &Collection) -> (String, String) {
    let table = quote_ident(&collection.name);
    (
        format!("SELECT password FROM {table} WHERE id >= ?1 ORDER BY id LIMIT 1"),
        format!("SELECT password FROM {table} ORDER BY id LIMIT 1"),
    )
}

fn decoy_hash(tx: &ReadTx<'_>, (from, first): &(String, String), id: &str) -> Result<Option<String>> {
    let hash = tx.query_one(from, [id], |row| row.get(0))?;
    match hash {
        Some(hash) => Ok(Some(hash)),
        None => tx.query_one(first, [], |row| row.get(0)),
    }
}

/// Where an unknown identity borrows its hash: always at the same account, which nobody outside can tell. While bcrypt
/// and Argon2id hashes are mixed, unknown accounts are thus mixed like the known ones, each of constant cost.
fn decoy_id(secret: &str, identity: &str) -> String {
    let hash = digest(&SHA256, [secret, "\0", identity].concat().as_bytes());
    let alphabet = random::LOWER_ALPHANUMERIC;
    hash.as_ref().iter().take(15).map(|&byte| char::from(alphabet[usize::from(byte) % alphabet.len()])).collect()
}
