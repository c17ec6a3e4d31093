//! What a handler answers, before the headers that every answer carries.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION},
    },
};
use bytes::Bytes;

/// Status, body and the headers that belong to this answer alone.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub content_type: Option<HeaderValue>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

impl Reply {
    /// 200 with rendered JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::with(StatusCode::OK, "application/json", body)
    }

    /// 204
    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, content_type: None, headers: Vec::new(), body: Bytes::new() }
    }

    /// 307 to `location`; a location that is no header value (it came from a parsed URI, so it is one) is left out.
    pub fn redirect(location: &str) -> Self {
        let mut reply = Self { status: StatusCode::TEMPORARY_REDIRECT, ..Self::no_content() };
        reply.headers.extend(HeaderValue::from_str(location).ok().map(|location| (LOCATION, location)));
        reply
    }

    pub fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let content_type = Some(HeaderValue::from_static(content_type));
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::with_body(self.status, self.body).map_into_boxed_body();
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}
