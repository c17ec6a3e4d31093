//! One certificate with its key, checked before anybody relies on it.

use std::{sync::Arc, time::Duration};

use rcgen::KeyPair;
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use crate::clock::Timestamp;

/// Whoever uses a certificate is told when it ends within this time.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The most certificates in a chain.
const LONGEST_CHAIN: usize = 16;

/// A chain of certificates and the key of the first.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    pub begins: Timestamp,
    pub ends: Timestamp,
    /// The names that it is for.
    pub names: Vec<String>,
    /// We signed it ourselves, for want of another.
    pub is_ours: bool,
}

impl Certificate {
    /// Reads PEM. The reason why it cannot be used is a sentence's end.
    pub fn read(chain: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| anyhow::anyhow!("the certificate is not PEM: {error}"))?;
        anyhow::ensure!(!chain.is_empty(), "there is no BEGIN CERTIFICATE in it");
        anyhow::ensure!(chain.len() <= LONGEST_CHAIN, "its chain has more than {LONGEST_CHAIN} certificates");
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| anyhow::anyhow!("the private key cannot be read: {error}"))?;
        Self::checked(chain, key)
    }

    fn checked(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> anyhow::Result<Self> {
        let (begins, ends, names) = facts(&chain[0])?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => anyhow::anyhow!("the private key belongs to another certificate"),
            error => anyhow::anyhow!("it cannot be used: {error}"),
        })?;
        Ok(Self { key: Arc::new(key), begins, ends, names, is_ours: false })
    }

    /// A certificate that nobody vouches for.
    pub fn self_signed(names: impl Into<Vec<String>>) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(names)?;
        let made = Self::checked(vec![made.cert.der().clone()], key_of(&made.signing_key))?;
        Ok(Self { is_ours: true, ..made })
    }

    /// Whether `name` is one of those that it is for.
    pub fn is_for(&self, name: &str) -> bool {
        ServerName::try_from(name).is_ok_and(|name| {
            let leaf = rustls::server::ParsedCertificate::try_from(&self.key.cert[0]);
            leaf.is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, &name).is_ok())
        })
    }

    /// How long it is good for in all.
    pub fn life(&self) -> Duration {
        self.begins.until(self.ends)
    }

    /// Says in the log that it is used from now on, and whether that will be for long.
    pub fn announce(&self, what: &str) {
        let now = crate::clock::Clock::system().now();
        let (names, until) = (self.names.join(" "), self.ends.to_string());
        if self.ends <= now {
            tracing::error!(names, until, "{what}, but it has ended: browsers refuse it until it is replaced");
        } else if now.until(self.ends) < SOON.min(self.life() / 3) {
            tracing::warn!(names, until, "{what}, but it ends soon");
        } else {
            tracing::info!(names, until, "{what}");
        }
    }
}

/// A key that rcgen made, as rustls wants it.
pub fn key_of(pair: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(pair.serialize_der().into())
}

/// When it begins and ends, and whom it is for.
fn facts(certificate: &CertificateDer<'_>) -> anyhow::Result<(Timestamp, Timestamp, Vec<String>)> {
    let (_, parsed) =
        parse_x509_certificate(certificate).map_err(|error| anyhow::anyhow!("it is not X.509: {error}"))?;
    let time = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1000));
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    });
    Ok((time(parsed.validity().not_before), time(parsed.validity().not_after), names.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_read_in_any_order_with_text_around() {
        let (chain, key) = made(&["a.example", "*.b.example", "127.0.0.1"]);
        let both = format!("Directory: x\n{key}\n{chain}");
        let read = Certificate::read(both.as_bytes(), both.as_bytes()).unwrap();
        assert_eq!(read.names, ["a.example", "*.b.example", "127.0.0.1"]);
        for (name, expected) in [
            ("a.example", true),
            ("x.b.example", true),
            ("b.example", false),
            ("127.0.0.1", true),
            ("é", false),
            ("", false),
        ] {
            assert_eq!(read.is_for(name), expected, "{name}");
        }
        assert!(read.begins < read.ends);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        let ((chain, key), (_, other)) = (made(&["a.example"]), made(&["a.example"]));
        let broken = chain.replace("MII", "MIA");
        for (chain, key, reason) in [
            ("", key.as_str(), "no BEGIN CERTIFICATE"),
            (&key, &key, "no BEGIN CERTIFICATE"),
            (&chain, "", "private key cannot be read"),
            (&chain, &chain, "private key cannot be read"),
            (&chain, &other, "belongs to another certificate"),
            (&broken, &key, "not X.509"),
            (&chain.repeat(17), &key, "more than 16"),
        ] {
            let error = Certificate::read(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} / {reason}");
        }
    }
}
