//! IP addresses and CIDR ranges.

use std::net::IpAddr;

/// True for an address (`10.0.0.1`, `::1`) or a range (`10.0.0.0/8`).
pub fn is_network(text: &str) -> bool {
    parse(text).is_some()
}

/// Whether `address` is in `network` (an address or a range). Unreadable networks contain nothing.
pub fn contains(network: &str, address: IpAddr) -> bool {
    parse(network).is_some_and(|(base, prefix)| is_within(base, prefix, address))
}

fn is_within(base: IpAddr, prefix: u8, address: IpAddr) -> bool {
    // An IPv4 client of a dual-stack socket arrives as an IPv6-mapped address.
    match (base.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// A list of addresses and ranges, read once.
#[derive(Debug, Default)]
pub struct Networks(Vec<(IpAddr, u8)>);

impl Networks {
    /// What is unreadable contains nothing.
    pub fn new(texts: &[String]) -> Self {
        Self(texts.iter().filter_map(|text| parse(text)).collect())
    }

    /// Whether `address` is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|&(base, prefix)| is_within(base, prefix, address))
    }
}

/// An address as the wire prints it: IPv6 with all its digits.
pub fn expanded(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|segment| format!("{segment:04x}")).join(":"),
    }
}

/// Base address and prefix length.
fn parse(text: &str) -> Option<(IpAddr, u8)> {
    let Some((base, prefix)) = text.split_once('/') else {
        // A mapped address is compared as the IPv4 address that it stands for.
        let address = text.parse::<IpAddr>().ok()?.to_canonical();
        return Some((address, if address.is_ipv4() { 32 } else { 128 }));
    };
    let base: IpAddr = base.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    match base {
        IpAddr::V4(_) if prefix <= 32 => Some((base, prefix)),
        IpAddr::V6(address) if prefix <= 128 => match address.to_ipv4_mapped() {
            Some(mapped) if prefix >= 96 => Some((IpAddr::V4(mapped), prefix - 96)),
            Some(_) => None,
            None => Some((base, prefix)),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_their_addresses() {
        for (network, address, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("::1/128", "::1", true),
            ("nonsense", "1.2.3.4", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(contains(network, address), expected, "{network} {address}");
            assert_eq!(Networks::new(&["x".into(), network.into()]).contain(address), expected, "{network} {address}");
        }
    }

    #[test]
    fn networks_are_told_from_other_texts() {
        for text in ["1.2.3.4", "1.2.3.0/24", "::1", "::/0"] {
            assert!(is_network(text), "{text}");
        }
        for text in ["", "x", "1.2.3", "1.2.3.4/33", "::1/200", "1.2.3.4/", "/8", "1.2.3.4/-1", "::ffff:1.2.3.4/8"] {
            assert!(!is_network(text), "{text}");
        }
    }
}
