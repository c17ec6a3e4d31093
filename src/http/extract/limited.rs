//! A payload that is read up to a limit only, and what is told when it cannot be read.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{dev::Payload, error::PayloadError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::error::{Error, Kind, Result};

/// A payload that ends with [`PayloadError::Overflow`] after so many bytes.
pub struct Limited {
    payload: Payload,
    left: u64,
}

impl Limited {
    pub fn new(payload: Payload, limit: u64) -> Self {
        Self { payload, left: limit }
    }
}

impl Stream for Limited {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.payload.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(chunk))) = &next {
            match self.left.checked_sub(chunk.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(PayloadError::Overflow))),
            }
        }
        next
    }
}

/// Why a body could not be read, as the client may know it.
pub fn failed(error: PayloadError) -> Error {
    match error {
        PayloadError::Overflow => too_large(),
        PayloadError::Incomplete(_) => Error::invalid("The request ended before its body was complete."),
        other => Error::invalid("The request's body cannot be read.").because(anyhow::anyhow!("{other}")),
    }
}

/// What a request with too large a body is answered.
pub fn too_large() -> Error {
    Error::new(Kind::TooLarge, "The request is too large.")
}
