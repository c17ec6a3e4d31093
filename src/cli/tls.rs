//! `conch serve DOMAIN…`: the options of encryption, and what follows from them (`docs/wire/services.md` §11.1).

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;

use super::again;
use crate::http::{
    server::{self, Listeners},
    tls::{Authority, Binding, Domains, Files, LETS_ENCRYPT, Origin, Tls},
};

/// Beside the data, where certificates are kept.
const FOLDER: &str = ".autocert_cache";
/// Where a server without TLS listens.
const ADDRESS: &str = "127.0.0.1:8090";
/// A temporary server may run beside others.
const TEMPORARY_ADDRESS: &str = "127.0.0.1:0";
const PUBLIC_ADDRESS: &str = "0.0.0.0:80";
const PUBLIC_TLS_ADDRESS: &str = "0.0.0.0:443";

/// How connections are encrypted.
#[derive(Debug, Args)]
pub struct Encryption {
    /// Domains that lead here: certificates are obtained for them (and for their www. twins) and renewed, and HTTP is
    /// redirected to HTTPS. By this you accept the terms of the certificate authority
    #[arg(value_name = "DOMAIN", env = "CONCH_DOMAINS", value_delimiter = ',')]
    domains: Vec<String>,
    /// Address to listen on for HTTPS [default: off; 0.0.0.0:443 with domains or --cert]
    #[arg(long, env = "CONCH_HTTPS", value_name = "HOST:PORT")]
    https: Option<String>,
    /// Certificate in PEM with its chain, which somebody else renews: read again when it changes
    #[arg(long, env = "CONCH_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key in PEM; may be in the same file
    #[arg(long, env = "CONCH_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// ACME directory of the authority that is asked for certificates
    #[arg(long, env = "CONCH_ACME_DIRECTORY", value_name = "URL", default_value = LETS_ENCRYPT, hide_default_value = true)]
    acme_directory: String,
    /// Where the authority may write to
    #[arg(long, env = "CONCH_ACME_EMAIL", value_name = "EMAIL")]
    acme_email: Option<String>,
    /// Certificates in PEM that vouch for the authority itself, for one that the system does not know
    #[arg(long, env = "CONCH_ACME_CA", value_name = "FILE")]
    acme_ca: Option<PathBuf>,
    /// Id of an account that the authority knows from elsewhere (external account binding)
    #[arg(long, env = "CONCH_ACME_EAB_ID", value_name = "ID", requires = "acme_eab_key")]
    acme_eab_id: Option<String>,
    /// Its key in base64url; prefer the environment variable
    #[arg(long, env = "CONCH_ACME_EAB_KEY", hide_env_values = true, value_name = "KEY", requires = "acme_eab_id")]
    acme_eab_key: Option<String>,
}

/// Where the server listens, and how people find it.
pub struct Place {
    pub listeners: Listeners,
    /// What a browser on this machine opens, or with domains everybody's.
    pub url: String,
    /// The plain listener's, if it is not the same.
    pub redirects: Option<String>,
    /// See [`server::Options::hosts`].
    pub hosts: Vec<String>,
}

impl Encryption {
    /// Whether there is any.
    fn is_on(&self) -> bool {
        self.https().is_some() || self.cert.is_some() || !self.domains().is_empty()
    }

    /// An environment may have blank variables: nothing was given.
    fn https(&self) -> Option<&str> {
        self.https.as_deref().filter(|address| !address.is_empty())
    }

    fn domains(&self) -> Vec<String> {
        self.domains.iter().filter(|name| !name.trim().is_empty()).cloned().collect()
    }

    /// Binds everything. `http` is the address that was given for it.
    pub fn listen(&self, http: Option<&str>, is_temporary: bool, dir: &Path) -> anyhow::Result<Place> {
        let (given, secure) = self.addresses(http, is_temporary);
        let Some(secure) = secure else {
            let http = listener(given, "--http")?;
            let url = url("http", address(&http)?);
            let hosts = vec![host(given).to_owned()];
            return Ok(Place { listeners: Listeners { http, https: None }, url, redirects: None, hosts });
        };
        let domains = Domains::parse(&self.domains())?;
        let http = listener(given, "--http")?;
        let https = listener(secure, "--https")?;
        let (bound, redirects) = (address(&https)?, Some(url("http", address(&http)?)));
        let host = host(secure).to_owned();
        let hosts = if domains.is_empty() { vec![host.clone()] } else { domains.given().to_vec() };
        let url = match domains.given().first() {
            Some(domain) if bound.port() == 443 => format!("https://{domain}"),
            Some(domain) => format!("https://{domain}:{}", bound.port()),
            None => url("https", bound),
        };
        let tls = Tls::open(self.origin(domains, host, dir)?)?;
        Ok(Place { listeners: Listeners { http, https: Some((https, tls)) }, url, redirects, hosts })
    }

    /// Where the server listens, given or not: the plain listener, and that of TLS if there is any. `http` is the address
    /// that was given for the first.
    pub fn addresses<'a>(&'a self, http: Option<&'a str>, is_temporary: bool) -> (&'a str, Option<&'a str>) {
        if !self.is_on() {
            return (http.unwrap_or(if is_temporary { TEMPORARY_ADDRESS } else { ADDRESS }), None);
        }
        let (http_default, https_default) = self.defaults(is_temporary);
        (http.unwrap_or(http_default), Some(self.https().unwrap_or(https_default)))
    }

    /// Where a server with TLS listens when nobody says it: the plain listener, and the other.
    fn defaults(&self, is_temporary: bool) -> (&'static str, &'static str) {
        let is_public = !self.domains().is_empty() || self.cert.is_some();
        match (is_temporary, is_public) {
            (true, _) => (TEMPORARY_ADDRESS, TEMPORARY_ADDRESS),
            (false, true) => (PUBLIC_ADDRESS, PUBLIC_TLS_ADDRESS),
            // Where only --https was given, what was on this machine alone stays there.
            (false, false) => (ADDRESS, PUBLIC_TLS_ADDRESS),
        }
    }

    fn origin(&self, domains: Domains, host: String, dir: &Path) -> anyhow::Result<Origin> {
        if let Some((certificate, key)) = self.cert.clone().zip(self.key.clone()) {
            return Ok(Origin::Files(Files { certificate, key }));
        }
        let domains = match domains.is_empty() {
            false => domains,
            // The host of the listen address, if it is one that others may know.
            true => match Domains::parse(std::slice::from_ref(&host)).ok().filter(|_| host.contains('.')) {
                Some(domains) => domains,
                None => return Ok(Origin::Ourselves { host }),
            },
        };
        let binding = self.acme_eab_id.clone().zip(self.acme_eab_key.as_ref());
        let binding = binding.map(|(id, key)| Binding::parse(id, key)).transpose()?;
        let authority =
            Authority::new(&self.acme_directory, self.acme_email.clone(), self.acme_ca.as_deref(), binding)?;
        Ok(Origin::Authority { authority, domains, folder: dir.join(FOLDER) })
    }
}

/// Listens on an address that was given with `option`; on the same socket as before if the process has started again.
fn listener(address: &str, option: &str) -> anyhow::Result<TcpListener> {
    let known_as = format!("{option} {address}");
    let listener = again::listener(&known_as).map_or_else(|| server::listen(address, option), Ok)?;
    again::keep(&known_as, &listener).context("cannot keep the listening socket")?;
    Ok(listener)
}

/// The host of an address to listen on; every interface when there is none.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { "0.0.0.0" } else { host }
}

fn address(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    listener.local_addr().context("cannot read the address that was bound")
}

/// Where `conch serve` listens for HTTP with this environment, when it is told nothing else.
pub fn plain_default() -> &'static str {
    let is_public =
        ["CONCH_DOMAINS", "CONCH_CERT"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    if is_public { PUBLIC_ADDRESS } else { ADDRESS }
}

/// Where a browser on this machine finds the server.
pub fn url(scheme: &str, address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(host, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_that_a_browser_can_open() {
        for (address, expected) in [
            ("127.0.0.1:8090", "http://127.0.0.1:8090"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("192.168.1.5:1", "http://192.168.1.5:1"),
        ] {
            assert_eq!(url("http", address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn blank_variables_are_as_good_as_none() {
        let encryption = |https: &str, domain: &str| Encryption {
            domains: vec![domain.to_owned()],
            https: Some(https.to_owned()),
            cert: None,
            key: None,
            acme_directory: LETS_ENCRYPT.to_owned(),
            acme_email: None,
            acme_ca: None,
            acme_eab_id: None,
            acme_eab_key: None,
        };
        for (https, domain, on, defaults) in [
            ("", "", false, (ADDRESS, PUBLIC_TLS_ADDRESS)),
            ("", " ", false, (ADDRESS, PUBLIC_TLS_ADDRESS)),
            (":443", "", true, (ADDRESS, PUBLIC_TLS_ADDRESS)),
            ("", "a.example", true, (PUBLIC_ADDRESS, PUBLIC_TLS_ADDRESS)),
        ] {
            let given = encryption(https, domain);
            assert_eq!((given.is_on(), given.defaults(false)), (on, defaults), "{https} {domain}");
            assert_eq!(given.defaults(true), (TEMPORARY_ADDRESS, TEMPORARY_ADDRESS));
        }
    }

    #[test]
    fn the_host_of_an_address_is_found() {
        for (address, expected) in
            [("a.example:443", "a.example"), ("[::1]:443", "::1"), (":443", "0.0.0.0"), ("127.0.0.1:0", "127.0.0.1")]
        {
            assert_eq!(host(address), expected);
        }
    }
}
