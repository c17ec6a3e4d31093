//! What every successful authentication passes, and the answer to it (`docs/wire/auth.md` §3.1); `auth-refresh` (§3.4).

use std::{net::IpAddr, sync::Arc};

use super::{
    Auth, options, signing_key,
    token::{self, Purpose, Unverified},
};
use crate::{
    error::{Error, Result},
    identity::{AuthRecord, SUPERUSERS_ID},
    records::{self, Rendered, Shape},
    rules::{Context, Request},
    schema::Collection,
    settings::network,
};

impl Auth {
    /// `POST …/auth-refresh` (§3.4). `token` is the one that the request carried, as it stood in the header.
    pub async fn refresh(&self, mut request: Request, collection: &str, token: &str, shape: Shape) -> Result<Rendered> {
        let collection = self.schema.find(collection)?;
        let Some(record) = request.caller.record().cloned() else {
            return Err(Error::unauthorized("Sign in first."));
        };
        if record.collection_id != collection.id || !collection.is_auth() {
            return Err(Error::forbidden("The account belongs to another collection."));
        }
        request.context = Context::Default;
        let sign_in = SignIn { auth: self, request, collection: &collection, record: &record };
        sign_in.admit_by_rule().await?;
        let text = token::from_header(token);
        let refreshable = Unverified::decode(text, Purpose::Auth, self.now()).is_some_and(|token| token.refreshable);
        if refreshable { sign_in.answer(shape).await } else { sign_in.answer_with(text, shape).await }
    }

    /// Fails for addresses that superusers may not come from (`settings.superuserIPs`; none listed: all may).
    pub fn admit_superuser_from(&self, address: IpAddr) -> Result<()> {
        let settings = self.settings.current();
        let list = &settings.superuser_ips;
        if list.is_empty() || list.iter().any(|entry| network::contains(entry, address)) {
            return Ok(());
        }
        Err(Error::forbidden("Superusers may not sign in from this address."))
    }
}

/// An account whose credentials were right.
pub(super) struct SignIn<'a> {
    pub auth: &'a Auth,
    /// Carries the caller of the incoming header: usually a guest.
    pub request: Request,
    pub collection: &'a Arc<Collection>,
    pub record: &'a AuthRecord,
}

impl SignIn<'_> {
    /// Step 1.
    pub fn admit_address(&self, client_ip: IpAddr) -> Result<()> {
        if &*self.collection.id == SUPERUSERS_ID { self.auth.admit_superuser_from(client_ip) } else { Ok(()) }
    }

    /// Step 2.
    pub async fn admit_by_rule(&self) -> Result<()> {
        let rule = options(self.collection).auth_rule.as_deref();
        if self.request.caller.is_superuser() || rule == Some("") || self.satisfies(rule).await? {
            return Ok(());
        }
        Err(Error::forbidden("The account may not sign in."))
    }

    /// Step 3, until there are second factors: whoever needs one cannot sign in.
    pub async fn refuse_second_factor(&self) -> Result<()> {
        let mfa = &options(self.collection).mfa;
        if mfa.enabled && (mfa.rule.is_empty() || self.satisfies(Some(&mfa.rule)).await?) {
            return Err(Error::forbidden(
                "The account needs a second factor, which this server does not support yet. Switch MFA off for the \
                 collection to sign in with a password alone.",
            ));
        }
        Ok(())
    }

    /// Step 4 with a new token.
    pub async fn answer(self, shape: Shape) -> Result<Rendered> {
        let token = self.auth.issue(self.collection, self.record, None)?;
        self.answer_with(&token, shape).await
    }

    async fn answer_with(self, token: &str, shape: Shape) -> Result<Rendered> {
        let Shape { expand, fields } = shape;
        let shape = Shape { expand, fields: None };
        let record = self.auth.records.render_authenticated(self.request, self.record, shape).await?;
        let token = serde_json::to_vec(token).map_err(Error::internal)?;
        let answer = [br#"{"record":"#, &*record, br#","token":"#, &*token, b"}"].concat();
        match fields {
            Some(fields) => records::pick(&answer, &fields),
            None => Ok(answer),
        }
    }

    async fn satisfies(&self, rule: Option<&str>) -> Result<bool> {
        self.auth.records.satisfies(&self.request, self.collection, &self.record.id, rule).await
    }
}

impl Auth {
    /// A new auth token: refreshable with the collection's lifetime, or static for so many seconds.
    pub(super) fn issue(
        &self,
        collection: &Collection,
        record: &AuthRecord,
        static_seconds: Option<i64>,
    ) -> Result<String> {
        let settings = &options(collection).auth_token;
        let key = signing_key(&record.row, &settings.secret)
            .ok_or_else(|| Error::internal(anyhow::anyhow!("record {} has no token key", record.id)))?;
        let seconds = static_seconds.unwrap_or(settings.duration);
        let refreshable = static_seconds.is_none();
        token::issue_auth(&collection.id, &record.id, key.as_bytes(), self.now(), seconds, refreshable)
    }
}
