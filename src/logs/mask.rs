//! What a log says must not open a door: secrets are taken out of targets and URLs before they are written anywhere.

use std::borrow::Cow;

/// Query parameters that let whoever has them in.
const SECRET: &str = "token=";
/// Below `/api/notify/`, what is followed by a token that stands for a recipient's own word.
const LINKS: [&str; 4] = ["unsubscribe", "click", "open", "receipts"];
const MASK: &str = "***";

/// A target, or a whole URL, without the values of secret parameters and without the tokens of links in letters.
pub fn masked(target: &str) -> Cow<'_, str> {
    let mut text = String::new();
    if write(target, &mut text) { Cow::Owned(text) } else { Cow::Borrowed(target) }
}

/// Adds it to `into`; false, with nothing added, when there is no secret in it.
fn write(target: &str, into: &mut String) -> bool {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let query = query.filter(|query| query.contains(SECRET));
    let link = secret_segment(path);
    if query.is_none() && link.is_none() {
        return false;
    }
    match link {
        Some(start) => {
            into.push_str(&path[..start]);
            into.push_str(MASK);
        }
        None => into.push_str(path),
    }
    let Some(query) = query else {
        into.push_str(&target[path.len()..]);
        return true;
    };
    for (number, parameter) in query.split('&').enumerate() {
        into.push(if number == 0 { '?' } else { '&' });
        if parameter.starts_with(SECRET) {
            into.push_str(SECRET);
            into.push_str(MASK);
        } else {
            into.push_str(parameter);
        }
    }
    true
}

/// Where the token of a link begins. Segments are read as routes are found: after splitting, with `%xx` decoded.
fn secret_segment(path: &str) -> Option<usize> {
    if !path.contains("notify") && !path.contains('%') {
        return None;
    }
    let (mut start, mut before) = (0, [Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed("")]);
    for segment in path.split('/') {
        if before[0] == "api" && before[1] == "notify" && LINKS.contains(&&*before[2]) && !segment.is_empty() {
            return Some(start);
        }
        start += segment.len() + 1;
        before.rotate_left(1);
        before[2] = unescaped(segment);
    }
    None
}

/// With `%xx` read as the bytes that they stand for; as it is when one of them stands for nothing.
pub(super) fn unescaped(target: &str) -> Cow<'_, str> {
    if !target.contains('%') {
        return Cow::Borrowed(target);
    }
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        match digit().and_then(|high| Some(high << 4 | digit()?)).and_then(|code| u8::try_from(code).ok()) {
            Some(code) => bytes.push(code),
            None => return Cow::Borrowed(target),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_a_door_is_not_told() {
        for (target, expected) in [
            ("/f?thumb=1&token=abc&x=1", "/f?thumb=1&token=***&x=1"),
            ("/f?token=abc", "/f?token=***"),
            ("/f?mytoken=abc", "/f?mytoken=abc"),
            ("/f?", "/f?"),
            ("/api/notify/unsubscribe/abc.def", "/api/notify/unsubscribe/***"),
            ("/api/notify/click/abc?x=1", "/api/notify/click/***?x=1"),
            ("/api/notify/click/abc?x=1&token=abc", "/api/notify/click/***?x=1&token=***"),
            ("/api/notify/open/abc/def", "/api/notify/open/***"),
            ("/api/notify/receipts/abc", "/api/notify/receipts/***"),
            ("https://a.b/base/api/notify/open/abc", "https://a.b/base/api/notify/open/***"),
            ("/%61pi/n%6ftify/op%65n/abc", "/%61pi/n%6ftify/op%65n/***"),
            ("/api/notify/open/", "/api/notify/open/"),
            ("/api/notify/open", "/api/notify/open"),
            ("/api/notify/devices/abc/test", "/api/notify/devices/abc/test"),
            ("/api/collections/notify/records/open", "/api/collections/notify/records/open"),
        ] {
            assert_eq!(masked(target), expected);
        }
    }

    #[test]
    fn targets_are_unescaped() {
        for (target, expected) in
            [("/a%20b+c", "/a b+c"), ("/a%2", "/a%2"), ("/a%zz%41", "/a%zz%41"), ("/a%ff", "/a\u{fffd}"), ("/a", "/a")]
        {
            assert_eq!(unescaped(target), expected);
        }
    }
}
