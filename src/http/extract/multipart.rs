//! `multipart/form-data`: texts are collected, files go to the disk as they arrive.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::HeaderMap;
use futures_util::StreamExt;
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufWriter},
};

use super::{
    body::{self, Form, Limited},
    form::Parts,
};
use crate::{
    error::{Error, Result},
    files::{Storage, Upload},
    records::Body,
};

/// File bytes are gathered to this size before they are written: each write is a trip to the blocking pool.
const WRITE_BUFFER: usize = 256 << 10;

/// Reads every part of `stream`. What was spooled is removed again when a later part fails.
pub async fn read(headers: &HeaderMap, stream: Limited, storage: &Storage, kind: Form) -> Result<Body> {
    let mut parts = Multipart::new(headers, stream);
    let mut form = Parts::new(kind);
    let mut uploads = Vec::new();
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(failed)?;
        let name = part.name().unwrap_or_default().to_owned();
        form.admit(&name)?;
        if name.is_empty() {
            continue;
        }
        match client_name(&part) {
            None => form.text(name, &text(&mut part).await?)?,
            Some(client_name) if kind == Form::Record => {
                uploads.push(spool(storage, name, client_name, &mut part).await?);
            }
            Some(_) => {}
        }
    }
    Ok(Body { values: form.into_object(), uploads })
}

/// What the client calls the file; a part without a name is a text.
fn client_name(part: &Field) -> Option<String> {
    let name = part.content_disposition()?.get_filename()?;
    (!name.is_empty()).then(|| name.to_owned())
}

async fn text(part: &mut Field) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()))
}

async fn spool(storage: &Storage, key: String, client_name: String, part: &mut Field) -> Result<Upload> {
    // The upload removes its file when it is dropped, so it exists before the file does.
    let mut upload = Upload { key, client_name, path: storage.spool_path(), size: 0 };
    let mut file = BufWriter::with_capacity(WRITE_BUFFER, File::create_new(&upload.path).await?);
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(failed)?;
        file.write_all(&chunk).await?;
        upload.size += chunk.len() as u64;
    }
    file.flush().await?;
    Ok(upload)
}

fn failed(error: MultipartError) -> Error {
    match error {
        MultipartError::Payload(error) => body::failed(error),
        MultipartError::Incomplete => Error::invalid("The request ended before its form was complete."),
        other => Error::invalid("The form is broken.").because(anyhow::anyhow!("{other}")),
    }
}
