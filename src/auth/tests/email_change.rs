//! `confirm-email-change` (`docs/wire/auth.md` §3.7, §9).

use super::*;

impl House {
    async fn change_token(&self, email: &str, new_email: &str) -> String {
        self.mint(email, Grant::EmailChange { email, new_email }).await
    }

    async fn change(&self, collection: &str, token: &str, password: &str) -> Result<()> {
        let body = object(json!({"token": token, "password": password}));
        self.auth.confirm_email_change(collection, &body, HOME.parse().unwrap()).await
    }
}

#[tokio::test]
async fn the_new_address_is_proven_and_ends_all_sessions() {
    let house = house().await;
    house.attach_all().await;
    let (token, session) = (house.change_token("ann@x.co", "new@x.co").await, house.session().await);
    house.change("users", &token, "longenough1").await.unwrap();
    let changed = house.user("new@x.co").await;
    assert!(is_verified(&changed.row));
    assert_eq!(house.whose(&session).await, None);
    assert_eq!(house.attached().await, [1, 0, 1, 0], "links from before the address was proven go");
    assert_eq!(
        refusal(house.change("users", &token, "longenough1").await),
        invalid(&["password=validation_invalid_password", "token=validation_invalid_token"])
    );
}

#[tokio::test]
async fn of_many_at_once_one_changes_the_address() {
    let house = Arc::new(house().await);
    let mut attempts = Vec::new();
    for number in 0..12 {
        let token = house.change_token("ann@x.co", &format!("new{}@x.co", number / 2)).await;
        let house = house.clone();
        attempts.push(tokio::spawn(async move { house.change("users", &token, "longenough1").await }));
    }
    let mut won = 0;
    for attempt in attempts {
        won += i32::from(attempt.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn one_address_goes_to_one_of_two_who_ask_for_it() {
    let house = Arc::new(house().await);
    let mut attempts = Vec::new();
    for email in ["ann@x.co", "bob@x.co"] {
        let token = house.change_token(email, "new@x.co").await;
        let house = house.clone();
        attempts.push(tokio::spawn(async move { refusal(house.change("users", &token, "longenough1").await) }));
    }
    let mut told = Vec::new();
    for attempt in attempts {
        told.extend(attempt.await.unwrap());
    }
    assert_eq!(told.len(), 1);
    assert!(told[0].1.contains(&"token=validation_invalid_token_email".to_owned()), "{told:?}");
}

#[tokio::test]
async fn what_is_wrong_is_told_as_the_wire_does() {
    let house = house().await;
    let good = house.change_token("ann@x.co", "new@x.co").await;
    let taken = house.change_token("ann@x.co", "bob@x.co").await;
    let blank = house.change_token("ann@x.co", "").await;
    let reset = house.mint("ann@x.co", Grant::PasswordReset { email: "ann@x.co" }).await;
    let long = "x".repeat(101);
    let before = house.seq().await;
    let wrong = "password=validation_invalid_password";
    for (token, password, expected) in [
        ("", "", &["password=validation_required", "token=validation_required"][..]),
        ("x", &long, &["password=validation_length_out_of_range", "token=validation_invalid_token_payload"]),
        ("x", "longenough1", &[wrong, "token=validation_invalid_token_payload"]),
        (&reset, "longenough1", &[wrong, "token=validation_invalid_token_payload"]),
        (&blank, "longenough1", &[wrong, "token=validation_invalid_token_payload"]),
        (&taken, "longenough1", &[wrong, "token=validation_invalid_token_email"]),
        (&good, "longenough2", &[wrong]),
        (&good, "", &["password=validation_required"]),
    ] {
        assert_eq!(refusal(house.change("users", token, password).await), invalid(expected), "{token} {password}");
    }
    house.auth.schema.create(object(json!({"name": "staff", "type": "auth"}))).await.unwrap();
    assert_eq!(
        refusal(house.change("staff", &good, "longenough1").await),
        invalid(&[wrong, "token=validation_token_collection_mismatch"])
    );
    assert_eq!(refusal(house.change("_superusers", &good, "longenough1").await), invalid(&[]));
    assert_eq!(house.change("nope", &good, "longenough1").await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(house.seq().await, before);
}

#[tokio::test]
async fn a_change_of_case_alone_depends_on_the_index() {
    let house = house().await;
    let token = house.change_token("ann@x.co", "ANN@x.co").await;
    let nocase = ["CREATE UNIQUE INDEX idx_mail ON users (email COLLATE NOCASE) WHERE email != ''"];
    house.configure(json!({"indexes": nocase})).await;
    assert_eq!(
        refusal(house.change("users", &token, "longenough1").await),
        invalid(&["password=validation_invalid_password", "token=validation_invalid_token_email"])
    );
    house.configure(json!({"indexes": ["CREATE UNIQUE INDEX idx_mail ON users (email) WHERE email != ''"]})).await;
    house.change("users", &token, "longenough1").await.unwrap();
    assert_eq!(house.user("ANN@x.co").await.row.text("name"), Some("ann"));
}
