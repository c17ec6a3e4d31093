//! TLS: which certificates we present, where they come from, and what the plain listener beside it answers
//! (`docs/wire/services.md` §11.1).
//!
//! May touch `outgoing` (the certificate authority is asked over HTTP), `clock`, `random` and its own folder in the data
//! directory; nothing of the domain. Main type: [`Tls`], made from an [`Origin`] by the command line and served by
//! `server::run`.
//!
//! Certificates are replaced while the server runs: handshakes take what [`Certificates`] holds at that moment. Those
//! who put something there are [`files`] (a certificate that somebody else looks after) and [`acme`] (one that we
//! obtain). Neither ever takes away a certificate that works for want of a better one.

mod acme;
mod certificate;
mod certificates;
mod domains;
mod files;
mod plain;
mod store;

use std::{path::PathBuf, sync::Arc, time::Duration};

use rustls::{ServerConfig, crypto::aws_lc_rs};

use self::{acme::Keepers, certificate::Certificate, certificates::Certificates};
pub use self::{
    acme::{Authority, Binding, LETS_ENCRYPT},
    domains::Domains,
    files::{Files, Watched},
    plain::Plain,
};
use crate::clock::Timestamp;

/// A client has this long for its handshake. Meanwhile it costs as much as any connection that waits.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The protocol in which an authority asks for a proof on the TLS port (RFC 8737).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Where certificates come from.
#[derive(Debug)]
pub enum Origin {
    /// Two files that somebody else keeps up to date.
    Files(Files),
    /// An authority that gives them to whoever answers at a domain. `folder` keeps what it gave.
    Authority { authority: Authority, domains: Domains, folder: PathBuf },
    /// Nobody: for a host that no authority knows, such as localhost.
    Ourselves { host: String },
}

/// All that TLS needs while the server runs.
#[derive(Debug)]
pub struct Tls {
    certificates: Arc<Certificates>,
    supply: Supply,
}

/// Who brings new certificates.
#[derive(Debug)]
enum Supply {
    Files(Watched),
    Keepers(Keepers),
    Nobody,
}

/// The certificates that are presented right now.
#[derive(Debug, Clone)]
pub struct InUse(Arc<Certificates>);

impl InUse {
    /// When each of them ends, by name; those that we signed ourselves are left out.
    pub fn ends(&self) -> Vec<(String, Timestamp)> {
        self.0.ends()
    }
}

impl Tls {
    /// Reads what is there. Files that cannot be used are an error, as somebody is there to read it; a domain without a
    /// certificate gets one that we sign ourselves until there is a better one.
    pub fn open(origin: Origin) -> anyhow::Result<Self> {
        match origin {
            Origin::Files(files) => {
                let (certificate, files) = files.open()?;
                certificate.announce("the certificate of the given files is used");
                let certificates = Arc::new(Certificates::for_everybody(certificate));
                Ok(Self { certificates, supply: Supply::Files(files) })
            }
            Origin::Authority { authority, domains, folder } => {
                let certificates = Arc::new(Certificates::for_names(domains.all())?);
                let keepers = Keepers::open(authority, &domains, folder, certificates.clone())?;
                Ok(Self { certificates, supply: Supply::Keepers(keepers) })
            }
            Origin::Ourselves { host } => {
                tracing::warn!(
                    host,
                    "no authority gives a certificate to this host: it is signed by this server itself"
                );
                let certificate = Certificate::self_signed([host, "localhost".to_owned()])?;
                Ok(Self { certificates: Arc::new(Certificates::for_everybody(certificate)), supply: Supply::Nobody })
            }
        }
    }

    /// How connections are encrypted: TLS 1.2 and 1.3. HTTP/2 and HTTP/1.1 are offered by the server itself.
    pub fn server_config(&self) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.certificates.clone());
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        if matches!(self.supply, Supply::Keepers(_)) {
            config.alpn_protocols = vec![ACME_TLS.to_vec()];
        }
        Ok(config)
    }

    /// What the plain listener answers beside a TLS listener on `port`.
    pub fn plain(&self, port: u16) -> Plain {
        Plain::new(self.certificates.clone(), port)
    }

    /// A look at what is in use, now and later.
    pub fn in_use(&self) -> InUse {
        InUse(self.certificates.clone())
    }

    /// Keeps certificates up to date, for as long as the server's system runs.
    pub fn start(self) {
        match self.supply {
            Supply::Files(files) => {
                actix_web::rt::spawn(files.watch(self.certificates));
            }
            Supply::Keepers(keepers) => keepers.start(),
            Supply::Nobody => {}
        }
    }
}
