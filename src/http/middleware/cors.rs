//! Cross-origin requests (`docs/wire/services.md` §2.1).

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue, ORIGIN, VARY,
    },
};

/// The origins that `--origins` allows.
#[derive(Debug)]
pub struct Origins {
    /// `*` alone is among the patterns: everybody may, and is told so literally.
    any: bool,
    patterns: Vec<String>,
}

impl Origins {
    /// No pattern at all allows everybody.
    pub fn new(patterns: &[String]) -> Self {
        let patterns: Vec<String> =
            patterns.iter().map(|pattern| pattern.trim().to_owned()).filter(|pattern| !pattern.is_empty()).collect();
        Self { any: patterns.is_empty() || patterns.iter().any(|pattern| pattern == "*"), patterns }
    }

    /// What `Access-Control-Allow-Origin` says to a request from `origin`; `None` when it is not allowed.
    fn answer(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        self.patterns.iter().any(|pattern| matches(pattern.as_bytes(), text.as_bytes())).then(|| origin.clone())
    }
}

/// The headers of an ordinary answer.
pub fn set(origins: &Origins, http: &HttpRequest, response: &mut HttpResponse) {
    let headers = response.headers_mut();
    // First of what the answer depends on.
    let other = headers.remove(VARY).next();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(other) = other {
        headers.append(VARY, other);
    }
    if let Some(allowed) = http.headers().get(ORIGIN).and_then(|origin| origins.answer(origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
}

/// The headers of the answer to any `OPTIONS` request.
pub fn preflight(origins: &Origins, http: &HttpRequest, response: &mut HttpResponse) {
    set(origins, http, response);
    if !response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Method"));
    headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE"));
    if let Some(asked) = http.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|asked| !asked.is_empty()) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
}

/// Whether `text` fits `pattern`: `*` is any run of bytes, `?` exactly one. Needs at most pattern × text steps.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last star, and how much of the text it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((position, swallowed)) => {
                    star = Some((position, swallowed + 1));
                    p = position + 1;
                    t = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn origins_match_patterns() {
        for (pattern, origin, expected) in [
            ("https://a.com", "https://a.com", true),
            ("https://a.com", "https://a.com.evil.org", false),
            ("https://a.com", "http://a.com", false),
            ("https://*.sub.com", "https://x.y.sub.com", true),
            ("https://*.sub.com", "https://sub.com", false),
            ("https://*.sub.com", "https://x.sub.com.evil.org", false),
            ("http://localhost:?000", "http://localhost:3000", true),
            ("http://localhost:?000", "http://localhost:30000", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("https://*", "https://", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), origin.as_bytes()), expected, "{pattern} {origin}");
        }
    }

    fn allowed(origins: &str, origin: Option<&'static str>) -> Option<String> {
        let origins = Origins::new(&origins.split(',').map(str::to_owned).collect::<Vec<_>>());
        let mut request = TestRequest::default();
        if let Some(origin) = origin {
            request = request.insert_header((ORIGIN, origin));
        }
        let mut response = HttpResponse::Ok().finish();
        set(&origins, &request.to_http_request(), &mut response);
        assert_eq!(response.headers().get(VARY).unwrap(), "Origin");
        Some(response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_allowed_origins_are_answered() {
        for (origins, origin, expected) in [
            ("*", Some("http://a"), Some("*")),
            ("", Some("http://a"), Some("*")),
            ("*", None, None),
            ("http://a, http://b", Some("http://b"), Some("http://b")),
            ("http://a", Some("http://b"), None),
            ("http://a,*", Some("http://b"), Some("*")),
        ] {
            assert_eq!(allowed(origins, origin).as_deref(), expected, "{origins} {origin:?}");
        }
    }

    #[test]
    fn a_preflight_of_a_stranger_is_told_nothing() {
        for (origin, told) in [("http://a", true), ("http://b", false)] {
            let request = TestRequest::default()
                .insert_header((ORIGIN, origin))
                .insert_header((ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type"))
                .to_http_request();
            let mut response = HttpResponse::NoContent().finish();
            preflight(&Origins::new(&["http://a".to_owned()]), &request, &mut response);
            let headers = response.headers();
            assert_eq!(headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS), told);
            assert_eq!(headers.contains_key(ACCESS_CONTROL_ALLOW_HEADERS), told);
            assert_eq!(headers.get_all(VARY).count(), if told { 3 } else { 1 });
        }
    }
}
