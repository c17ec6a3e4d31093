//! Web Push: to browsers, through the push services that they chose (RFC 8030, 8291, 8292).

mod encrypt;
mod keys;
mod message;
mod subscription;
mod vapid;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::{
    RequestBuilder, Url,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE},
};

pub use self::{keys::pair, subscription::Keys, vapid::Pair};
use super::{
    Device, Letter, Outcome, Sending, Target, Ticket, Transport, Tried, Trying,
    capture::{Capture, recipient},
    tried,
};
use crate::{
    clock::Clock,
    error::Kind,
    mail::{Medium, Request},
    notify::Priority,
    outgoing::{Answer, Outgoing},
    settings,
};

/// The steps of a sending, in order.
const STEPS: &[&str] =
    &["settings", "subscription", "url", "resolve", "address", "connect", "tls", "answer", "accepted"];
/// Services keep a message for four weeks at most, and so they do when a letter never expires.
const LONGEST: Duration = Duration::from_secs(28 * 24 * 60 * 60);
/// The most characters of a topic (RFC 8030 §5.4).
const TOPIC: usize = 32;

/// Sends to browsers.
pub struct WebPush {
    settings: settings::Store,
    clock: Clock,
    outgoing: Arc<Outgoing>,
    capture: Capture,
    tokens: vapid::Tokens,
}

impl WebPush {
    pub fn new(settings: settings::Store, clock: Clock, outgoing: Arc<Outgoing>, capture: Capture) -> Self {
        Self { settings, clock, outgoing, capture, tokens: vapid::Tokens::default() }
    }

    async fn push(&self, letter: &Letter, device: &Device, ticket: &Ticket) -> Tried {
        let pair = match keys::pair(&self.settings).await {
            Ok(pair) => pair,
            Err(error) if error.kind == Kind::Invalid => return Tried::refused(STEPS, "settings", error.message),
            Err(error) => return Tried::later(STEPS, "settings", error.message, error.retry_after),
        };
        let refused = |step, why| Tried::refused(STEPS, step, why);
        let to = match Keys::stored(&device.secrets) {
            Ok(keys) => keys,
            Err(why) => return refused("subscription", why),
        };
        let message = message::compose(letter, ticket, encrypt::MAX_MESSAGE);
        let body = match encrypt::encrypt(&message, &to) {
            Ok(body) => body,
            Err(why) => return refused("subscription", why),
        };
        let settings = self.settings.current();
        let allow_private = settings.notify.allow_private;
        if let Err(failure) = Outgoing::check(&device.token, allow_private) {
            return Tried::unanswered(STEPS, failure);
        }
        let origin = match Url::parse(&device.token) {
            Ok(url) => url.origin().ascii_serialization(),
            Err(error) => return refused("url", format!("the endpoint is no URL: {error}")),
        };
        let (now, subject) = (self.clock.now(), keys::subject(&settings));
        let Some(authorization) = self.tokens.authorization(&pair, &subject, &origin, now) else {
            return refused("settings", "the keys of Web Push in the settings do not belong together".to_owned());
        };
        let headers = [
            (AUTHORIZATION.as_str(), authorization),
            (CONTENT_ENCODING.as_str(), "aes128gcm".to_owned()),
            (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
            ("ttl", ttl(letter, now).to_string()),
            ("urgency", urgency(letter.priority).to_owned()),
            ("topic", topic(letter, ticket)),
        ];
        let kept = self.capture.keep(|| Request {
            medium: Medium::WebPush,
            to: recipient(ticket),
            target: device.token.clone(),
            subject: letter.title.clone(),
            text: letter.body.clone(),
            link: letter.link.clone(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            payload: serde_json::from_slice(&message).unwrap_or_default(),
            body: STANDARD.encode(&body),
        });
        if let Some(outcome) = kept {
            return Tried { steps: STEPS, ..Tried::of(outcome) };
        }
        let with = |request: RequestBuilder| {
            headers.iter().fold(request, |request, (name, value)| request.header(*name, value)).body(body)
        };
        match self.outgoing.post(&device.token, allow_private, with).await {
            Ok(answer) => self.judge(&answer),
            Err(failure) => Tried::unanswered(STEPS, failure),
        }
    }

    /// What the service's answer means (RFC 8030 §5, §7.3, §8.4).
    fn judge(&self, answer: &Answer) -> Tried {
        let outcome = match answer.status.as_u16() {
            200..=202 | 204 => Outcome::Sent { receipt: answer.header("location").map(tried::bounded) },
            404 | 410 => Outcome::Gone(answer.said()),
            _ => tried::by_status(answer, self.clock.now()),
        };
        Tried::answered(STEPS, answer, outcome)
    }
}

impl Transport for WebPush {
    fn send<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Sending<'a> {
        Box::pin(async move { self.try_out(letter, target, ticket).await.outcome })
    }

    fn try_out<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Trying<'a> {
        Box::pin(async move {
            match target {
                Target::Device(device) => self.push(letter, device, ticket).await,
                _ => Tried::refused(STEPS, "subscription", "this is no device".to_owned()),
            }
        })
    }
}

/// Seconds for which the service is to keep a message.
pub(super) fn ttl(letter: &Letter, now: crate::clock::Timestamp) -> u64 {
    letter.expires.map_or(LONGEST, |expires| now.until(expires)).min(LONGEST).as_secs()
}

/// RFC 8030 §5.3.
pub(super) fn urgency(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::Critical => "high",
    }
}

/// What a message replaces at the service (RFC 8030 §5.4): one of the same collapse key, else what may have been sent of
/// it before a crash.
pub(super) fn topic(letter: &Letter, ticket: &Ticket) -> String {
    let name = match letter.collapse.as_str() {
        "" => format!("delivery {}", ticket.delivery),
        key => format!("collapse {key}"),
    };
    let mut topic = URL_SAFE_NO_PAD.encode(digest(&SHA256, name.as_bytes()));
    topic.truncate(TOPIC);
    topic
}

#[cfg(test)]
mod tests;
