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
        if list.is_empty() || list.iter().any(|entry| covers(entry, address)) {
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

/// Whether an entry (an address or a CIDR range) covers the address. IPv4 and its IPv6 mapping are the same address.
fn covers(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, Some(bits)),
        None => (entry, None),
    };
    let Ok(network) = network.trim().parse::<IpAddr>() else { return false };
    let (network, address) = (network.to_canonical(), address.to_canonical());
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits().into(), address.to_bits().into(), 32),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    match bits.map_or(Ok(width), |bits| bits.trim().parse::<u32>()) {
        Ok(0) => true,
        Ok(bits) if bits <= width => (network ^ address) >> (width - bits) == 0u128,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ranges_cover_what_they_name() {
        for (entry, address, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/33", "10.1.2.3", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("2001:db8::/32", "2001:db9::5", false),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1", true),
            ("nonsense", "127.0.0.1", false),
            ("127.0.0.1/x", "127.0.0.1", false),
            ("", "127.0.0.1", false),
        ] {
            assert_eq!(covers(entry, address.parse().unwrap()), expected, "{entry} {address}");
        }
    }
}
