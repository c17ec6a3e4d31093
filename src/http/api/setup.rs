//! `/_/`: the page on which the owner of a new server creates the first superuser (`docs/wire/services.md` §3.2, §3.3).

use actix_web::http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY},
};
use include_dir::{Dir, include_dir};

use crate::{
    error::{Error, Result},
    http::reply::Reply,
};

static PAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/setup");

/// Nothing from elsewhere, nothing inline, no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page; the blank name is the page itself.
pub fn file(name: &str) -> Result<Reply> {
    let name = if name.is_empty() { "index.html" } else { name };
    let file = PAGE.get_file(name).ok_or_else(Error::not_found)?;
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
    use super::*;

    #[test]
    fn the_page_is_complete_and_nothing_else_is_served() {
        for (name, content_type) in [
            ("", "text/html; charset=utf-8"),
            ("setup.js", "text/javascript; charset=utf-8"),
            ("setup.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
        ] {
            let reply = file(name).unwrap();
            assert_eq!(reply.content_type.unwrap(), content_type);
            assert!(!reply.body.is_empty());
        }
        for name in ["nope", "../Cargo.toml", "..", "/etc/passwd"] {
            assert!(file(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_page_obeys_its_policy() {
        let page = std::str::from_utf8(PAGE.get_file("index.html").unwrap().contents()).unwrap();
        for forbidden in ["<style", "style=", "onclick", "http://", "https://", "<script>"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}
