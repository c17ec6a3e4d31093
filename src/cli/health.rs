//! `conch health`: asks a server whether it is ready, for `HEALTHCHECK` of a container and for scripts.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use clap::Args;

use crate::outgoing::{USER_AGENT, describe};

/// The most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// `conch health`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch health                              the server on this machine, at $CONCH_HTTP or 127.0.0.1:8090
  conch health --url https://app.example.com
  conch health --live                       only whether it lives, not whether it can write

Prints what /readyz says. Exit code 0: ready; 1: not ready, or no answer.")]
pub struct Health {
    /// Where the server is, without a path
    #[arg(long, env = "CONCH_HEALTH_URL", value_name = "URL")]
    url: Option<String>,
    /// The address that the server listens on for HTTP, when no URL is given [default: 127.0.0.1:8090, or port 80 where
    /// $CONCH_DOMAINS or $CONCH_CERT are set]
    #[arg(long, env = "CONCH_HTTP", value_name = "HOST:PORT")]
    http: Option<String>,
    /// Ask only whether the process lives
    #[arg(long)]
    live: bool,
    /// Wait no longer than this many seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

impl Health {
    /// Prints the answer; fails unless it says that all is well.
    pub fn run(self) -> anyhow::Result<()> {
        let base = self.url.unwrap_or_else(|| local(self.http.as_deref().unwrap_or(super::tls::plain_default())));
        let path = if self.live { "livez" } else { "readyz" };
        let url = format!("{}/{path}", base.trim_end_matches('/'));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, text) = runtime.block_on(asked(&url, Duration::from_secs(self.timeout)))?;
        println!("{}", text.trim_end());
        match status {
            200 => Ok(()),
            503 => bail!("the server at {base} is not ready"),
            status => bail!("the server at {base} answered {status}: is it Conch?"),
        }
    }
}

/// Where one finds a server on this machine that listens on `address`.
fn local(address: &str) -> String {
    if let Ok(address) = address.parse::<SocketAddr>() {
        return super::tls::url("http", address);
    }
    // `:8090` listens everywhere; a name is as good for asking as for listening.
    let address = if address.starts_with(':') { format!("127.0.0.1{address}") } else { address.to_owned() };
    format!("http://{address}")
}

async fn asked(url: &str, patience: Duration) -> anyhow::Result<(u16, String)> {
    let client = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .timeout(patience)
        // The server itself is asked, whatever stands before the internet.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let said = |error: reqwest::Error| anyhow::anyhow!("{}", describe(&error));
    let mut answer = client.get(url).send().await.map_err(said).with_context(|| format!("cannot ask {url}"))?;
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(said).with_context(|| format!("cannot ask {url}"))? {
        text.extend_from_slice(&chunk);
        if text.len() > MAX_ANSWER {
            bail!("the answer of {url} is too long: is it Conch?");
        }
    }
    Ok((answer.status().as_u16(), String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_where_it_listens() {
        for (address, url) in [
            ("127.0.0.1:8090", "http://127.0.0.1:8090"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            (":8090", "http://127.0.0.1:8090"),
            ("localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(local(address), url);
        }
    }
}
