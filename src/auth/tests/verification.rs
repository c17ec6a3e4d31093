//! `confirm-verification` (`docs/wire/auth.md` §3.7, §9).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

impl House {
    async fn verification(&self, email: &str) -> String {
        self.mint(email, Grant::Verification { email }).await
    }

    async fn verify(&self, collection: &str, token: &str) -> Result<()> {
        self.auth.confirm_verification(collection, &object(json!({"token": token}))).await
    }
}

#[tokio::test]
async fn a_token_verifies_and_may_be_used_again() {
    let house = house().await;
    let (token, session) = (house.verification("ann@x.co").await, house.session().await);
    house.verify("users", &token).await.unwrap();
    assert!(is_verified(&house.user("ann@x.co").await.row));
    assert!(!is_verified(&house.user("bob@x.co").await.row));
    assert!(house.whose(&session).await.is_some(), "nobody is signed out");

    let seq = house.seq().await;
    house.verify("_pb_users_auth_", &token).await.unwrap();
    assert_eq!(house.seq().await, seq, "nothing is left to do");
    house.wait(86_400);
    assert_eq!(refusal(house.verify("users", &token).await), invalid(&["token=validation_invalid_token"]));
}

#[tokio::test]
async fn links_from_before_the_address_was_proven_go() {
    let house = house().await;
    house.attach_all().await;
    let (token, session) = (house.verification("ann@x.co").await, house.session().await);
    house.verify("users", &token).await.unwrap();
    assert_eq!(house.attached().await, [1, 0, 1, 0]);
    assert_eq!(house.whose(&session).await, None);
    assert!(house.login("users", ann()).await.is_ok(), "the password stays");
}

#[tokio::test]
async fn a_password_from_before_goes_where_none_is_accepted() {
    let house = house().await;
    house.configure(json!({"passwordAuth": {"enabled": false}})).await;
    let (token, before) = (house.verification("ann@x.co").await, house.user("ann@x.co").await);
    house.verify("users", &token).await.unwrap();
    let after = house.user("ann@x.co").await;
    assert!(is_verified(&after.row));
    for column in ["password", "tokenKey"] {
        assert_ne!(after.row.text(column), before.row.text(column), "{column}");
    }
    house.configure(json!({"passwordAuth": {"enabled": true}})).await;
    assert!(house.login("users", ann()).await.is_err());
    assert_eq!(refusal(house.verify("users", &token).await), invalid(&["token=validation_invalid_token"]));
}

#[tokio::test]
async fn what_is_wrong_is_told_as_the_wire_does() {
    let house = house().await;
    let reset = house.mint("ann@x.co", Grant::PasswordReset { email: "ann@x.co" }).await;
    let other = house.mint("ann@x.co", Grant::Verification { email: "old@x.co" }).await;
    let blank = house.mint("ann@x.co", Grant::Verification { email: "" }).await;
    let file = house.mint("ann@x.co", Grant::File).await;
    for (token, code) in [
        ("", "validation_required"),
        ("x", "validation_invalid_token_claims"),
        ("a.b.c", "validation_invalid_token_claims"),
        (&file, "validation_invalid_token_claims"),
        (&blank, "validation_invalid_token_claims"),
        (&reset, "validation_invalid_token"),
        (&other, "validation_token_email_mismatch"),
    ] {
        let expected = format!("token={code}");
        assert_eq!(refusal(house.verify("users", token).await), invalid(&[&expected]), "{token}");
    }
    // A claim that is no text but has one counts as an address, whatever it is worth.
    for (claim, code) in [
        (json!("a@x.co"), "invalid_token"),
        (json!(5), "invalid_token"),
        (json!(true), "invalid_token"),
        (json!(null), "invalid_token_claims"),
        (json!({}), "invalid_token_claims"),
        (json!(["a@x.co"]), "invalid_token_claims"),
    ] {
        let part = |value: Json| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.x", part(json!({"alg": "HS256"})), part(json!({"email": claim})));
        let expected = format!("token=validation_{code}");
        assert_eq!(refusal(house.verify("users", &token).await), invalid(&[&expected]), "{claim}");
    }
    house.auth.schema.create(object(json!({"name": "staff", "type": "auth"}))).await.unwrap();
    let token = house.verification("ann@x.co").await;
    let mismatch = invalid(&["token=validation_token_collection_mismatch"]);
    assert_eq!(refusal(house.verify("staff", &token).await), mismatch);
    assert_eq!(refusal(house.verify("_superusers", &token).await), invalid(&[]));
    for collection in ["nope", "_mfas"] {
        assert_eq!(house.verify(collection, &token).await.unwrap_err().kind, Kind::NotFound);
    }
    let error = house.auth.confirm_verification("users", &object(json!({"token": 5}))).await;
    assert_eq!(refusal(error), invalid(&[]));
}
