//! A provider for the tests: its codes say themselves whom they stand for, so it keeps nothing but what it was asked.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub struct Provider {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that the provider got.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Method and path.
    pub target: String,
    pub authorization: String,
    pub body: String,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let all = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, all.clone()));
            }
        });
        Self { port, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// An entry of a collection's providers.
    pub fn entry(&self, name: &str) -> Json {
        json!({"name": name, "clientId": "my id", "clientSecret": "s/e", "authURL": self.url("/auth"),
            "tokenURL": self.url("/token"), "userInfoURL": self.url("/user")})
    }

    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock())
    }
}

/// The code for a user (the answer of the user info endpoint) and the members of the token answer besides.
pub fn code(user: Json, tokens: Json) -> String {
    URL_SAFE_NO_PAD.encode(json!({"user": user, "tokens": tokens}).to_string())
}

async fn answer(mut stream: TcpStream, all: Arc<Mutex<Vec<Seen>>>) {
    let Some(seen) = request(&mut stream).await else { return };
    let (status, kind, body) = respond(&seen);
    all.lock().push(seen);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await;
}

async fn request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
                line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
            };
            if body.len() >= header("content-length").parse().unwrap_or(0) {
                let target = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
                return Some(Seen { target, authorization: header("authorization"), body: body.to_owned() });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn respond(seen: &Seen) -> (u16, &'static str, String) {
    const JSON: &str = "application/json";
    let decode = |code: &str| -> Option<Json> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(code).ok()?).ok() };
    match seen.target.as_str() {
        "POST /token" => {
            let form: Vec<_> = url::form_urlencoded::parse(seen.body.as_bytes()).collect();
            let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string());
            let Some(code) = field("code") else { return (400, JSON, "{}".to_owned()) };
            let Some(meant) = decode(&code) else { return (400, JSON, r#"{"error":"invalid_grant"}"#.to_owned()) };
            // How this code wants to be exchanged.
            match meant["tokens"]["style"].as_str() {
                Some("form") if field("client_secret").is_none() => {
                    return (401, JSON, r#"{"error":"invalid_client"}"#.to_owned());
                }
                Some("encoded") => {
                    return (200, "text/plain; charset=utf-8", format!("access_token={code}&expires_in=60"));
                }
                Some("refused") => return (200, JSON, json!({"error": "bad", "access_token": code}).to_string()),
                Some("endless") => return (200, JSON, format!("{{\"access_token\":\"{}\"}}", "x".repeat(2 << 20))),
                Some("elsewhere") => return (302, JSON, String::new()),
                _ => {}
            }
            let mut tokens = json!({"access_token": code, "token_type": "bearer"});
            tokens.as_object_mut().unwrap().extend(meant["tokens"].as_object().cloned().unwrap_or_default());
            (200, JSON, tokens.to_string())
        }
        target if target.starts_with("GET /user") => {
            let token = seen.authorization.strip_prefix("Bearer ").unwrap_or_default();
            match decode(token) {
                Some(meant) if target == "GET /user" => (200, JSON, meant["user"].to_string()),
                Some(meant) if target == "GET /user/emails" && meant["user"]["emails"].is_array() => {
                    (200, JSON, meant["user"]["emails"].to_string())
                }
                Some(_) => (404, JSON, "{}".to_owned()),
                None => (401, JSON, "{}".to_owned()),
            }
        }
        _ => (404, JSON, "{}".to_owned()),
    }
}

/// The URL of a server that answers everything with this.
pub async fn picture(content: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let content = content.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if request(&mut stream).await.is_some() {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", content.len());
                let _ = stream.write_all([head.as_bytes(), content.as_bytes()].concat().as_slice()).await;
            }
        }
    });
    format!("http://127.0.0.1:{port}")
}
