//! Who sends, as push services want to know it: VAPID (RFC 8292).

use std::collections::HashMap;

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::json;

use crate::clock::Timestamp;

/// A token is good for so many seconds; services take a day at most (§2).
const LIFETIME: i64 = 12 * 60 * 60;
/// And is used until so many seconds before its end.
const MARGIN: i64 = 60 * 60;
/// Origins whose tokens are remembered; there are a handful of push services in the world.
const MOST: usize = 256;

/// The key pair, as it is stored: base64url of the raw numbers, as all Web Push libraries have it.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// 65 bytes: an uncompressed point.
    pub public: String,
    /// 32 bytes.
    pub private: String,
}

impl Pair {
    /// A new one.
    pub fn generate() -> Result<Self, String> {
        let failed = |_| "no key could be made".to_owned();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
        let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(failed)?;
        Ok(Self {
            public: URL_SAFE_NO_PAD.encode(pair.public_key()),
            private: URL_SAFE_NO_PAD.encode(private.as_ref()),
        })
    }

    /// The pair of a private key; `None` for what is none.
    pub fn of_private(private: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(private).ok()?;
        let key = PrivateKey::from_private_key(&ECDH_P256, &bytes).ok()?;
        let public = URL_SAFE_NO_PAD.encode(key.compute_public_key().ok()?);
        Some(Self { public, private: private.to_owned() })
    }

    fn signer(&self) -> Option<EcdsaKeyPair> {
        let (private, public) =
            (URL_SAFE_NO_PAD.decode(&self.private).ok()?, URL_SAFE_NO_PAD.decode(&self.public).ok()?);
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &private, &public).ok()
    }
}

impl Known {
    fn are_of(&self, pair: &Pair, subject: &str) -> bool {
        self.of.as_ref().is_some_and(|(of, named)| of == pair && named == subject)
    }
}

/// Signs tokens and remembers them by the origin that they are for.
#[derive(Default)]
pub struct Tokens {
    /// Never held across an await.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Of whom the tokens are: keys and subject.
    of: Option<(Pair, String)>,
    /// Token and when it was made.
    by_origin: HashMap<String, (String, Timestamp)>,
}

impl Tokens {
    /// The value of `Authorization` for this origin. `None` if the pair is none.
    pub fn authorization(&self, pair: &Pair, subject: &str, origin: &str, now: Timestamp) -> Option<String> {
        let token = self.known(pair, subject, origin, now).or_else(|| self.fresh(pair, subject, origin, now))?;
        Some(format!("vapid t={token}, k={}", pair.public))
    }

    fn known(&self, pair: &Pair, subject: &str, origin: &str, now: Timestamp) -> Option<String> {
        let known = self.known.lock();
        let (token, made) = known.by_origin.get(origin).filter(|_| known.are_of(pair, subject))?;
        // A clock that was set back makes nothing last longer.
        (0..LIFETIME - MARGIN).contains(&(now.seconds() - made.seconds())).then(|| token.clone())
    }

    fn fresh(&self, pair: &Pair, subject: &str, origin: &str, now: Timestamp) -> Option<String> {
        let token = sign(pair, subject, origin, now)?;
        let mut known = self.known.lock();
        if !known.are_of(pair, subject) || known.by_origin.len() >= MOST {
            *known = Known { of: Some((pair.clone(), subject.to_owned())), by_origin: HashMap::new() };
        }
        known.by_origin.insert(origin.to_owned(), (token.clone(), now));
        Some(token)
    }
}

/// A signed token (ES256) for one origin.
fn sign(pair: &Pair, subject: &str, origin: &str, now: Timestamp) -> Option<String> {
    let mut claims = json!({ "aud": origin, "exp": now.seconds() + LIFETIME });
    if !subject.is_empty() {
        claims["sub"] = subject.into();
    }
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ES256" })), part(claims));
    let signature = pair.signer()?.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde_json::Value as Json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// The claims, if another library takes the signature.
    fn claims(pair: &Pair, authorization: &str) -> Json {
        let token = authorization.strip_prefix("vapid t=").unwrap().split(", k=").next().unwrap();
        assert!(authorization.ends_with(&format!(", k={}", pair.public)));
        let point = URL_SAFE_NO_PAD.decode(&pair.public).unwrap();
        let part = |range| URL_SAFE_NO_PAD.encode(&point[range]);
        let key = DecodingKey::from_ec_components(&part(1..33), &part(33..65)).unwrap();
        let mut checks = Validation::new(Algorithm::ES256);
        checks.validate_exp = false;
        checks.set_audience(&["https://push.example"]);
        decode::<Json>(token, &key, &checks).unwrap().claims
    }

    #[test]
    fn tokens_are_signed_for_one_origin_and_half_a_day() {
        let pair = Pair::generate().unwrap();
        let tokens = Tokens::default();
        let get = |subject, now| tokens.authorization(&pair, subject, "https://push.example", now).unwrap();
        let first = get("mailto:a@b.co", NOW);
        let expected = json!({"aud": "https://push.example", "exp": NOW.seconds() + 43_200, "sub": "mailto:a@b.co"});
        assert_eq!(claims(&pair, &first), expected);
        let later = |hours: i64| Timestamp(NOW.0 + hours * 3_600_000);
        assert_eq!(get("mailto:a@b.co", later(10)), first);
        let second = get("mailto:a@b.co", later(11));
        assert_eq!(claims(&pair, &second)["exp"], json!(later(11).seconds() + 43_200));
        assert_ne!(get("mailto:a@b.co", later(-1)), second, "the clock was set back");
        assert_eq!(claims(&pair, &get("", NOW)).get("sub"), None, "another subject, another token");
        let other = Pair::generate().unwrap();
        claims(&other, &tokens.authorization(&other, "", "https://push.example", NOW).unwrap());
        for n in 0..2 * MOST {
            tokens.authorization(&other, "", &format!("https://{n}"), NOW).unwrap();
        }
        assert!(tokens.known.lock().by_origin.len() <= MOST);
    }

    #[test]
    fn a_pair_follows_from_its_private_key() {
        let pair = Pair::generate().unwrap();
        assert_eq!((pair.private.len(), pair.public.len()), (43, 87));
        assert!(Pair::of_private(&pair.private) == Some(pair.clone()));
        let long = "A".repeat(64);
        for wrong in ["", "!", "AAAA", &"A".repeat(43), &long, &pair.public] {
            assert!(Pair::of_private(wrong).is_none(), "{wrong}");
        }
    }
}
