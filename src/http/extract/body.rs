//! The body: limits, content types, and the way to one object and its files (`docs/wire/records-api.md` §3,
//! `docs/wire/services.md` §1.4, §2.3).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    dev::Payload,
    error::PayloadError,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::{Call, form, json, multipart};
use crate::{
    error::{Error, Kind, Result},
    records::Body,
    schema::Collection,
};

/// The limit of an ordinary request: 32 MiB.
pub const DEFAULT_LIMIT: u64 = 32 << 20;
/// The limit of a batch that sets none: 128 MiB.
pub const BATCH_LIMIT: u64 = 128 << 20;
/// A body has to arrive within this (`docs/wire/services.md` §2.8).
const TIMEOUT: Duration = Duration::from_secs(300);

/// What becomes of file parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Written to the disk as they arrive.
    Spool,
    /// Read and thrown away.
    Ignore,
}

/// A body, and whether its values are texts of a form (then their types were guessed).
#[derive(Debug, Default)]
pub struct Received {
    pub body: Body,
    pub is_form: bool,
}

/// The limit of creating or updating a record of this collection, in bytes.
pub fn record_limit(collection: &Collection) -> u64 {
    collection.fields.iter().fold(DEFAULT_LIMIT, |limit, field| limit.saturating_add(field.body_allowance()))
}

/// Reads the body of `call`, at most `limit` bytes of it.
pub async fn read(call: &mut Call, limit: u64, files: Files) -> Result<Received> {
    let headers = call.http.headers();
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length == Some(0) {
        return Ok(Received::default());
    }
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.trim_start().to_ascii_lowercase();
    let stream = Limited { payload: std::mem::replace(&mut call.payload, Payload::None), left: limit };

    let reading = async {
        if content_type.starts_with("multipart/form-data") {
            let body = multipart::read(call, stream, files).await?;
            return Ok(Received { body, is_form: true });
        }
        let bytes = collect(stream, length).await?;
        let is_form = content_type.starts_with("application/x-www-form-urlencoded");
        let values = if content_type.starts_with("application/json") {
            json::object(&bytes)?
        } else if is_form {
            form::urlencoded(&bytes)?
        } else if bytes.is_empty() {
            return Ok(Received::default());
        } else {
            return Err(Error::invalid("The content type of the request is not supported."));
        };
        Ok(Received { body: Body { values, uploads: Vec::new() }, is_form })
    };
    tokio::time::timeout(TIMEOUT, reading).await.unwrap_or_else(|_| Err(Error::invalid("The request took too long.")))
}

async fn collect(mut stream: Limited, length: Option<u64>) -> Result<Bytes> {
    let Some(first) = stream.next().await.transpose().map_err(failed)? else {
        return Ok(Bytes::new());
    };
    if length == u64::try_from(first.len()).ok() {
        return Ok(first);
    }
    let mut bytes = BytesMut::from(first);
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
    }
    Ok(bytes.freeze())
}

/// A payload that ends with [`PayloadError::Overflow`] after so many bytes.
pub struct Limited {
    payload: Payload,
    left: u64,
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

fn too_large() -> Error {
    Error::new(Kind::TooLarge, "The request is too large.")
}
