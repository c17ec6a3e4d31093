//! Providers that tests are, and what tests send them.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::Ticket;
use crate::{
    db::{
        Db,
        testing::{TempDir, options},
    },
    notify::who::Recipient,
    settings,
};

pub fn ticket() -> Ticket {
    let recipient = Recipient::Account { collection: "users".into(), record: "u1".into() };
    Ticket { delivery: "d1".to_owned(), notification: "n1".to_owned(), recipient, attempt: 1 }
}

/// Settings in a directory of their own, in which private networks are allowed.
pub(crate) async fn store(patch: serde_json::Value) -> (settings::Store, Db, TempDir) {
    let dir = TempDir::new();
    let db = Db::open(dir.path(), options()).unwrap();
    let store = settings::Store::open(db.clone(), None).unwrap();
    for patch in [serde_json::json!({"notify": {"allowPrivate": true}}), patch] {
        store.patch(patch.as_object().unwrap().clone()).await.unwrap();
    }
    (store, db, dir)
}

/// One request as it came in.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A provider that answers each request with the next of its answers, the last again and again.
#[derive(Clone)]
pub struct Provider {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Provider {
    /// `answer`: status and further headers, and the body, of the answer to this request.
    pub async fn answering(answer: impl Fn(&Seen, usize) -> (String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let (seen, answer) = (this.seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let Some((request, mut stream)) = read(stream).await else { return };
                    let count = {
                        let mut seen = seen.lock();
                        seen.push(request.clone());
                        seen.len()
                    };
                    let (head, body) = answer(&request, count);
                    let length = body.len();
                    let text =
                        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
                    let _ = stream.write_all(text.as_bytes()).await;
                });
            }
        });
        this
    }

    pub async fn always(head: &str) -> Self {
        let head = head.to_owned();
        Self::answering(move |_, _| (head.clone(), String::new())).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }
}

async fn read(mut stream: TcpStream) -> Option<(Seen, TcpStream)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let mut lines = head.lines();
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let header =
                |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
            let mut seen = Seen { path, headers: lines.filter_map(header).collect(), body: Vec::new() };
            let length: usize = seen.header("content-length").parse().unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                seen.body = bytes[end + 4..end + 4 + length].to_vec();
                return Some((seen, stream));
            }
        }
        let mut chunk = [0; 8192];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
    }
}
