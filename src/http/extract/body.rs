//! The body: limits, content types, and the way to one object and its files (`docs/wire/records-api.md` §3,
//! `docs/wire/services.md` §1.4, §2.3).

use std::time::Duration;

use actix_web::{
    dev::Payload,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

pub use super::form::Form;
use super::{
    Call, form, json,
    limited::{Limited, failed, too_large},
    multipart,
};
use crate::{
    error::{Error, Result},
    files::Storage,
    records::Body,
    schema::Collection,
};

/// The limit of an ordinary request: 32 MiB.
pub const DEFAULT_LIMIT: u64 = 32 << 20;
/// The limit of a login: anybody may send one, and it is small: 64 KiB.
pub const LOGIN_LIMIT: u64 = 64 << 10;
/// The limit of a batch that sets none: 128 MiB.
pub const BATCH_LIMIT: u64 = 128 << 20;
/// A body has to arrive within this (`docs/wire/services.md` §2.8).
const TIMEOUT: Duration = Duration::from_secs(300);

/// A body, and whether it was a form.
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
pub async fn read(call: &mut Call, limit: u64, form: Form) -> Result<Received> {
    let payload = std::mem::replace(&mut call.payload, Payload::None);
    receive(call.http.headers(), payload, &call.app().storage, limit, form).await
}

/// 413 for a request that declares more than `limit` bytes; also where nobody would read them.
pub fn check_length(headers: &HeaderMap, limit: u64) -> Result<()> {
    if declared_length(headers).is_some_and(|length| length > limit) { Err(too_large()) } else { Ok(()) }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn receive(headers: &HeaderMap, payload: Payload, storage: &Storage, limit: u64, form: Form) -> Result<Received> {
    let length = declared_length(headers);
    if length == Some(0) {
        return Ok(Received::default());
    }
    check_length(headers, limit)?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.trim_start().to_ascii_lowercase();
    let stream = Limited::new(payload, limit);

    let reading = async {
        if content_type.starts_with("multipart/form-data") {
            let body = multipart::read(headers, stream, storage, form).await?;
            return Ok(Received { body, is_form: true });
        }
        let bytes = collect(stream, length).await?;
        let is_form = content_type.starts_with("application/x-www-form-urlencoded");
        let values = if content_type.starts_with("application/json") {
            json::read(bytes).await?
        } else if is_form {
            form::urlencoded(bytes, form).await?
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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::Value as Json;

    use super::*;
    use crate::{db::testing::TempDir, error::Kind};

    const LIMIT: u64 = 4096;
    const FORM: &str = "multipart/form-data; boundary=XX";

    struct Case {
        content_type: &'static str,
        body: Vec<u8>,
        /// Also tell the length.
        sized: bool,
    }

    impl Case {
        fn new(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
            Self { content_type, body: body.into(), sized: true }
        }

        fn chunked(self) -> Self {
            Self { sized: false, ..self }
        }

        async fn receive(&self, storage: &Storage) -> Result<Received> {
            let mut request = TestRequest::post().set_payload(self.body.clone());
            if !self.content_type.is_empty() {
                request = request.insert_header((CONTENT_TYPE, self.content_type));
            }
            if self.sized {
                request = request.insert_header((CONTENT_LENGTH, self.body.len()));
            }
            let (request, payload) = request.to_http_parts();
            let mut headers = request.headers().clone();
            if !self.sized {
                headers.remove(CONTENT_LENGTH);
            }
            receive(&headers, payload, storage, LIMIT, Form::Record).await
        }
    }

    fn storage() -> (Storage, TempDir) {
        let dir = TempDir::new();
        (Storage::open(dir.path(), false).unwrap(), dir)
    }

    /// Parts of a form: name, file name, content.
    fn form(parts: &[(&str, Option<&str>, &str)]) -> String {
        let mut text = String::new();
        for (name, file, content) in parts {
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            text += &format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n");
        }
        text + "--XX--\r\n"
    }

    #[actix_web::test]
    async fn bodies_become_objects() {
        let (storage, _dir) = storage();
        for (case, expected) in [
            (Case::new("application/json", r#"{"a":1}"#), r#"{"a":1}"#),
            (Case::new("application/json; charset=utf-8", r#"{"a":1}"#).chunked(), r#"{"a":1}"#),
            (Case::new("Application/JSON", "null"), "{}"),
            (Case::new("application/json", ""), "{}"),
            (Case::new("application/json", "").chunked(), "{}"),
            (Case::new("text/plain", ""), "{}"),
            (Case::new("", "").chunked(), "{}"),
            (Case::new("application/x-www-form-urlencoded", "a=1&b=x"), r#"{"a":1,"b":"x"}"#),
            (Case::new(FORM, form(&[("a", None, "5"), ("a", None, "x"), ("b", None, "")])), r#"{"a":[5,"x"],"b":""}"#),
            (
                Case::new(FORM, form(&[("@jsonPayload", None, r#"{"a":[]}"#), ("a", None, "5")])).chunked(),
                r#"{"a":[]}"#,
            ),
            // A file input without a file is a blank text.
            (Case::new(FORM, form(&[("a", Some(""), "")])), r#"{"a":""}"#),
            (Case::new(FORM, "--XX--\r\n"), "{}"),
            // Nameless parts are passed over.
            (Case::new(FORM, form(&[("", None, "x"), ("a", None, "1")])), r#"{"a":1}"#),
            (Case::new(FORM, "--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--\r\n"), "{}"),
        ] {
            let received = case.receive(&storage).await.unwrap_or_else(|error| panic!("{expected}: {error}"));
            assert_eq!(Json::Object(received.body.values).to_string(), expected);
            assert!(received.body.uploads.is_empty());
        }
    }

    #[actix_web::test]
    async fn broken_bodies_are_refused() {
        let (storage, _dir) = storage();
        let complete = form(&[("a", None, "5"), ("f", Some("x.txt"), "content")]);
        let long = LIMIT as usize + 1;
        for (case, kind) in [
            (Case::new("application/json", "{"), Kind::Invalid),
            (Case::new("application/json", "[]"), Kind::Invalid),
            (Case::new("application/json", r#"{"a":1,"a":2}"#), Kind::Invalid),
            (Case::new("text/plain", "{}"), Kind::Invalid),
            (Case::new("", "{}"), Kind::Invalid),
            (Case::new("multipart/form-data", complete.clone()), Kind::Invalid),
            (Case::new(FORM, "nonsense"), Kind::Invalid),
            (Case::new(FORM, form(&[("@jsonPayload", None, "")])), Kind::Invalid),
            (Case::new(FORM, form(&[("@jsonPayload", None, "{} x")])), Kind::Invalid),
            (Case::new("application/x-www-form-urlencoded", "t=%zz"), Kind::Invalid),
            (Case::new(FORM, &complete[..complete.len() - 8]), Kind::Invalid),
            (Case::new(FORM, &complete[..complete.len() / 2]), Kind::Invalid),
            (Case::new(FORM, form(&vec![("a", None, ""); 80])), Kind::TooLarge),
            (Case::new("application/json", " ".repeat(long)), Kind::TooLarge),
            (Case::new("application/json", " ".repeat(long)).chunked(), Kind::TooLarge),
            (Case::new(FORM, form(&[("f", Some("x"), &"y".repeat(long))])).chunked(), Kind::TooLarge),
        ] {
            let error = case.receive(&storage).await.unwrap_err();
            assert_eq!(error.kind, kind, "{}: {error}", String::from_utf8_lossy(&case.body));
        }
    }

    #[actix_web::test]
    async fn files_are_spooled_and_removed_with_a_broken_body() {
        let (storage, _dir) = storage();
        let parts = [("f", Some("ä b.txt"), "one"), ("f+", Some("x"), "two"), ("t", None, "text")];
        let received = Case::new(FORM, form(&parts)).receive(&storage).await.unwrap();
        let uploads = &received.body.uploads;
        let seen: Vec<_> =
            uploads.iter().map(|file| (file.key.as_str(), file.client_name.as_str(), file.size)).collect();
        assert_eq!(seen, [("f", "ä b.txt", 3), ("f+", "x", 3)]);
        assert_eq!(std::fs::read_to_string(&uploads[1].path).unwrap(), "two");

        for (file, name) in [
            (r#"filename="x"; filename*=UTF-8''%C3%A4.txt"#, "ä.txt"),
            (r#"filename="a/b/c.txt""#, "c.txt"),
            (r#"filename="C:\d\f.txt""#, r"C:\d\f.txt"),
        ] {
            let text = form(&[("f", Some("NAME"), "one")]).replace(r#"filename="NAME""#, file);
            let received = Case::new(FORM, text).receive(&storage).await.unwrap();
            assert_eq!(received.body.uploads[0].client_name, name, "{file}");
        }

        let spool = uploads[0].path.parent().unwrap().to_owned();
        drop(received);
        let text = form(&parts);
        assert!(Case::new(FORM, &text[..text.len() - 8]).receive(&storage).await.is_err());
        assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
    }
}
