//! What a handler answers, before the headers that every answer carries.

use actix_web::{
    HttpResponse,
    body::{BoxBody, MessageBody},
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
    /// What is sent bit by bit instead of `body`.
    stream: Option<BoxBody>,
}

impl Reply {
    /// 200 with rendered JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::with(StatusCode::OK, "application/json", body)
    }

    /// 204
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            content_type: None,
            headers: Vec::new(),
            body: Bytes::new(),
            stream: None,
        }
    }

    /// 307 to `location`; a location that is no header value (it came from a parsed URI, so it is one) is left out.
    pub fn redirect(location: &str) -> Self {
        let mut reply = Self { status: StatusCode::TEMPORARY_REDIRECT, ..Self::no_content() };
        reply.headers.extend(HeaderValue::from_str(location).ok().map(|location| (LOCATION, location)));
        reply
    }

    pub fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let content_type = Some(HeaderValue::from_static(content_type));
        Self { status, content_type, headers: Vec::new(), body: body.into(), stream: None }
    }

    /// A body that is sent as it comes.
    pub fn stream(status: StatusCode, content_type: &'static str, body: impl MessageBody + 'static) -> Self {
        Self { stream: Some(BoxBody::new(body)), ..Self::with(status, content_type, Bytes::new()) }
    }

    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::with_body(self.status, self.stream.unwrap_or_else(|| BoxBody::new(self.body)));
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
