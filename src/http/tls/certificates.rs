//! What is presented to whom. Handshakes read this without waiting; keepers replace what is in it.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::Notify;

use super::{ACME_TLS, acme::Challenges, certificate::Certificate};
use crate::clock::Timestamp;

/// The certificates in use.
#[derive(Debug)]
pub struct Certificates {
    held: ArcSwap<Held>,
    /// Whoever replaces one: two at a time would lose one.
    replacing: Mutex<()>,
    pub challenges: Challenges,
    /// Those who wait until somebody asks for their name.
    wanted: HashMap<String, Arc<Notify>>,
}

#[derive(Debug, Clone)]
enum Held {
    /// One, whatever name a client asks for.
    One(Certificate),
    /// One for each name, and the first name, for those who ask for none.
    Named(HashMap<String, Certificate>, String),
}

impl Certificates {
    /// One certificate for whoever comes.
    pub fn for_everybody(certificate: Certificate) -> Self {
        Self::new(Held::One(certificate), HashMap::new())
    }

    /// One for each of the names, of which there is one at least, to begin with signed by ourselves. Clients that ask for
    /// another name are refused; those that ask for none get that of the first.
    pub fn for_names<'a>(names: impl Iterator<Item = &'a str>) -> anyhow::Result<Self> {
        let (mut held, mut wanted, mut first) = (HashMap::new(), HashMap::new(), None);
        for name in names {
            held.insert(name.to_owned(), Certificate::self_signed([name.to_owned()])?);
            wanted.insert(name.to_owned(), Arc::default());
            first.get_or_insert_with(|| name.to_owned());
        }
        Ok(Self::new(Held::Named(held, first.unwrap_or_default()), wanted))
    }

    fn new(held: Held, wanted: HashMap<String, Arc<Notify>>) -> Self {
        Self {
            held: ArcSwap::from_pointee(held),
            replacing: Mutex::default(),
            challenges: Challenges::default(),
            wanted,
        }
    }

    /// Presents `certificate` from the next handshake on: to whoever asks for `name`, or to everybody where there is one
    /// for all.
    pub fn replace(&self, name: &str, certificate: Certificate) {
        let _replacing = self.replacing.lock();
        let mut held = Held::clone(&self.held.load());
        match &mut held {
            Held::One(one) => *one = certificate,
            Held::Named(by_name, _) => drop(by_name.insert(name.to_owned(), certificate)),
        }
        self.held.store(Arc::new(held));
    }

    /// When each of them ends, by name; those that we signed ourselves are left out.
    pub fn ends(&self) -> Vec<(String, Timestamp)> {
        let held = self.held.load();
        let named: Vec<(&str, &Certificate)> = match &**held {
            Held::One(one) => vec![(one.names.first().map_or("", String::as_str), one)],
            Held::Named(by_name, _) => by_name.iter().map(|(name, one)| (name.as_str(), one)).collect(),
        };
        let given = named.into_iter().filter(|(_, certificate)| !certificate.is_ours);
        let mut ends: Vec<_> = given.map(|(name, certificate)| (name.to_owned(), certificate.ends)).collect();
        ends.sort();
        ends
    }

    /// Completes when a client has asked for `name` since it was last waited for.
    pub async fn wanted(&self, name: &str) {
        match self.wanted.get(name) {
            Some(wanted) => wanted.notified().await,
            None => std::future::pending().await,
        }
    }

    /// What is presented to a client that asks for `name`.
    fn of(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        match (&**self.held.load(), name) {
            (Held::One(one), _) => Some(one.key.clone()),
            (Held::Named(by_name, first), None) => by_name.get(first).map(|certificate| certificate.key.clone()),
            (Held::Named(by_name, _), Some(name)) => {
                let found = by_name.get(name).or_else(|| by_name.get(&name.to_ascii_lowercase()));
                found.map(|certificate| certificate.key.clone())
            }
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        // Only an authority speaks this protocol and no other (RFC 8737 §3).
        let mut protocols = hello.alpn().into_iter().flatten();
        if protocols.next() == Some(ACME_TLS) && protocols.next().is_none() {
            return self.challenges.certificate(name?);
        }
        if let Some(wanted) = name.and_then(|name| self.wanted.get(name)) {
            wanted.notify_one();
        }
        self.of(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_certificate_of_the_name_they_ask_for() {
        let certificates = Certificates::for_names(["a.example", "b.example"].into_iter()).unwrap();
        let presented = |name: Option<&str>| certificates.of(name).map(|key| key.cert[0].to_vec());
        let (a, b) = (presented(Some("a.example")).unwrap(), presented(Some("b.example")).unwrap());
        assert_ne!(a, b);
        for (name, expected) in
            [(None, Some(&a)), (Some("A.Example"), Some(&a)), (Some("c.example"), None), (Some("www.a.example"), None)]
        {
            assert_eq!(presented(name).as_ref(), expected, "{name:?}");
        }
        let new = Certificate::self_signed(["b.example".to_owned()]).unwrap();
        certificates.replace("b.example", new.clone());
        assert_eq!(presented(Some("b.example")).unwrap(), new.key.cert[0].to_vec());
        assert_eq!(presented(None), Some(a));
    }

    #[test]
    fn a_certificate_for_everybody_is_replaced_for_everybody() {
        let certificate = || Certificate::self_signed(["a.example".to_owned()]).unwrap();
        let (old, new) = (certificate(), certificate());
        let certificates = Certificates::for_everybody(old.clone());
        assert_eq!(certificates.of(Some("x")).unwrap().cert, old.key.cert);
        certificates.replace("", new.clone());
        assert_eq!(certificates.of(None).unwrap().cert, new.key.cert);
        assert_eq!(certificates.ends(), []);
        let given = Certificate { is_ours: false, ..new };
        certificates.replace("", given.clone());
        assert_eq!(certificates.ends(), [("a.example".to_owned(), given.ends)]);
    }
}
