//! The id_token: what a provider signed about its user (`docs/wire/auth-oauth2.md` §6.3; OpenID Connect Core §3.1.3.7).
//!
//! It comes straight from the token endpoint. Its claims are always checked; its signature where keys are configured,
//! and then only by a key that was published for exactly this algorithm: nothing in the token chooses how it is checked.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value as Json};

use super::{outside::Outside, provider::Provider, user::refused};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
};

/// How far clocks may differ, in seconds.
const LEEWAY: f64 = 300.0;
/// Sets another leeway, in seconds.
const LEEWAY_VARIABLE: &str = "PB_ID_TOKEN_LEEWAY";
const APPLE: &str = "https://appleid.apple.com";
const APPLE_KEYS: &str = "https://appleid.apple.com/auth/keys";

static CONFIGURED_LEEWAY: LazyLock<f64> = LazyLock::new(|| leeway(std::env::var(LEEWAY_VARIABLE).ok().as_deref()));

/// What is demanded of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Demands {
    /// `aud` has to contain it.
    audience: String,
    /// `iss` has to be one of them, unless there are none.
    issuers: Vec<String>,
    /// Where the keys are; blank leaves the signature unchecked.
    jwks_url: String,
    /// Whether `exp` may not be missing.
    expires: bool,
}

impl Demands {
    pub fn of(provider: &Provider) -> Self {
        let apple = provider.key() == "apple";
        let extra = &provider.extra;
        Self {
            audience: provider.client_id.clone(),
            issuers: if apple { vec![APPLE.to_owned()] } else { extra.issuers.clone() },
            jwks_url: if apple { APPLE_KEYS.to_owned() } else { extra.jwks_url.clone() },
            expires: apple,
        }
    }
}

/// The claims of a token that meets the demands; 400 for any other.
pub async fn verified(outside: &Outside, token: &str, demands: &Demands, now: Timestamp) -> Result<Map<String, Json>> {
    let token = Token::parse(token).map_err(bad)?;
    check(&token.claims, demands, now, *CONFIGURED_LEEWAY).map_err(bad)?;
    if !demands.jwks_url.is_empty() {
        let (kid, algorithm) = token.kid_and_algorithm().map_err(bad)?;
        let key = outside.keys.find(outside.client().await?, &demands.jwks_url, kid, now).await.map_err(bad)?;
        token.check_signature(&key, algorithm).map_err(bad)?;
    }
    Ok(token.claims)
}

fn bad(why: String) -> Error {
    refused(format!("id_token: {why}"))
}

fn leeway(variable: Option<&str>) -> f64 {
    let seconds = variable.and_then(|text| text.trim().parse().ok());
    seconds.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0).unwrap_or(LEEWAY)
}

/// A decoded token.
struct Token<'a> {
    header: Map<String, Json>,
    claims: Map<String, Json>,
    /// What is signed.
    message: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("there is none".to_owned());
        }
        let three_parts = || "it has not three parts".to_owned();
        let (message, signature) = text.rsplit_once('.').ok_or_else(three_parts)?;
        let (header, claims) =
            message.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or_else(three_parts)?;
        Ok(Self { header: object(header)?, claims: object(claims)?, message, signature })
    }

    fn kid_and_algorithm(&self) -> Result<(&str, &str), String> {
        let text = |name: &str| self.header.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        let kid = text("kid").ok_or("it names no key")?;
        let algorithm = text("alg").ok_or("it names no algorithm")?;
        Ok((kid, algorithm))
    }

    /// Only RSA and Ed25519 keys are taken, so a shared secret can never be mistaken for a public key.
    fn check_signature(&self, key: &Json, algorithm: &str) -> Result<(), String> {
        let text = |name: &str| key.get(name).and_then(Json::as_str).unwrap_or_default();
        if text("alg").is_empty() || text("alg") != algorithm {
            return Err(format!("the key is not for {algorithm}"));
        }
        if !matches!(text("use"), "" | "sig") {
            return Err("the key is not for signatures".to_owned());
        }
        let (key, algorithm) = match text("kty") {
            "RSA" => (DecodingKey::from_rsa_components(text("n"), text("e")), rsa_algorithm(algorithm)),
            "OKP" if text("crv") == "Ed25519" => {
                (DecodingKey::from_ed_components(text("x")), (algorithm == "EdDSA").then_some(Algorithm::EdDSA))
            }
            other => return Err(format!("keys of type {other} are not taken")),
        };
        let algorithm = algorithm.ok_or("the algorithm does not fit the key")?;
        let key = key.map_err(|error| error.to_string())?;
        match crypto::verify(self.signature, self.message.as_bytes(), &key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) => Err("the signature is wrong".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn rsa_algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        _ => return None,
    })
}

fn object(part: &str) -> Result<Map<String, Json>, String> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// The claims alone.
fn check(claims: &Map<String, Json>, demands: &Demands, now: Timestamp, leeway: f64) -> Result<(), String> {
    let meant = match claims.get("aud") {
        Some(Json::String(audience)) => *audience == demands.audience,
        Some(Json::Array(list)) => list.iter().any(|audience| audience.as_str() == Some(&*demands.audience)),
        _ => false,
    };
    if !meant || demands.audience.is_empty() {
        return Err("it is meant for somebody else".to_owned());
    }
    let issuer = claims.get("iss").and_then(Json::as_str);
    if !demands.issuers.is_empty() && !demands.issuers.iter().any(|known| issuer == Some(&**known)) {
        return Err(format!("it was issued by {}", issuer.unwrap_or("nobody")));
    }
    let now = now.millis() as f64 / 1000.0;
    let time = |name: &str| match claims.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("{name} is no time")),
    };
    match time("exp")? {
        Some(expires) if expires + leeway <= now => return Err("it is over".to_owned()),
        None if demands.expires => return Err("it never ends".to_owned()),
        _ => {}
    }
    for name in ["nbf", "iat"] {
        if time(name)?.is_some_and(|time| time - leeway > now) {
            return Err(format!("its {name} is in the future"));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(in crate::auth) mod tests {
    use aws_lc_rs::{
        rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents},
        signature::KeyPair,
    };
    use jsonwebtoken::EncodingKey;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn demands() -> Demands {
        Demands {
            audience: "me".to_owned(),
            issuers: vec!["https://i".to_owned()],
            jwks_url: String::new(),
            expires: false,
        }
    }

    #[test]
    fn claims_are_checked() {
        let now = NOW.seconds();
        let claims = |changes: Json| {
            let mut claims = json!({"aud": "me", "iss": "https://i", "exp": now + 10, "iat": now, "sub": "1"});
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            claims.as_object().unwrap().clone()
        };
        for (changes, expected) in [
            (json!({}), true),
            (json!({"aud": ["x", "me"]}), true),
            (json!({"aud": ["x"]}), false),
            (json!({"aud": []}), false),
            (json!({"aud": null}), false),
            (json!({"aud": "ME"}), false),
            (json!({"aud": "me2"}), false),
            (json!({"aud": {"me": 1}}), false),
            (json!({"iss": "https://i/"}), false),
            (json!({"iss": null}), false),
            (json!({"iss": ["https://i"]}), false),
            (json!({"exp": now - 299}), true),
            (json!({"exp": now - 300}), false),
            (json!({"exp": null}), true),
            (json!({"exp": (now + 10).to_string()}), false),
            (json!({"nbf": now + 300}), true),
            (json!({"nbf": now + 301}), false),
            (json!({"nbf": "x"}), false),
            (json!({"iat": now + 300}), true),
            (json!({"iat": now + 301}), false),
            (json!({"iat": null}), true),
        ] {
            assert_eq!(check(&claims(changes.clone()), &demands(), NOW, LEEWAY).is_ok(), expected, "{changes}");
        }
        let apple = Demands { expires: true, ..demands() };
        assert!(check(&claims(json!({"exp": null})), &apple, NOW, LEEWAY).is_err());
        let anybody = Demands { issuers: Vec::new(), ..demands() };
        assert!(check(&claims(json!({"iss": null})), &anybody, NOW, LEEWAY).is_ok());
        let nobody = Demands { audience: String::new(), ..demands() };
        assert!(check(&claims(json!({"aud": ""})), &nobody, NOW, LEEWAY).is_err());
        assert!(check(&claims(json!({"exp": now - 1})), &demands(), NOW, 0.0).is_err());
    }

    #[test]
    fn the_leeway_can_be_configured() {
        for (variable, expected) in [
            (None, 300.0),
            (Some("0"), 0.0),
            (Some(" 60 "), 60.0),
            (Some("-1"), 300.0),
            (Some("x"), 300.0),
            (Some("inf"), 300.0),
        ] {
            assert_eq!(leeway(variable), expected, "{variable:?}");
        }
    }

    /// A key pair of a provider, with its public half as it is published.
    pub struct Issuer {
        key: EncodingKey,
        /// One entry of a JWKS.
        pub public: Json,
    }

    impl Issuer {
        pub fn rsa(kid: &str) -> Self {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
            let (n, e) = (URL_SAFE_NO_PAD.encode(parts.n), URL_SAFE_NO_PAD.encode(parts.e));
            let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
            // PKCS #1 is what stands in PKCS #8 after its 26 bytes of header, for keys of this size.
            let key = EncodingKey::from_rsa_der(&der.as_ref()[26..]);
            let public = json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": n, "e": e});
            Self { key, public }
        }

        pub fn sign(&self, header: Json, claims: Json) -> String {
            let encode = |part: Json| URL_SAFE_NO_PAD.encode(part.to_string());
            let message = format!("{}.{}", encode(header), encode(claims));
            let signature = crypto::sign(message.as_bytes(), &self.key, Algorithm::RS256).unwrap();
            format!("{message}.{signature}")
        }
    }

    #[test]
    fn a_signature_counts_only_under_the_published_key_and_algorithm() {
        let (ours, other) = (Issuer::rsa("k"), Issuer::rsa("k"));
        let header = json!({"alg": "RS256", "kid": "k"});
        let text = ours.sign(header.clone(), json!({"sub": "1"}));
        let judge = |text: &str, key: &Json| {
            let token = Token::parse(text)?;
            let (_, algorithm) = token.kid_and_algorithm()?;
            token.check_signature(key, algorithm)
        };
        assert_eq!(judge(&text, &ours.public), Ok(()));
        assert!(judge(&text, &other.public).is_err(), "another key of the same name");
        let with = |name: &str, value: Json| {
            let mut key = ours.public.clone();
            key[name] = value;
            key
        };
        for (name, value) in [
            ("alg", json!("")),
            ("alg", json!(null)),
            ("alg", json!("RS512")),
            ("alg", json!("HS256")),
            ("kty", json!("oct")),
            ("kty", json!("EC")),
            ("kty", json!("OKP")),
            ("use", json!("enc")),
            ("n", json!("")),
            ("n", json!("!")),
            ("e", json!("")),
        ] {
            assert!(judge(&text, &with(name, value.clone())).is_err(), "{name} {value}");
        }
        // What the token says of its algorithm does not help it.
        for algorithm in ["none", "None", "HS256", "RS384", "PS256", "ES256", "EdDSA"] {
            let forged = ours.sign(json!({"alg": algorithm, "kid": "k"}), json!({"sub": "1"}));
            assert!(judge(&forged, &ours.public).is_err(), "{algorithm}");
            assert!(judge(&forged, &with("alg", json!(algorithm))).is_err(), "{algorithm} in the key too");
        }
        // The public key as a shared secret: the classic confusion.
        let secret = ours.public["n"].as_str().unwrap().to_owned();
        let message = text.rsplit_once('.').unwrap().0.replace(
            &URL_SAFE_NO_PAD.encode(header.to_string()),
            &URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": "k"}).to_string()),
        );
        let signature =
            crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret.as_bytes()), Algorithm::HS256).unwrap();
        assert!(judge(&format!("{message}.{signature}"), &ours.public).is_err());
        // Every byte of the signed part counts.
        for at in [0, 5, text.find('.').unwrap() + 2, text.rfind('.').unwrap() + 1] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(judge(&String::from_utf8(bytes).unwrap(), &ours.public).is_err(), "byte {at}");
        }
        for broken in ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", &text[..text.rfind('.').unwrap() + 1]] {
            assert!(judge(broken, &ours.public).is_err(), "{broken}");
        }
        assert!(judge(&ours.sign(json!({"alg": "RS256"}), json!({})), &ours.public).is_err(), "no kid");
    }

    #[test]
    fn ed25519_keys_are_taken() {
        use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
        let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.as_ref()).unwrap();
        let issuer = Issuer { key: EncodingKey::from_ed_der(der.as_ref()), public: Json::Null };
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "x": x});
        let encode = |part: Json| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(json!({"alg": "EdDSA", "kid": "k"})), encode(json!({"sub": "1"})));
        let signature = crypto::sign(message.as_bytes(), &issuer.key, Algorithm::EdDSA).unwrap();
        let text = format!("{message}.{signature}");
        let token = Token::parse(&text).unwrap();
        assert_eq!(token.check_signature(&key, "EdDSA"), Ok(()));
        for (name, value) in [("crv", json!("X25519")), ("x", json!("AAAA")), ("kty", json!("RSA"))] {
            let mut key = key.clone();
            key[name] = value;
            assert!(token.check_signature(&key, "EdDSA").is_err(), "{key}");
        }
    }
}
