//! Where we may not be sent. A URL that a stranger names may point into our own network, by its address or by what its
//! name resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use url::Host;

/// Whether an address may be connected to.
pub type Allows = fn(IpAddr) -> bool;

/// HTTP to something that is not plainly the wrong address. Addresses in numbers are never resolved, so they are judged
/// here.
pub fn admit(url: &Url, allows: Allows) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{} is not HTTP", url.scheme()));
    }
    let address: IpAddr = match url.host() {
        None => return Err("there is no host".to_owned()),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
    };
    if allows(address) { Ok(()) } else { Err(format!("{address} is not a public address")) }
}

/// Resolves names to what may be connected to. What it answers is what is connected to: there is no moment between the
/// check and the use.
pub struct Guard {
    allows: Allows,
}

impl Guard {
    pub fn new(allows: Allows) -> Self {
        Self { allows }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allows = self.allows;
        Box::pin(async move {
            // The port is the URL's.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|error| Unresolved(error.to_string()))?.collect();
            if found.is_empty() || !found.iter().all(|address| allows(address.ip())) {
                return Err(Forbidden(format!("{} is not a public address", name.as_str())).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A name that nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("the name was not found: {0}")]
pub(super) struct Unresolved(String);

/// A name that leads where we do not go.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Forbidden(String);

/// Whether an address belongs to the internet, and not to this machine, its network or nobody
/// (IANA's special-purpose registries).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The internet, this machine and private networks; not what is merely reachable, such as the link's own addresses, where
/// clouds hand out credentials.
pub fn is_near_or_public(address: IpAddr) -> bool {
    let near = match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    };
    near || is_public(address)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Between a carrier and its customers (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        // Relays to IPv6 (RFC 7526).
        || (a == 192 && b == 88 && c == 99)
        // Benchmarks (RFC 2544).
        || (a == 198 && (b == 18 || b == 19));
    !special
}

/// Global unicast (2000::/3) without what wraps IPv4 addresses, which would lead to where those lead.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global = a & 0xe000 == 0x2000;
    let special = match a {
        // Protocols (Teredo among them), and documentation.
        0x2001 => b < 0x0200 || b == 0x0db8,
        // 6to4.
        0x2002 => true,
        0x3fff => b < 0x1000,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_public() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn near_is_this_machine_and_private_networks() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("10.1.2.3", true),
            ("192.168.0.1", true),
            ("fd00::1", true),
            ("8.8.8.8", true),
            ("169.254.169.254", false),
            ("fe80::1", false),
            ("0.0.0.0", false),
            ("::ffff:127.0.0.1", false),
            ("224.0.0.1", false),
            ("100.100.100.200", false),
        ] {
            assert_eq!(is_near_or_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_lead_to() {
        let look = async |name: &str, allows: Allows| {
            let found = Guard::new(allows).resolve(name.parse().unwrap()).await;
            found.map(|found| found.count() > 0)
        };
        assert!(look("localhost", is_near_or_public).await.unwrap());
        assert!(look("localhost", is_public).await.err().unwrap().is::<Forbidden>());
        assert!(look("nobody.invalid", is_near_or_public).await.err().unwrap().is::<Unresolved>());
    }
}
