//! Tokens that prove nothing: whatever is wrong with one, no flow does anything (`docs/wire/auth.md` §2.2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use super::*;

const EMAIL: &str = "ann@x.co";

/// The five kinds as Ann would get them.
const GRANTS: [Grant<'static>; 5] = [
    Grant::Auth { refreshable: true },
    Grant::File,
    Grant::Verification { email: EMAIL },
    Grant::PasswordReset { email: EMAIL },
    Grant::EmailChange { email: EMAIL, new_email: "new@x.co" },
];

fn sign(header: &str, claims: &Json, key: &[u8], algorithm: Algorithm) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(key), algorithm).unwrap();
    format!("{message}.{signature}")
}

fn claims(token: &str) -> Json {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

impl House {
    /// Uses a token for what its kind is for. True when it was good.
    async fn use_up(&self, grant: Grant<'_>, token: &str) -> bool {
        let body = object(json!({"token": token, "password": "longenough1", "passwordConfirm": "longenough1"}));
        let outcome = match grant {
            Grant::Auth { .. } => return self.whose(token).await.is_some(),
            Grant::File => return self.auth.redeem(token, Purpose::File).await.unwrap().is_some(),
            Grant::Verification { .. } => self.auth.confirm_verification("users", &body).await,
            Grant::PasswordReset { .. } => self.auth.confirm_password_reset("users", &body).await,
            Grant::EmailChange { .. } => self.auth.confirm_email_change("users", &body, HOME.parse().unwrap()).await,
        };
        let Some((kind, codes)) = refusal(outcome) else { return true };
        assert_eq!(kind, Kind::Invalid);
        let expected = ["invalid_token", "invalid_token_claims", "invalid_token_payload", "required"];
        let expected = expected.map(|code| format!("token=validation_{code}"));
        assert!(codes.iter().any(|code| expected.contains(code)), "{codes:?} for {token}");
        false
    }
}

#[tokio::test]
async fn no_forged_token_is_good_for_anything() {
    let house = house().await;
    house.auth.schema.create(object(json!({"name": "staff", "type": "auth"}))).await.unwrap();
    house.create("staff", json!({"email": EMAIL})).await;
    let staff = house.auth.auth_collection("staff").unwrap();
    let twin = house.auth.by_email(&staff, EMAIL).await.unwrap().unwrap();
    let users = house.auth.auth_collection("users").unwrap();
    let record = house.user(EMAIL).await;
    let before = house.seq().await;
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    for grant in GRANTS {
        let secret = &grant.purpose().options(options(&users)).secret;
        let key = signing_key(&record.row, secret).unwrap();
        let token = house.auth.mint(&users, &record, grant, None).unwrap();
        let good = claims(&token);
        let unsigned = token.rsplit_once('.').unwrap().0;
        let with = |change: Json| {
            let mut claims = object(good.clone());
            claims.extend(object(change));
            sign(header, &claims.into(), key.as_bytes(), Algorithm::HS256)
        };
        let mut bad = vec![
            String::new(),
            "x".into(),
            "..".into(),
            unsigned.into(),
            format!("{unsigned}."),
            format!("{token}."),
            format!(" {token}"),
            "x".repeat(20_000),
            // Other algorithms, with the right key and with none.
            sign(r#"{"alg":"none","typ":"JWT"}"#, &good, key.as_bytes(), Algorithm::HS256),
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), unsigned.split_once('.').unwrap().1),
            sign(r#"{"alg":"HS512","typ":"JWT"}"#, &good, key.as_bytes(), Algorithm::HS512),
            sign(r#"{"alg":"HS384","typ":"JWT"}"#, &good, key.as_bytes(), Algorithm::HS384),
            sign(r#"{"alg":"RS256","typ":"JWT"}"#, &good, key.as_bytes(), Algorithm::HS256),
            sign(r#"{"typ":"JWT"}"#, &good, key.as_bytes(), Algorithm::HS256),
            // Wrong keys: none, half of it, and everybody else's.
            sign(header, &good, b"", Algorithm::HS256),
            sign(header, &good, secret.as_bytes(), Algorithm::HS256),
            sign(header, &good, record.row.text("tokenKey").unwrap().as_bytes(), Algorithm::HS256),
            // Right key, wrong claims.
            with(json!({"exp": house.clock.now().seconds()})),
            with(json!({"exp": "9999999999"})),
            with(json!({"nbf": house.clock.now().seconds() + 1})),
            with(json!({"iat": house.clock.now().seconds() + 1})),
            with(json!({"type": ""})),
            with(json!({"type": null})),
            with(json!({"id": *house.user("bob@x.co").await.id})),
            with(json!({"id": "' OR 1=1 --"})),
            with(json!({"id": ["x"]})),
            with(json!({"collectionId": staff.id})),
            with(json!({"collectionId": "_mfas"})),
            with(json!({"collectionId": "nope"})),
            with(json!({"id": *twin.id, "collectionId": staff.id})),
        ];
        for other in GRANTS.into_iter().filter(|other| other.purpose() != grant.purpose()) {
            let token = house.auth.mint(&users, &record, other, None).unwrap();
            bad.push(with(json!({"type": claims(&token)["type"]})));
            bad.push(token);
            let key = signing_key(&record.row, &other.purpose().options(options(&users)).secret).unwrap();
            bad.push(sign(header, &good, key.as_bytes(), Algorithm::HS256));
        }
        for token in &bad {
            assert!(!house.use_up(grant, token).await, "{grant:?} {token}");
        }
    }
    assert_eq!(house.seq().await, before, "and nothing happened");
    for grant in GRANTS {
        let token = house.mint(EMAIL, grant).await;
        assert!(house.use_up(grant, &token).await, "{grant:?}");
    }
}

#[tokio::test]
async fn one_byte_off_anywhere_is_no_token() {
    let house = house().await;
    let before = house.seq().await;
    for grant in GRANTS {
        let token = house.mint(EMAIL, grant).await;
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            // The last bit that counts: the least change there is.
            bytes[index] = match bytes[index] {
                b'A' => b'B',
                b'.' => b'-',
                b'z' => b'y',
                byte if byte.is_ascii_alphanumeric() => byte ^ 1,
                _ => b'A',
            };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!house.use_up(grant, &changed).await, "{grant:?} at {index}: {changed}");
        }
    }
    assert_eq!(house.seq().await, before, "and nothing happened");
}
