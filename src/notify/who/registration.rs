//! What a device says of itself, checked.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde_json::{Map, Value as Json};
use url::Url;

use crate::{
    error::{Error, Issues, Leaf, Result},
    notify::how::webpush::Keys,
    outgoing::{Hop, Outgoing},
    random,
};

/// Bytes of an endpoint or a registration token.
const MAX_TOKEN: usize = 4096;
/// Characters of a label and of a platform.
const MAX_LABEL: usize = 200;
/// Bytes of a webhook's secret (Standard Webhooks 1.0).
const SECRET: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of one that we make.
const OUR_SECRET: usize = 32;
const PREFIX: &str = "whsec_";

/// What sort of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    WebPush,
    Fcm,
    Webhook,
}

/// A registration that can be stored.
#[derive(Debug)]
pub struct Registration {
    pub kind: Kind,
    /// Endpoint, registration token or URL.
    pub token: String,
    pub secrets: Map<String, Json>,
    /// The secret was made here, and its owner has to be told.
    pub made: bool,
    pub label: Option<String>,
    pub platform: Option<String>,
}

impl Registration {
    /// `{kind, subscription | token | url, secret?, label?, platform?}`; what is wrong with it, field by field.
    pub fn parse(body: &Map<String, Json>, allow_private: bool) -> Result<Self> {
        let mut issues = Issues::default();
        let kind = match body.get("kind").and_then(Json::as_str) {
            Some("webpush") => Some(Kind::WebPush),
            Some("fcm") => Some(Kind::Fcm),
            Some("webhook") => Some(Kind::Webhook),
            None | Some("") => {
                issues.insert("kind", Leaf::required());
                None
            }
            Some(_) => {
                issues.insert("kind", Leaf::new("validation_in_invalid", "Must be webpush, fcm or webhook."));
                None
            }
        };
        let (label, platform) = (short(body, "label", &mut issues), short(body, "platform", &mut issues));
        let (mut secrets, mut made) = (Map::new(), false);
        let token = match kind {
            None => String::new(),
            Some(Kind::WebPush) => subscription(body, allow_private, &mut secrets, &mut issues),
            Some(Kind::Fcm) => registration_token(body, &mut issues),
            Some(Kind::Webhook) => webhook(body, allow_private, &mut secrets, &mut made, &mut issues),
        };
        match kind {
            Some(kind) if issues.is_empty() => Ok(Self { kind, token, secrets, made, label, platform }),
            _ => Err(Error::issues("The device cannot be registered.", issues)),
        }
    }

    /// The secrets of a device of this very account that registers again: those of a webhook stay unless it brings others.
    pub fn again(&self, known: &Map<String, Json>) -> Map<String, Json> {
        let keep = self.made && known.contains_key("secret");
        if keep { known.clone() } else { self.secrets.clone() }
    }

    /// The secrets of a device that was another account's. Endpoints and tokens are known to nobody but the device; the URL of
    /// a webhook may be known to many, so whoever takes it over proves that it is theirs by its secret.
    pub fn taking(&self, known: &Map<String, Json>) -> Result<Map<String, Json>> {
        if self.kind == Kind::Webhook && (self.made || self.secrets.get("secret") != known.get("secret")) {
            let words = "Belongs to another account: register it with its secret to take it over.";
            return Err(Error::field("url", Leaf::new("validation_not_unique", words)));
        }
        Ok(self.secrets.clone())
    }
}

/// A short text; `None` if it was not given.
fn short(body: &Map<String, Json>, name: &str, issues: &mut Issues) -> Option<String> {
    let text = match body.get(name)? {
        Json::Null => return None,
        Json::String(text) => text.trim().to_owned(),
        _ => {
            issues.insert(name, Leaf::new("validation_invalid_text", "Must be a text."));
            return None;
        }
    };
    if text.chars().count() > MAX_LABEL {
        let words = format!("Must be no more than {MAX_LABEL} character(s).");
        issues.insert(name, Leaf::new("validation_max_text_constraint", words).param("max", MAX_LABEL));
    }
    Some(text)
}

/// A member that has to be a text of at most [`MAX_TOKEN`] bytes.
fn required<'a>(from: &'a Map<String, Json>, name: &str, issues: &mut Issues) -> Option<&'a str> {
    let leaf = match from.get(name) {
        None | Some(Json::Null) => Leaf::required(),
        Some(Json::String(text)) if text.is_empty() => Leaf::required(),
        Some(Json::String(text)) if text.len() > MAX_TOKEN => {
            let words = format!("Must be no more than {MAX_TOKEN} character(s).");
            Leaf::new("validation_max_text_constraint", words).param("max", MAX_TOKEN)
        }
        Some(Json::String(text)) => return Some(text),
        Some(_) => Leaf::new("validation_invalid_text", "Must be a text."),
    };
    issues.insert(name, leaf);
    None
}

/// What `PushSubscription.toJSON()` makes. Returns the endpoint.
fn subscription(
    body: &Map<String, Json>,
    allow_private: bool,
    secrets: &mut Map<String, Json>,
    issues: &mut Issues,
) -> String {
    let Some(subscription) = body.get("subscription").and_then(Json::as_object) else {
        issues.insert("subscription", Leaf::required());
        return String::new();
    };
    let mut wrong = Issues::default();
    let endpoint = target(subscription, "endpoint", allow_private, &mut wrong);
    let none = Map::new();
    let keys = subscription.get("keys").and_then(Json::as_object).unwrap_or(&none);
    let text = |name: &str| keys.get(name).and_then(Json::as_str).unwrap_or_default();
    match Keys::parse(text("p256dh"), text("auth")) {
        Ok(_) => secrets.extend(["p256dh", "auth"].map(|name| (name.to_owned(), text(name).into()))),
        Err(bad) => wrong.nest("keys", bad),
    }
    issues.nest("subscription", wrong);
    endpoint
}

fn registration_token(body: &Map<String, Json>, issues: &mut Issues) -> String {
    let Some(token) = required(body, "token", issues) else { return String::new() };
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        issues.insert("token", Leaf::new("validation_invalid_token", "Must have no spaces and only ASCII characters."));
    }
    token.to_owned()
}

fn webhook(
    body: &Map<String, Json>,
    allow_private: bool,
    secrets: &mut Map<String, Json>,
    made: &mut bool,
    issues: &mut Issues,
) -> String {
    let url = target(body, "url", allow_private, issues);
    let secret = match body.get("secret") {
        None | Some(Json::Null) => {
            *made = true;
            new_secret()
        }
        Some(Json::String(text)) if text.is_empty() => {
            *made = true;
            new_secret()
        }
        Some(Json::String(text)) if is_secret(text) => text.clone(),
        Some(_) => {
            let words = "Must be whsec_ and the base64 of 24 to 64 bytes.";
            issues.insert("secret", Leaf::new("validation_invalid_secret", words));
            String::new()
        }
    };
    secrets.insert("secret".to_owned(), secret.into());
    url
}

/// A URL to send to: HTTPS, unless private networks are allowed, and plainly no address where we do not go.
fn target(from: &Map<String, Json>, name: &str, allow_private: bool, issues: &mut Issues) -> String {
    let Some(text) = required(from, name, issues) else { return String::new() };
    let wrong = |words: String| Leaf::new("validation_invalid_url", words);
    let leaf = match Url::parse(text) {
        Err(error) => Some(wrong(format!("Must be a URL: {error}."))),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some(wrong("Must have no user name and no password.".to_owned()))
        }
        Ok(_) => Outgoing::check(text, allow_private).err().map(|failure| match failure.hop {
            Hop::Url => wrong(format!("Must be an https URL: {failure}.")),
            _ => Leaf::new("validation_private_address", format!("Cannot be sent to: {failure}.")),
        }),
    };
    if let Some(leaf) = leaf {
        issues.insert(name, leaf);
    }
    text.to_owned()
}

fn new_secret() -> String {
    let mut bytes = [0; OUR_SECRET];
    random::fill(&mut bytes);
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

fn is_secret(text: &str) -> bool {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let Some(encoded) = text.strip_prefix(PREFIX).filter(|encoded| encoded.len() <= 2 * SECRET.end()) else {
        return false;
    };
    LENIENT.decode(encoded).is_ok_and(|bytes| SECRET.contains(&bytes.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn parse(body: &Json, allow_private: bool) -> Result<Registration, Vec<String>> {
        let parsed = Registration::parse(body.as_object().unwrap(), allow_private);
        parsed.map_err(|error| error.issues.leaves().iter().map(|(name, code)| format!("{name} {code}")).collect())
    }

    fn browser(endpoint: &str) -> Json {
        let keys = json!({"p256dh": P256DH, "auth": AUTH});
        json!({"kind": "webpush", "subscription": {"endpoint": endpoint, "expirationTime": null, "keys": keys}})
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = "x".repeat(5000);
        let secret = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
        for (body, expected) in [
            (json!({}), vec!["kind validation_required"]),
            (json!({"kind": "apns"}), vec!["kind validation_in_invalid"]),
            (json!({"kind": "webpush"}), vec!["subscription validation_required"]),
            (
                json!({"kind": "webpush", "subscription": {}}),
                vec![
                    "subscription.endpoint validation_required",
                    "subscription.keys.auth validation_required",
                    "subscription.keys.p256dh validation_required",
                ],
            ),
            (
                json!({"kind": "webpush", "label": 5, "subscription": {"endpoint": "https://a.b/", "keys": {"p256dh": AUTH, "auth": AUTH}}}),
                vec!["label validation_invalid_text", "subscription.keys.p256dh validation_invalid_key"],
            ),
            (browser("http://a.b/"), vec!["subscription.endpoint validation_invalid_url"]),
            (browser("https://u:p@a.b/"), vec!["subscription.endpoint validation_invalid_url"]),
            (browser("x"), vec!["subscription.endpoint validation_invalid_url"]),
            (browser("https://127.0.0.1/"), vec!["subscription.endpoint validation_private_address"]),
            (browser("https://[::ffff:10.0.0.1]/"), vec!["subscription.endpoint validation_private_address"]),
            (browser(&format!("https://a.b/{long}")), vec!["subscription.endpoint validation_max_text_constraint"]),
            (json!({"kind": "fcm"}), vec!["token validation_required"]),
            (json!({"kind": "fcm", "token": 5}), vec!["token validation_invalid_text"]),
            (json!({"kind": "fcm", "token": "a b"}), vec!["token validation_invalid_token"]),
            (json!({"kind": "fcm", "token": long}), vec!["token validation_max_text_constraint"]),
            (json!({"kind": "webhook"}), vec!["url validation_required"]),
            (
                json!({"kind": "webhook", "url": "ftp://a.b", "secret": secret(23)}),
                vec!["secret validation_invalid_secret", "url validation_invalid_url"],
            ),
            (
                json!({"kind": "webhook", "url": "https://a.b", "secret": secret(65)}),
                vec!["secret validation_invalid_secret"],
            ),
            (
                json!({"kind": "fcm", "token": "t", "label": "x".repeat(201), "platform": []}),
                vec!["label validation_max_text_constraint", "platform validation_invalid_text"],
            ),
        ] {
            assert_eq!(parse(&body, false).err(), Some(expected.iter().map(ToString::to_string).collect()), "{body}");
        }
        for endpoint in ["http://127.0.0.1:80/", "https://10.0.0.1/", "http://localhost/"] {
            assert!(parse(&browser(endpoint), true).is_ok(), "{endpoint}");
        }
        assert!(parse(&browser("http://169.254.169.254/"), true).is_err());
        for bytes in [24, 64] {
            let body = json!({"kind": "webhook", "url": "https://a.b", "secret": secret(bytes)});
            assert!(!parse(&body, false).unwrap().made);
        }
    }

    #[test]
    fn a_webhook_is_taken_over_with_its_secret_only() {
        let hook = |secret: Option<&str>| {
            parse(&json!({"kind": "webhook", "url": "https://a.b", "secret": secret}), false).unwrap()
        };
        let (first, blank) = (hook(None), hook(None));
        assert!(first.made && first.secrets != blank.secrets && is_secret(first.secrets["secret"].as_str().unwrap()));
        let proof = hook(first.secrets["secret"].as_str());
        assert_eq!(blank.again(&first.secrets), first.secrets);
        assert_eq!(hook(blank.secrets["secret"].as_str()).again(&first.secrets), blank.secrets);
        assert!(blank.taking(&first.secrets).is_err() && blank.taking(&Map::new()).is_err());
        assert_eq!(proof.taking(&first.secrets).unwrap(), first.secrets);
        assert!(parse(&browser("https://a.b/"), false).unwrap().taking(&Map::new()).is_ok());
    }
}
