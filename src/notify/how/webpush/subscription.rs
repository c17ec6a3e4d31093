//! What a browser hands out when somebody agrees to be told: where to send, and its keys (RFC 8291 §3.2).

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value as Json};

use crate::error::{Issues, Leaf};

/// Bytes of an uncompressed point of P-256.
const PUBLIC: usize = 65;
const AUTH: usize = 16;
/// No key is longer, however it is spelt.
const LONGEST: usize = 128;

/// Base64 of both alphabets, padded or not: libraries differ.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// A point on P-256, uncompressed.
    pub public: Vec<u8>,
    pub auth: Vec<u8>,
}

impl Keys {
    /// Both keys as browsers spell them; which one is wrong otherwise, and how.
    pub fn parse(p256dh: &str, auth: &str) -> Result<Self, Issues> {
        let (mut issues, public, secret) = (Issues::default(), decode(p256dh), decode(auth));
        for (name, text, found) in [("p256dh", p256dh, public.as_deref()), ("auth", auth, secret.as_deref())] {
            let wrong = |words: &'static str| Leaf::new("validation_invalid_key", words);
            match (text.is_empty(), found) {
                (true, _) => issues.insert(name, Leaf::required()),
                (_, None) => issues.insert(name, wrong("Must be base64url.")),
                (_, Some(bytes)) if name == "p256dh" && bytes.len() != PUBLIC => {
                    issues.insert(name, wrong("Must have 65 bytes: an uncompressed point of P-256."));
                }
                (_, Some(bytes)) if name == "p256dh" && !is_on_curve(bytes) => {
                    issues.insert(name, wrong("Must be a point of P-256."));
                }
                (_, Some(bytes)) if name == "auth" && bytes.len() != AUTH => {
                    issues.insert(name, wrong("Must have 16 bytes."));
                }
                _ => {}
            }
        }
        match (public, secret) {
            (Some(public), Some(auth)) if issues.is_empty() => Ok(Self { public, auth }),
            _ => Err(issues),
        }
    }

    /// The keys in a device's stored secrets.
    pub fn stored(secrets: &Map<String, Json>) -> Result<Self, String> {
        let text = |name| secrets.get(name).and_then(Json::as_str).unwrap_or_default();
        Self::parse(text("p256dh"), text("auth")).map_err(|issues| {
            let names: Vec<String> = issues.leaves().into_iter().map(|(name, _)| name).collect();
            format!("the subscription has no usable {}", names.join(" and no usable "))
        })
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST {
        return None;
    }
    DECODER.decode(text.replace('+', "-").replace('/', "_")).ok()
}

fn is_on_curve(bytes: &[u8]) -> bool {
    bytes.first() == Some(&4) && ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC_KEY: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH_KEY: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    #[test]
    fn keys_are_a_point_of_the_curve_and_sixteen_bytes() {
        let off_curve = PUBLIC_KEY.replace("iw4", "iw8");
        let standard = PUBLIC_KEY.replace('-', "+").replace('_', "/");
        let (long, padded) = ("A".repeat(10_000), format!("{AUTH_KEY}=="));
        for (public, auth, expected) in [
            (PUBLIC_KEY, AUTH_KEY, vec![]),
            (standard.as_str(), padded.as_str(), vec![]),
            ("", "", vec!["auth: validation_required", "p256dh: validation_required"]),
            ("!", "?", vec!["auth: validation_invalid_key", "p256dh: validation_invalid_key"]),
            (AUTH_KEY, AUTH_KEY, vec!["p256dh: validation_invalid_key"]),
            (PUBLIC_KEY, PUBLIC_KEY, vec!["auth: validation_invalid_key"]),
            (off_curve.as_str(), AUTH_KEY, vec!["p256dh: validation_invalid_key"]),
            (long.as_str(), long.as_str(), vec!["auth: validation_invalid_key", "p256dh: validation_invalid_key"]),
        ] {
            let found = Keys::parse(public, auth).err().unwrap_or_default();
            let found: Vec<String> = found.leaves().iter().map(|(name, code)| format!("{name}: {code}")).collect();
            assert_eq!(found, expected, "{public} {auth}");
        }
    }

    #[test]
    fn stored_keys_say_what_is_missing() {
        let secrets = |text: &str| serde_json::from_str::<Map<String, Json>>(text).unwrap();
        let text = format!(r#"{{"p256dh":"{PUBLIC_KEY}","auth":"{AUTH_KEY}"}}"#);
        assert_eq!(Keys::stored(&secrets(&text)), Keys::parse(PUBLIC_KEY, AUTH_KEY).map_err(|_| String::new()));
        assert!(Keys::stored(&secrets(r#"{"auth":5}"#)).unwrap_err().contains("auth and no usable p256dh"));
    }
}
