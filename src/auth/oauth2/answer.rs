//! A provider's answer, read whole and of bounded size.

use reqwest::{RequestBuilder, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value as Json};
use url::form_urlencoded;

use crate::outgoing::{bounded, describe};

/// The most bytes of one answer.
const MAX_ANSWER: usize = 1 << 20;

/// A whole answer.
pub(super) struct Answer {
    pub status: StatusCode,
    /// The media type in lower case, without parameters.
    media_type: String,
    body: Vec<u8>,
}

impl Answer {
    /// Sends and reads. Fails when nobody answers, or too much.
    pub async fn of(request: RequestBuilder) -> Result<Self, String> {
        let response = request.send().await.map_err(|error| describe(&error))?;
        let status = response.status();
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|text| text.split(';').next()).unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        let body = bounded(response, MAX_ANSWER).await?;
        Ok(Self { status, media_type, body })
    }

    /// The JSON of a successful answer.
    pub fn json(&self) -> Result<Json, String> {
        self.succeeded()?;
        serde_json::from_slice(&self.body).map_err(|error| format!("{error}: {}", self.excerpt()))
    }

    /// The members of a successful answer that may be a form or JSON.
    pub fn members(&self) -> Result<Map<String, Json>, String> {
        self.succeeded()?;
        if matches!(&*self.media_type, "application/x-www-form-urlencoded" | "text/plain") {
            let pairs = form_urlencoded::parse(&self.body);
            return Ok(pairs.map(|(name, value)| (name.into_owned(), Json::String(value.into_owned()))).collect());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Json::Object(members)) => Ok(members),
            Ok(_) => Err("the answer is no object".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn succeeded(&self) -> Result<(), String> {
        if self.status.is_success() { Ok(()) } else { Err(format!("{}: {}", self.status, self.excerpt())) }
    }

    /// The beginning of the body, for the log.
    fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(200).collect()
    }
}
