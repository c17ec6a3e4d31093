//! Buckets of S3 and of what speaks like it: signed requests with our trust, our name and our patience
//! (`docs/wire/services-files.md` §2, `docs/wire/services.md` §4.4).
//!
//! Where a bucket is, superusers say: it may be in a private network, and plain HTTP is allowed. Redirects are not
//! followed; a signature is good for one address.

mod listing;

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{TryStreamExt, future::BoxFuture};
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
    path::Path,
};
use reqwest::{Client, ClientBuilder, Method, Url, header::CONTENT_LENGTH, redirect};

use super::{
    client::{self, USER_AGENT},
    failure::causes,
};
use crate::random;

/// For the address, the connection and the TLS handshake.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// For the head of an answer, and then for each further piece of it.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes a second that an upload makes at least.
const SLOWEST: u64 = 64 << 10;
/// A request with a longer body is an upload, whose answer is waited for according to its length.
const UPLOAD: usize = 64 << 10;
/// An answer to an upload is whole after so long: a bucket may take its time to put a large file together.
const ANSWER_TIME: Duration = Duration::from_secs(600);
/// The largest answer that is read at once, in bytes: a list has a thousand keys, of a kibibyte each before they are escaped.
const ANSWER: usize = 16 << 20;
/// A connection that nobody uses is kept so long.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// And no more of them.
const IDLE_CONNECTIONS: usize = 16;
/// What may pass is tried again so often …
const RETRIES: usize = 3;
/// … unless this is over since the first time.
const RETRY_TIME: Duration = Duration::from_secs(30);
/// Bytes of a complaint that are told on.
const MAX_COMPLAINT: usize = 400;

/// Where a bucket is, and who may use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Params {
    /// A URL; `https` where no scheme is given.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret: String,
    /// `endpoint/bucket` instead of `bucket.endpoint`.
    pub path_style: bool,
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint, self.bucket)
    }
}

/// A client of the bucket; nobody is asked yet. Fails for what can be no bucket. Blocks: reads the certificates of the
/// system.
pub fn open(params: &Params) -> anyhow::Result<Arc<AmazonS3>> {
    let url = address(params)?;
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: RETRY_TIME,
    };
    let builder = AmazonS3Builder::new()
        .with_region(&params.region)
        .with_bucket_name(&params.bucket)
        .with_access_key_id(&params.access_key)
        .with_secret_access_key(&params.secret)
        .with_endpoint(url)
        // The address is whole already, whichever style it has.
        .with_virtual_hosted_style_request(true)
        // Not everybody who speaks S3 knows how to delete many at once.
        .with_disable_bulk_delete(true)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retry)
        .with_http_connector(Connector);
    Ok(Arc::new(builder.build()?))
}

/// The URL below which the bucket's keys are.
fn address(params: &Params) -> anyhow::Result<String> {
    let Params { endpoint, bucket, .. } = params;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if bucket.is_empty() || bucket.len() > 255 || !bucket.bytes().all(fits) {
        anyhow::bail!("{bucket:?} cannot be the name of a bucket");
    }
    let endpoint = endpoint.trim_end_matches('/');
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    if rest.is_empty() || rest.starts_with('/') {
        anyhow::bail!("{endpoint:?} is no address");
    }
    let url = match params.path_style {
        true => format!("{scheme}://{rest}/{bucket}"),
        false => format!("{scheme}://{bucket}.{rest}"),
    };
    let parsed = Url::parse(&url).map_err(|error| anyhow::anyhow!("{url} is no address: {error}"))?;
    let plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.query().is_none();
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() || !plain || parsed.fragment().is_some() {
        anyhow::bail!("{url} is no address of a bucket");
    }
    Ok(url)
}

/// Puts a small file, looks for it and removes it again: whoever may do this may keep files there
/// (`docs/wire/services.md` §4.4).
pub async fn probe(bucket: &AmazonS3) -> object_store::Result<()> {
    let folder = Path::from(format!("pb_settings_test_{}", random::string(random::LOWER_ALPHANUMERIC, 10)));
    let file = folder.clone().join("test.txt");
    bucket.put(&file, "test".into()).await?;
    let found: object_store::Result<Vec<_>> = bucket.list(Some(&folder)).try_collect().await;
    // Whatever was found: the file is not left there.
    let removed = bucket.delete(&file).await;
    if !found?.iter().any(|found| found.location == file) {
        let source = "what was just stored is not in the list of the bucket".into();
        return Err(Error::Generic { store: "S3", source });
    }
    removed
}

/// Opens and [`probe`]s a bucket. The error says in a line why it cannot be used.
pub async fn test(params: &Params) -> Result<(), String> {
    let params = params.clone();
    let opened = tokio::task::spawn_blocking(move || open(&params)).await.map_err(|error| error.to_string())?;
    let bucket = opened.map_err(|error| format!("{error:#}"))?;
    probe(&bucket).await.map_err(|error| why(&error))
}

/// What went wrong in one short line: what the other side says, or how far we came.
pub fn why(error: &Error) -> String {
    let text = error.to_string();
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once(&format!("</{tag}>"))?.0)
    };
    let status = text.split_once("status code: ").map(|(_, rest)| rest.split(':').next().unwrap_or(rest).trim());
    let line = match (status, between("Code"), between("Message")) {
        (status, Some(code), message) => {
            let parts = [status, Some(code), message.filter(|message| !message.is_empty())];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        }
        (Some(status), None, _) => format!("the bucket answers {status}"),
        (None, None, _) => causes(error).last().map_or_else(|| text.clone(), ToString::to_string),
    };
    line.split(char::is_whitespace)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_COMPLAINT)
        .collect()
}

/// Whether the same could work another time: nobody answered, or they said that they cannot just now.
pub fn may_pass(error: &Error) -> bool {
    let text = error.to_string();
    causes(error).any(|cause| cause.is::<HttpError>())
        || ["status code: 5", "status code: 429", "SlowDown", "InternalError"].iter().any(|sign| text.contains(sign))
}

/// Whether it says that there is no such object. That there is no such bucket is another thing.
pub fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && !error.to_string().contains("NoSuchBucket")
}

/// Makes our clients.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let made = |builder: fn() -> ClientBuilder| {
            client::build(builder).map_err(|error| Error::Generic { store: "S3", source: Box::new(error) })
        };
        let questions = made(|| ours().read_timeout(SILENCE))?;
        Ok(HttpClient::new(Service { questions, uploads: made(ours)? }))
    }
}

fn ours() -> ClientBuilder {
    let builder = Client::builder().user_agent(USER_AGENT).redirect(redirect::Policy::none()).referer(false);
    builder.connect_timeout(CONNECT_TIME).pool_idle_timeout(IDLE_TIME).pool_max_idle_per_host(IDLE_CONNECTIONS)
}

/// Two clients, as the patience of one counts from the first byte that we send.
#[derive(Debug)]
struct Service {
    questions: Client,
    uploads: Client,
}

impl HttpService for Service {
    fn call<'a, 'async_trait>(
        &'a self,
        request: HttpRequest,
    ) -> BoxFuture<'async_trait, Result<HttpResponse, HttpError>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let length = request.body().content_length();
            if length <= UPLOAD {
                let is_list = is_list(&request);
                let answer = self.questions.call(request).await?;
                return if is_list && answer.status().is_success() { readable(answer).await } else { Ok(answer) };
            }
            let patience = SILENCE + Duration::from_secs(length as u64 / SLOWEST);
            let answer = timeout(patience, self.uploads.call(request)).await??;
            let (head, body) = answer.into_parts();
            // Nobody counts the time from here on.
            let body = timeout(ANSWER_TIME, whole(body, SILENCE)).await??;
            Ok(HttpResponse::from_parts(head, body.into()))
        })
    }
}

/// Whether objects are asked for.
fn is_list(request: &HttpRequest) -> bool {
    request.method() == Method::GET && request.uri().query().is_some_and(|query| query.contains("list-type=2"))
}

/// A list without what could not be read, and nobody has asked for.
async fn readable(answer: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (mut head, body) = answer.into_parts();
    let bytes = whole(body, SILENCE).await?;
    let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(HttpResponse::from_parts(head, bytes.into())) };
    let (kept, odd) = listing::cleaned(text);
    if odd.count > 0 {
        tracing::warn!(count = odd.count, example = ?odd.example, "objects in the bucket are not ours by their names, and stay");
    }
    // It has another length now.
    head.headers.remove(CONTENT_LENGTH);
    Ok(HttpResponse::from_parts(head, kept.into()))
}

/// All of an answer, for each piece of which is waited so long.
async fn whole(body: HttpResponseBody, silence: Duration) -> Result<Bytes, HttpError> {
    let (mut pieces, mut bytes) = (body.bytes_stream(), BytesMut::new());
    while let Some(piece) = timeout(silence, pieces.try_next()).await?? {
        if bytes.len() + piece.len() > ANSWER {
            let error = std::io::Error::other(format!("the answer has more than {ANSWER} bytes"));
            return Err(HttpError::new(HttpErrorKind::Decode, error));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// As the client tells it.
async fn timeout<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, HttpError> {
    tokio::time::timeout(patience, work).await.map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use object_store::client::HttpRequestBody;

    use super::*;

    fn params(endpoint: &str, bucket: &str, path_style: bool) -> Params {
        let text = |text: &str| text.to_owned();
        Params {
            endpoint: text(endpoint),
            region: text("r"),
            bucket: text(bucket),
            access_key: text("a"),
            secret: text("hush"),
            path_style,
        }
    }

    #[test]
    fn a_bucket_is_a_folder_or_a_host() {
        for (endpoint, bucket, path_style, expected) in [
            ("https://s3.example.com", "b", true, Some("https://s3.example.com/b")),
            ("https://s3.example.com/", "b", false, Some("https://b.s3.example.com")),
            ("s3.example.com", "b", false, Some("https://b.s3.example.com")),
            ("http://127.0.0.1:9000", "my.bucket", true, Some("http://127.0.0.1:9000/my.bucket")),
            ("http://gateway/s3/", "b", true, Some("http://gateway/s3/b")),
            ("ftp://s3.example.com", "b", true, None),
            ("https://u:p@s3.example.com", "b", true, None),
            ("https://s3.example.com?x=1", "b", true, None),
            ("", "b", true, None),
            ("https://s3.example.com", "", true, None),
            ("https://s3.example.com", "a/b", true, None),
            ("https://s3.example.com", "a@b", false, None),
        ] {
            let address = address(&params(endpoint, bucket, path_style)).ok();
            assert_eq!(address.as_deref(), expected, "{endpoint} {bucket} {path_style}");
        }
        assert!(!format!("{:?}", params("e", "b", true)).contains("hush"));
    }

    /// Gives every request the same answer, and hangs up, unless that is to be longer.
    async fn server(answer: &'static str) -> Params {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                // Whoever waits for more waits.
                held.extend(answer.contains("content-length: 100").then_some(stream));
            }
        });
        params(&format!("http://127.0.0.1:{port}"), "b", true)
    }

    async fn fails(params: &Params) -> Error {
        probe(&open(params).unwrap()).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_answer_that_does_not_end_is_not_waited_for() {
        let params = server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<a>").await;
        let request = http::Request::put(address(&params).unwrap()).body(HttpRequestBody::from(vec![0; UPLOAD + 1]));
        let answer = ours().build().unwrap().call(request.unwrap()).await.unwrap();
        let error = whole(answer.into_body(), Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
    }

    #[tokio::test]
    async fn one_odd_name_does_not_hide_a_folder() {
        let page = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false\
                    </IsTruncated><Contents><Key>c//odd</Key><Size>1</Size><LastModified>2026-11-22T10:00:00.000Z\
                    </LastModified></Contents><Contents><Key>c/r/a.txt</Key><Size>1</Size><LastModified>\
                    2026-11-22T10:00:00.000Z</LastModified></Contents></ListBucketResult>";
        let bucket = open(&server(page).await).unwrap();
        let found: Vec<_> = bucket.list(Some(&Path::from("c"))).try_collect().await.unwrap();
        assert_eq!(found.iter().map(|found| found.location.as_ref()).collect::<Vec<_>>(), ["c/r/a.txt"]);
    }

    #[tokio::test]
    async fn a_complaint_is_told_in_one_line_without_secrets() {
        let refusal = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n<?xml version=\"1.0\"?>\n<Error>\
                       <Code>SignatureDoesNotMatch</Code><Message>It does\nnot match.</Message>\
                       <AWSAccessKeyId>a</AWSAccessKeyId></Error>";
        let error = fails(&server(refusal).await).await;
        assert_eq!(why(&error), "403 Forbidden: SignatureDoesNotMatch: It does not match.");
        assert!(!may_pass(&error) && !is_missing(&error));

        let missing = "HTTP/1.1 404 x\r\nconnection: close\r\n\r\n<Error><Code>NoSuchBucket</Code></Error>";
        let error = fails(&server(missing).await).await;
        assert!(!is_missing(&error) && why(&error).contains("NoSuchBucket"), "{error}");

        let error =
            fails(&server("HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await).await;
        assert!(why(&error).contains("307"), "{error}");

        let error = fails(&server("HTTP/1.1 503 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await).await;
        assert!(may_pass(&error) && why(&error).contains("503"), "{error}");

        let error = fails(&params("http://127.0.0.1:1", "b", true)).await;
        assert!(may_pass(&error) && why(&error).contains("refused"), "{}", why(&error));
        let error = fails(&server("nonsense\r\n\r\n").await).await;
        assert!(!why(&error).is_empty(), "{error}");
    }
}
