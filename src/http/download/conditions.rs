//! Conditional requests (RFC 9110 §13) for files that have a date and no entity tag.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::header::{
    HeaderMap, HeaderName, HttpDate, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

/// What the conditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Send,
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// Judges the conditions in the RFC's order (§13.2.2). Without an entity tag only `*` matches; dates that cannot be read
/// do not count.
pub fn judge(headers: &HeaderMap, modified: SystemTime) -> Verdict {
    let modified = seconds(modified);
    let kept = match text(headers, IF_MATCH) {
        Some(tags) => matches_any(tags),
        None => date(headers, IF_UNMODIFIED_SINCE).is_none_or(|date| modified <= date),
    };
    if !kept {
        return Verdict::Failed;
    }
    let known = match text(headers, IF_NONE_MATCH) {
        Some(tags) => matches_any(tags),
        None => date(headers, IF_MODIFIED_SINCE).is_some_and(|date| modified <= date),
    };
    if known { Verdict::NotModified } else { Verdict::Send }
}

/// The `Range` header, unless `If-Range` says that the client has a part of something else.
pub fn range(headers: &HeaderMap, modified: SystemTime) -> Option<&str> {
    let range = text(headers, RANGE)?;
    let same = text(headers, IF_RANGE).is_none() || date(headers, IF_RANGE) == Some(seconds(modified));
    same.then_some(range)
}

fn matches_any(tags: &str) -> bool {
    tags.split(',').any(|tag| tag.trim() == "*")
}

/// A header's text; a blank one counts as absent.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    // What is no text is no `*` and no date either, but it is there.
    headers.get(name).map(|value| value.to_str().unwrap_or("?").trim()).filter(|text| !text.is_empty())
}

/// Whole seconds since 1970.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    text(headers, name)?.parse::<HttpDate>().ok().map(|date| seconds(SystemTime::from(date)))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    /// Half a second after 1994-11-06 08:49:37.
    const MODIFIED: u64 = 784_111_777;
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";

    fn modified() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(MODIFIED * 1000 + 500)
    }

    fn headers(given: &[(HeaderName, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn conditions_are_judged_in_order() {
        for (given, expected) in [
            (vec![], Verdict::Send),
            (vec![(IF_MODIFIED_SINCE, SAME)], Verdict::NotModified),
            (vec![(IF_MODIFIED_SINCE, LATER)], Verdict::NotModified),
            (vec![(IF_MODIFIED_SINCE, EARLIER)], Verdict::Send),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Verdict::Send),
            (vec![(IF_MODIFIED_SINCE, "ü")], Verdict::Send),
            (vec![(IF_UNMODIFIED_SINCE, SAME)], Verdict::Send),
            (vec![(IF_UNMODIFIED_SINCE, EARLIER)], Verdict::Failed),
            (vec![(IF_UNMODIFIED_SINCE, "never")], Verdict::Send),
            (vec![(IF_MATCH, "*"), (IF_UNMODIFIED_SINCE, EARLIER)], Verdict::Send),
            (vec![(IF_MATCH, "\"a\"")], Verdict::Failed),
            (vec![(IF_NONE_MATCH, "*")], Verdict::NotModified),
            (vec![(IF_NONE_MATCH, "\"a\""), (IF_MODIFIED_SINCE, SAME)], Verdict::Send),
            (vec![(IF_NONE_MATCH, ""), (IF_MODIFIED_SINCE, SAME)], Verdict::NotModified),
            (vec![(IF_UNMODIFIED_SINCE, EARLIER), (IF_NONE_MATCH, "*")], Verdict::Failed),
        ] {
            assert_eq!(judge(&headers(&given), modified()), expected, "{given:?}");
        }
    }

    #[test]
    fn a_range_of_something_else_is_ignored() {
        for (given, expected) in [
            (vec![], None),
            (vec![(RANGE, "bytes=0-1")], Some("bytes=0-1")),
            (vec![(RANGE, "bytes=0-1"), (IF_RANGE, SAME)], Some("bytes=0-1")),
            (vec![(RANGE, "bytes=0-1"), (IF_RANGE, "")], Some("bytes=0-1")),
            (vec![(RANGE, "bytes=0-1"), (IF_RANGE, LATER)], None),
            (vec![(RANGE, "bytes=0-1"), (IF_RANGE, EARLIER)], None),
            (vec![(RANGE, "bytes=0-1"), (IF_RANGE, "\"tag\"")], None),
        ] {
            assert_eq!(range(&headers(&given), modified()), expected, "{given:?}");
        }
    }
}
