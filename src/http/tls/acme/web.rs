//! How an authority is reached: our own client, with limits on time and size, and an ear for "not so often".

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, header::USER_AGENT as USER_AGENT_HEADER};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use reqwest::{Certificate, Client, ClientBuilder, Method, StatusCode, header::HeaderMap, redirect::Policy};

use crate::{
    clock::{Clock, Timestamp},
    outgoing::{Lazy, USER_AGENT, bounded, describe, retry_after},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// For one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer that is read: certificates have some thousand bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// The way to one authority. Cheap to clone.
#[derive(Clone)]
pub struct Web {
    shared: Arc<Shared>,
}

struct Shared {
    client: Lazy,
    roots: Vec<Certificate>,
    /// The authority wants to be left alone until then.
    quiet_until: Mutex<Timestamp>,
}

/// An answer: its head, and its whole body.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Web {
    /// `roots`: who may vouch for the authority; none for whoever the system trusts.
    pub fn new(roots: Vec<Certificate>) -> Self {
        let quiet_until = Mutex::new(Timestamp(0));
        Self { shared: Arc::new(Shared { client: Lazy::default(), roots, quiet_until }) }
    }

    /// When the authority may be asked again.
    pub fn quiet_until(&self) -> Timestamp {
        *self.shared.quiet_until.lock()
    }

    /// GET, for what needs no account.
    pub async fn get(&self, url: &str) -> Result<Answer, String> {
        let url = url.parse().map_err(|_| "the authority named no URL".to_owned())?;
        self.ask(reqwest::Request::new(Method::GET, url)).await
    }

    async fn ask(&self, request: reqwest::Request) -> Result<Answer, String> {
        let client = self.client().await.map_err(|error| format!("{error:#}"))?;
        let response = client.execute(request).await.map_err(|error| describe(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let now = Clock::system().now();
            if let Some(wait) = retry_after(&headers, now) {
                let mut quiet_until = self.shared.quiet_until.lock();
                *quiet_until = quiet_until.max(now.plus(wait));
            }
        }
        let body = Bytes::from(bounded(response, LONGEST_ANSWER).await?);
        Ok(Answer { status, headers, body })
    }

    async fn client(&self) -> anyhow::Result<&Client> {
        let roots = self.shared.roots.clone();
        self.shared.client.get(move || builder(roots.clone())).await
    }
}

fn builder(roots: Vec<Certificate>) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .https_only(true)
        .redirect(Policy::limited(3))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT);
    if roots.is_empty() { builder } else { builder.tls_certs_only(roots) }
}

impl HttpClient for Web {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let web = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            parts.headers.insert(USER_AGENT_HEADER, http::HeaderValue::from_static(USER_AGENT));
            let request = Request::from_parts(parts, reqwest::Body::wrap(body));
            let request = reqwest::Request::try_from(request).map_err(|error| Error::Other(Box::new(error)))?;
            let answer = web.ask(request).await.map_err(|why| Error::Other(why.into()))?;
            let mut head = http::Response::new(());
            (*head.status_mut(), *head.headers_mut()) = (answer.status, answer.headers);
            Ok(BytesResponse { parts: head.into_parts().0, body: Box::new(answer.body) })
        })
    }
}
