//! `/_/`: the admin UI (`docs/admin.md`), which is one page with its scripts and styles, and where the links of mails
//! and sign-ins with other sites end (`docs/wire/services.md` §3.2, §3.3; `docs/wire/auth.md` §10,
//! `docs/wire/auth-oauth2.md`). Which view is meant stands behind the `#`, so tokens in links reach no server log and no
//! `Referer`.
//!
//! A file is compressed once, when it is first asked for. The names below `assets/` tell their contents, so whoever has
//! one has it for good; of all others a cache asks each time whether they are still the same.

use std::{
    collections::HashMap,
    io::Write,
    sync::{LazyLock, OnceLock},
};

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

/// The built admin UI.
static ADMIN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/admin/dist");

/// Nothing from elsewhere, nothing inline, no framing. Pictures and players may show what the page itself has made or
/// fetched.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; worker-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const INDEX: &str = "index.html";
/// Where the names tell the contents.
const NAMED_BY_CONTENT: &str = "assets";
/// Always there: a place for what extends the admin UI, of which there is nothing.
const EXTENSIONS: &str = "extensions.js";

/// All files by their names.
static ALL: LazyLock<Pages> = LazyLock::new(|| Pages::of(&ADMIN));

struct Pages(HashMap<String, Page>);

/// A file as it is sent.
struct Page {
    content_type: &'static str,
    plain: &'static [u8],
    /// Its contents never change under this name.
    lasting: bool,
    made: OnceLock<Made>,
}

/// What is found out when a file is first asked for.
struct Made {
    /// Blank where it would be larger.
    zipped: Bytes,
    tag: HeaderValue,
}

impl Pages {
    /// The files of this folder, and of the one folder below it that has names by content.
    fn of(folder: &'static Dir<'static>) -> Self {
        let lasting = folder.get_dir(NAMED_BY_CONTENT).into_iter().flat_map(Dir::files).map(|file| (file, true));
        let files = folder.files().map(|file| (file, false)).chain(lasting);
        let named = files.filter_map(|(file, lasting)| Some((name_of(file, lasting)?, Page::of(file, lasting)?)));
        Self(named.chain([(EXTENSIONS.to_owned(), Page::new("text/javascript", b"", false))]).collect())
    }

    fn answer(&'static self, headers: &HeaderMap, rest: &[&str]) -> Reply {
        let found = match rest {
            // As everywhere (§3.1): a folder has one address.
            [INDEX] => return framed(Reply::moved(StatusCode::MOVED_PERMANENTLY, "/_/"), false),
            [""] => self.0.get(INDEX),
            [NAMED_BY_CONTENT, name] => self.0.get(&format!("{NAMED_BY_CONTENT}/{name}")),
            [name] if !name.contains('/') => self.0.get(*name),
            _ => None,
        };
        match found {
            Some(page) => framed(page.reply(headers), page.lasting),
            None => framed(error::reply(&Error::not_found()), false),
        }
    }
}

/// What follows `/_/` in a file's address.
fn name_of(file: &File<'_>, lasting: bool) -> Option<String> {
    let name = file.path().file_name()?.to_str()?;
    Some(if lasting { format!("{NAMED_BY_CONTENT}/{name}") } else { name.to_owned() })
}

impl Page {
    /// `None` for what is no part of a page.
    fn of(file: &'static File<'static>, lasting: bool) -> Option<Self> {
        let content_type = match file.path().extension()?.to_str()? {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "woff2" => "font/woff2",
            "png" => "image/png",
            "json" => "application/json",
            "webmanifest" => "application/manifest+json",
            _ => return None,
        };
        Some(Self::new(content_type, file.contents(), lasting))
    }

    fn new(content_type: &'static str, plain: &'static [u8], lasting: bool) -> Self {
        Self { content_type, plain, lasting, made: OnceLock::new() }
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let hash = digest::digest(&digest::SHA256, self.plain);
            // Weak: the same for both encodings.
            let tag = format!("W/\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..12]));
            let tag = HeaderValue::from_str(&tag).expect("base64 in quotes is a header's value");
            let zipped = Some(zipped(self.plain)).filter(|zipped| zipped.len() < self.plain.len()).unwrap_or_default();
            Made { zipped, tag }
        })
    }

    fn reply(&'static self, headers: &HeaderMap) -> Reply {
        let Made { zipped, tag } = self.made();
        let mut reply = if is_known(headers, tag) {
            Reply::bare(StatusCode::NOT_MODIFIED)
        } else if !zipped.is_empty() && takes_gzip(headers) {
            Reply::with(StatusCode::OK, self.content_type, zipped.clone()).header(CONTENT_ENCODING, "gzip")
        } else {
            Reply::with(StatusCode::OK, self.content_type, self.plain)
        };
        reply.headers.push((ETAG, tag.clone()));
        reply
    }
}

/// A file of the pages; the blank name is the frame of all of them. `rest` is what follows `/_/`.
pub fn file(call: &Call, rest: &[&str]) -> crate::error::Result<Reply> {
    Ok(ALL.answer(call.http.headers(), rest))
}

/// What goes with every answer, of a file or of none.
fn framed(reply: Reply, lasting: bool) -> Reply {
    let keep = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    reply
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
        .header(CACHE_CONTROL, keep)
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
    use include_dir::DirEntry;

    use super::*;

    const SCRIPT: &[u8] = b"let a = 'conch conch conch conch conch conch conch conch conch conch conch conch conch';";

    /// A build as Vite leaves it.
    static BUILT: Dir<'_> = Dir::new(
        "",
        &[
            DirEntry::File(File::new("index.html", b"<!doctype html><title>Built</title>")),
            DirEntry::File(File::new("icon.svg", b"<svg/>")),
            DirEntry::File(File::new(".gitkeep", b"")),
            DirEntry::Dir(Dir::new(
                "assets",
                &[
                    DirEntry::File(File::new("assets/index-12345678.js", SCRIPT)),
                    DirEntry::File(File::new("assets/index-12345678.js.map", b"{}")),
                    DirEntry::File(File::new("assets/index-abcdef01.css", b"a{}")),
                    DirEntry::File(File::new("assets/text-abcdef02.woff2", b"wOF2")),
                    DirEntry::File(File::new("assets/grain-abcdef03.png", b"png")),
                    DirEntry::File(File::new("assets/words-abcdef04.json", b"{}")),
                    DirEntry::File(File::new("assets/index.html", b"no address of its own")),
                    DirEntry::Dir(Dir::new(
                        "assets/deeper",
                        &[DirEntry::File(File::new("assets/deeper/a-12345678.js", b""))],
                    )),
                ],
            )),
        ],
    );
    static PAGES: LazyLock<Pages> = LazyLock::new(|| Pages::of(&BUILT));

    fn asked(given: &[(HeaderName, &'static str)], rest: &[&str]) -> Reply {
        let headers = given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        PAGES.answer(&headers, rest)
    }

    fn told<'r>(reply: &'r Reply, name: &HeaderName) -> Option<&'r str> {
        let (_, value) = reply.headers.iter().find(|(told, _)| told == name)?;
        value.to_str().ok()
    }

    #[test]
    fn the_pages_are_served_and_nothing_else_is() {
        for (rest, content_type, lasting) in [
            (&[""][..], "text/html; charset=utf-8", false),
            (&["icon.svg"], "image/svg+xml", false),
            (&["assets", "index-12345678.js"], "text/javascript; charset=utf-8", true),
            (&["assets", "index-abcdef01.css"], "text/css; charset=utf-8", true),
            (&["assets", "text-abcdef02.woff2"], "font/woff2", true),
            (&["assets", "grain-abcdef03.png"], "image/png", true),
            (&["assets", "words-abcdef04.json"], "application/json", true),
        ] {
            let reply = asked(&[], rest);
            assert_eq!(
                (reply.status.as_u16(), reply.content_type.as_ref().unwrap().to_str().unwrap()),
                (200, content_type),
                "{rest:?}"
            );
            assert!(reply.body.size() != BodySize::Sized(0), "{rest:?}");
            assert_eq!(told(&reply, &CONTENT_SECURITY_POLICY), Some(POLICY));
            let keep = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
            assert_eq!(told(&reply, &CACHE_CONTROL), Some(keep), "{rest:?}");
        }
        let extensions = asked(&[], &[EXTENSIONS]);
        assert_eq!((extensions.status, extensions.body.size()), (StatusCode::OK, BodySize::Sized(0)));
        assert_eq!(extensions.content_type.unwrap(), "text/javascript");
        assert_eq!(told(&asked(&[], &[INDEX]), &LOCATION), Some("/_/"));
        for rest in [
            &["nope"][..],
            &["../Cargo.toml"],
            &[".."],
            &[".gitkeep"],
            &["/etc/passwd"],
            &["icon.svg", ""],
            &["a", "b"],
            &["assets"],
            &["assets", ""],
            &["assets", "nope.js"],
            &["assets", "index-12345678.js.map"],
            &["assets", "deeper", "a-12345678.js"],
            &["assets/index-12345678.js"],
            &["assets", "../index.html"],
            &[],
        ] {
            let reply = asked(&[], rest);
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{rest:?}");
            assert_eq!(told(&reply, &CONTENT_SECURITY_POLICY), Some(POLICY));
            assert_eq!(told(&reply, &CACHE_CONTROL), Some("no-cache"), "what is not there yet may come: {rest:?}");
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
            let reply = asked(&[(ACCEPT_ENCODING, accepted)], &["assets", "index-12345678.js"]);
            assert_eq!(told(&reply, &CONTENT_ENCODING).is_some(), expected, "{accepted}");
            assert_eq!(told(&reply, &VARY), Some("Accept-Encoding"));
            let body = to_bytes(reply.body).await.unwrap();
            let mut plain = Vec::new();
            match expected {
                true => drop(GzDecoder::new(&*body).read_to_end(&mut plain).unwrap()),
                false => plain = body.to_vec(),
            }
            assert_eq!(plain, SCRIPT);
        }
        let small = asked(&[(ACCEPT_ENCODING, "gzip")], &["icon.svg"]);
        assert_eq!(told(&small, &CONTENT_ENCODING), None, "smaller as it is");
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        for rest in [&[""][..], &["assets", "index-12345678.js"]] {
            let tag = told(&asked(&[], rest), &ETAG).unwrap().to_owned();
            assert_ne!(Some(&*tag), told(&asked(&[], &["icon.svg"]), &ETAG));
            for (known, status) in [
                (tag.clone(), 304),
                (format!("\"x\", {}", tag.trim_start_matches("W/")), 304),
                ("*".to_owned(), 304),
                ("\"x\"".to_owned(), 200),
            ] {
                let reply = asked(&[(IF_NONE_MATCH, known.leak())], rest);
                assert_eq!(reply.status.as_u16(), status);
            }
        }
    }

    #[test]
    fn there_is_a_page_and_it_obeys_its_policy() {
        let index = std::str::from_utf8(ALL.0.get(INDEX).expect("an index").plain).unwrap();
        for forbidden in ["<style", "style=", "onclick", "http://", "https://", "<script>"] {
            assert!(!index.contains(forbidden), "{forbidden}");
        }
        // What it loads is there, by addresses that work under any path before `/_/`.
        for attribute in ["src=\"", "href=\""] {
            for name in index.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                let name = name.strip_prefix("./").or_else(|| name.strip_prefix("/_/")).unwrap_or(name);
                assert!(ALL.0.contains_key(name) || name.starts_with('#'), "{name}");
            }
        }
    }
}
