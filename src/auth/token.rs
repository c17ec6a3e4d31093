//! Tokens: readable JWTs, signed with what rotates (`docs/wire/auth.md` §2).
//!
//! The signing key is the record's token key followed by the collection's secret for that kind of token: a new token key
//! or secret ends every token that was issued with the old one. There is no store of tokens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::{
    clock::Timestamp,
    error::{Error, Result},
};

/// More than any token that was ever issued; longer ones are not even decoded.
const MAX_LENGTH: usize = 8192;

/// What a token is for: its `type` claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Auth,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Auth => "auth",
        }
    }
}

/// The claims of an auth token, in the order of the wire's examples (sorted).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthClaims<'a> {
    collection_id: &'a str,
    /// Unix seconds.
    exp: i64,
    id: &'a str,
    refreshable: bool,
    r#type: &'static str,
}

/// A new auth token of a record, valid for `seconds` from `now`.
pub fn issue_auth(
    collection_id: &str,
    id: &str,
    key: &[u8],
    now: Timestamp,
    seconds: i64,
    refreshable: bool,
) -> Result<String> {
    let exp = now.seconds().saturating_add(seconds);
    let claims = AuthClaims { collection_id, exp, id, refreshable, r#type: Purpose::Auth.name() };
    let payload = serde_json::to_vec(&claims).map_err(Error::internal)?;
    sign(&payload, key)
}

fn sign(payload: &[u8], key: &[u8]) -> Result<String> {
    // The reference's own header, byte for byte: {"alg":"HS256","typ":"JWT"}
    let message = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(key), Algorithm::HS256)
        .map_err(|error| Error::internal(anyhow::anyhow!("signing a token failed: {error}")))?;
    Ok(format!("{message}.{signature}"))
}

/// A decoded token whose signature is not verified yet: it says which key to verify it with.
#[derive(Debug, Clone, PartialEq)]
pub struct Unverified<'a> {
    text: &'a str,
    /// A collection id, or its name.
    pub collection: String,
    /// The record's id.
    pub id: String,
    /// Unix seconds; `None` never expires.
    pub expires: Option<f64>,
    /// Whether `auth-refresh` gives a new token for it (§2.6).
    pub refreshable: bool,
}

impl<'a> Unverified<'a> {
    /// Steps 1 and 2 of §2.2: `None` for whatever is malformed, out of its time or for another purpose.
    pub fn decode(text: &'a str, purpose: Purpose, now: Timestamp) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let data = jsonwebtoken::dangerous::insecure_decode::<Map<String, Json>>(text).ok()?;
        if data.header.alg != Algorithm::HS256 {
            return None;
        }
        let claims = data.claims;
        let expires = time_claim(&claims, "exp")?;
        let not_before = time_claim(&claims, "nbf")?;
        let issued = time_claim(&claims, "iat")?;
        let seconds = now.millis() as f64 / 1000.0;
        let early = |time: Option<f64>| time.is_some_and(|time| time > seconds);
        if is_over(expires, now) || early(not_before) || early(issued) || text_claim(&claims, "type")? != purpose.name()
        {
            return None;
        }
        Some(Self {
            text,
            collection: text_claim(&claims, "collectionId")?.to_owned(),
            id: text_claim(&claims, "id")?.to_owned(),
            expires,
            refreshable: claims.get("refreshable").is_some_and(is_truthy),
        })
    }

    /// Step 4: HS256 with the record's key. Every other algorithm was refused before.
    pub fn verify(&self, key: &[u8]) -> bool {
        let Some((message, signature)) = self.text.rsplit_once('.') else { return false };
        let key = DecodingKey::from_secret(key);
        crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS256).unwrap_or(false)
    }
}

/// Whether a token that expires then (Unix seconds) is over; without an expiry it never is.
pub fn is_over(expires: Option<f64>, now: Timestamp) -> bool {
    expires.is_some_and(|expires| expires <= now.millis() as f64 / 1000.0)
}

/// A time claim: `Some(None)` when absent, `None` when it is no number.
fn time_claim(claims: &Map<String, Json>, name: &str) -> Option<Option<f64>> {
    match claims.get(name) {
        None => Some(None),
        Some(value) => value.as_f64().map(Some),
    }
}

fn text_claim<'c>(claims: &'c Map<String, Json>, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// `true`, `"true"`, `1`, `"1"`
fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() == Some(1.0),
        Json::String(text) => text == "true" || text == "1",
        _ => false,
    }
}

/// The token in an `Authorization` header: the whole value, or what follows `Bearer` (in any case) and exactly one space
/// (§2.3).
pub fn from_header(authorization: &str) -> &str {
    match authorization.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token,
        _ => authorization,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_999_999_000_000);
    /// `docs/wire/auth.md` §11.
    const VECTOR: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjb2xsZWN0aW9uSWQiOiJwYmNfODI5MjUyNDEzIiwiZXhwIjoyMDAwMDAwMDAwLCJpZCI6ImFiY2RlZmdoaWoxMjM0NSIsInJlZnJlc2hhYmxlIjp0cnVlLCJ0eXBlIjoiYXV0aCJ9.7EuT039swJO8cpDLpiX37PN_EKYFCja0ktjwIFgz5dQ";

    fn vector_key() -> Vec<u8> {
        ["k".repeat(50), "s".repeat(50)].concat().into_bytes()
    }

    #[test]
    fn tokens_are_byte_for_byte_those_of_the_wire() {
        let token = issue_auth("pbc_829252413", "abcdefghij12345", &vector_key(), NOW, 1000, true).unwrap();
        assert_eq!(token, VECTOR);
        let decoded = Unverified::decode(VECTOR, Purpose::Auth, NOW).unwrap();
        assert_eq!((&*decoded.collection, &*decoded.id), ("pbc_829252413", "abcdefghij12345"));
        assert!(decoded.refreshable);
        assert!(decoded.verify(&vector_key()));
        assert!(!decoded.verify(&vector_key()[1..]));
        assert!(!decoded.verify(b""));
    }

    #[test]
    fn a_changed_byte_breaks_the_signature() {
        for index in VECTOR.rfind('.').unwrap() + 1..VECTOR.len() {
            let mut bytes = VECTOR.as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            let decoded = Unverified::decode(&text, Purpose::Auth, NOW).unwrap();
            assert!(!decoded.verify(&vector_key()), "{text}");
        }
    }

    /// A token with these claims over the usual ones; `null` removes one.
    fn with(claims: Json, header: &str) -> String {
        let mut all = serde_json::json!({"collectionId": "c", "id": "r", "type": "auth", "exp": 2_000_000_000});
        for (name, value) in claims.as_object().unwrap() {
            match value {
                Json::Null => all.as_object_mut().unwrap().remove(name),
                value => all.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(all.to_string()));
        let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(b"key"), Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn accepted(text: &str) -> bool {
        Unverified::decode(text, Purpose::Auth, NOW).is_some_and(|token| token.verify(b"key"))
    }

    #[test]
    fn claims_are_checked() {
        let now = NOW.seconds();
        for (claims, expected) in [
            (serde_json::json!({}), true),
            (serde_json::json!({"exp": null}), true),
            (serde_json::json!({"exp": now + 1}), true),
            (serde_json::json!({"exp": now as f64 + 0.5}), true),
            (serde_json::json!({"exp": now}), false),
            (serde_json::json!({"exp": "2000000000"}), false),
            (serde_json::json!({"exp": true}), false),
            (serde_json::json!({"exp": -1}), false),
            (serde_json::json!({"nbf": now}), true),
            (serde_json::json!({"nbf": now + 1}), false),
            (serde_json::json!({"nbf": "x"}), false),
            (serde_json::json!({"iat": now + 1}), false),
            (serde_json::json!({"iat": now - 1}), true),
            (serde_json::json!({"type": "file"}), false),
            (serde_json::json!({"type": ""}), false),
            (serde_json::json!({"type": null}), false),
            (serde_json::json!({"id": ""}), false),
            (serde_json::json!({"id": 5}), false),
            (serde_json::json!({"collectionId": null}), false),
        ] {
            let text = with(claims, r#"{"alg":"HS256","typ":"JWT"}"#);
            assert_eq!(accepted(&text), expected, "{text}");
        }
    }

    #[test]
    fn only_hs256_is_accepted_whatever_the_header_says() {
        for (header, expected) in [
            (r#"{"typ":"JWT","alg":"HS256"}"#, true),
            (r#"{"alg":"HS256"}"#, true),
            (r#"{"alg":"HS512","typ":"JWT"}"#, false),
            (r#"{"alg":"RS256","typ":"JWT"}"#, false),
            (r#"{"alg":"none","typ":"JWT"}"#, false),
            (r#"{"typ":"JWT"}"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(accepted(&with(serde_json::json!({}), header)), expected, "{header}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let unsigned = with(serde_json::json!({}), r#"{"alg":"HS256"}"#);
        let unsigned = unsigned.rsplit_once('.').unwrap().0;
        for text in ["", ".", "..", "...", "a.b.c", "é.é.é", unsigned, &format!("{unsigned}."), &"x".repeat(9000)] {
            assert!(!accepted(text), "{text}");
        }
    }

    #[test]
    fn refreshable_has_four_spellings() {
        for (claim, expected) in [
            (serde_json::json!(true), true),
            (serde_json::json!("true"), true),
            (serde_json::json!(1), true),
            (serde_json::json!("1"), true),
            (serde_json::json!(false), false),
            (serde_json::json!("yes"), false),
            (serde_json::json!(2), false),
            (serde_json::json!(["true"]), false),
        ] {
            let text = with(serde_json::json!({"refreshable": claim}), r#"{"alg":"HS256"}"#);
            assert_eq!(Unverified::decode(&text, Purpose::Auth, NOW).unwrap().refreshable, expected, "{claim}");
        }
    }

    #[test]
    fn the_scheme_is_optional_and_followed_by_exactly_one_space() {
        for (header, token) in [
            ("abc", "abc"),
            ("Bearer abc", "abc"),
            ("bEARER abc", "abc"),
            ("Bearer  abc", " abc"),
            ("Bearerabc", "Bearerabc"),
            ("Basic abc", "Basic abc"),
            ("Bearer ", ""),
            ("", ""),
            ("ééééé", "ééééé"),
        ] {
            assert_eq!(from_header(header), token);
        }
    }
}
