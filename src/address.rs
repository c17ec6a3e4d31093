//! What counts as an e-mail address, a domain, a host and a URL, in fields (`docs/wire/records-collections.md` §4.4) and
//! in settings (`docs/wire/services.md` §4.1). Touches nothing.
//!
//! The wire's lists of what is accepted are wider and narrower than the RFCs at once, so these are own readers of
//! exactly that language.

use std::{net::IpAddr, sync::LazyLock};

use regex::Regex;

/// True for an address like `a@b.co`: dots between words before the `@`, a dotted domain after it.
pub fn is_email(text: &str) -> bool {
    if text.len() > 4096 {
        return false;
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    is_dotted_word(local) && is_email_domain(domain)
}

/// The part after the last `@`.
pub fn email_domain(text: &str) -> &str {
    text.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn is_dotted_word(local: &str) -> bool {
    local
        .split('.')
        .all(|word| !word.is_empty() && word.chars().all(|c| is_alnum(c) || "!#$%&'*+-/=?^_`{|}~".contains(c)))
}

fn is_email_domain(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some((host, top)) = domain.rsplit_once('.') else { return false };
    framed(host, is_alnum, |c| is_alnum(c) || "-._~".contains(c))
        && framed(top, |c| c.is_ascii_alphabetic() || is_foreign(c), |c| is_alnum(c) || "-_~".contains(c))
}

/// True when `text` begins and ends with an `edge` and has only `inner` characters.
fn framed(text: &str, edge: impl Fn(char) -> bool, inner: impl Fn(char) -> bool) -> bool {
    text.starts_with(&edge) && text.ends_with(&edge) && text.chars().all(inner)
}

fn is_alnum(c: char) -> bool {
    c.is_ascii_alphanumeric() || is_foreign(c)
}

/// Characters beyond ASCII that addresses may have.
fn is_foreign(c: char) -> bool {
    matches!(c, '\u{a0}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{ffef}')
}

/// True for an entry of a domain list: ASCII labels, at least two, the last of letters only.
pub fn is_domain(text: &str) -> bool {
    let mut labels = text.rsplit('.');
    let top = labels.next().unwrap_or_default();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && framed(label, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= 253
        && text.contains('.')
        && label(top)
        && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        && labels.all(label)
}

/// True for an IP address or a DNS name in ASCII, which may also have underscores.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let rest = label.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        label.len() <= 63
            && rest.len() < label.len()
            && rest.bytes().all(|b| b == b'-' || b == b'_' || b.is_ascii_alphanumeric())
    };
    let labels = text.strip_suffix(['.', '_']).unwrap_or(text);
    text.parse::<IpAddr>().is_ok() || (text.len() <= 255 && labels.split('.').all(label))
}

/// True for a URL or a bare host that looks like one.
pub fn is_url(text: &str) -> bool {
    let length = text.chars().count();
    if text.len() <= 3 || length >= 2083 || text.starts_with('.') {
        return false;
    }
    // A colon without `://` is taken for a port, so the text is read as if it had a scheme.
    let prefix = if text.contains(':') && !text.contains("://") { "http://" } else { "" };
    let prefixed = format!("{prefix}{text}");
    let Some(parsed) = Parsed::read(&prefixed) else { return false };
    if parsed.host.starts_with('.') || (parsed.host.is_empty() && !parsed.path.is_empty() && !parsed.path.contains('.'))
    {
        return false;
    }
    SHAPE.is_match(text)
}

/// The host of a URL, port included; blank when there is none.
pub fn url_host(text: &str) -> String {
    Parsed::read(text).map(|parsed| parsed.host.to_owned()).unwrap_or_default()
}

/// The shape of a URL: scheme, user, host, port, path; all but the host optional.
static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
    let word = "[a-zA-Z0-9]";
    // Letters and digits of any script in the first plane.
    let any = r"[a-zA-Z0-9\x{00a1}-\x{ffff}]";
    let letters = r"[a-zA-Z\x{00a1}-\x{ffff}]+";
    let byte = r"(?:\d{1,2}|1\d\d|2[0-4]\d|25[0-5])";
    let ipv4 = format!(r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3]|24\d|25[0-5])(?:\.{byte}){{2}}\.{byte}");
    let ipv6 = ipv6_shape();
    // What may stand right before the name proper.
    let lead = format!(r"{word}[a-zA-Z0-9_-]*{word}(?:[-.]{word}+)*");
    let sub = format!(r"www\.|{word}+(?:[-_.]?{word})*{word}\.{word}+");
    let name = format!(r"(?:{any}+-{{0,2}})*{any}+(?:\.{letters})?");
    let pattern = format!(
        r"^(?:(?:ftp|tcp|udp|wss?|https?)://)?(?:[^\t\n\f\r ]+(?::[^\t\n\f\r ]*)?@)?(?:{ipv4}|\[{ipv6}\]|(?:{lead}|{sub})?{name})\.?(?::\d{{1,5}})?(?:[/?\#][^\t\n\f\r ]*)?$",
    )
    .replace(r"\d", "[0-9]");
    Regex::new(&pattern).expect("the pattern is a constant that a test compiles")
});

/// The shapes of an IPv6 address: eight groups, or fewer around one `::`, maybe with an IPv4 tail or a zone.
fn ipv6_shape() -> String {
    let group = "[0-9a-fA-F]{1,4}";
    let byte = r"(?:25[0-5]|(?:2[0-4]|1?[0-9])?[0-9])";
    let ipv4 = format!(r"{byte}(?:\.{byte}){{3}}");
    let mut shapes = vec![format!("(?:{group}:){{7}}{group}"), format!("(?:{group}:){{1,7}}:")];
    for before in 1..=6 {
        shapes.push(format!("(?:{group}:){{1,{before}}}(?::{group}){{1,{}}}", 7 - before));
    }
    shapes.push(format!(":(?:(?::{group}){{1,7}}|:)"));
    shapes.push("fe80:(?::[0-9a-fA-F]{0,4}){0,4}%[0-9a-zA-Z]+".to_owned());
    shapes.push(format!("::(?:ffff(?::0{{1,4}})?:)?{ipv4}"));
    shapes.push(format!("(?:{group}:){{1,4}}:{ipv4}"));
    format!("(?:{})", shapes.join("|"))
}

/// A text cut by the rules of RFC 3986, as far as validity depends on them.
struct Parsed<'a> {
    host: &'a str,
    path: &'a str,
}

impl<'a> Parsed<'a> {
    /// `None` when the parts cannot be told apart or hold what they must not.
    fn read(text: &'a str) -> Option<Self> {
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return None;
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(text)?;
        let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
        if !escapes_are_fine(fragment) {
            return None;
        }
        if !rest.starts_with('/') {
            if scheme {
                return Some(Self { host: "", path: "" });
            }
            // A colon in the first segment would read as a scheme.
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return None;
            }
        }
        let (authority, path) = match rest.strip_prefix("//") {
            Some(after) if scheme || !rest.starts_with("///") => match after.find('/') {
                Some(at) => after.split_at(at),
                None => (after, ""),
            },
            _ => ("", rest),
        };
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user_is_fine = user.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c));
        (user_is_fine && escapes_are_fine(user) && host_is_fine(host) && escapes_are_fine(path))
            .then_some(Self { host, path })
    }
}

/// Whether `text` has a scheme, and what follows its colon; `None` for a colon without one.
fn split_scheme(text: &str) -> Option<(bool, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((true, &text[at + 1..])),
            _ => break,
        }
    }
    Some((false, text))
}

fn host_is_fine(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(inner) => match inner.rsplit_once(']') {
            Some(parts) => parts,
            None => return false,
        },
        None => match host.rfind(':') {
            Some(at) => host.split_at(at),
            None => (host, ""),
        },
    };
    let port_is_fine =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if !port_is_fine {
        return false;
    }
    if host.starts_with('[') {
        let (address, zone) = name.split_once("%25").unwrap_or((name, "zone"));
        return address.parse::<std::net::Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains('%');
    }
    name.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c))
        && escapes_are_fine(name)
}

/// True when every `%` starts a byte in hexadecimal.
fn escapes_are_fine(text: &str) -> bool {
    text.split('%').skip(1).all(|after| after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        for text in [
            "a@b.co",
            "a@b.c",
            "a@b.co.",
            "a+b@c.de",
            "a@b_c.co",
            "ä@b.co",
            "a@ä.de",
            "a@b.中国",
            "A@B.CO",
            "a!#$%&'*+/=?^_`{|}~-@b.co",
            "a@b.c_d",
            "a@b.c-d",
            "a@b.c~d",
            "a@1.co",
            "a@1-2.co",
            "a@xn--a.de",
            "a\u{a0}b@c.de",
            "a@b..c.co",
        ] {
            assert!(is_email(text), "{text}");
        }
        for text in [
            "",
            "a",
            "a@",
            "@b.co",
            "a@b",
            "a@localhost",
            "a@1.2.3.4",
            "a@[1.2.3.4]",
            "\"a\"@c.de",
            "\"a b\"@c.de",
            " a@b.co",
            "a@b.co ",
            "a.@b.co",
            ".a@b.co",
            "a..b@c.de",
            "a@b@c.de",
            "a@-b.co",
            "a@b-.co",
            "a@b..co",
            "a@b.1",
            "a@b.1c",
            "a@b.c1",
            "a,b@c.de",
            "<a@b.co>",
            "X <a@b.co>",
            "a@_b.co",
            "a@b.co-",
            "a b@c.de",
            "a@b c.de",
            "a@b.co,c@d.ef",
            "😀@b.co",
            "a@😀.co",
            "a\u{fdd0}@c.de",
            "a@b.co\n",
            "a@.b.co",
            "mailto:a@b.co",
            "a\\b@c.de",
            "\u{fffd}@b.co",
            "a@b.-co",
        ] {
            assert!(!is_email(text), "{text}");
        }
        assert_eq!(email_domain("a@b@c.d"), "c.d");
    }

    #[test]
    fn domains() {
        for text in ["a.co", "a.c", "a.b.com", "xn--a.com", "a--b.com", "1.com", "A.Com", "a.museum", "3.4.com"] {
            assert!(is_domain(text), "{text}");
        }
        for text in [
            "",
            "a",
            "localhost",
            "a.b.",
            ".a.b",
            "-a.com",
            "a-.com",
            "a_b.com",
            "ä.de",
            "a.c1",
            "1.2.3.4",
            "a.b-c",
            "a..com",
            " a.com",
            "a.com:80",
        ] {
            assert!(!is_domain(text), "{text}");
        }
    }

    #[test]
    fn names_of_hosts() {
        for text in ["a.b", "localhost", "1.2.3.4", "::1", "a_b.c", "a.", "a-.b", "1.2.3", "a_"] {
            assert!(is_host(text), "{text}");
        }
        for text in ["", ".", "a b", "a..b", "-a", "a/b", "ü.de", "fe80::1%eth0", "a:80", &"a".repeat(65)] {
            assert!(!is_host(text), "{text}");
        }
    }

    #[test]
    fn urls() {
        for text in [
            "http://a",
            "example.com",
            "127.0.0.1",
            "localhost:80",
            "http://[::1]:80/",
            "http://u:p@h.com/x",
            "x.y/z?q=1#f",
            "http://a.b/ä",
            "http://ä.de",
            "http://xn--a.de",
            "http://a_b.com",
            "http://a--b.com",
            "http://a.b.",
            "http://a.b./x",
            "a.com.",
            "http://a:99999",
            "http://1.2.3.4:80",
            "http://a?x",
            "http://a#x",
            "http://a/%20",
            "http://user@host",
            "mailto:a@b.c",
            "a@b.com",
            "a:b@c.com",
            "ab.c",
            "x.co",
            "foo/bar.txt",
            "foo.x/bar",
            "foo.x?x=1",
            "foo:80",
            "http://[1::2]",
            "[::1]",
            "[::1]:80",
            "http://[fe80::1%25en0]",
            "ws://x",
            "wss://x",
            "tcp://x",
            "udp://x",
            "ftp://x",
            "https://x",
            "http://a.b/\\",
            "http://a.b/<>",
            "http://中文.中国",
            "http://123",
            "http://123.456",
            "www.a",
            "http://www.",
            "http://a.com/a:b",
            "a.com:80/x",
            "http://a@b@c.com",
            "http://user:@h.com",
            "http://:p@h.com",
            "http://@h.com",
            "http://a-b-c.d-e.com",
            "http://1a.com",
            "http://0",
            "a/b.c",
            "a.b/",
            "a.b?c",
            "a.b#c",
            "aaa.b",
            "localhost.x",
            "Example.COM",
            "http://a.b/💩",
            "http://a.b/\u{85}x",
            "http://a.b/\u{a0}",
        ] {
            assert!(is_url(text), "{text}");
        }
        for text in [
            "",
            "abc",
            "localhost",
            "a.b",
            "//x.y",
            "git://x.y",
            "HTTP://A.COM",
            "http://",
            "http://-a.com",
            " http://a.b",
            "javascript:alert(1)",
            "http://a.b ",
            "http://a b.com",
            "http://a.b/x y",
            "http://_a.com",
            "http://a-.com",
            "http://a..b",
            "http://.a.b",
            ".a.com",
            "http://a:123456",
            "http://a:",
            "http://a:/x",
            "http://256.1.1.1",
            "http://0.0.0.0",
            "1.2.3",
            "1.2.3.4.5",
            "http://a/%zz",
            "http://us er@host",
            "x.c",
            "foo/bar",
            "foo?x=1",
            "a:1",
            "http://[1::2::3]",
            "http://[]/a@b",
            "http://[fe80::1%en0]",
            "ssh://x",
            "file:///x",
            "http:///x",
            "http:/x",
            "http:x",
            "http//x",
            "http://a\\b",
            "http://a.123",
            "a.b.cd",
            "a.b.c",
            "a.bc1",
            "http://a.com:80:80",
            "ab://c.com",
            "http://:80",
            ":80",
            "http://h.com@",
            "http://a,b.com",
            "http://a~b.com",
            "http://a.b-c",
            "http://a.com-",
            "http://a.1a",
            "http://💩.la",
            "/a.b",
            "?a.b",
            "#a.b",
            "localhost/x",
            "http://a.b\0",
            "http://a\nb",
            "http://a.b\n",
        ] {
            assert!(!is_url(text), "{text}");
        }
        assert!(is_url(&format!("http://a/{}", "b".repeat(2073))));
        assert!(!is_url(&format!("http://a/{}", "b".repeat(2074))));
    }

    #[test]
    fn hosts() {
        for (text, host) in [
            ("http://a.com:80/x", "a.com:80"),
            ("https://u:p@a.com?x", "a.com"),
            ("example.com", ""),
            ("http://[::1]:80/", "[::1]:80"),
        ] {
            assert_eq!(url_host(text), host);
        }
    }
}
