//! `multipart/form-data`: texts are collected, files go to the disk as they arrive.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderValue};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{
    form::{Form, Parts},
    limited::{self, Limited},
};
use crate::{
    error::{Error, Result},
    files::{Storage, Upload},
    records::Body,
};

/// Reads every part of `stream`. What was spooled is removed again when a later part fails.
pub async fn read(headers: &HeaderMap, stream: Limited, storage: &Storage, kind: Form) -> Result<Body> {
    let mut parts = Multipart::new(&lenient(headers), stream);
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
            None => form.text(name, &text(&mut part).await?),
            Some(client_name) if kind == Form::Record => {
                uploads.push(spool(storage, name, client_name, &mut part).await?);
            }
            Some(_) => {}
        }
    }
    Ok(Body { values: form.into_object().await?, uploads })
}

/// The headers under a type whose parts may be nameless: those are passed over, not refused.
fn lenient(headers: &HeaderMap) -> HeaderMap {
    let mut lenient = HeaderMap::with_capacity(1);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        let mixed = kind.to_str().ok().and_then(|kind| {
            let (_, parameters) = kind.split_once(';')?;
            HeaderValue::from_str(&format!("multipart/mixed;{parameters}")).ok()
        });
        lenient.insert(CONTENT_TYPE, mixed.unwrap_or_else(|| kind.clone()));
    }
    lenient
}

/// What the client calls the file, without folders; a part without such a name is a text.
fn client_name(part: &Field) -> Option<String> {
    let extended = part.content_disposition()?.get_filename_ext();
    let name = match extended {
        Some(extended) => String::from_utf8_lossy(&extended.value).into_owned(),
        None => file_name(&String::from_utf8_lossy(part.headers().get(CONTENT_DISPOSITION)?.as_bytes()))?,
    };
    let base = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match (name.is_empty(), base.is_empty()) {
        (true, _) => None,
        // A name of slashes alone.
        (false, true) => Some("/".to_owned()),
        (false, false) => Some(base.to_owned()),
    }
}

/// The `filename` of a Content-Disposition header. A backslash escapes only what a quoted text could not hold
/// otherwise: some clients send `C:\dir\a.txt` as it is.
fn file_name(header: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, end) = value(after.trim_start());
        if name.trim().eq_ignore_ascii_case("filename") {
            return Some(value);
        }
        rest = end.split_once(';')?.1;
    }
}

/// A parameter's value at the start of `text`, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, _) = text.split_at(text.find(';').unwrap_or(text.len()));
        return (token.trim_end().to_owned(), &text[token.len()..]);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => match letters.next_if(|(_, next)| r#"()<>@,;:\"/[]?="#.contains(*next)) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    (value, "")
}

async fn text(part: &mut Field) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()))
}

async fn spool(storage: &Storage, key: String, client_name: String, part: &mut Field) -> Result<Upload> {
    let upload = Upload { key, client_name, path: storage.spool_path(), size: 0 };
    let (mut upload, mut file) = upload.create().await?;
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
        MultipartError::Payload(error) => limited::failed(error),
        MultipartError::Incomplete => Error::invalid("The request ended before its form was complete."),
        other => Error::invalid("The form is broken.").because(anyhow::anyhow!("{other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_from_their_header() {
        for (header, name) in [
            (r#"form-data; name="f"; filename="a.txt""#, Some("a.txt")),
            (r#"form-data; filename = "a;b=c.txt"; name="f""#, Some("a;b=c.txt")),
            (r#"form-data; name="filename=x"; filename=a.txt; x=y"#, Some("a.txt")),
            (r#"form-data; name="f"; filename="C:\dir\foo.txt""#, Some(r"C:\dir\foo.txt")),
            (r#"form-data; name="f"; filename="a\"b\\c""#, Some(r#"a"b\c"#)),
            (r#"form-data; name="f"; filename="ä.txt"#, Some("ä.txt")),
            (r#"form-data; name="f"; FileName="""#, Some("")),
            (r#"form-data; name="f""#, None),
            ("form-data", None),
        ] {
            assert_eq!(file_name(header).as_deref(), name, "{header}");
        }
    }
}
