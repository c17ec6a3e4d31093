//! The token that Google gives a service account for an hour (RFC 7523), asked for once for all who wait for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use super::STEPS;
use crate::{
    clock::Timestamp,
    notify::how::{Outcome, Tried, tried},
    outgoing::Outgoing,
    settings::Settings,
};

/// Where tokens are to be had, unless the settings or the service account say otherwise.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// What we sign is good for so many seconds, the most that Google takes.
const LIFETIME: i64 = 60 * 60;
/// A token is not used in the last part of its life: this, or a tenth of a short one.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// The longest life of a token that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure nobody asks again for so long, unless told for how long.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the settings say about Google.
pub struct Setup {
    /// The service account's file.
    text: String,
    token_url: String,
    email: String,
    key_id: String,
    /// PEM.
    private_key: String,
    pub project: String,
    pub allow_private: bool,
}

impl Setup {
    /// Fails with words for people when there is no usable service account.
    pub fn of(settings: &Settings) -> Result<Self, String> {
        let (allow_private, settings) = (settings.notify.allow_private, &settings.notify.fcm);
        if settings.service_account.trim().is_empty() {
            return Err("FCM is not set up: the settings have no service account".to_owned());
        }
        let account: Json = serde_json::from_str(&settings.service_account)
            .map_err(|_| "the service account in the settings is no JSON".to_owned())?;
        let text = |name: &str| match account.get(name).and_then(Json::as_str) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(format!("the service account in the settings has no {name}")),
        };
        let project = text("project_id")?;
        if !project.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            return Err("the service account in the settings has a malformed project_id".to_owned());
        }
        let token_url = match settings.token_url.as_str() {
            "" => text("token_uri").unwrap_or_else(|_| TOKEN_URL.to_owned()),
            url => url.to_owned(),
        };
        Ok(Self {
            token_url,
            email: text("client_email")?,
            key_id: text("private_key_id").unwrap_or_default(),
            private_key: text("private_key")?,
            project,
            allow_private,
            text: settings.service_account.clone(),
        })
    }

    /// What proves to Google who we are.
    fn assertion(&self, now: Timestamp) -> Result<String, String> {
        let key = EncodingKey::from_rsa_pem(self.private_key.as_bytes());
        let key = key.map_err(|_| "the private_key of the service account in the settings is no RSA key".to_owned())?;
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.key_id.clone()).filter(|id| !id.is_empty());
        let (from, to) = (now.seconds(), now.seconds() + LIFETIME);
        let claims = json!({ "iss": self.email, "scope": SCOPE, "aud": self.token_url, "iat": from, "exp": to });
        jsonwebtoken::encode(&header, &claims, &key)
            .map_err(|error| format!("the service account cannot sign: {error}"))
    }
}

/// The token, and who is asking for the next one.
#[derive(Default)]
pub struct Access {
    /// Held by whoever asks; the others wait for what comes of it.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Service account and URL that the rest belongs to.
    of: (String, String),
    token: Option<(Arc<str>, Instant)>,
    failed: Option<(Tried, Instant)>,
}

impl Access {
    /// A token, but not `spent`, which Google does not take any more.
    pub async fn token(
        &self,
        setup: &Setup,
        outgoing: &Outgoing,
        now: Timestamp,
        spent: Option<&str>,
    ) -> Result<Arc<str>, Tried> {
        let mut held = self.held.lock().await;
        if held.of.0 != setup.text || held.of.1 != setup.token_url {
            *held = Held { of: (setup.text.clone(), setup.token_url.clone()), ..Held::default() };
        }
        held.token.take_if(|(token, until)| Some(&**token) == spent || *until <= Instant::now());
        held.failed.take_if(|(_, until)| *until <= Instant::now());
        if let Some((token, _)) = &held.token {
            return Ok(token.clone());
        }
        if let Some((tried, _)) = &held.failed {
            return Err(tried.clone());
        }
        match ask(setup, outgoing, now).await {
            Ok((token, life)) => {
                let good = life.min(LONGEST);
                held.token = Some((token.clone(), Instant::now() + good.saturating_sub(MARGIN.min(good / 10))));
                Ok(token)
            }
            Err(tried) => {
                let told = match &tried.outcome {
                    Outcome::Later { retry_after, .. } => *retry_after,
                    _ => None,
                };
                let pause = told.map_or(PAUSE, |told| told.min(LONGEST_PAUSE));
                held.failed = Some((tried.clone(), Instant::now() + pause));
                Err(tried)
            }
        }
    }
}

/// A new token and how long it lives.
async fn ask(setup: &Setup, outgoing: &Outgoing, now: Timestamp) -> Result<(Arc<str>, Duration), Tried> {
    let failed = |outcome, status| Tried { outcome, steps: STEPS, failed: Some("access"), status };
    let assertion = setup.assertion(now).map_err(|why| Tried::refused(STEPS, "settings", why))?;
    let form = [("grant_type", GRANT), ("assertion", assertion.as_str())];
    let answer = outgoing.post(&setup.token_url, setup.allow_private, |request| request.form(&form)).await;
    let answer = answer.map_err(|failure| {
        let why = format!("asking for an access token ({}): {failure}", failure.hop.as_str());
        let outcome =
            if failure.may_pass() { Outcome::Later { why, retry_after: None } } else { Outcome::Refused(why) };
        failed(outcome, None)
    })?;
    let status = Some(answer.status.as_u16());
    let outcome = match tried::by_status(&answer, now) {
        Outcome::Sent { .. } => {
            let json: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
            let token = json.get("access_token").and_then(Json::as_str).filter(|token| is_header_text(token));
            if let Some(token) = token {
                let life = json.get("expires_in").and_then(Json::as_u64).unwrap_or(0);
                return Ok((token.into(), Duration::from_secs(life)));
            }
            let why = "no access token: the answer has none".to_owned();
            if answer.whole { Outcome::Refused(why) } else { Outcome::Later { why, retry_after: None } }
        }
        Outcome::Refused(why) => Outcome::Refused(format!("no access token: {why}")),
        Outcome::Later { why, retry_after } => Outcome::Later { why: format!("no access token: {why}"), retry_after },
        other => other,
    };
    Err(failed(outcome, status))
}

fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
