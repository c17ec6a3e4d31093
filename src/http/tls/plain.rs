//! What is answered on the plain listener beside TLS: the proofs that an authority asks for, and the way to the other one
//! (`docs/wire/services.md` §11.1).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION},
    },
};

use super::certificates::Certificates;

const PROOF: &str = "/.well-known/acme-challenge/";

/// Answers in place of the wire.
#[derive(Debug, Clone)]
pub struct Plain {
    certificates: Arc<Certificates>,
    /// Of the TLS listener.
    port: u16,
}

impl Plain {
    pub(super) fn new(certificates: Arc<Certificates>, port: u16) -> Self {
        Self { certificates, port }
    }

    /// Whether the wire answers, as it does on the other listener: this machine itself may ask how its server is, where
    /// the certificate is for another name.
    pub fn lets_pass(&self, http: &HttpRequest) -> bool {
        matches!(http.uri().path(), "/livez" | "/readyz" | "/metrics")
            && http.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
    }

    /// GET and HEAD are sent to https with a 302, everything else is refused: its secrets have already been sent in the
    /// clear, and whoever wrote it should notice.
    pub fn answer(&self, http: &HttpRequest) -> HttpResponse {
        if let Some(token) = http.uri().path().strip_prefix(PROOF) {
            return match self.certificates.challenges.proof(token) {
                Some(proof) => text(StatusCode::OK, proof),
                None => text(StatusCode::NOT_FOUND, "Nothing is to be proved here.\n"),
            };
        }
        let destination = match *http.method() {
            Method::GET | Method::HEAD => self.destination(http),
            _ => None,
        };
        let Some(destination) = destination else {
            return text(StatusCode::BAD_REQUEST, "Use https.\n");
        };
        let mut response = text(StatusCode::FOUND, "");
        response.headers_mut().insert(LOCATION, destination);
        response
    }

    fn destination(&self, http: &HttpRequest) -> Option<HeaderValue> {
        let host = http.headers().get(HOST).and_then(|host| host.to_str().ok()).or_else(|| http.uri().host())?;
        let host = without_port(host)?;
        let rest = http.uri().path_and_query().map_or("/", |rest| rest.as_str());
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        HeaderValue::from_str(&format!("https://{host}{port}{rest}")).ok()
    }
}

/// The host of a `Host` header; nothing for what is none.
fn without_port(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (host, port) = host.split_at(end);
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let named = |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && named(host),
    };
    (is_host && is_port).then_some(host)
}

fn text(status: StatusCode, text: impl Into<String>) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, actix_web::body::BoxBody::new(text.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::tls::certificate::Certificate;

    #[test]
    fn hosts_are_taken_from_their_ports() {
        for (host, expected) in [
            ("a.example", Some("a.example")),
            ("a.example:80", Some("a.example")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            (":80", None),
            ("[::1", None),
            ("[x]", None),
            ("a.example:80/x", None),
            ("a@b", None),
            ("a/b", None),
            ("a:b:c", None),
        ] {
            assert_eq!(without_port(host), expected, "{host}");
        }
    }

    #[test]
    fn this_machine_may_ask_how_its_server_is() {
        let certificate = Certificate::self_signed(["a.example".to_owned()]).unwrap();
        let plain = Plain::new(Arc::new(Certificates::for_everybody(certificate)), 443);
        for (path, peer, passes) in [
            ("/livez", Some("127.0.0.1:5"), true),
            ("/readyz", Some("[::1]:5"), true),
            ("/metrics", Some("[::ffff:127.0.0.1]:5"), true),
            ("/readyz", Some("192.168.1.1:5"), false),
            ("/readyz", None, false),
            ("/api/health", Some("127.0.0.1:5"), false),
        ] {
            let request = TestRequest::with_uri(path);
            let request = peer.map_or(TestRequest::with_uri(path), |peer| request.peer_addr(peer.parse().unwrap()));
            assert_eq!(plain.lets_pass(&request.to_http_request()), passes, "{path} {peer:?}");
        }
    }

    #[test]
    fn only_reads_are_sent_on() {
        let certificate = Certificate::self_signed(["a.example".to_owned()]).unwrap();
        let plain = |port| Plain::new(Arc::new(Certificates::for_everybody(certificate.clone())), port);
        for (port, method, host, path, status, location) in [
            (443, Method::GET, "a.example", "/x?y=1", 302, Some("https://a.example/x?y=1")),
            (443, Method::HEAD, "a.example:80", "/", 302, Some("https://a.example/")),
            (8443, Method::GET, "a.example", "//evil.example", 302, Some("https://a.example:8443//evil.example")),
            (443, Method::POST, "a.example", "/x", 400, None),
            (443, Method::OPTIONS, "a.example", "/x", 400, None),
            (443, Method::GET, "a/b", "/x", 400, None),
            (443, Method::GET, "a.example", "/.well-known/acme-challenge/none", 404, None),
        ] {
            let request =
                TestRequest::with_uri(path).method(method.clone()).insert_header((HOST, host)).to_http_request();
            let answer = plain(port).answer(&request);
            let answered = answer.headers().get(LOCATION).map(|value| value.to_str().unwrap());
            assert_eq!((answer.status().as_u16(), answered), (status, location), "{method} {host} {path}");
        }
    }
}
