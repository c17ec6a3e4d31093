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
    schema::auth_options::{AuthOptions, TokenOptions},
};

/// More than any token that was ever issued; longer ones are not even decoded.
const MAX_LENGTH: usize = 8192;

/// What a token is for: its `type` claim, and the option of the collection that it is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Auth,
    File,
    Verification,
    PasswordReset,
    EmailChange,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Auth => "auth",
            Purpose::File => "file",
            Purpose::Verification => "verification",
            Purpose::PasswordReset => "passwordReset",
            Purpose::EmailChange => "emailChange",
        }
    }

    /// The collection's secret and lifetime for tokens of this kind.
    pub fn options(self, options: &AuthOptions) -> &TokenOptions {
        match self {
            Purpose::Auth => &options.auth_token,
            Purpose::File => &options.file_token,
            Purpose::Verification => &options.verification_token,
            Purpose::PasswordReset => &options.password_reset_token,
            Purpose::EmailChange => &options.email_change_token,
        }
    }
}

/// What a new token says besides whom it belongs to and when it ends (§2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant<'a> {
    Auth {
        refreshable: bool,
    },
    File,
    /// The record's address when the mail was sent.
    Verification {
        email: &'a str,
    },
    /// The same.
    PasswordReset {
        email: &'a str,
    },
    EmailChange {
        email: &'a str,
        new_email: &'a str,
    },
}

impl Grant<'_> {
    pub fn purpose(&self) -> Purpose {
        match self {
            Grant::Auth { .. } => Purpose::Auth,
            Grant::File => Purpose::File,
            Grant::Verification { .. } => Purpose::Verification,
            Grant::PasswordReset { .. } => Purpose::PasswordReset,
            Grant::EmailChange { .. } => Purpose::EmailChange,
        }
    }
}

/// All claims that any token has, in the order of the wire's examples (sorted).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    collection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// Unix seconds.
    exp: i64,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshable: Option<bool>,
    r#type: &'static str,
}

/// A new token of a record, valid for `seconds` from `now`.
pub fn issue(
    grant: Grant<'_>,
    collection_id: &str,
    id: &str,
    key: &[u8],
    now: Timestamp,
    seconds: i64,
) -> Result<String> {
    let exp = now.seconds().saturating_add(seconds);
    let r#type = grant.purpose().name();
    let mut payload = Payload { collection_id, email: None, exp, id, new_email: None, refreshable: None, r#type };
    match grant {
        Grant::Auth { refreshable } => payload.refreshable = Some(refreshable),
        Grant::File => {}
        Grant::Verification { email } | Grant::PasswordReset { email } => payload.email = Some(email),
        Grant::EmailChange { email, new_email } => {
            (payload.email, payload.new_email) = (Some(email), Some(new_email));
        }
    }
    sign(&serde_json::to_vec(&payload).map_err(Error::internal)?, key)
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
    /// The address that a mailed token was sent for; blank in others.
    pub email: String,
    /// The address that an e-mail change asks for; blank in others.
    pub new_email: String,
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
            email: text_claim(&claims, "email").unwrap_or_default().to_owned(),
            new_email: text_claim(&claims, "newEmail").unwrap_or_default().to_owned(),
        })
    }

    /// Step 4: HS256 with the record's key. Every other algorithm was refused before.
    pub fn verify(&self, key: &[u8]) -> bool {
        let Some((message, signature)) = self.text.rsplit_once('.') else { return false };
        let key = DecodingKey::from_secret(key);
        crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS256).unwrap_or(false)
    }
}

/// A claim of whatever calls itself a token, for the answers that tell one without that claim from a bad one (§3.7).
/// Nothing about it is proven.
pub fn unproven_claim(text: &str, name: &str) -> Option<Json> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let mut parts = text.split('.');
    let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let read = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<Map<String, Json>>(&bytes).ok()
    };
    read(header)?;
    read(payload)?.remove(name)
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
        let token =
            issue(Grant::Auth { refreshable: true }, "pbc_829252413", "abcdefghij12345", &vector_key(), NOW, 1000)
                .unwrap();
        assert_eq!(token, VECTOR);
        let decoded = Unverified::decode(VECTOR, Purpose::Auth, NOW).unwrap();
        assert_eq!((&*decoded.collection, &*decoded.id), ("pbc_829252413", "abcdefghij12345"));
        assert!(decoded.refreshable);
        assert!(decoded.verify(&vector_key()));
        assert!(!decoded.verify(&vector_key()[1..]));
        assert!(!decoded.verify(b""));
    }

    const GRANTS: [Grant<'static>; 5] = [
        Grant::Auth { refreshable: true },
        Grant::File,
        Grant::Verification { email: "a@x.co" },
        Grant::PasswordReset { email: "a@x.co" },
        Grant::EmailChange { email: "a@x.co", new_email: "b@x.co" },
    ];

    #[test]
    fn every_kind_has_exactly_its_claims() {
        for (grant, expected) in GRANTS.into_iter().zip([
            r#"{"collectionId":"c","exp":1999999060,"id":"r","refreshable":true,"type":"auth"}"#,
            r#"{"collectionId":"c","exp":1999999060,"id":"r","type":"file"}"#,
            r#"{"collectionId":"c","email":"a@x.co","exp":1999999060,"id":"r","type":"verification"}"#,
            r#"{"collectionId":"c","email":"a@x.co","exp":1999999060,"id":"r","type":"passwordReset"}"#,
            r#"{"collectionId":"c","email":"a@x.co","exp":1999999060,"id":"r","newEmail":"b@x.co","type":"emailChange"}"#,
        ]) {
            let token = issue(grant, "c", "r", b"key", NOW, 60).unwrap();
            let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
            assert_eq!(String::from_utf8(payload).unwrap(), expected);
            for purpose in GRANTS.map(|grant| grant.purpose()) {
                let decoded = Unverified::decode(&token, purpose, NOW);
                assert_eq!(decoded.is_some(), purpose == grant.purpose(), "{token} {purpose:?}");
            }
        }
    }

    #[test]
    fn a_changed_byte_anywhere_breaks_the_token() {
        for grant in GRANTS {
            let token = issue(grant, "c", "r", &vector_key(), NOW, 60).unwrap();
            let good = |text: &str| {
                Unverified::decode(text, grant.purpose(), NOW).is_some_and(|decoded| decoded.verify(&vector_key()))
            };
            assert!(good(&token));
            for index in 0..token.len() {
                for other in *b"AaBbzZ019-_.=+/ \n\0" {
                    let mut bytes = token.clone().into_bytes();
                    if std::mem::replace(&mut bytes[index], other) != other {
                        let text = String::from_utf8(bytes).unwrap();
                        assert!(!good(&text), "{text}");
                    }
                }
                let shorter = [&token[..index], &token[index + 1..]].concat();
                assert!(!good(&shorter), "{shorter}");
            }
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
