//! When the authority itself would have a certificate renewed (RFC 9773): earlier than planned if it has to revoke it,
//! and spread over time.

use std::time::Duration;

use instant_acme::CertificateIdentifier;
use serde::Deserialize;

use super::web::Web;
use crate::{
    clock::{Clock, Timestamp},
    outgoing::retry_after,
};

/// How long until it is asked again, when it does not say, and the least and the most that it may say.
const USUAL: Duration = Duration::from_secs(6 * 60 * 60);
const LEAST: Duration = Duration::from_secs(60);

/// What an authority suggests.
#[derive(Debug, PartialEq, Eq)]
pub struct Information {
    /// The time within which it would have the certificate renewed.
    pub window: (Timestamp, Timestamp),
    /// When to ask again.
    pub again: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    renewal_info: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suggestion {
    suggested_window: Window,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

/// Nothing where an authority has no opinion, or does not say it in a way that we understand: it is only advice.
pub async fn ask(web: &Web, directory: &str, certificate: &CertificateIdentifier<'_>) -> Option<Information> {
    let found = web.get(directory).await.ok()?;
    let directory: Directory = serde_json::from_slice(&found.body).ok()?;
    let url = directory.renewal_info?;
    let answer = web.get(&format!("{}/{certificate}", url.trim_end_matches('/'))).await.ok()?;
    if !answer.status.is_success() {
        return None;
    }
    let again = retry_after(&answer.headers, Clock::system().now()).unwrap_or(USUAL).max(LEAST);
    Some(Information { window: window(&answer.body)?, again })
}

fn window(body: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let Suggestion { suggested_window: Window { start, end } } = serde_json::from_slice(body).ok()?;
    let time = |text: String| Some(Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()));
    // A window that ends before it begins is to be ignored (§4.2).
    Some((time(start)?, time(end)?)).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read() {
        for (body, expected) in [
            (
                r#"{"suggestedWindow":{"start":"2025-01-02T04:00:00Z","end":"2025-01-03T04:00:00.5Z"},"explanationURL":"x"}"#,
                Some((Timestamp(1_735_790_400_000), Timestamp(1_735_876_800_500))),
            ),
            (r#"{"suggestedWindow":{"start":"2025-01-03T04:00:00Z","end":"2025-01-02T04:00:00Z"}}"#, None),
            (r#"{"suggestedWindow":{"start":"soon","end":"later"}}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(window(body.as_bytes()), expected, "{body}");
        }
    }
}
