//! One certificate ordered: the authority names proofs, we give them, it signs.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};

use super::{
    challenges::{Challenges, Offer},
    failure::{self, Cause, Failure, told},
};
use crate::http::tls::certificate::Certificate;

/// How often and how long an authority is asked whether it is done.
const PATIENCE: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).backoff(1.5).timeout(Duration::from_secs(120));

/// How it is proved that a domain leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// On the TLS port.
    Tls,
    /// On the plain port, which has to be 80 for the world.
    Http,
}

impl Proof {
    /// In turn: who cannot be reached in one way may be in the other.
    pub fn of_attempt(attempt: u32) -> Self {
        if attempt.is_multiple_of(2) { Self::Tls } else { Self::Http }
    }

    fn kind(self) -> ChallengeType {
        match self {
            Self::Tls => ChallengeType::TlsAlpn01,
            Self::Http => ChallengeType::Http01,
        }
    }
}

/// What was ordered, and checked.
pub struct Delivery {
    pub certificate: Certificate,
    /// PEM.
    pub key: String,
    /// PEM.
    pub chain: String,
}

/// Obtains a certificate for `name`, which may take minutes. `replaces` tells the authority which one it is to follow.
pub async fn deliver(
    account: &Account,
    name: &str,
    proof: Proof,
    replaces: Option<CertificateIdentifier<'static>>,
    challenges: &Challenges,
) -> Result<Delivery, Failure> {
    let mut order = begin(account, name, replaces).await?;
    // Proofs are given until the authority has made up its mind.
    let offers = prove(&mut order, name, proof, challenges).await?;
    // An order that had been proved before is ready at once.
    if order.state().status != OrderStatus::Ready && order.poll_ready(&PATIENCE).await? != OrderStatus::Ready {
        return Err(refusal(&mut order).await);
    }
    drop(offers);
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    let certificate = Certificate::read(chain.as_bytes(), key.as_bytes())
        .map_err(|error| Failure::new(Cause::Away, format!("the authority sent a certificate, but {error}")))?;
    if !certificate.is_for(name) {
        return Err(Failure::new(Cause::Refused, format!("the authority sent a certificate that is not for {name}")));
    }
    Ok(Delivery { certificate, key, chain })
}

/// What a new certificate is to follow is a hint: authorities that do not take it get an order without.
async fn begin(
    account: &Account,
    name: &str,
    replaces: Option<CertificateIdentifier<'static>>,
) -> Result<Order, Failure> {
    let identifiers = [Identifier::Dns(name.to_owned())];
    if let Some(replaces) = replaces {
        match account.new_order(&NewOrder::new(&identifiers).replaces(replaces)).await {
            Err(error) if dislikes_hint(&error) => {}
            begun => return Ok(begun?),
        }
    }
    Ok(account.new_order(&NewOrder::new(&identifiers)).await?)
}

/// Whether the same order may be taken without the hint. Who does not want to be asked now is not asked again.
fn dislikes_hint(error: &Error) -> bool {
    match error {
        Error::Api(problem) => failure::cause(problem) == Cause::Refused,
        Error::Unsupported(_) | Error::Other(_) => true,
        _ => false,
    }
}

async fn prove<'a>(
    order: &mut Order,
    name: &str,
    proof: Proof,
    challenges: &'a Challenges,
) -> Result<Vec<Offer<'a>>, Failure> {
    let mut offers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(Failure::new(Cause::Refused, format!("the authority has given up proving {name}"))),
        }
        let Some(mut challenge) = authorization.challenge(proof.kind()) else {
            return Err(Failure::new(Cause::Refused, format!("the authority does not offer the proof {proof:?}")));
        };
        let answer = challenge.key_authorization();
        offers.push(match proof {
            Proof::Tls => challenges.offer_certificate(name, answer.digest().as_ref())?,
            Proof::Http => challenges.offer_text(&challenge.token, answer.as_str()),
        });
        challenge.set_ready().await?;
    }
    Ok(offers)
}

/// Which proof failed, and why.
async fn refusal(order: &mut Order) -> Failure {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { break };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return Failure::new(Cause::Refused, told(problem));
        }
    }
    Failure::new(Cause::Refused, "the authority was not convinced, and does not say why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_repeated_without_the_hint_only_where_that_may_help() {
        for (kind, status, expected) in [
            ("alreadyReplaced", 409, true),
            ("malformed", 400, true),
            ("rateLimited", 429, false),
            ("badNonce", 400, false),
            ("accountDoesNotExist", 400, false),
            ("serverInternal", 500, false),
        ] {
            let problem = serde_json::json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "status": status });
            let error = Error::Api(serde_json::from_value(problem).unwrap());
            assert_eq!(dislikes_hint(&error), expected, "{kind}");
        }
        assert!(dislikes_hint(&Error::Unsupported("replaces")));
        assert!(!dislikes_hint(&Error::Str("nobody answered")));
    }
}
