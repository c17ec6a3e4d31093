//! What a handler answers, before the headers that every answer carries.

use actix_web::{
    HttpResponse,
    body::{BoxBody, MessageBody, SizedStream},
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION},
    },
};
use bytes::Bytes;
use futures_util::Stream;

use crate::error::Result;

/// Status, body and the headers that belong to this answer alone.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub content_type: Option<HeaderValue>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: BoxBody,
    /// Whether pages of other origins may show it in a frame.
    pub embeddable: bool,
    /// Whether the request log leaves a success out (`docs/wire/services.md` §3.1).
    pub unlogged: bool,
}

impl Reply {
    /// 200 with rendered JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::with(StatusCode::OK, "application/json", body)
    }

    /// 204
    pub fn no_content() -> Self {
        Self::bare(StatusCode::NO_CONTENT)
    }

    /// 307 to `location`; a location that is no header value (it came from a parsed URI, so it is one) is left out.
    pub fn redirect(location: &str) -> Self {
        Self::moved(StatusCode::TEMPORARY_REDIRECT, location)
    }

    /// The same with another status.
    pub fn moved(status: StatusCode, location: &str) -> Self {
        let mut reply = Self::bare(status);
        reply.headers.extend(HeaderValue::from_str(location).ok().map(|location| (LOCATION, location)));
        reply
    }

    pub fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let content_type = Some(HeaderValue::from_static(content_type));
        Self { content_type, body: BoxBody::new(body.into()), ..Self::bare(status) }
    }

    /// A body that is sent as it comes.
    pub fn stream(status: StatusCode, content_type: &'static str, body: impl MessageBody + 'static) -> Self {
        Self { body: BoxBody::new(body), ..Self::with(status, content_type, Bytes::new()) }
    }

    /// Nothing but a status.
    pub fn bare(status: StatusCode) -> Self {
        let body = BoxBody::new(Bytes::new());
        Self { status, content_type: None, headers: Vec::new(), body, embeddable: false, unlogged: false }
    }

    /// A body of `length` bytes that is made while it is sent. For HEAD the stream may be empty.
    pub fn sized_stream(mut self, length: u64, chunks: impl Stream<Item = Result<Bytes>> + 'static) -> Self {
        self.body = BoxBody::new(SizedStream::new(length, chunks));
        self
    }

    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::with_body(self.status, self.body);
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
