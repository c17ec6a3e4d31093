//! The formats that settings are checked for (`docs/wire/services.md` §4.1).

use std::net::IpAddr;

/// A web address, leniently: `example.com`, `localhost:8090`, `http://minio` and `ftp://x.y` pass; `x`, `/path` and
/// `http://` fail.
pub fn is_url(text: &str) -> bool {
    const SCHEMES: [&str; 7] = ["http", "https", "ftp", "tcp", "udp", "ws", "wss"];
    if text.len() < 3 || text.len() >= 2083 || text.starts_with('.') || text.chars().any(is_blank) {
        return false;
    }
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => rest,
        Some(_) => return false,
        None => text,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or("none"))),
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    // Without a scheme or a port a bare word may be anything.
    let named = is_dns_name(host) && (host == "localhost" || host.contains('.') || text.contains(':'));
    port_fits && (named || host.parse::<IpAddr>().is_ok())
}

/// An IP address or a DNS name.
pub fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_dns_name(text)
}

fn is_dns_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    labels.len() <= 253
        && labels.split('.').all(|label| {
            let inner = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
            !label.is_empty() && label.len() <= 63 && label.chars().all(inner) && !label.starts_with('-')
        })
}

/// An e-mail address with a dotted domain; no quotes, spaces or address literals (`docs/wire/auth.md` §0.3).
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let clean = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
    let local_letter = |letter: char| letter.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(letter);
    let top_letters = domain.rsplit('.').next().is_some_and(|top| top.chars().any(char::is_alphabetic));
    clean(local)
        && clean(domain)
        && local.chars().all(local_letter)
        && domain.contains('.')
        && is_dns_name(domain)
        && top_letters
}

/// `#rgb` or `#rrggbb`.
pub fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a rate-limit rule may be about: `METHOD /path`, `/path`, `word:word`, `*:word` or `word`.
pub fn is_rate_limit_label(text: &str) -> bool {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let path = |text: &str| {
        text.strip_prefix('/').is_some_and(|rest| {
            rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-'))
        })
    };
    match (text.split_once(' '), text.split_once(':')) {
        (Some((method, target)), _) => word(method) && path(target),
        (None, Some((collection, tag))) => (collection == "*" || word(collection)) && word(tag),
        (None, None) => path(text) || word(text),
    }
}

fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised() {
        type Check = fn(&str) -> bool;
        let tables: [(&str, Check, &[&str], &[&str]); 5] = [
            (
                "url",
                is_url,
                &[
                    "example.com",
                    "localhost:8090",
                    "ftp://x.y",
                    "https://a.b/c?d#e",
                    "http://127.0.0.1:8090",
                    "http://u:p@a.b",
                    "http://[::1]:80",
                    "http://minio",
                    "minio:9000",
                ],
                &[
                    "x",
                    "/path",
                    "http://",
                    "",
                    "http://a b.c",
                    "gopher://a.b",
                    "a.b:99999",
                    "http://a..b",
                    "javascript:alert(1)",
                ],
            ),
            ("host", is_host, &["a.b", "localhost", "1.2.3.4", "::1"], &["", "a b", "a..b", "-a", "a/b"]),
            (
                "email",
                is_email,
                &["a@b.co", "ü@x.co", "A@X.CO", "a+b.c@x-y.co"],
                &[
                    "a@b",
                    "a@localhost",
                    "a..b@x.co",
                    "\"q r\"@x.co",
                    "a@[1.2.3.4]",
                    "@x.co",
                    "a@.co",
                    "a b@x.co",
                    "a@1.2",
                ],
            ),
            ("color", is_hex_color, &["#1055c9", "#ABC"], &["#12345g", "#1234", "", "#"]),
            (
                "label",
                is_rate_limit_label,
                &["/a", "/", "/api/x-y_z/", "GET /a", "posts:list", "*:create", "abc"],
                &["", "a b c", "GET  /a", "a:b:c", "**:a", "/a b", "a/b", "*"],
            ),
        ];
        for (name, check, good, bad) in tables {
            for text in good {
                assert!(check(text), "{name}: {text}");
            }
            for text in bad {
                assert!(!check(text), "{name}: {text}");
            }
        }
    }
}
