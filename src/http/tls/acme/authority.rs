//! Whom we ask for certificates.

use std::{fmt, fs, path::Path};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Certificate;
use url::Url;

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// An authority, and how we make ourselves known to it.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The URL of its ACME directory.
    pub directory: String,
    /// Where it may write to.
    pub email: Option<String>,
    /// Who may vouch for the authority itself; when there are none, whoever the system trusts.
    pub roots: Vec<Certificate>,
    pub binding: Option<Binding>,
}

/// An account that the authority knows from elsewhere (RFC 8555 §7.3.4).
#[derive(Clone)]
pub struct Binding {
    pub id: String,
    /// HMAC key, decoded.
    pub key: Vec<u8>,
}

impl Binding {
    /// `key` in base64url, as authorities hand it out.
    pub fn parse(id: String, key: &str) -> anyhow::Result<Self> {
        let key = BASE64_URL_SAFE_NO_PAD.decode(key.trim().trim_end_matches('=')).ok().filter(|key| !key.is_empty());
        let key = key.context("the key of the external account is not base64url: copy it as the authority shows it")?;
        Ok(Self { id, key })
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Authority {
    /// `roots` is a PEM file. Whatever would fail only later is refused here.
    pub fn new(
        directory: &str,
        email: Option<String>,
        roots: Option<&Path>,
        binding: Option<Binding>,
    ) -> anyhow::Result<Self> {
        let url = Url::parse(directory).ok().filter(|url| url.scheme() == "https" && url.host().is_some());
        let url =
            url.with_context(|| format!("'{directory}' is no directory of an authority: give an https:// URL"))?;
        if let Some(email) = &email {
            anyhow::ensure!(crate::address::is_email(email), "'{email}' is not an e-mail address");
        }
        let roots = roots.map(read_roots).transpose()?.unwrap_or_default();
        Ok(Self { directory: url.to_string(), email, roots, binding })
    }
}

fn read_roots(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let roots = Certificate::from_pem_bundle(&pem).ok().filter(|roots| !roots.is_empty());
    roots.with_context(|| format!("{} holds no certificates in PEM", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_checked_before_it_is_asked() {
        let new =
            |directory: &str, email: Option<&str>| Authority::new(directory, email.map(str::to_owned), None, None);
        for (directory, email, good) in [
            (LETS_ENCRYPT, None, true),
            (LETS_ENCRYPT, Some("me@example.com"), true),
            (LETS_ENCRYPT, Some("me"), false),
            ("http://ca.example/dir", None, false),
            ("ca.example", None, false),
            ("", None, false),
        ] {
            assert_eq!(new(directory, email).is_ok(), good, "{directory} {email:?}");
        }
        assert!(Authority::new(LETS_ENCRYPT, None, Some(Path::new("/dev/null")), None).is_err());
    }

    #[test]
    fn the_key_of_a_binding_is_base64url() {
        for (key, good) in [
            ("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W", true),
            (" _-8= ", true),
            ("", false),
            ("+/", false),
        ] {
            assert_eq!(Binding::parse("k".to_owned(), key).is_ok(), good, "{key}");
        }
        assert!(!format!("{:?}", Binding::parse("k".to_owned(), "c2VjcmV0").unwrap()).contains("115"));
    }
}
