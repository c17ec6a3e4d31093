//! Requests to whom others name: guarded, without redirects, in bounded time, for an answer of bounded size.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url, redirect};
use url::Host;

use super::{
    answer::Answer,
    client::{Lazy, USER_AGENT},
    failure::{Failure, Hop},
    guard::{Allows, Guard, admit, is_near_or_public, is_public},
};

/// For the address, the connection and the TLS handshake.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// For everything together.
const TOTAL_TIME: Duration = Duration::from_secs(15);
/// A connection that nobody uses is kept so long.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// And no more of them to one host.
const IDLE_CONNECTIONS: usize = 8;
/// The most bytes of one answer.
const MAX_ANSWER: usize = 64 << 10;

/// Asks others. Two clients, so that no connection into a private network outlives the permission.
#[derive(Default)]
pub struct Outgoing {
    public: Lazy,
    near: Lazy,
}

impl Outgoing {
    /// Sends what `with` makes of a POST to `url`, and reads the answer. `allow_private`: this machine and private
    /// networks may be connected to.
    pub async fn post(
        &self,
        url: &str,
        allow_private: bool,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        let allows = allowed(allow_private);
        let parsed = admitted(url, allow_private)?;
        let client = self.client(allow_private, allows).await;
        let client = client.map_err(|error| Failure::new(Hop::Connect, format!("{error:#}")))?;
        let response = with(client.post(parsed)).send().await?;
        Ok(Answer::read(response, MAX_ANSWER).await)
    }

    /// Whether a URL says plainly that we do not go there: no HTTP, a forbidden address, or (unless `allow_private`) no TLS.
    /// What its name resolves to is looked at when it is connected to.
    pub fn check(url: &str, allow_private: bool) -> Result<(), Failure> {
        admitted(url, allow_private).map(drop)
    }

    async fn client(&self, allow_private: bool, allows: Allows) -> anyhow::Result<&Client> {
        let builder = move || {
            let builder = Client::builder().user_agent(USER_AGENT).redirect(redirect::Policy::none());
            // A proxy would resolve names itself.
            let builder = builder.dns_resolver(Guard::new(allows)).no_proxy().referer(false);
            let builder = builder.connect_timeout(CONNECT_TIME).timeout(TOTAL_TIME);
            builder.pool_idle_timeout(IDLE_TIME).pool_max_idle_per_host(IDLE_CONNECTIONS)
        };
        if allow_private { self.near.get(builder).await } else { self.public.get(builder).await }
    }
}

/// Where we may go.
fn allowed(allow_private: bool) -> Allows {
    if allow_private { is_near_or_public } else { is_public }
}

fn admitted(url: &str, allow_private: bool) -> Result<Url, Failure> {
    let url = Url::parse(url).map_err(|error| Failure::new(Hop::Url, format!("no URL: {error}")))?;
    let hop = if matches!(url.scheme(), "http" | "https") && url.has_host() { Hop::Address } else { Hop::Url };
    admit(&url, allowed(allow_private)).map_err(|why| Failure::new(hop, why))?;
    if url.scheme() == "http" && !(allow_private && is_near(&url)) {
        return Err(Failure::new(Hop::Url, "only https is sent to over the internet"));
    }
    Ok(url)
}

/// Whether a host is plainly one of this machine or of a private network: what is signed can still be read on the way.
fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => !is_public(ip.into()),
        Some(Host::Ipv6(ip)) => !is_public(ip.into()),
        // RFC 6761, 6762, 8375; a name without a dot is nobody's on the internet.
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let ends = [".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test", ".invalid"];
            !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Answers every connection with `answer`; nothing at all if that is blank.
    async fn server(answer: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        port
    }

    fn hop(outcome: Result<Answer, Failure>) -> Hop {
        outcome.unwrap_err().hop
    }

    #[tokio::test]
    async fn a_failure_names_how_far_we_came() {
        let outgoing = Outgoing::default();
        let post = async |url: &str, near| outgoing.post(url, near, |request| request).await;
        let port = server("HTTP/1.1 201 Created\r\nretry-after: 3\r\ncontent-length: 2\r\n\r\nok".to_owned()).await;
        let answer = post(&format!("http://127.0.0.1:{port}/"), true).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.said().as_str()), (201, "201 Created: ok"));
        assert_eq!(answer.retry_after(crate::clock::Timestamp(0)), Some(Duration::from_secs(3)));
        for (url, near, expected) in [
            ("nonsense".to_owned(), true, Hop::Url),
            ("ftp://example.com/".to_owned(), true, Hop::Url),
            ("data:,x".to_owned(), true, Hop::Url),
            (format!("http://127.0.0.1:{port}/"), false, Hop::Address),
            (format!("https://localhost:{port}/"), false, Hop::Address),
            ("http://example.com/".to_owned(), false, Hop::Url),
            ("http://example.com/".to_owned(), true, Hop::Url),
            ("http://93.184.215.14/".to_owned(), true, Hop::Url),
            (format!("http://[::ffff:127.0.0.1]:{port}/"), true, Hop::Address),
            (format!("http://2852039166:{port}/"), true, Hop::Address),
            ("http://nobody.invalid/".to_owned(), true, Hop::Resolve),
            ("http://127.0.0.1:1/".to_owned(), true, Hop::Connect),
            (format!("https://127.0.0.1:{port}/"), true, Hop::Tls),
        ] {
            assert_eq!(hop(post(&url, near).await), expected, "{url} {near}");
        }
    }

    #[test]
    fn only_https_leaves_the_own_network() {
        for (url, public, private) in [
            ("https://x.example/", true, true),
            ("http://x.example/", false, false),
            ("HTTP://X.EXAMPLE/", false, false),
            ("http://93.184.215.14/", false, false),
            ("http://10.1.2.3/", false, true),
            ("http://[::1]/", false, true),
            ("http://localhost:80/", false, true),
            ("http://ntfy/", false, true),
            ("http://nas.local./", false, true),
            ("ftp://x.example/", false, false),
            ("nonsense", false, false),
            ("", false, false),
        ] {
            let checked = [false, true].map(|near| Outgoing::check(url, near).is_ok());
            assert_eq!(checked, [public, private], "{url}");
        }
    }

    #[tokio::test]
    async fn nobody_sends_us_elsewhere_or_too_much() {
        let outgoing = Outgoing::default();
        let target = server("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        let answer = format!("HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:{target}/\r\ncontent-length: 0\r\n\r\n");
        let port = server(answer).await;
        let got = outgoing.post(&format!("http://127.0.0.1:{port}/"), true, |request| request).await.unwrap();
        assert_eq!(got.status.as_u16(), 307);
        let body = "x".repeat(MAX_ANSWER + 1);
        let port = server(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")).await;
        let got = outgoing.post(&format!("http://127.0.0.1:{port}/"), true, |request| request).await.unwrap();
        assert_eq!((got.status.as_u16(), got.body.len(), got.whole), (200, MAX_ANSWER, false));
        let port = server("HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nab".to_owned()).await;
        let got = outgoing.post(&format!("http://127.0.0.1:{port}/"), true, |request| request).await.unwrap();
        assert_eq!((got.status.as_u16(), got.body, got.whole), (201, b"ab".to_vec(), false));
    }

    #[tokio::test]
    async fn who_hangs_is_given_up() {
        let outgoing = Outgoing::default();
        let port = server(String::new()).await;
        let short = |request: RequestBuilder| request.timeout(Duration::from_millis(200));
        // It closes without a word; one that keeps the connection is the same after its time.
        assert_eq!(hop(outgoing.post(&format!("http://127.0.0.1:{port}/"), true, short).await), Hop::Answer);
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let failure = outgoing.post(&format!("http://127.0.0.1:{port}/"), true, short).await.unwrap_err();
        assert!(failure.hop == Hop::Answer && failure.why.contains("too long"), "{failure:?}");
    }
}
