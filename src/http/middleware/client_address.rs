//! The real address of the client (`docs/wire/services.md` §2.6).

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;

use crate::settings::TrustedProxy;

/// The peer's address, or what the first usable trusted header says.
pub fn of(http: &HttpRequest, trusted: &TrustedProxy) -> IpAddr {
    let named = trusted.headers.iter().find_map(|name| {
        // The last line of this name: earlier ones may come from the client itself.
        let line = http.headers().get_all(name.as_str()).last()?.to_str().ok()?;
        let mut addresses = line.split(',').filter_map(|part| part.trim().parse().ok());
        if trusted.use_leftmost_ip { addresses.next() } else { addresses.next_back() }
    });
    named.unwrap_or_else(|| peer(http)).to_canonical()
}

/// The other end of the connection.
pub fn peer(http: &HttpRequest) -> IpAddr {
    // Connections over TCP always have one; a test request may not.
    http.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::settings::network::expanded;

    #[test]
    fn trusted_headers_name_the_client() {
        const PEER: &str = "10.0.0.9";
        for (trusted, leftmost, headers, expected) in [
            (vec![], false, vec![("X-Forwarded-For", "1.1.1.1")], PEER),
            (vec!["X-Forwarded-For"], false, vec![], PEER),
            (vec!["X-Forwarded-For"], false, vec![("X-Forwarded-For", "1.1.1.1, 2.2.2.2")], "2.2.2.2"),
            (vec!["X-Forwarded-For"], true, vec![("X-Forwarded-For", "1.1.1.1, 2.2.2.2")], "1.1.1.1"),
            (vec!["X-Forwarded-For"], false, vec![("X-Forwarded-For", "1.1.1.1, bad")], "1.1.1.1"),
            (vec!["X-Forwarded-For"], false, vec![("X-Forwarded-For", "bad")], PEER),
            (vec!["X-A", "X-B"], false, vec![("X-B", "3.3.3.3")], "3.3.3.3"),
            (vec!["X-A"], false, vec![("X-A", "4.4.4.4"), ("X-A", "5.5.5.5")], "5.5.5.5"),
            (vec!["X-A"], false, vec![("X-A", "2001:db8::1")], "2001:0db8:0000:0000:0000:0000:0000:0001"),
            (vec!["bad name\n"], false, vec![("X-A", "4.4.4.4")], PEER),
        ] {
            let mut request = TestRequest::default().peer_addr("10.0.0.9:1234".parse().unwrap());
            for (name, value) in headers {
                request = request.append_header((name, value));
            }
            let trusted =
                TrustedProxy { headers: trusted.iter().map(ToString::to_string).collect(), use_leftmost_ip: leftmost };
            assert_eq!(expanded(of(&request.to_http_request(), &trusted)), expected, "{trusted:?}");
        }
    }
}
