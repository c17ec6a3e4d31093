//! Who reset a request over HTTP/2 wants no answer any more. On HTTP/1.1 the connection ends, and actix drops what was
//! being done for it; on HTTP/2 actix notices only when it has something to send, which for a stream may be never.
//!
//! What is left of the request tells: nothing more comes from its client, unless it fails.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::Payload,
    http::{Method, Version, header::CONTENT_LENGTH},
};
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(2);

/// Looks whether the client of one request has left.
pub struct Left {
    payload: Payload,
    timer: Interval,
}

impl Left {
    /// Takes the body of a request that has none. Others find out while they read it.
    pub fn of(http: &HttpRequest, payload: &mut Payload) -> Option<Self> {
        let reads = matches!(*http.method(), Method::GET | Method::HEAD);
        let has_body = http.headers().get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
        if http.version() != Version::HTTP_2 || !reads || has_body {
            return None;
        }
        let mut timer = interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Self { payload: payload.take(), timer })
    }

    /// Completes when the client has left.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.poll_tick(context).is_ready() {
            // Its end is reported again and again, until there is an error instead.
            if let Poll::Ready(Some(Err(_))) = Pin::new(&mut self.payload).poll_next(context) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Looks for as long as a stream goes on.
    pub fn lasts_with(self, response: HttpResponse) -> HttpResponse {
        match response.body().size() {
            BodySize::Stream => response.map_body(|_, body| BoxBody::new(Watched { body, left: self })),
            BodySize::None | BodySize::Sized(_) => response,
        }
    }
}

/// A body that ends when its client has left.
struct Watched {
    body: BoxBody,
    left: Left,
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.left.poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_next(context)
    }
}
