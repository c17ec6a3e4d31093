//! Webhooks, signed as [Standard Webhooks](https://www.standardwebhooks.com) 1.0 says: a receiver knows who speaks, that
//! nobody changed it on the way, and by its id that it has heard it before.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use jiff::Timestamp as Instant;
use reqwest::{RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Map, Value as Json, json};

use super::{
    Device, Letter, Outcome, Sending, Target, Ticket, Transport, Tried, Trying,
    capture::{Capture, recipient},
    tried,
};
use crate::{
    clock::{Clock, Timestamp},
    mail::{Medium, Request},
    outgoing::{Answer, Outgoing},
    settings,
};

/// The steps of a sending, in order.
const STEPS: &[&str] = &["secret", "url", "resolve", "address", "connect", "tls", "answer", "accepted"];

/// What stands before a secret.
const PREFIX: &str = "whsec_";
/// Bytes of a secret: the standard asks for 24 to 64; whatever is shorter than 16 is no secret.
const SECRET: std::ops::RangeInclusive<usize> = 16..=512;
/// Secrets at the same time, while one takes over from another.
const MAX_SECRETS: usize = 4;
/// Secrets that others made may lack their padding, or have it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Tells servers.
pub struct Webhook {
    settings: settings::Store,
    clock: Clock,
    outgoing: Arc<Outgoing>,
    capture: Capture,
}

impl Webhook {
    pub fn new(settings: settings::Store, clock: Clock, outgoing: Arc<Outgoing>, capture: Capture) -> Self {
        Self { settings, clock, outgoing, capture }
    }

    async fn tell(&self, letter: &Letter, device: &Device, ticket: &Ticket) -> Tried {
        let now = self.clock.now();
        let hook = match Hook::new(letter, device, ticket, now) {
            Ok(hook) => hook,
            Err(why) => return Tried::refused(STEPS, "secret", why),
        };
        let allow_private = self.settings.current().notify.allow_private;
        // Asked again when it leaves. What is kept instead would not have been refused here either.
        if let Err(failure) = Outgoing::check(&device.token, allow_private) {
            return Tried::unanswered(STEPS, failure);
        }
        if let Some(kept) = self.capture.keep(|| hook.to_request(letter, device, ticket)) {
            return Tried { steps: STEPS, ..Tried::of(kept) };
        }
        let with = |request: RequestBuilder| {
            let request = request.header(CONTENT_TYPE, "application/json");
            hook.headers().into_iter().fold(request, |it, (name, value)| it.header(name, value)).body(hook.body.clone())
        };
        match self.outgoing.post(&device.token, allow_private, with).await {
            Ok(answer) => Tried::answered(STEPS, &answer, judge(&answer, now)),
            Err(failure) => Tried::unanswered(STEPS, failure),
        }
    }
}

impl Transport for Webhook {
    fn send<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Sending<'a> {
        Box::pin(async move { self.try_out(letter, target, ticket).await.outcome })
    }

    fn try_out<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Trying<'a> {
        Box::pin(async move {
            match target {
                Target::Device(device) => self.tell(letter, device, ticket).await,
                _ => Tried::refused(STEPS, "url", "this is no webhook"),
            }
        })
    }
}

/// One call as it leaves.
struct Hook {
    /// The same for every repetition, so the receiver can tell.
    id: String,
    /// Unix seconds of this attempt.
    timestamp: i64,
    signature: String,
    body: String,
    payload: Json,
}

impl Hook {
    /// Fails for good when there is no secret to sign with.
    fn new(letter: &Letter, device: &Device, ticket: &Ticket, now: Timestamp) -> Result<Self, String> {
        let secrets = secrets(&device.secrets)?;
        let id = format!("{}_{}", ticket.delivery, device.id);
        let timestamp = now.seconds();
        let payload = payload(letter, ticket, now);
        let body = payload.to_string();
        let signed = format!("{id}.{timestamp}.{body}");
        let sign = |key: &hmac::Key| format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes())));
        let signature = secrets.iter().map(sign).collect::<Vec<_>>().join(" ");
        Ok(Self { id, timestamp, signature, body, payload })
    }

    fn headers(&self) -> [(&'static str, String); 3] {
        [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", self.timestamp.to_string()),
            ("webhook-signature", self.signature.clone()),
        ]
    }

    /// As the capture box keeps it.
    fn to_request(&self, letter: &Letter, device: &Device, ticket: &Ticket) -> Request {
        Request {
            medium: Medium::Webhook,
            to: recipient(ticket),
            target: device.token.clone(),
            subject: letter.title.clone(),
            text: letter.body.clone(),
            link: letter.link.clone(),
            headers: self.headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            payload: self.payload.clone(),
            body: self.body.clone(),
        }
    }
}

/// `{type, timestamp, data}`: what kind of event, when it was sent, and all that the letter says.
fn payload(letter: &Letter, ticket: &Ticket, now: Timestamp) -> Json {
    let (collection, record, address) = ticket.recipient.columns();
    let at = Instant::from_millisecond(now.millis()).unwrap_or_default().to_string();
    json!({
        "type": event(&letter.category),
        "timestamp": at,
        "data": {
            "notification": ticket.notification,
            "delivery": ticket.delivery,
            "recipient": { "collection": collection, "record": record, "address": address },
            "category": letter.category,
            "priority": letter.priority.as_str(),
            "title": letter.title,
            "body": letter.body,
            "link": letter.link,
            "collapse": letter.collapse,
            "data": letter.data,
        },
    })
}

/// The name of the event: words with full stops between them.
fn event(category: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    match category {
        "" => "notification".to_owned(),
        category => format!("notification.{}", category.chars().map(plain).collect::<String>()),
    }
}

/// The keys of `{"secret": "whsec_…"}`, or of several in an array: the receiver may know the new one or still the old.
fn secrets(stored: &Map<String, Json>) -> Result<Vec<hmac::Key>, String> {
    let listed = match stored.get("secret") {
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        Some(Json::String(one)) => one.split_ascii_whitespace().collect(),
        _ => Vec::new(),
    };
    if listed.is_empty() {
        return Err("the webhook has no secret".to_owned());
    }
    if listed.len() > MAX_SECRETS {
        return Err(format!("the webhook has more than {MAX_SECRETS} secrets"));
    }
    listed.into_iter().map(key).collect()
}

/// The key in one secret: Base64, after `whsec_` or without it.
pub fn key(secret: &str) -> Result<hmac::Key, String> {
    let bytes = LENIENT.decode(secret.strip_prefix(PREFIX).unwrap_or(secret));
    let bytes = bytes.map_err(|_| format!("a secret of the webhook is not Base64 after {PREFIX:?}"))?;
    match SECRET.contains(&bytes.len()) {
        true => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        false => Err(format!("a secret of the webhook has {} bytes: 24 to 64 are usual", bytes.len())),
    }
}

/// What an answer means. Redirects are not followed: who has moved says so to whoever registered the webhook.
fn judge(answer: &Answer, now: Timestamp) -> Outcome {
    match answer.status.as_u16() {
        410 => Outcome::Gone(answer.said()),
        _ => tried::by_status(answer, now),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    };

    use super::*;
    use crate::{
        mail::{Mail, Search},
        notify::how::testing::{Provider, store, ticket},
    };

    fn device(secrets: Json) -> Device {
        let secrets = json!({ "secret": secrets }).as_object().unwrap().clone();
        Device { id: "dev".into(), kind: "webhook".into(), token: "https://x.y/hook".into(), secrets }
    }

    /// The example of the specification's reference libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_hook_is_signed_with_every_secret_and_keeps_its_id() {
        let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA");
        let letter = Letter { title: "é".into(), category: "order shipped".into(), ..Letter::default() };
        let now = Timestamp(1_800_000_000_123);
        let one = Hook::new(&letter, &device(json!(old)), &ticket(), now).unwrap();
        assert_eq!((one.id.as_str(), one.timestamp), ("d1_dev", 1_800_000_000));
        assert!(one.signature.starts_with("v1,") && !one.signature.contains(' '));
        assert_eq!(one.payload["type"], "notification.order_shipped");
        assert_eq!(one.payload["timestamp"], "2027-01-15T08:00:00.123Z");
        assert_eq!(one.payload["data"]["recipient"]["record"], "u1");
        let both = Hook::new(&letter, &device(json!([new, old])), &ticket(), now).unwrap();
        assert!(both.signature.split(' ').count() == 2 && both.signature.ends_with(&one.signature));
        let again = Hook::new(&letter, &device(json!(format!("{new} {old}"))), &ticket(), now).unwrap();
        assert_eq!(again.signature, both.signature);
        let later = Hook::new(&letter, &device(json!(old)), &ticket(), Timestamp(now.0 + 60_000)).unwrap();
        assert!(later.id == one.id && later.signature != one.signature);
    }

    #[test]
    fn without_a_usable_secret_nothing_leaves() {
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for bad in [
            json!(""),
            json!(null),
            json!([]),
            json!("whsec_"),
            json!("whsec_!!!"),
            json!("abcd"),
            json!([good, "x"]),
            json!(vec![good; 5]),
        ] {
            assert!(Hook::new(&Letter::default(), &device(bad.clone()), &ticket(), Timestamp(0)).is_err(), "{bad}");
        }
        assert!(
            key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA==").is_ok()
                && key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA").is_ok()
        );
    }

    #[test]
    fn answers_mean_what_the_standard_says() {
        let answer = |status: u16, retry: Option<&'static str>| {
            let header = retry.map(|text| (HeaderName::from_static("retry-after"), HeaderValue::from_static(text)));
            let headers = HeaderMap::from_iter(header);
            judge(
                &Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Vec::new(), whole: true },
                Timestamp(0),
            )
        };
        for status in [200, 201, 204, 299] {
            assert_eq!(answer(status, None), Outcome::Sent { receipt: None });
        }
        assert!(matches!(answer(410, None), Outcome::Gone(_)));
        for status in [408, 425, 429, 500, 502, 503, 599] {
            let Outcome::Later { retry_after, .. } = answer(status, Some("7")) else { panic!("{status}") };
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
            assert!(matches!(answer(status, None), Outcome::Later { retry_after: None, .. }));
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 413, 422] {
            assert!(matches!(answer(status, None), Outcome::Refused(_)), "{status}");
        }
    }

    #[tokio::test]
    async fn a_hook_arrives_or_is_kept_as_it_would_have() {
        let (settings, db, _dir) = store(json!({})).await;
        let clock = Clock::manual(Timestamp(1_800_000_000_000));
        let mail = Mail::new(settings.clone(), clock.clone(), true);
        let provider = Provider::always("204 No Content").await;
        let secret = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let target = Target::Device(Arc::new(Device { token: provider.url("/hook"), ..device(secret) }));
        let letter = Letter { title: "t".into(), ..Letter::default() };
        for capture in [false, true] {
            let capture = Capture::new(&mail, &clock, capture);
            let hook = Webhook::new(settings.clone(), clock.clone(), Arc::default(), capture);
            let outcome = hook.send(&letter, &target, &ticket()).await;
            assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
        }
        let (seen, kept) = (provider.seen(), mail.mailbox().list(&Search::default(), 10).0);
        assert_eq!((seen.len(), kept.len(), seen[0].path.as_str()), (1, 1, "/hook"));
        assert_eq!(String::from_utf8(seen[0].body.clone()).unwrap(), kept[0].body);
        for (name, value) in &kept[0].headers {
            assert_eq!(seen[0].header(name), value);
        }
        assert_eq!(
            (kept[0].target.as_str(), seen[0].header("content-type")),
            (provider.url("/hook").as_str(), "application/json")
        );
        db.close().await;
    }
}
