//! Sending a stored file: types, headers, conditions and ranges (`docs/wire/services-files.md` §4); and files of the
//! static folder, which are the owner's own (`docs/wire/services.md` §3.1).
//!
//! What was uploaded is never trusted: only types that cannot run anything are shown in place, everything else is a
//! download, and the content security policy keeps even what is shown from running scripts.

mod conditions;
mod ranges;
pub mod types;

use actix_web::{
    HttpRequest,
    http::{
        Method, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, HeaderValue,
            HttpDate, LAST_MODIFIED,
        },
    },
};
use futures_util::stream;

use self::{
    conditions::Verdict,
    ranges::{Parts, Refusal, Selection},
};
use super::reply::Reply;
use crate::{
    error::{Error, Result},
    files::Object,
};

const POLICY: &str = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox";
const CACHING: &str = "max-age=2592000, stale-while-revalidate=86400";

/// Whether a browser may show the file in place if its type allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    ByType,
    Never,
}

/// The answer to a GET or HEAD for `object`, called `name`: all of it, the ranges asked for, or why nothing is sent.
pub fn reply(http: &HttpRequest, object: &Object, name: &str, showing: Showing) -> Result<Reply> {
    send(http, object, described(object, name, showing)?, Some(CACHING))
}

/// The same for a file that may be shown as what it is, and that no cache is told to keep.
pub fn plain(http: &HttpRequest, object: &Object) -> Result<Reply> {
    let mut reply = Reply::bare(StatusCode::OK);
    reply.content_type = Some(value(&object.head.content_type)?);
    let mut reply = send(http, object, reply, None)?;
    if reply.status == StatusCode::PRECONDITION_FAILED {
        reply.content_type = None;
    }
    Ok(reply)
}

/// What the conditions and the range of the request leave of `object`, over `reply`.
fn send(http: &HttpRequest, object: &Object, mut reply: Reply, caching: Option<&'static str>) -> Result<Reply> {
    let head = &object.head;
    match conditions::judge(http.headers(), head.modified) {
        Verdict::Send => {}
        Verdict::NotModified => {
            reply.content_type = None;
            reply.status = StatusCode::NOT_MODIFIED;
            return dated(reply, object, caching);
        }
        Verdict::Failed => {
            reply.status = StatusCode::PRECONDITION_FAILED;
            return dated(reply, object, caching);
        }
    }
    let range = conditions::range(http.headers(), head.modified);
    match ranges::select(range.unwrap_or_default(), head.size) {
        Ok(selection) => content(http.method(), dated(reply, object, caching)?, object, selection),
        Err(refusal) => refuse(reply, head.size, refusal),
    }
}

/// What an answer about this file says of it in any case.
fn described(object: &Object, name: &str, showing: Showing) -> Result<Reply> {
    let sniffed = &object.head.content_type;
    let shown = showing == Showing::ByType && types::may_be_shown(sniffed);
    let mut reply = Reply::bare(StatusCode::OK).header(CONTENT_SECURITY_POLICY, POLICY);
    reply.embeddable = true;
    reply.content_type = Some(value(types::served(sniffed, name))?);
    reply.headers.push((CONTENT_DISPOSITION, value(&disposition(shown, name))?));
    Ok(reply)
}

/// Adds what a cache needs to know.
fn dated(mut reply: Reply, object: &Object, caching: Option<&'static str>) -> Result<Reply> {
    if let Some(caching) = caching {
        reply = reply.header(CACHE_CONTROL, caching);
    }
    reply.headers.push((LAST_MODIFIED, value(&HttpDate::from(object.head.modified).to_string())?));
    Ok(reply)
}

fn content(method: &Method, reply: Reply, object: &Object, selection: Selection) -> Result<Reply> {
    let mut reply = reply.header(ACCEPT_RANGES, "bytes");
    let size = object.head.size;
    let range = match selection {
        Selection::All => 0..size,
        Selection::One(range) => {
            reply.status = StatusCode::PARTIAL_CONTENT;
            reply.headers.push((CONTENT_RANGE, value(&ranges::content_range(&range, size))?));
            range
        }
        Selection::Many(ranges) => {
            reply.status = StatusCode::PARTIAL_CONTENT;
            let part_type = reply.content_type.as_ref().and_then(|told| told.to_str().ok()).unwrap_or_default();
            let parts = Parts::new(ranges, part_type, size);
            reply.content_type = Some(value(&parts.content_type())?);
            return Ok(match method {
                &Method::HEAD => reply.sized_stream(parts.length(), stream::empty()),
                _ => reply.sized_stream(parts.length(), parts.stream(object)),
            });
        }
    };
    let length = range.end - range.start;
    Ok(match method {
        &Method::HEAD => reply.sized_stream(length, stream::empty()),
        _ => reply.sized_stream(length, object.read(range)),
    })
}

/// 416. It is about the request, not about the file: no cache should keep it.
fn refuse(reply: Reply, size: u64, refusal: Refusal) -> Result<Reply> {
    let text = match refusal {
        Refusal::Malformed => "The range is malformed.\n",
        Refusal::Outside => "The range lies outside of the file.\n",
    };
    let plain = Reply::with(StatusCode::RANGE_NOT_SATISFIABLE, "text/plain; charset=utf-8", text);
    let mut headers = reply.headers;
    if refusal == Refusal::Outside {
        headers.push((CONTENT_RANGE, value(&format!("bytes */{size}"))?));
    }
    Ok(Reply { headers, embeddable: reply.embeddable, ..plain })
}

fn disposition(shown: bool, name: &str) -> String {
    let kind = if shown { "inline" } else { "attachment" };
    // Names are ours and plain; those of an imported directory may be anything.
    let name = name.replace('\\', "\\\\").replace('"', "\\\"").replace(|letter: char| letter.is_control(), "_");
    format!("{kind}; filename=\"{name}\"")
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_quotes() {
        for (name, expected) in [
            ("a_x.png", "inline; filename=\"a_x.png\""),
            ("a\"; b=\"c", "inline; filename=\"a\\\"; b=\\\"c\""),
            ("a\\\r\nX: y", "inline; filename=\"a\\\\__X: y\""),
            ("ü\u{202e}", "inline; filename=\"ü\u{202e}\""),
        ] {
            let text = disposition(true, name);
            assert_eq!(text, expected);
            assert!(value(&text).is_ok());
        }
        assert!(disposition(false, "a").starts_with("attachment;"));
    }
}
