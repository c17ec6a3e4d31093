//! Proofs that a domain leads here, while an authority asks for them: a text on the plain listener (RFC 8555 §8.3), or a
//! certificate in a protocol of its own on the other (RFC 8737).

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};

use crate::http::tls::certificate::key_of;

/// What is proved right now.
#[derive(Debug, Default)]
pub struct Challenges {
    /// By token.
    texts: RwLock<HashMap<String, String>>,
    /// By domain.
    certificates: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

/// A proof is given for as long as this lives.
#[derive(Debug)]
#[must_use]
pub struct Offer<'a> {
    challenges: &'a Challenges,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Text(String),
    Certificate(String),
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        match &self.place {
            Place::Text(token) => drop(self.challenges.texts.write().remove(token)),
            Place::Certificate(domain) => drop(self.challenges.certificates.write().remove(domain)),
        }
    }
}

impl Challenges {
    /// The text that proves `token`.
    pub fn proof(&self, token: &str) -> Option<String> {
        self.texts.read().get(token).cloned()
    }

    /// The certificate that proves `domain`.
    pub fn certificate(&self, domain: &str) -> Option<Arc<CertifiedKey>> {
        self.certificates.read().get(domain).cloned()
    }

    pub fn offer_text(&self, token: &str, text: &str) -> Offer<'_> {
        self.texts.write().insert(token.to_owned(), text.to_owned());
        Offer { challenges: self, place: Place::Text(token.to_owned()) }
    }

    /// `digest`: SHA-256 of the key authorization, 32 bytes.
    pub fn offer_certificate(&self, domain: &str, digest: &[u8]) -> anyhow::Result<Offer<'_>> {
        anyhow::ensure!(digest.len() == 32, "a digest of {} bytes", digest.len());
        let mut parameters = CertificateParams::new([domain.to_owned()])?;
        parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        let chain = vec![certificate.der().clone()];
        // Unchecked: nobody but an authority understands this certificate.
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key_of(&key))?;
        let certified = CertifiedKey::new(chain, key);
        self.certificates.write().insert(domain.to_owned(), Arc::new(certified));
        Ok(Offer { challenges: self, place: Place::Certificate(domain.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_given_while_they_are_asked_for() {
        let challenges = Challenges::default();
        let text = challenges.offer_text("token", "token.thumb");
        let certificate = challenges.offer_certificate("a.example", &[7; 32]).unwrap();
        assert_eq!(challenges.proof("token").as_deref(), Some("token.thumb"));
        assert_eq!(challenges.proof("other"), None);
        assert!(challenges.certificate("a.example").is_some() && challenges.certificate("b.example").is_none());
        drop((text, certificate));
        assert!(challenges.proof("token").is_none() && challenges.certificate("a.example").is_none());
        assert!(challenges.offer_certificate("a.example", &[7; 31]).is_err());
    }
}
