//! `www.` in front of a host that is served without (`docs/wire/services.md` §2.7).

use actix_web::{HttpRequest, http::header::HOST};

const WWW: &str = "www.";

/// The hosts that are led to the same without `www.`.
#[derive(Debug, Default)]
pub struct Twins(Vec<String>);

impl Twins {
    /// `hosts`: the names that this server has certificates for, without ports. A twin that is among them is served itself.
    pub fn new(hosts: &[String]) -> Self {
        let hosts: Vec<String> = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let twins = hosts.iter().filter(|host| !host.is_empty() && !host.starts_with(WWW));
        Self(twins.map(|host| format!("{WWW}{host}")).filter(|twin| !hosts.contains(twin)).collect())
    }

    /// Where a request for a twin has to go. A host with a port is none.
    pub fn redirected(&self, http: &HttpRequest) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        // HTTP/2 has it in the target.
        let named = http.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = named.or_else(|| Some(http.uri().authority()?.as_str()))?;
        let twin = self.0.iter().find(|twin| twin.eq_ignore_ascii_case(host))?;
        let scheme = if http.app_config().secure() { "https" } else { "http" };
        let target = http.uri().path_and_query().map_or("/", |target| target.as_str());
        Some(format!("{scheme}://{}{target}", &twin[WWW.len()..]))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_a_twin_that_is_not_served_itself_is_led_elsewhere() {
        let hosts = ["example.com", "www.own.org", "own.org", "127.0.0.1", ""].map(str::to_owned);
        let twins = Twins::new(&hosts);
        for (host, uri, expected) in [
            ("www.example.com", "/a?b=%20", Some("http://example.com/a?b=%20")),
            ("WWW.Example.com", "/", Some("http://example.com/")),
            ("www.127.0.0.1", "/", Some("http://127.0.0.1/")),
            ("www.example.com:80", "/", None),
            ("example.com", "/", None),
            ("www.www.example.com", "/", None),
            ("www.own.org", "/", None),
            ("www.", "/", None),
            ("www.evil.com", "/", None),
        ] {
            let request = TestRequest::with_uri(uri).insert_header((HOST, host)).to_http_request();
            assert_eq!(twins.redirected(&request).as_deref(), expected, "{host}");
        }
        assert!(Twins::new(&[]).0.is_empty());
    }
}
