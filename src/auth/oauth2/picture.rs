//! Downloading the picture of a provider's user (`docs/wire/auth-oauth2.md` §3.10).
//!
//! The URL is what that user typed into their profile, so it may point into our own network. Every address is looked at
//! when the connection is made, redirects and what a name resolves to included: there is no moment between the check and
//! the use.

use std::time::Duration;

use reqwest::{Client, Url, redirect};
use tokio::{io::AsyncWriteExt, sync::Semaphore};

use crate::{
    files::Upload,
    outgoing::{Allows, Guard, Lazy, USER_AGENT, admit, describe, is_public},
};

/// For everything together.
const TIME: Duration = Duration::from_secs(10);
/// The most bytes.
const MAX_BYTES: u64 = 32 << 20;
const MAX_REDIRECTS: usize = 5;
/// Downloads at the same time; others wait within their time.
const AT_ONCE: usize = 8;

/// Downloads pictures from addresses that may be connected to.
pub struct Pictures {
    allows: Allows,
    client: Lazy,
    slots: Semaphore,
}

impl Default for Pictures {
    fn default() -> Self {
        Self::from(is_public)
    }
}

impl Pictures {
    /// From these addresses only.
    pub fn from(allows: Allows) -> Self {
        Self { allows, client: Lazy::default(), slots: Semaphore::new(AT_ONCE) }
    }

    /// Downloads `url` into the upload's file. Fails with a reason for the log.
    pub async fn download(&self, url: &str, mut into: Upload) -> Result<Upload, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        admit(&url, self.allows)?;
        into.client_name = file_name(&url);
        let downloading = self.fetch(url, into);
        tokio::time::timeout(TIME, downloading).await.unwrap_or_else(|_| Err("it took too long".to_owned()))
    }

    async fn fetch(&self, url: Url, into: Upload) -> Result<Upload, String> {
        let _slot = self.slots.acquire().await.map_err(|error| error.to_string())?;
        let request = self.client().await?.get(url);
        let mut response = request.send().await.map_err(|error| describe(&error))?;
        if !response.status().is_success() {
            return Err(response.status().to_string());
        }
        if response.content_length().is_some_and(|length| length > MAX_BYTES) {
            return Err("it is too large".to_owned());
        }
        let (mut into, mut file) = into.create().await.map_err(|error| error.to_string())?;
        while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
            into.size += chunk.len() as u64;
            if into.size > MAX_BYTES {
                return Err("it is too large".to_owned());
            }
            file.write_all(&chunk).await.map_err(|error| error.to_string())?;
        }
        file.flush().await.map_err(|error| error.to_string())?;
        Ok(into)
    }

    async fn client(&self) -> Result<&Client, String> {
        let allows = self.allows;
        let builder = move || {
            let builder =
                Client::builder().user_agent(USER_AGENT).redirect(hops(allows)).dns_resolver(Guard::new(allows));
            // A proxy would resolve names itself.
            builder.no_proxy().referer(false).pool_max_idle_per_host(0)
        };
        self.client.get(builder).await.map_err(|error| format!("{error:#}"))
    }
}

/// A few redirects, each as good as the first hop.
fn hops(allows: Allows) -> redirect::Policy {
    redirect::Policy::custom(move |hop| {
        if hop.previous().len() > MAX_REDIRECTS {
            return hop.error("too many redirects");
        }
        match admit(hop.url(), allows) {
            Ok(()) => hop.follow(),
            Err(why) => hop.error(why),
        }
    })
}

/// The last segment of the path.
fn file_name(url: &Url) -> String {
    let mut segments = url.path_segments().into_iter().flatten();
    segments.rfind(|segment| !segment.is_empty()).unwrap_or("picture").to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;
    use crate::db::testing::TempDir;

    fn only_127_0_0_2(address: IpAddr) -> bool {
        address == IpAddr::from([127, 0, 0, 2])
    }

    /// Answers every connection with `answer`; `{port}` in it is its own.
    async fn server(answer: impl Fn(u16) -> Vec<u8> + Send + 'static) -> u16 {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer(port);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(&answer).await;
                });
            }
        });
        port
    }

    fn text(answer: impl AsRef<str>) -> Vec<u8> {
        answer.as_ref().as_bytes().to_vec()
    }

    async fn download(dir: &TempDir, url: &str) -> Result<(String, String), String> {
        let path = dir.path().join("picture");
        let into = Upload { key: "avatar".to_owned(), client_name: String::new(), path: path.clone(), size: 0 };
        let upload = Pictures::from(only_127_0_0_2).download(url, into).await;
        let upload = upload.map(|upload| (std::fs::read_to_string(&upload.path).unwrap(), upload.client_name.clone()));
        assert!(!path.exists(), "nothing stays behind");
        upload
    }

    #[tokio::test]
    async fn pictures_come_from_allowed_addresses_only() {
        let dir = TempDir::new();
        let port = server(|_| text("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")).await;
        let got = download(&dir, &format!("http://127.0.0.2:{port}/a/pic%20ture.png?s=5")).await;
        assert_eq!(got, Ok(("abc".to_owned(), "pic%20ture.png".to_owned())));
        for url in [
            format!("http://127.0.0.1:{port}/"),
            format!("http://localhost:{port}/"),
            format!("http://2130706433:{port}/"),
            format!("http://0x7f.1:{port}/"),
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            format!("http://127.0.0.2.nip.invalid:{port}/"),
            "file:///etc/passwd".to_owned(),
            "data:,x".to_owned(),
            "/relative".to_owned(),
            String::new(),
        ] {
            assert!(download(&dir, &url).await.is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn redirects_are_checked_like_the_first_hop() {
        let dir = TempDir::new();
        let target = server(|_| text("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")).await;
        for (to, expected) in [
            (format!("http://127.0.0.2:{target}/x"), true),
            (format!("http://127.0.0.1:{target}/x"), false),
            (format!("http://localhost:{target}/x"), false),
            ("file:///etc/passwd".to_owned(), false),
        ] {
            let answer = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            let port = server(move |_| text(&answer)).await;
            assert_eq!(download(&dir, &format!("http://127.0.0.2:{port}/")).await.is_ok(), expected, "{to}");
        }
        let circle = |port| {
            text(format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:{port}/\r\ncontent-length: 0\r\n\r\n"))
        };
        let port = server(circle).await;
        assert!(download(&dir, &format!("http://127.0.0.2:{port}/")).await.is_err());
    }

    #[tokio::test]
    async fn what_is_too_large_or_no_success_is_nothing() {
        let dir = TempDir::new();
        let long = MAX_BYTES + 1;
        let told = server(move |_| text(format!("HTTP/1.1 200 OK\r\ncontent-length: {long}\r\n\r\nabc"))).await;
        assert!(download(&dir, &format!("http://127.0.0.2:{told}/")).await.unwrap_err().contains("large"));
        let untold = server(move |_| {
            let mut answer = text("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            answer.resize(answer.len() + long as usize, b'x');
            answer
        })
        .await;
        assert!(download(&dir, &format!("http://127.0.0.2:{untold}/")).await.unwrap_err().contains("large"));
        let missing = server(|_| text("HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nabc")).await;
        assert!(download(&dir, &format!("http://127.0.0.2:{missing}/")).await.is_err());
    }

    /// The file is made by a thread that is busy, and whoever wants the picture goes before that.
    #[test]
    fn a_picture_that_nobody_waits_for_any_more_leaves_no_file() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let dir = TempDir::new();
            let port = server(|_| text("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")).await;
            let url = format!("http://127.0.0.2:{port}/");
            let pictures = Pictures::from(only_127_0_0_2);
            let into = |name| {
                let path = dir.path().join(name);
                Upload { key: "avatar".to_owned(), client_name: String::new(), path, size: 0 }
            };
            drop(pictures.download(&url, into("first")).await.unwrap());
            let (go_on, wait) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || wait.recv());
            let download = pictures.download(&url, into("second"));
            assert!(tokio::time::timeout(Duration::from_secs(1), download).await.is_err(), "it waits for the thread");
            go_on.send(()).unwrap();
            busy.await.unwrap().unwrap();
            // The thread takes one thing after the other.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        });
    }
}
