//! What every successful authentication passes, and the answer to it (`docs/wire/auth.md` §3.1); `auth-refresh` (§3.4).
//!
//! Password, OTP and OAuth2 prove who somebody is and then call [`Auth::sign_in`], in which the order of all further
//! steps can be read. Refresh and impersonation take the steps of [`Admission`] that concern them.

use std::{net::IpAddr, sync::Arc};

use serde_json::Value as Json;

use super::{
    Auth, options,
    token::{self, Grant, Purpose, Unverified},
};
use crate::{
    error::{Error, Kind, Result},
    identity::{AuthRecord, Caller, SUPERUSERS_ID},
    records::{self, Rendered, Shape},
    rules::{Context, Request},
    schema::Collection,
    settings::network,
};

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Password,
    OAuth2,
    Otp,
}

impl Method {
    /// Its name in `_mfas` rows (§3.8).
    pub fn name(self) -> &'static str {
        match self {
            Method::Password => "password",
            Method::OAuth2 => "oauth2",
            Method::Otp => "otp",
        }
    }

    /// Fails where the collection has switched this method off. OAuth2 is never on for superusers.
    pub(super) fn admit(self, collection: &Collection) -> Result<()> {
        let options = options(collection);
        let enabled = match self {
            Method::Password => options.password_auth.enabled,
            Method::OAuth2 => options.oauth2.enabled && &*collection.id != SUPERUSERS_ID,
            Method::Otp => options.otp.enabled,
        };
        if enabled { Ok(()) } else { Err(Error::forbidden("The collection does not accept this way to sign in.")) }
    }

    /// `@request.context` of rules (§0.6).
    fn context(self) -> Context {
        match self {
            Method::Password => Context::Password,
            Method::OAuth2 => Context::OAuth2,
            Method::Otp => Context::Otp,
        }
    }
}

/// Where a login comes from.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub address: IpAddr,
    /// The `User-Agent` header as it came; blank without one.
    pub user_agent: Vec<u8>,
}

/// A request to sign in, by whatever method.
#[derive(Debug, Clone)]
pub struct Login {
    /// With the body of the request, and the caller of the incoming header: usually a guest.
    pub request: Request,
    pub shape: Shape,
    pub visitor: Visitor,
    /// `mfaId` of the query; the body's counts where it is blank.
    pub mfa_id: String,
}

/// What a right credential comes to.
#[derive(Debug)]
pub enum SignedIn {
    /// The rendered answer.
    Answer(Rendered),
    /// The account needs a second factor, which has to name this id (§3.8).
    SecondFactor { mfa_id: String },
}

impl Auth {
    /// What is told before a body is looked at: that there is no such collection, that it has no accounts, and that it
    /// has switched `method` off (§0.4, §3.3, §3.6, §3.10).
    pub fn offers(&self, collection: &str, method: Option<Method>) -> Result<()> {
        let collection = self.auth_collection(collection)?;
        method.map_or(Ok(()), |method| method.admit(&collection))
    }

    /// The steps of §3.1 for an account whose credentials were right, in their order. `record` is the account as it was
    /// when they were checked; `meta` is what an OAuth2 provider told.
    pub(super) async fn sign_in(
        &self,
        method: Method,
        login: Login,
        collection: &Arc<Collection>,
        record: &AuthRecord,
        meta: Option<&Json>,
    ) -> Result<SignedIn> {
        let Login { mut request, shape, visitor, mfa_id } = login;
        request.context = method.context();
        let admission = Admission { auth: self, request, collection, record };
        admission.admit_address(visitor.address)?;
        admission.admit_by_rule().await?;
        if let Some(mfa_id) = admission.second_factor(method, &mfa_id).await? {
            return Ok(SignedIn::SecondFactor { mfa_id });
        }
        let answer = admission.answer(meta, shape).await?;
        admission.alert(&visitor).await;
        Ok(SignedIn::Answer(answer))
    }

    /// `POST …/auth-refresh` (§3.4). `token` is the one that the request carried, as it stood in the header.
    pub async fn refresh(&self, mut request: Request, collection: &str, token: &str, shape: Shape) -> Result<Rendered> {
        let (collection, record) = self.same_collection(&request.caller, collection)?;
        request.context = Context::Default;
        let admission = Admission { auth: self, request, collection: &collection, record: &record };
        admission.admit_by_rule().await?;
        let text = token::from_header(token);
        let refreshable = Unverified::decode(text, Purpose::Auth, self.now()).is_some_and(|token| token.refreshable);
        if refreshable { admission.answer(None, shape).await } else { admission.answer_with(text, None, shape).await }
    }

    /// Who asks, as an account of this collection (id or name; §2.3): unknown 404, nobody 401, somebody else's 403.
    pub(super) fn same_collection(
        &self,
        caller: &Caller,
        collection: &str,
    ) -> Result<(Arc<Collection>, Arc<AuthRecord>)> {
        let collection = self.schema.find(collection)?;
        let record = caller.record().ok_or_else(|| Error::unauthorized("Sign in first."))?;
        if record.collection_id != collection.id || !collection.is_auth() {
            return Err(Error::forbidden("The account belongs to another collection."));
        }
        Ok((collection, record.clone()))
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

/// An account on its way to its answer.
pub(super) struct Admission<'a> {
    pub auth: &'a Auth,
    /// Carries the caller of the incoming header.
    pub request: Request,
    pub collection: &'a Arc<Collection>,
    pub record: &'a AuthRecord,
}

impl Admission<'_> {
    /// Step 1.
    pub fn admit_address(&self, client_ip: IpAddr) -> Result<()> {
        if &*self.collection.id == SUPERUSERS_ID { self.auth.admit_superuser_from(client_ip) } else { Ok(()) }
    }

    /// Step 2. A rule that cannot be asked lets nobody in.
    pub async fn admit_by_rule(&self) -> Result<()> {
        let refused = || Error::forbidden("The account may not sign in.");
        let rule = options(self.collection).auth_rule.as_deref();
        match self.auth.records.satisfies(&self.request, self.collection, &self.record.id, rule).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refused()),
            Err(error) if error.kind == Kind::Invalid => Err(refused().because(error)),
            Err(error) => Err(error),
        }
    }

    /// Step 4 with a new refreshable token.
    pub async fn answer(&self, meta: Option<&Json>, shape: Shape) -> Result<Rendered> {
        let token = self.auth.issue(self.collection, self.record, None)?;
        self.answer_with(&token, meta, shape).await
    }

    /// Step 4 with this token.
    pub async fn answer_with(&self, token: &str, meta: Option<&Json>, shape: Shape) -> Result<Rendered> {
        let Shape { expand, fields } = shape;
        let shape = Shape { expand, fields: None };
        let record = self.auth.records.render_authenticated(self.request.clone(), self.record, shape).await?;
        let token = serde_json::to_vec(token).map_err(Error::internal)?;
        let mut answer = vec![b'{'];
        if let Some(meta) = meta {
            answer.extend_from_slice(br#""meta":"#);
            serde_json::to_writer(&mut answer, meta).map_err(Error::internal)?;
            answer.push(b',');
        }
        for part in [&br#""record":"#[..], &record, br#","token":"#, &token, b"}"] {
            answer.extend_from_slice(part);
        }
        match fields {
            Some(fields) => records::pick(&answer, &fields),
            None => Ok(answer),
        }
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
        let grant = Grant::Auth { refreshable: static_seconds.is_none() };
        self.mint(collection, record, grant, static_seconds)
    }
}
