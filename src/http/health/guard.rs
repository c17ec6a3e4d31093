//! Who may see how the server stands: whoever has the token, or asks from an address that is admitted.

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use aws_lc_rs::{constant_time, digest};

use crate::{
    http::middleware::client_address,
    settings::{TrustedProxy, network},
};

/// What proxies say of the client they ask for. Whoever is asked for by one that is not trusted could be anybody.
const FORWARDED: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip", "fly-client-ip", "true-client-ip"];

/// Whom the numbers are for.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// SHA-256 of the token, so that comparing tells nothing of it.
    token: Option<[u8; 32]>,
    /// Addresses and CIDR ranges that need no token.
    from: Vec<String>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    Admitted,
    /// A token would help.
    NeedsToken,
    /// There is no token.
    Elsewhere,
}

impl Guard {
    /// With a `token` the addresses of this machine are not admitted by themselves: a proxy on it asks for everybody.
    pub fn new(token: Option<&str>, from: &[String]) -> Self {
        let token = token.filter(|token| !token.is_empty()).map(digested);
        let local = || ["127.0.0.0/8", "::1"].map(str::to_owned).to_vec();
        let from = if from.is_empty() && token.is_none() { local() } else { from.to_vec() };
        Self { token, from }
    }

    pub fn judge(&self, http: &HttpRequest, trusted: &TrustedProxy) -> Entrance {
        let address = client_address::of(http, trusted);
        let spoken_for = trusted.headers.is_empty() && FORWARDED.iter().any(|name| http.headers().contains_key(*name));
        // A header that names this machine was written by somebody else.
        let named = address != client_address::peer(http).to_canonical();
        let pretends = named && address.is_loopback();
        if !spoken_for && !pretends && self.from.iter().any(|network| network::contains(network, address)) {
            return Entrance::Admitted;
        }
        let Some(token) = &self.token else { return Entrance::Elsewhere };
        let shown = http.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.map(|text| text.split_once(' ').map_or(text, |(_, token)| token.trim()));
        let right = shown.is_some_and(|shown| constant_time::verify_slices_are_equal(&digested(shown), token).is_ok());
        if right { Entrance::Admitted } else { Entrance::NeedsToken }
    }
}

fn digested(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_numbers_are_for_the_owner() {
        use Entrance::{Admitted, Elsewhere, NeedsToken};
        let nobody = TrustedProxy::default();
        let proxied = TrustedProxy { headers: vec!["X-Forwarded-For".to_owned()], use_leftmost_ip: false };
        let far = "X-Forwarded-For: 1.1.1.1";
        for (token, from, trusted, peer, header, expected) in [
            (None, vec![], &nobody, "127.0.0.1", "", Admitted),
            (None, vec![], &nobody, "::1", "", Admitted),
            (None, vec![], &nobody, "10.0.0.1", "", Elsewhere),
            // A proxy on this machine asks for somebody.
            (None, vec![], &nobody, "127.0.0.1", far, Elsewhere),
            (None, vec![], &nobody, "127.0.0.1", "Forwarded: for=1.1.1.1", Elsewhere),
            (None, vec![], &proxied, "127.0.0.1", far, Elsewhere),
            (None, vec!["1.1.1.0/24"], &proxied, "127.0.0.1", far, Admitted),
            (None, vec!["1.1.1.0/24"], &nobody, "127.0.0.1", far, Elsewhere),
            (None, vec!["10.0.0.0/8"], &nobody, "10.9.9.9", "", Admitted),
            (None, vec!["10.0.0.0/8"], &nobody, "127.0.0.1", "", Elsewhere),
            (Some("secret"), vec![], &nobody, "127.0.0.1", "", NeedsToken),
            (Some("secret"), vec![], &nobody, "9.9.9.9", "Authorization: Bearer secret", Admitted),
            (Some("secret"), vec![], &nobody, "9.9.9.9", "Authorization: secret", Admitted),
            (Some("secret"), vec![], &nobody, "9.9.9.9", "Authorization: Bearer secre", NeedsToken),
            (Some("secret"), vec!["9.9.9.9"], &nobody, "9.9.9.9", "", Admitted),
            (Some(""), vec![], &nobody, "9.9.9.9", "Authorization: Bearer ", Elsewhere),
        ] {
            let from: Vec<_> = from.into_iter().map(str::to_owned).collect();
            let mut request = TestRequest::default().peer_addr((peer.parse::<std::net::IpAddr>().unwrap(), 1).into());
            if let Some((name, value)) = header.split_once(": ") {
                request = request.append_header((name, value));
            }
            let found = Guard::new(token, &from).judge(&request.to_http_request(), trusted);
            assert_eq!(found, expected, "{token:?} {from:?} {peer} {header}");
        }
    }
}
