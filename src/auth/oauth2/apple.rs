//! The secret that Apple wants of its clients: a token that they sign themselves (`docs/wire/auth-oauth2.md` §6.5).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value as Json, json};

use crate::{
    auth::{
        Auth,
        form::{member, text},
    },
    error::{Error, Issues, Leaf, Result},
};

/// Half a year, in seconds: Apple takes nothing longer.
const MAX_DURATION: i64 = 15_777_000;
/// Bytes of Apple's ids of teams and keys.
const ID_LENGTH: usize = 10;

impl Auth {
    /// `POST /api/settings/apple/generate-client-secret` (§6.5): a client secret for Apple.
    pub fn apple_client_secret(&self, body: &Map<String, Json>) -> Result<String> {
        let form = Form::parse(body)?;
        form.check()?;
        form.sign(self.now().seconds())
    }
}

struct Form {
    client_id: String,
    team_id: String,
    key_id: String,
    /// PEM.
    private_key: String,
    /// Seconds.
    duration: i64,
}

impl Form {
    fn parse(body: &Map<String, Json>) -> Result<Self> {
        let duration = match member(body, "duration") {
            None => 0,
            Some(value) => value.as_i64().ok_or_else(|| Error::invalid("The duration has to be an integer."))?,
        };
        Ok(Self {
            client_id: text(body, "clientId")?,
            team_id: text(body, "teamId")?,
            key_id: text(body, "keyId")?,
            private_key: text(body, "privateKey")?,
            duration,
        })
    }

    fn check(&self) -> Result<()> {
        let mut issues = Issues::default();
        for (name, value) in [("clientId", &self.client_id), ("teamId", &self.team_id), ("keyId", &self.key_id)] {
            if value.is_empty() {
                issues.insert(name, Leaf::required());
            } else if name != "clientId" && value.len() != ID_LENGTH {
                let leaf = Leaf::new("validation_length_invalid", format!("The length must be exactly {ID_LENGTH}."));
                issues.insert(name, leaf.param("min", ID_LENGTH).param("max", ID_LENGTH));
            }
        }
        if self.private_key.is_empty() {
            issues.insert("privateKey", Leaf::required());
        } else if !is_pem(&self.private_key) {
            issues.insert("privateKey", Leaf::new("validation_match_invalid", "Must be a private key in PEM."));
        }
        match self.duration {
            0 => issues.insert("duration", Leaf::required()),
            ..0 => {
                let leaf = Leaf::new("validation_min_greater_equal_than_required", "Must be no less than 1.");
                issues.insert("duration", leaf.param("threshold", 1));
            }
            1..=MAX_DURATION => {}
            _ => {
                let message = format!("Must be no greater than {MAX_DURATION}.");
                let leaf = Leaf::new("validation_max_less_equal_than_required", message);
                issues.insert("duration", leaf.param("threshold", MAX_DURATION));
            }
        }
        issues.into_result("The client secret cannot be made of this.")
    }

    /// `now`: Unix seconds.
    fn sign(&self, now: i64) -> Result<String> {
        let unusable = |why: String| Error::invalid("The key cannot sign for Apple.").because(anyhow::anyhow!(why));
        let key = EncodingKey::from_ec_pem(self.private_key.trim().as_bytes());
        let key = key.map_err(|error| unusable(error.to_string()))?;
        let header = json!({"alg": "ES256", "kid": self.key_id, "typ": "JWT"});
        let claims = json!({
            "iss": self.team_id,
            "sub": self.client_id,
            "aud": ["https://appleid.apple.com"],
            "exp": now + self.duration,
            "iat": now,
        });
        let encode = |part: Json| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::ES256);
        Ok(format!("{message}.{}", signature.map_err(|error| unusable(error.to_string()))?))
    }
}

/// A block of this kind somewhere in the text.
fn is_pem(text: &str) -> bool {
    let inside = text.split_once("-----BEGIN PRIVATE KEY-----");
    inside.is_some_and(|(_, rest)| rest.contains("-----END PRIVATE KEY-----"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use base64::engine::general_purpose::STANDARD;
    use jsonwebtoken::DecodingKey;

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    fn form(changes: Json) -> Result<Form> {
        let mut body = json!({"clientId": "c", "teamId": "t234567890", "keyId": "k234567890",
            "privateKey": pem(b"x"), "duration": 100});
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        Form::parse(body.as_object().unwrap())
    }

    #[test]
    fn fields_are_checked_together() {
        for (changes, expected) in [
            (json!({}), vec![]),
            (json!({"duration": 15_777_000}), vec![]),
            (json!({"keyId": "äääää"}), vec![]),
            (
                json!({"clientId": "", "teamId": null, "keyId": "", "privateKey": "", "duration": 0}),
                vec![
                    "clientId validation_required",
                    "duration validation_required",
                    "keyId validation_required",
                    "privateKey validation_required",
                    "teamId validation_required",
                ],
            ),
            (
                json!({"teamId": "t", "keyId": "k2345678901", "privateKey": "x", "duration": -1}),
                vec![
                    "duration validation_min_greater_equal_than_required",
                    "keyId validation_length_invalid",
                    "privateKey validation_match_invalid",
                    "teamId validation_length_invalid",
                ],
            ),
            (json!({"duration": 15_777_001}), vec!["duration validation_max_less_equal_than_required"]),
        ] {
            let issues = form(changes).unwrap().check().err().map(|error| error.issues).unwrap_or_default();
            let codes: Vec<_> = issues.leaves().into_iter().map(|(name, code)| format!("{name} {code}")).collect();
            assert_eq!(codes, expected);
        }
        for wrong in [json!({"duration": 1.5}), json!({"duration": "5"}), json!({"clientId": 5})] {
            assert!(form(wrong).is_err());
        }
    }

    #[test]
    fn the_secret_is_signed_by_a_p256_key_only() {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
        let secret = form(json!({"privateKey": pem(der.as_ref())})).unwrap().sign(1000).unwrap();
        let (message, signature) = secret.rsplit_once('.').unwrap();
        let key = DecodingKey::from_ec_der(pair.public_key().as_ref());
        assert!(crypto::verify(signature, message.as_bytes(), &key, Algorithm::ES256).unwrap());
        let (header, claims) = message.split_once('.').unwrap();
        let decode = |part: &str| serde_json::from_slice::<Json>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decode(header), json!({"alg": "ES256", "kid": "k234567890", "typ": "JWT"}));
        let expected =
            json!({"iss": "t234567890", "sub": "c", "aud": ["https://appleid.apple.com"], "exp": 1100, "iat": 1000});
        assert_eq!(decode(claims), expected);

        let other = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        for key in [pem(other.as_ref()), pem(b"x"), pem(b"")] {
            let error = form(json!({"privateKey": key})).unwrap().sign(1000).unwrap_err();
            assert!(error.issues.is_empty(), "{key}");
        }
    }
}
