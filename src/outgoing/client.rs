//! What all our connections to others have in common: who we say we are, whom we trust, and what we say of a failure.

use std::sync::Arc;

use reqwest::{Client, ClientBuilder};
use tokio::{sync::OnceCell, task::spawn_blocking};

/// How we call ourselves; some providers answer nobody who does not.
pub const USER_AGENT: &str = concat!("Conch/", env!("CARGO_PKG_VERSION"));

/// A client that is made when it is first needed: most runs of the command line never talk to anybody.
#[derive(Default)]
pub struct Lazy(OnceCell<Client>);

impl Lazy {
    /// The client. Whoever asks first has it made from `builder`, off the async workers: that reads the certificates of
    /// the system.
    pub async fn get(&self, builder: impl Fn() -> ClientBuilder + Send + 'static) -> anyhow::Result<&Client> {
        let make = || async { Ok(spawn_blocking(|| build(builder)).await??) };
        self.0.get_or_try_init(make).await
    }
}

/// A client that trusts whom the system trusts. A system that trusts nobody (a bare container) gets the authorities that
/// Mozilla trusted when this was built.
pub(super) fn build(builder: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    match builder().build() {
        Err(error) if error.is_builder() => {
            tracing::warn!("the system has no certificates of authorities: using those that were built in");
            builder().tls_backend_preconfigured(built_in_trust()).build()
        }
        built => built,
    }
}

fn built_in_trust() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the versions that it is built with");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// A failed request with all its causes, without its URL: some have secrets in their query.
pub fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "it took too long".to_owned() } else { "no answer".to_owned() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_trust_without_the_systems() {
        let config = built_in_trust();
        assert!(Client::builder().tls_backend_preconfigured(config).build().is_ok());
        assert!(build(Client::builder).is_ok());
    }
}
