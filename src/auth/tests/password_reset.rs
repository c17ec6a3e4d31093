//! `confirm-password-reset` (`docs/wire/auth.md` §3.7, §9).

use super::*;

impl House {
    async fn reset_token(&self, email: &str) -> String {
        self.mint(email, Grant::PasswordReset { email }).await
    }

    async fn reset(&self, collection: &str, token: &str, password: &str) -> Result<()> {
        let body = json!({"token": token, "password": password, "passwordConfirm": password});
        self.auth.confirm_password_reset(collection, &object(body)).await
    }
}

#[tokio::test]
async fn a_new_password_ends_all_that_began_with_the_old_one() {
    let house = house().await;
    house.attach_all().await;
    let (token, session) = (house.reset_token("ann@x.co").await, house.session().await);
    house.reset("users", &token, "another one").await.unwrap();
    assert_eq!(house.attached().await, [0; 4]);
    assert!(house.login("users", ann()).await.is_err());
    assert!(house.login("users", json!({"identity": "ann@x.co", "password": "another one"})).await.is_ok());
    assert_eq!(house.whose(&session).await, None);
    assert!(is_verified(&house.user("ann@x.co").await.row), "who holds the token reads the mails");
    assert_eq!(
        refusal(house.reset("users", &token, "a third one").await),
        invalid(&["token=validation_invalid_token"]),
        "a token works once"
    );
}

#[tokio::test]
async fn links_of_a_verified_account_stay() {
    let house = house().await;
    let token = house.mint("ann@x.co", Grant::Verification { email: "ann@x.co" }).await;
    house.auth.confirm_verification("users", &object(json!({"token": token}))).await.unwrap();
    house.attach_all().await;
    let token = house.reset_token("ann@x.co").await;
    house.reset("users", &token, "another one").await.unwrap();
    assert_eq!(house.attached().await, [0, 0, 0, 1]);
}

#[tokio::test]
async fn a_token_for_another_address_proves_nothing_of_this_one() {
    let house = house().await;
    let token = house.mint("ann@x.co", Grant::PasswordReset { email: "old@x.co" }).await;
    house.reset("users", &token, "another one").await.unwrap();
    assert!(!is_verified(&house.user("ann@x.co").await.row));
}

#[tokio::test]
async fn of_many_at_once_one_sets_the_password() {
    let house = Arc::new(house().await);
    let token = house.reset_token("ann@x.co").await;
    let attempts: Vec<_> = (0..12)
        .map(|number| {
            let (house, token) = (house.clone(), token.clone());
            tokio::spawn(async move { house.reset("users", &token, &format!("password {number}")).await })
        })
        .collect();
    let mut winners = Vec::new();
    for (number, attempt) in attempts.into_iter().enumerate() {
        match refusal(attempt.await.unwrap()) {
            None => winners.push(number),
            Some(told) => assert_eq!(Some(told), invalid(&["token=validation_invalid_token"])),
        }
    }
    assert_eq!(winners.len(), 1);
    let body = json!({"identity": "ann@x.co", "password": format!("password {}", winners[0])});
    assert!(house.login("users", body).await.is_ok());
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_together() {
    let house = house().await;
    let token = house.reset_token("ann@x.co").await;
    let auth = house.token().await;
    let [long, longer] = [72, 256].map(|length| "a".repeat(length));
    let before = house.seq().await;
    for (token, password, confirm, expected) in [
        (
            "",
            "",
            "",
            &["password=validation_required", "passwordConfirm=validation_required", "token=validation_required"][..],
        ),
        (
            "x",
            "short",
            "other",
            &[
                "password=validation_length_out_of_range",
                "passwordConfirm=validation_values_mismatch",
                "token=validation_invalid_token",
            ],
        ),
        (&auth, "longenough2", "longenough2", &["token=validation_invalid_token"]),
        (&token, &longer, &longer, &["password=validation_length_out_of_range"]),
        (&token, "longenough2", "longenough3", &["passwordConfirm=validation_values_mismatch"]),
        (&token, "longenough2", "", &["passwordConfirm=validation_required"]),
        // Only the field knows these.
        (&token, &long, &long, &["password=validation_max_text_constraint"]),
    ] {
        let body = object(json!({"token": token, "password": password, "passwordConfirm": confirm}));
        let told = refusal(house.auth.confirm_password_reset("users", &body).await);
        assert_eq!(told, invalid(expected), "{body:?}");
    }
    house.auth.schema.create(object(json!({"name": "staff", "type": "auth"}))).await.unwrap();
    let mismatch = invalid(&["token=validation_token_collection_mismatch"]);
    assert_eq!(refusal(house.reset("staff", &token, "longenough2").await), mismatch);
    assert_eq!(house.reset("nope", &token, "longenough2").await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(house.seq().await, before);

    // What is asked of a password now counts, and a method that was switched off meanwhile does not.
    house.configure(json!({"passwordAuth": {"enabled": false}})).await;
    assert_eq!(refusal(house.reset("users", &token, "longenough2").await), None);
}

#[tokio::test]
async fn superusers_reset_theirs_too() {
    let house = house().await;
    house.create("_superusers", json!({"email": "root@x.co"})).await;
    let superusers = house.auth.auth_collection("_superusers").unwrap();
    let root = house.auth.superuser("root@x.co").await.unwrap().unwrap();
    let token = house.auth.mint(&superusers, &root, Grant::PasswordReset { email: "root@x.co" }, None).unwrap();
    house.reset("_superusers", &token, "another one").await.unwrap();
    let body = json!({"identity": "root@x.co", "password": "another one"});
    assert!(house.login("_superusers", body).await.is_ok());
}
