//! `/_/`: the pages that links lead to. The owner of a new server creates the first superuser on one
//! (`docs/wire/services.md` §3.2, §3.3); the others are where mails and sign-ins with other sites end
//! (`docs/wire/auth.md` §10, `docs/wire/auth-oauth2.md`). Which one is meant stands behind the `#`, so tokens in links
//! reach no server log and no `Referer`.

use actix_web::http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY},
};
use include_dir::{Dir, include_dir};

use crate::{
    error::{Error, Result},
    http::reply::Reply,
};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/pages");

/// Nothing from elsewhere, nothing inline, no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the pages; the blank name is the frame of all of them.
pub fn file(name: &str) -> Result<Reply> {
    let name = if name.is_empty() { "index.html" } else { name };
    let file = PAGES.get_file(name).ok_or_else(Error::not_found)?;
    let content_type = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    };
    Ok(Reply::with(StatusCode::OK, content_type, file.contents())
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
        .header(CACHE_CONTROL, "no-cache"))
}

#[cfg(test)]
mod tests {
    use actix_web::body::{BodySize, MessageBody};

    use super::*;

    fn text(name: &str) -> &'static str {
        std::str::from_utf8(PAGES.get_file(name).unwrap().contents()).unwrap()
    }

    #[test]
    fn the_pages_are_complete_and_nothing_else_is_served() {
        for (name, content_type) in [
            ("", "text/html; charset=utf-8"),
            ("main.js", "text/javascript; charset=utf-8"),
            ("pages.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
        ] {
            let reply = file(name).unwrap();
            assert_eq!(reply.content_type.unwrap(), content_type);
            assert!(reply.body.size() != BodySize::Sized(0));
        }
        for name in ["nope", "../Cargo.toml", "..", "/etc/passwd"] {
            assert!(file(name).is_err(), "{name}");
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
