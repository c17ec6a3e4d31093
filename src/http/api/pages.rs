//! `/_/`: the pages that links lead to. The owner of a new server creates the first superuser on one
//! (`docs/wire/services.md` §3.2, §3.3); the others are where mails and sign-ins with other sites end
//! (`docs/wire/auth.md` §10, `docs/wire/auth-oauth2.md`). Which one is meant stands behind the `#`, so tokens in links
//! reach no server log and no `Referer`.
//!
//! Files are compressed once, when they are first asked for. A cache asks each time whether they are still the same:
//! their names stay while an upgrade changes them.

use std::{collections::HashMap, io::Write, sync::LazyLock};

use actix_web::http::{
    StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderValue,
        IF_NONE_MATCH, REFERRER_POLICY, VARY,
    },
};
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use include_dir::{Dir, File, include_dir};

use crate::{
    error::Error,
    http::{error, extract::Call, reply::Reply},
};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/pages");

/// Nothing from elsewhere, nothing inline, no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const INDEX: &str = "index.html";
/// Always there: a place for what extends the admin UI, of which there is nothing.
const EXTENSIONS: &str = "extensions.js";

/// The pages by their names.
static ALL: LazyLock<HashMap<&'static str, Page>> = LazyLock::new(|| {
    let files = PAGES.files().filter_map(|file| Some((file.path().to_str()?, Page::new(file))));
    files.chain([(EXTENSIONS, Page::of("text/javascript", b""))]).collect()
});

/// A file as it is sent.
struct Page {
    content_type: &'static str,
    plain: &'static [u8],
    /// Blank where it would be larger.
    zipped: Bytes,
    tag: HeaderValue,
}

impl Page {
    fn new(file: &'static File<'_>) -> Self {
        let content_type = match file.path().extension().and_then(|extension| extension.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        Self::of(content_type, file.contents())
    }

    fn of(content_type: &'static str, plain: &'static [u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, plain);
        // Weak: the same for both encodings.
        let tag = format!("W/\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..12]));
        let tag = HeaderValue::from_str(&tag).expect("base64 in quotes is a header's value");
        let zipped = Some(zipped(plain)).filter(|zipped| zipped.len() < plain.len()).unwrap_or_default();
        Self { content_type, plain, zipped, tag }
    }

    fn reply(&'static self, headers: &HeaderMap) -> Reply {
        let mut reply = if is_known(headers, &self.tag) {
            Reply::bare(StatusCode::NOT_MODIFIED)
        } else if !self.zipped.is_empty() && takes_gzip(headers) {
            Reply::with(StatusCode::OK, self.content_type, self.zipped.clone()).header(CONTENT_ENCODING, "gzip")
        } else {
            Reply::with(StatusCode::OK, self.content_type, self.plain)
        };
        reply.headers.push((ETAG, self.tag.clone()));
        reply
    }
}

/// A file of the pages; the blank name is the frame of all of them. `rest` is what follows `/_/`.
pub fn file(call: &Call, rest: &[&str]) -> crate::error::Result<Reply> {
    Ok(answer(call.http.headers(), rest))
}

fn answer(headers: &HeaderMap, rest: &[&str]) -> Reply {
    let reply = match rest {
        [""] => ALL.get(INDEX).map(|page| page.reply(headers)),
        // As everywhere (§3.1): a folder has one address.
        [INDEX] => Some(Reply::moved(StatusCode::MOVED_PERMANENTLY, "/_/")),
        [name] => ALL.get(*name).map(|page| page.reply(headers)),
        _ => None,
    };
    reply
        .unwrap_or_else(|| error::reply(&Error::not_found()))
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
        .header(CACHE_CONTROL, "no-cache")
        .header(VARY, "Accept-Encoding")
}

/// Whether the client has this version already.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    let ours = strong(tag.to_str().unwrap_or_default());
    known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim() == "*" || strong(tag) == ours)
}

/// Whether `Accept-Encoding` names gzip, and not as what is unwanted.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    named.flat_map(|list| list.split(',')).any(|one| {
        let (name, quality) = one.split_once(';').unwrap_or((one, ""));
        let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && quality.is_none_or(|quality| quality > 0.0)
    })
}

fn zipped(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes everything").into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use actix_web::{
        body::{BodySize, MessageBody, to_bytes},
        http::header::{HeaderName, LOCATION},
    };
    use flate2::read::GzDecoder;

    use super::*;

    fn text(name: &str) -> &'static str {
        std::str::from_utf8(PAGES.get_file(name).unwrap().contents()).unwrap()
    }

    fn asked(given: &[(HeaderName, &'static str)], rest: &[&str]) -> Reply {
        let headers = given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        answer(&headers, rest)
    }

    fn told<'r>(reply: &'r Reply, name: &HeaderName) -> Option<&'r str> {
        let (_, value) = reply.headers.iter().find(|(told, _)| told == name)?;
        value.to_str().ok()
    }

    #[test]
    fn the_pages_are_complete_and_nothing_else_is_served() {
        for (rest, content_type) in [
            ([""], "text/html; charset=utf-8"),
            (["main.js"], "text/javascript; charset=utf-8"),
            (["pages.css"], "text/css; charset=utf-8"),
            (["icon.svg"], "image/svg+xml"),
        ] {
            let reply = asked(&[], &rest);
            assert_eq!(
                (reply.status.as_u16(), reply.content_type.as_ref().unwrap().to_str().unwrap()),
                (200, content_type)
            );
            assert!(reply.body.size() != BodySize::Sized(0));
        }
        let extensions = asked(&[], &["extensions.js"]);
        assert_eq!((extensions.status, extensions.body.size()), (StatusCode::OK, BodySize::Sized(0)));
        assert_eq!(extensions.content_type.unwrap(), "text/javascript");
        assert_eq!(told(&asked(&[], &[INDEX]), &LOCATION), Some("/_/"));
        for rest in [&["nope"][..], &["../Cargo.toml"], &[".."], &["/etc/passwd"], &["main.js", ""], &["a", "b"], &[]] {
            let reply = asked(&[], rest);
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{rest:?}");
            assert_eq!(told(&reply, &CONTENT_SECURITY_POLICY), Some(POLICY));
        }
    }

    #[tokio::test]
    async fn whoever_takes_gzip_gets_it() {
        for (accepted, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate,gzip", true),
            ("gzip;q=0", false),
            ("x-gzip", false),
            ("", false),
            ("identity", false),
        ] {
            let reply = asked(&[(ACCEPT_ENCODING, accepted)], &["main.js"]);
            assert_eq!(told(&reply, &CONTENT_ENCODING).is_some(), expected, "{accepted}");
            assert_eq!(told(&reply, &VARY), Some("Accept-Encoding"));
            let body = to_bytes(reply.body).await.unwrap();
            let mut text = String::new();
            match expected {
                true => drop(GzDecoder::new(&*body).read_to_string(&mut text).unwrap()),
                false => text = String::from_utf8(body.to_vec()).unwrap(),
            }
            assert_eq!(text, super::tests::text("main.js"));
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let tag = told(&asked(&[], &["main.js"]), &ETAG).unwrap().to_owned();
        assert_ne!(Some(&*tag), told(&asked(&[], &["pages.css"]), &ETAG));
        for (known, status) in [
            (tag.clone(), 304),
            (format!("\"x\", {}", tag.trim_start_matches("W/")), 304),
            ("*".to_owned(), 304),
            ("\"x\"".to_owned(), 200),
        ] {
            let reply = asked(&[(IF_NONE_MATCH, known.leak())], &["main.js"]);
            assert_eq!(reply.status.as_u16(), status);
        }
    }

    #[test]
    fn every_module_and_every_page_that_is_named_is_there() {
        for script in PAGES.files().filter(|file| file.path().extension().is_some_and(|kind| kind == "js")) {
            let script = std::str::from_utf8(script.contents()).unwrap();
            for name in script.split("\"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(PAGES.get_file(name).is_some(), "{name}");
            }
        }
        for template in ["setup", "confirm-verification", "confirm-password-reset", "confirm-email-change"] {
            assert!(text("index.html").contains(&format!("<template id=\"{template}\">")), "{template}");
            assert!(text(&format!("{template}.js")).contains(&format!("show(\"{template}\")")), "{template}");
        }
    }

    #[test]
    fn the_pages_obey_their_policy() {
        let page = text("index.html");
        for forbidden in ["<style", "style=", "onclick", "http://", "https://", "<script>"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for file in PAGES.files().filter(|file| file.path().extension().is_some_and(|kind| kind == "js")) {
            let script = std::str::from_utf8(file.contents()).unwrap();
            for forbidden in ["innerHTML", "eval(", ".style", "localStorage", "document.cookie"] {
                assert!(!script.contains(forbidden), "{forbidden} in {}", file.path().display());
            }
        }
    }
}
