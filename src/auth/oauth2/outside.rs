//! Talking to providers: bounded answers, bounded time, no redirects.
//!
//! The URLs are those of superusers, so a provider in the same network is nothing unusual. What providers' *users*
//! bring along is fetched by [`super::picture`], which trusts nobody.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, header::CONTENT_TYPE, redirect};
use serde_json::{Map, Value as Json};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::form_urlencoded;

use super::{keys::Keys, names::Names, picture::Pictures};
use crate::error::{Error, Result};

/// The most bytes of one answer.
const MAX_ANSWER: usize = 1 << 20;
/// Sign-ins that wait for providers at the same time; more are told to come back.
const MAX_WAITING: usize = 256;
/// For one connection, the TLS handshake included.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// A connection that nobody uses is kept so long.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// How we call ourselves; some providers answer nobody who does not.
pub(super) const USER_AGENT: &str = concat!("Conch/", env!("CARGO_PKG_VERSION"));

/// What sign-ins with providers share.
pub(in crate::auth) struct Outside {
    /// Made when it is first needed: most runs of the command line never talk to anybody.
    client: OnceLock<Client>,
    waiting: Semaphore,
    pub keys: Keys,
    pub names: Names,
    pub pictures: Pictures,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            client: OnceLock::new(),
            waiting: Semaphore::new(MAX_WAITING),
            keys: Keys::default(),
            names: Names::default(),
            pictures: Pictures::default(),
        }
    }
}

impl Outside {
    /// One that downloads pictures from these addresses only.
    #[cfg(test)]
    pub fn with_pictures_from(allows: super::picture::Allows) -> Self {
        Self { pictures: Pictures::from(allows), ..Self::default() }
    }

    /// Room for one more sign-in that waits for others, or busy.
    pub fn admit(&self) -> Result<SemaphorePermit<'_>> {
        self.waiting.try_acquire().map_err(|_| Error::busy(Duration::from_secs(1)))
    }

    pub fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = build(|| {
            let builder = Client::builder().user_agent(USER_AGENT).redirect(redirect::Policy::none());
            builder.connect_timeout(CONNECT_TIME).pool_idle_timeout(IDLE_TIME)
        });
        let client = client.map_err(Error::internal)?;
        Ok(self.client.get_or_init(|| client))
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

/// A whole answer.
pub(super) struct Answer {
    pub status: StatusCode,
    /// The media type in lower case, without parameters.
    media_type: String,
    body: Vec<u8>,
}

impl Answer {
    /// Sends and reads. Fails when nobody answers, or too much.
    pub async fn of(request: RequestBuilder) -> Result<Self, String> {
        let response = request.send().await.map_err(|error| describe(&error))?;
        let status = response.status();
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|text| text.split(';').next()).unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        let body = bounded(response, MAX_ANSWER).await?;
        Ok(Self { status, media_type, body })
    }

    /// The JSON of a successful answer.
    pub fn json(&self) -> Result<Json, String> {
        if !self.status.is_success() {
            return Err(format!("{}: {}", self.status, self.excerpt()));
        }
        serde_json::from_slice(&self.body).map_err(|error| format!("{error}: {}", self.excerpt()))
    }

    /// The members of an answer that may be a form or JSON.
    pub fn members(&self) -> Result<Map<String, Json>, String> {
        if matches!(&*self.media_type, "application/x-www-form-urlencoded" | "text/plain") {
            let pairs = form_urlencoded::parse(&self.body);
            return Ok(pairs.map(|(name, value)| (name.into_owned(), Json::String(value.into_owned()))).collect());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Json::Object(members)) => Ok(members),
            Ok(_) => Err("the answer is no object".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The beginning of the body, for the log.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(200).collect()
    }
}

/// A body of at most `most` bytes.
pub(super) async fn bounded(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("the answer has more than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A failed request with all its causes, without its URL: some have secrets in their query.
pub(super) fn describe(error: &reqwest::Error) -> String {
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
