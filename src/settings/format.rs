//! The formats that settings are checked for (`docs/wire/services.md` §4.1).

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

/// A token (RFC 9110 §5.6.2), as names of headers are.
pub fn is_header_name(text: &str) -> bool {
    ::http::HeaderName::from_bytes(text.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised() {
        type Check = fn(&str) -> bool;
        let tables: [(&str, Check, &[&str], &[&str]); 3] = [
            (
                "header",
                is_header_name,
                &["X-Forwarded-For", "cf-connecting-ip", "X_Real.IP!", "1"],
                &["", "bad header", "X:Y", "a\nb", "é", "a,b", "(a)"],
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
