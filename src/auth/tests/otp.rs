//! One-time codes (`docs/wire/auth.md` §3.6).

use super::*;
use crate::mail::{Captured, Search};

impl House {
    /// With codes for `users`.
    async fn with_otp() -> Self {
        let house = house().await;
        house.configure(json!({"otp": {"enabled": true}})).await;
        house
    }

    async fn request(&self, email: &str) -> String {
        let id =
            self.auth.request_otp("users", &object(json!({ "email": email })), HOME.parse().unwrap()).await.unwrap();
        self.auth.background.rest().await;
        id
    }

    fn mails(&self) -> Vec<Arc<Captured>> {
        self.auth.mail.mailbox().list(&Search::default(), 100).0
    }

    /// A code that was just asked for: id and code.
    async fn code(&self, email: &str) -> (String, String) {
        let id = self.request(email).await;
        let mail = self.mails().first().cloned().unwrap();
        assert_eq!(mail.to, email);
        (id, mail.codes.first().cloned().unwrap())
    }

    async fn redeem(&self, id: &str, code: &str) -> Result<Json> {
        let attempt = self.attempt(json!({"otpId": id, "password": code}));
        answer(self.auth.with_otp(attempt, "users").await?)
    }

    async fn row(&self, id: &str) -> Option<Arc<Row>> {
        let otps = self.auth.schema.find("_otps").unwrap();
        self.auth.records.load(&otps, id).await.unwrap()
    }
}

fn kind(outcome: Result<Json>) -> Option<Kind> {
    outcome.err().map(|error| error.kind)
}

#[tokio::test]
async fn a_code_comes_by_mail_and_lets_in_once() {
    let house = House::with_otp().await;
    let (id, code) = house.code("ann@x.co").await;
    assert!(code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let row = house.row(&id).await.unwrap();
    assert_eq!(row.text("sentTo"), Some("ann@x.co"));
    assert!(row.text("password").unwrap().starts_with("$argon2id$"));

    let answer = house.redeem(&id, &code).await.unwrap();
    assert_eq!((&answer["record"]["email"], &answer["record"]["verified"]), (&json!("ann@x.co"), &json!(true)));
    assert_eq!(house.whose(answer["token"].as_str().unwrap()).await.as_deref(), Some("ann@x.co"));
    assert_eq!(kind(house.redeem(&id, &code).await), Some(Kind::Invalid), "used");
    assert_eq!(house.count("_otps").await, 0);
}

#[tokio::test]
async fn nobody_learns_who_has_an_account() {
    let house = House::with_otp().await;
    for email in ["nobody@x.co", "ANN@x.co"] {
        let id = house.request(email).await;
        assert!(id.len() == 15 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{id}");
        assert_eq!(kind(house.redeem(&id, "12345678").await), Some(Kind::Invalid));
    }
    assert_eq!((house.count("_otps").await, house.mails().len()), (0, 0));
}

#[tokio::test]
async fn the_codes_of_nobody_run_out_and_can_be_tried_like_others() {
    let house = House::with_otp().await;
    house.auth.schema.create(object(json!({"type": "auth", "name": "staff", "otp": {"enabled": true}}))).await.unwrap();
    let seq = house.seq().await;
    let mut told = Vec::new();
    for email in ["ann@x.co", "nobody@x.co"] {
        let mut ids = Vec::new();
        for _ in 0..12 {
            house.clock.set(Timestamp(house.clock.now().millis() + 1));
            ids.push(house.request(email).await);
        }
        let repeated: Vec<usize> = ids.iter().map(|id| ids.iter().position(|other| other == id).unwrap()).collect();
        let mut answers = Vec::new();
        for id in [&ids[0], &ids[9], &ids[9], &ids[1], &ids[2], &ids[3]] {
            answers.push(kind(house.redeem(id, "0").await));
        }
        let foreign = house.attempt(json!({"otpId": ids[9], "password": "0"}));
        answers.push(kind(house.auth.with_otp(foreign, "staff").await.and_then(answer)));
        let mut elsewhere = house.attempt(json!({"otpId": ids[9], "password": "0"}));
        elsewhere.visitor.address = "10.0.0.1".parse().unwrap();
        answers.push(kind(house.auth.with_otp(elsewhere, "users").await.and_then(answer)));
        told.push((repeated, answers));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[1].0[9..], [9, 9, 9]);
    assert_eq!(told[1].1[4..], [Some(Kind::Invalid), Some(Kind::TooMany), Some(Kind::Invalid), Some(Kind::Invalid)]);
    // Ann's, and only hers, have left something.
    assert_eq!(house.count("_otps").await, 10);
    assert!(house.seq().await > seq);
    let seq = house.seq().await;
    house.request("stranger@x.co").await;
    assert_eq!(house.seq().await, seq);
}

#[tokio::test]
async fn many_requests_at_once_get_no_more_codes_than_one_after_the_other() {
    let house = House::with_otp().await;
    for email in ["ann@x.co", "nobody@x.co"] {
        let body = object(json!({ "email": email }));
        let requests = (0..30).map(|_| house.auth.request_otp("users", &body, HOME.parse().unwrap()));
        let ids = futures_util::future::join_all(requests).await;
        let different: std::collections::HashSet<String> = ids.into_iter().map(Result::unwrap).collect();
        assert_eq!(different.len(), 10, "{email}");
    }
}

#[tokio::test]
async fn one_client_may_ask_for_so_many_codes_only() {
    let house = House::with_otp().await;
    let ask = async |email: String, client: &str| {
        house.auth.request_otp("users", &object(json!({ "email": email })), client.parse().unwrap()).await
    };
    for n in 0..600 {
        house
            .auth
            .asking
            .count(HOME.parse().unwrap(), house.clock.now())
            .unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    let refused = ask("nobody@x.co".into(), HOME).await.unwrap_err();
    assert_eq!(refused.kind, Kind::TooMany);
    assert!(refused.retry_after.is_some());
    assert!(ask("nobody@x.co".into(), "10.9.9.9").await.is_ok(), "others are not held up");
}

#[tokio::test]
async fn requests_and_logins_are_checked_as_the_wire_says() {
    let house = house().await;
    for (collection, expected) in [("nope", Kind::NotFound), ("_mfas", Kind::NotFound), ("users", Kind::Forbidden)] {
        let asked = house.auth.request_otp(collection, &Map::new(), HOME.parse().unwrap()).await.unwrap_err().kind;
        let redeemed = house.auth.with_otp(house.attempt(json!({})), collection).await.unwrap_err().kind;
        assert_eq!((asked, redeemed), (expected, expected), "{collection}");
    }
    house.configure(json!({"otp": {"enabled": true}})).await;
    let long = "x".repeat(256);
    for (body, expected) in [
        (json!({}), vec!["email=validation_required"]),
        (json!({"email": null}), vec!["email=validation_required"]),
        (json!({"email": "x"}), vec!["email=validation_is_email"]),
        (json!({"email": long}), vec!["email=validation_length_out_of_range"]),
        (json!({"email": ["ann@x.co"]}), vec![]),
    ] {
        let error = house.auth.request_otp("users", &object(body.clone()), HOME.parse().unwrap()).await.unwrap_err();
        assert_eq!(
            (error.kind, codes(&error)),
            (Kind::Invalid, expected.iter().map(ToString::to_string).collect()),
            "{body}"
        );
    }
    for (body, expected) in [
        (json!({}), vec!["otpId=validation_required", "password=validation_required"]),
        (json!({"otpId": long, "password": "x".repeat(71)}), vec!["otpId=validation_length_out_of_range"]),
        (json!({"otpId": "x", "password": "x".repeat(72)}), vec!["password=validation_length_out_of_range"]),
        (json!({"otpId": "x", "password": 12345678}), vec![]),
        (json!({"otpId": "x", "password": "12345678"}), vec![]),
    ] {
        let error = house.auth.with_otp(house.attempt(body.clone()), "users").await.unwrap_err();
        assert_eq!(
            (error.kind, codes(&error)),
            (Kind::Invalid, expected.iter().map(ToString::to_string).collect()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn ten_codes_are_enough_until_they_expire() {
    let house = House::with_otp().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        house.clock.set(Timestamp(house.clock.now().millis() + 1));
        ids.push(house.request("ann@x.co").await);
    }
    for _ in 0..2 {
        assert_eq!(house.request("ann@x.co").await, ids[9]);
    }
    assert_eq!((house.count("_otps").await, house.mails().len()), (10, 10));
    house.request("bob@x.co").await;
    assert_eq!(house.count("_otps").await, 11, "another's codes are another's");
    house.clock.set(Timestamp(house.clock.now().millis() + 180_000));
    assert!(!ids.contains(&house.request("ann@x.co").await), "the first ones are over");
}

#[tokio::test]
async fn a_code_is_good_for_its_time_its_collection_and_its_account() {
    let house = House::with_otp().await;
    house.auth.schema.create(object(json!({"type": "auth", "name": "staff", "otp": {"enabled": true}}))).await.unwrap();
    let (id, code) = house.code("ann@x.co").await;
    let attempt = house.attempt(json!({"otpId": id, "password": code}));
    assert_eq!(house.auth.with_otp(attempt, "staff").await.unwrap_err().kind, Kind::Invalid, "foreign");
    let start = house.clock.now().millis();
    house.clock.set(Timestamp(start + 180_001));
    assert_eq!(kind(house.redeem(&id, &code).await), Some(Kind::Invalid), "too old");
    house.clock.set(Timestamp(start + 180_000));
    assert_eq!(kind(house.redeem(&id, &code).await), None, "to the very end");

    let (id, code) = house.code("bob@x.co").await;
    let bob = house.user("bob@x.co").await;
    let request = Request { caller: Caller::system(), now: house.clock.now(), ..Request::default() };
    house.auth.records.delete(request, "users", &bob.id).await.unwrap();
    assert_eq!(kind(house.redeem(&id, &code).await), Some(Kind::Invalid), "its account is gone");
}

#[tokio::test]
async fn five_attempts_are_allowed_whoever_asks() {
    let house = House::with_otp().await;
    let (id, code) = house.code("ann@x.co").await;
    for _ in 0..5 {
        assert_eq!(kind(house.redeem(&id, "00000").await), Some(Kind::Invalid));
    }
    let refused = house.redeem(&id, &code).await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after.is_some()), (Kind::TooMany, true));
    let (again, fresh) = house.code("ann@x.co").await;
    assert_eq!(kind(house.redeem(&again, &fresh).await), Some(Kind::TooMany), "it is the account that counts");
    let mut elsewhere = house.attempt(json!({"otpId": again, "password": fresh}));
    elsewhere.visitor.address = "10.0.0.1".parse().unwrap();
    assert!(house.auth.with_otp(elsewhere, "users").await.is_ok(), "another address is not affected");
    house.wait(180);
    let (id, code) = house.code("ann@x.co").await;
    assert!(house.redeem(&id, &code).await.is_ok(), "three minutes later");
}

#[tokio::test]
async fn of_many_logins_with_one_code_one_succeeds() {
    let house = Arc::new(House::with_otp().await);
    let (id, code) = house.code("ann@x.co").await;
    let login = |n: u8| {
        let (house, id, code) = (house.clone(), id.clone(), code.clone());
        tokio::spawn(async move {
            let mut attempt = house.attempt(json!({"otpId": id, "password": code}));
            attempt.visitor.address = [10, 0, 0, n].into();
            house.auth.with_otp(attempt, "users").await.is_ok()
        })
    };
    let tasks: Vec<_> = (0..20).map(login).collect();
    let mut successes = 0;
    for task in tasks {
        successes += usize::from(task.await.unwrap());
    }
    assert_eq!((successes, house.count("_otps").await), (1, 0));
}

#[tokio::test]
async fn a_code_proves_the_address_that_it_was_sent_to_and_takes_the_password_away() {
    for (verified, mfa, sent_to, expect_verified, expect_password) in [
        (false, false, "ann@x.co", true, false),
        (false, true, "ann@x.co", true, true),
        (true, false, "ann@x.co", true, true),
        (false, false, "", false, true),
        (false, false, "old@x.co", false, true),
        (false, false, "ANN@x.co", false, true),
    ] {
        let house = House::with_otp().await;
        house.configure(json!({"mfa": {"enabled": mfa, "rule": "name = 'nobody'"}})).await;
        if verified {
            house.edit("users", "ann@x.co", json!({"verified": true})).await;
        }
        let before = house.user("ann@x.co").await;
        let (id, code) = house.code("ann@x.co").await;
        let note = move |script: &mut crate::records::Script<'_, '_>| {
            script
                .update("_otps", &id, object(json!({ "sentTo": sent_to })))
                .map(|row| row.text("id").unwrap().to_owned())
        };
        let id = house.auth.records.transact(None, note).await.unwrap();
        let answer = house.redeem(&id, &code).await.unwrap();
        let case = format!("{verified} {mfa} {sent_to:?}");
        assert_eq!(answer["record"]["verified"], expect_verified, "{case}");
        assert!(house.whose(answer["token"].as_str().unwrap()).await.is_some(), "{case}: the token is good");
        let after = house.user("ann@x.co").await;
        assert_eq!(house.login("users", ann()).await.is_ok(), expect_password, "{case}");
        assert_eq!(before.row.text("tokenKey") == after.row.text("tokenKey"), expect_password, "{case}");
    }
}

#[tokio::test]
async fn a_code_is_used_up_even_where_it_does_not_let_in() {
    let house = House::with_otp().await;
    house.configure(json!({"authRule": "name = 'bob'"})).await;
    let (id, code) = house.code("ann@x.co").await;
    assert_eq!(kind(house.redeem(&id, &code).await), Some(Kind::Forbidden));
    let ann = house.user("ann@x.co").await;
    let verified = ann.row.get("verified").cloned();
    assert_eq!((house.count("_otps").await, verified), (0, Some(crate::db::Value::Integer(1))), "what it proved stays");
}

#[tokio::test]
async fn with_a_second_factor_the_password_stays_the_first() {
    let house = House::with_otp().await;
    house.configure(json!({"mfa": {"enabled": true}})).await;
    let first = house.login("users", ann()).await.unwrap();
    let (id, code) = house.code("ann@x.co").await;
    let mut attempt = house.attempt(json!({"otpId": id, "password": code}));
    attempt.mfa_id = first["mfaId"].as_str().unwrap().to_owned();
    let second = answer(house.auth.with_otp(attempt, "users").await.unwrap()).unwrap();
    assert!(second["token"].is_string() && second["record"]["verified"] == true, "{second}");
    assert!(house.login("users", ann()).await.unwrap()["mfaId"].is_string());
}

#[tokio::test]
async fn a_code_that_could_not_be_sent_is_taken_back() {
    let house = house_that_mails(false).await;
    house.configure(json!({"otp": {"enabled": true}})).await;
    let closed = json!({"smtp": {"enabled": true, "host": "127.0.0.1", "port": 1}});
    house.auth.settings.patch(object(closed)).await.unwrap();
    let id = house.request("ann@x.co").await;
    assert_eq!(id.len(), 15, "the client is not told");
    assert!(house.row(&id).await.is_none());
}

#[tokio::test]
async fn any_length_that_the_settings_take_works() {
    let house = House::with_otp().await;
    for (length, expected) in [(4, 4), (71, 71), (255, 71)] {
        house.configure(json!({"otp": {"length": length}})).await;
        let id = house.request("ann@x.co").await;
        let text = house.mails()[0].text.clone();
        let code: String =
            text.split(|letter: char| !letter.is_ascii_digit()).find(|word| word.len() == expected).unwrap().into();
        assert!(house.redeem(&id, &code).await.is_ok(), "{length}");
    }
}

#[tokio::test]
async fn a_superuser_gets_a_code_from_the_command_line() {
    let house = house().await;
    house.create("_superusers", json!({"email": "root@x.co"})).await;
    assert_eq!(house.auth.superuser_otp("root@x.co").await.unwrap_err().kind, Kind::Forbidden);
    let enable = json!({"otp": {"enabled": true}});
    house.auth.schema.update("_superusers", object(enable)).await.unwrap();
    assert!(house.auth.superuser_otp("ann@x.co").await.unwrap().is_none());
    let otp = house.auth.superuser_otp("root@x.co").await.unwrap().unwrap();
    assert_eq!((otp.code.len(), otp.seconds, house.mails().len()), (8, 180, 0));
    let attempt = house.attempt(json!({"otpId": otp.id, "password": otp.code}));
    let first = answer(house.auth.with_otp(attempt, "_superusers").await.unwrap()).unwrap();
    assert!(first["mfaId"].is_string(), "superusers with codes have two factors: {first}");
    let mut login = house.attempt(json!({"identity": "root@x.co", "password": "longenough1"}));
    login.mfa_id = first["mfaId"].as_str().unwrap().to_owned();
    assert!(answer(house.auth.with_password(login, "_superusers").await.unwrap()).unwrap()["token"].is_string());
}

#[tokio::test]
async fn what_has_expired_is_cleared_away_and_nothing_else() {
    let house = House::with_otp().await;
    house.configure(json!({"mfa": {"enabled": true, "duration": 600}})).await;
    house.request("ann@x.co").await;
    house.login("users", ann()).await.unwrap();
    for (seconds, otps, mfas) in [(180, 1, 1), (1, 0, 1), (419, 0, 1), (1, 0, 0)] {
        house.wait(seconds);
        for table in ["_otps", "_mfas"] {
            house.auth.clean_up(table).await.unwrap();
        }
        assert_eq!((house.count("_otps").await, house.count("_mfas").await), (otps, mfas), "{seconds}");
    }
}
