//! What others answered: bounded, with the time for which they want to be left alone.

use std::time::Duration;

use jiff::{civil, fmt::rfc2822, tz::TimeZone};
use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use super::client::describe;
use crate::clock::Timestamp;

/// The longest time that we let ourselves be sent away for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// False when the body went on, or broke off.
    pub whole: bool,
}

impl Answer {
    /// Reads at most `most` bytes of body. The status says what became of the request, so a body that is too long or does not
    /// come to an end is no failure.
    pub async fn read(mut response: Response, most: usize) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let (mut body, mut whole) = (Vec::new(), false);
        while let Ok(chunk) = response.chunk().await {
            let Some(chunk) = chunk else {
                whole = true;
                break;
            };
            body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]);
            if body.len() == most {
                break;
            }
        }
        Self { status, headers, body, whole }
    }

    /// How long they want to be left alone.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        retry_after(&self.headers, now)
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status and the beginning of the body on one line: what people are told.
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(2048)]);
        let words: Vec<&str> =
            text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
        let words: String = words.join(" ").chars().take(300).collect();
        if words.is_empty() { self.status.to_string() } else { format!("{}: {words}", self.status) }
    }
}

/// A body of at most `most` bytes.
pub async fn bounded(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("the answer has more than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date. One that is over is no wait; one in the far future is a day.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        now.until(http_date(text)?)
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The three forms of RFC 9110 §5.6.7.
fn http_date(text: &str) -> Option<Timestamp> {
    let civil = |format| {
        let date = civil::DateTime::strptime(format, text).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let date = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok();
    let date = date.or_else(|| civil("%A, %d-%b-%y %H:%M:%S GMT")).or_else(|| civil("%a %b %e %H:%M:%S %Y"))?;
    Some(Timestamp(date.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn waits_are_read_in_all_forms_and_bounded() {
        // 1994-11-06 08:49:37 UTC is 784111777; it is half a minute earlier.
        let now = Timestamp((784_111_777 - 30) * 1000);
        for (text, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:37 GMT", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn what_they_said_is_one_short_line() {
        let answer = |body: &[u8]| Answer {
            status: StatusCode::BAD_REQUEST,
            headers: HeaderMap::new(),
            body: body.to_vec(),
            whole: true,
        };
        assert_eq!(answer(b"").said(), "400 Bad Request");
        assert_eq!(answer(b"a\n\tb\0c \xff").said(), "400 Bad Request: a b c \u{fffd}");
        assert!(answer(&[b'x'; 60_000]).said().len() < 400);
    }
}
