//! The names that a server is given on its command line, and those that come with them.

use url::Host;

use crate::address::is_host;

/// So many names are looked after at most.
const MOST: usize = 100;

/// Domains as they were given, in ASCII and lower case, and their implicit `www.` twins
/// (`docs/wire/services.md` §11.1, §2.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains {
    given: Vec<String>,
    twins: Vec<String>,
}

impl Domains {
    /// Refuses what no certificate can be obtained for, with a sentence that says why.
    pub fn parse(names: &[String]) -> anyhow::Result<Self> {
        let mut given: Vec<String> = Vec::new();
        for name in names {
            let name = parsed(name.trim())?;
            if !given.contains(&name) {
                given.push(name);
            }
        }
        anyhow::ensure!(given.len() <= MOST, "{} domains are too many: at most {MOST} are looked after", given.len());
        let twins = given.iter().filter_map(|name| twin(name, &given)).collect();
        Ok(Self { given, twins })
    }

    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// The domains as they were given: the hosts whose `www.` twins are redirected.
    pub fn given(&self) -> &[String] {
        &self.given
    }

    /// The names that come along: nobody may have made them lead here.
    pub fn twins(&self) -> &[String] {
        &self.twins
    }

    /// Every name that gets a certificate.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.given.iter().chain(&self.twins).map(String::as_str)
    }
}

fn parsed(name: &str) -> anyhow::Result<String> {
    if name.starts_with("*.") {
        anyhow::bail!(
            "'{name}': a certificate for a wildcard needs DNS records that Conch cannot make; name each host"
        );
    }
    match Host::parse(name) {
        Ok(Host::Domain(domain)) if is_host(&domain) && !domain.ends_with('.') => Ok(domain),
        Ok(Host::Domain(_)) | Err(_) => anyhow::bail!("'{name}' is not a domain, such as app.example.com"),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => {
            anyhow::bail!("'{name}' is an address and no domain; to listen on it, use --https {name}:443")
        }
    }
}

fn twin(name: &str, given: &[String]) -> Option<String> {
    // Nobody has a www. in front of a machine's name.
    let twin = (name.contains('.') && !name.starts_with("www.")).then(|| format!("www.{name}"))?;
    (!given.contains(&twin)).then_some(twin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> anyhow::Result<Domains> {
        Domains::parse(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn domains_have_twins_unless_these_are_given_too() {
        for (names, all) in [
            (vec![], vec![]),
            (vec!["a.com"], vec!["a.com", "www.a.com"]),
            (vec!["A.com", " a.COM "], vec!["a.com", "www.a.com"]),
            (vec!["a.com", "www.a.com"], vec!["a.com", "www.a.com"]),
            (vec!["www.a.com"], vec!["www.a.com"]),
            (vec!["bücher.example"], vec!["xn--bcher-kva.example", "www.xn--bcher-kva.example"]),
            (vec!["printer"], vec!["printer"]),
            (vec!["b.org", "a.com"], vec!["b.org", "a.com", "www.b.org", "www.a.com"]),
        ] {
            assert_eq!(parse(&names).unwrap().all().collect::<Vec<_>>(), all, "{names:?}");
        }
    }

    #[test]
    fn what_no_certificate_can_be_had_for_is_refused() {
        for name in
            ["*.a.com", "1.2.3.4", "[::1]", "::1", "a.com:443", "https://a.com", "a b", "", "a.com/x", "../x", "a."]
        {
            assert!(parse(&[name]).is_err(), "{name}");
        }
        let many: Vec<String> = (0..=MOST).map(|n| format!("a{n}.com")).collect();
        assert!(Domains::parse(&many).is_err());
        assert!(Domains::parse(&many[1..]).is_ok());
    }
}
