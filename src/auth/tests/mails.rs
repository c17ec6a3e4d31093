//! Asking for verification, a new password and another address (`docs/wire/auth.md` §3.7, §10).

use super::*;
use crate::{
    jobs::{Claimed, Failure, Runner},
    mail::{Search, Template},
};

impl House {
    /// A run of the job that such a request leaves.
    async fn run(
        &self,
        auth: &Auth,
        template: Template,
        collection: &str,
        email: &str,
        attempt: u32,
    ) -> Result<(), Failure> {
        let payload = json!({"template": template.as_str(), "collection": collection, "email": email});
        auth.post_asked(&Claimed { id: 1, kind: "account-mail", payload, attempt, scheduled: None }).await
    }

    /// (template, recipient) of all mails so far, the oldest first.
    fn posted(&self) -> Vec<(Template, String)> {
        let (mut mails, _) = self.auth.mail.mailbox().list(&Search::default(), 100);
        mails.sort_by_key(|mail| mail.id);
        mails.iter().map(|mail| (mail.template.unwrap(), mail.to.clone())).collect()
    }

    /// The token in the newest mail.
    fn mailed_token(&self) -> String {
        let (mails, _) = self.auth.mail.mailbox().list(&Search::default(), 100);
        let newest = mails.into_iter().max_by_key(|mail| mail.id).unwrap();
        assert_eq!(newest.tokens.len(), 1, "{newest:?}");
        newest.tokens[0].clone()
    }

    /// The same accounts behind a mail server that does not answer.
    async fn without_mail(&self) -> Auth {
        let smtp = json!({"smtp": {"enabled": true, "host": "127.0.0.1", "port": 1}});
        self.auth.settings.patch(object(smtp)).await.unwrap();
        let mail = Mail::new(self.auth.settings.clone(), self.clock.clone(), false);
        Auth { mail, ..self.auth.clone() }
    }
}

#[tokio::test]
async fn one_client_cannot_fill_the_queue_with_made_up_addresses() {
    let house = house().await;
    let mut refused = None;
    for n in 0..2000 {
        let body = object(json!({"email": format!("made-up-{n}@x.co")}));
        if let Err(error) = house.auth.request_password_reset("users", &body, home()).await {
            refused = Some((n, error.kind, error.retry_after.is_some()));
            break;
        }
    }
    assert_eq!(refused, Some((600, Kind::TooMany, true)));
    // Another kind of mail is the same, an account is no different, and somebody else is not affected.
    let ann = object(json!({"email": "ann@x.co"}));
    assert_eq!(house.auth.request_verification("users", &ann, home()).await.unwrap_err().kind, Kind::TooMany);
    let other = "10.0.0.1".parse().unwrap();
    house.auth.request_verification("users", &ann, other).await.unwrap();
    house.wait(1);
    house.auth.request_verification("users", &ann, home()).await.unwrap();
}

#[tokio::test]
async fn a_request_leaves_the_same_job_for_everybody() {
    let house = house().await;
    house
        .configure(
            json!({"indexes": ["CREATE UNIQUE INDEX idx_mail ON users (email COLLATE NOCASE) WHERE email != ''"]}),
        )
        .await;
    for email in ["ann@x.co", "ANN@x.co", "nobody@x.co", "ann@x.co"] {
        let body = object(json!({"email": email}));
        house.auth.request_verification("users", &body, home()).await.unwrap();
        house.auth.request_password_reset("users", &body, home()).await.unwrap();
    }
    assert_eq!(house.count("__conch_jobs").await, 6, "one for each kind and address");
    assert_eq!(house.posted(), []);

    let runner = Runner::new(house.auth.jobs.clone());
    house.auth.take_jobs(&runner);
    runner.start();
    for _ in 0..500 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        if house.count("__conch_jobs").await == 0 {
            break;
        }
    }
    runner.stop().await;
    let mut mails = house.posted();
    mails.sort_by_key(|(template, _)| template.as_str());
    let to = "ann@x.co".to_owned();
    assert_eq!(
        mails,
        [(Template::PasswordReset, to.clone()), (Template::Verification, to)],
        "one each, to its address"
    );
}

#[tokio::test]
async fn mailed_tokens_are_good() {
    let house = house().await;
    house.run(&house.auth, Template::Verification, "_pb_users_auth_", "ann@x.co", 1).await.unwrap();
    let body = object(json!({"token": house.mailed_token()}));
    house.auth.confirm_verification("users", &body).await.unwrap();

    house.run(&house.auth, Template::PasswordReset, "_pb_users_auth_", "ann@x.co", 1).await.unwrap();
    let body = json!({"token": house.mailed_token(), "password": "another one", "passwordConfirm": "another one"});
    house.auth.confirm_password_reset("users", &object(body)).await.unwrap();
    assert!(house.login("users", json!({"identity": "ann@x.co", "password": "another one"})).await.is_ok());
}

#[tokio::test]
async fn only_who_needs_a_mail_gets_one() {
    let house = house().await;
    let users = "_pb_users_auth_";
    house.auth.installer().await.unwrap();
    house.create("users", json!({"email": "eve@x.co", "verified": true})).await;
    for (template, collection, email, expected) in [
        (Template::Verification, users, "nobody@x.co", 0),
        (Template::Verification, users, "", 0),
        (Template::Verification, "gone", "ann@x.co", 0),
        (Template::Verification, users, "eve@x.co", 0),
        (Template::PasswordReset, users, "eve@x.co", 1),
        (Template::PasswordReset, SUPERUSERS_ID, crate::auth::superusers::INSTALLER_EMAIL, 0),
        (Template::Verification, users, "ann@x.co", 1),
        // Two minutes of silence, each kind of mail for itself.
        (Template::Verification, users, "ann@x.co", 0),
        (Template::PasswordReset, users, "ann@x.co", 1),
        (Template::PasswordReset, users, "ann@x.co", 0),
        (Template::PasswordReset, users, "bob@x.co", 1),
    ] {
        let before = house.posted().len();
        house.run(&house.auth, template, collection, email, 1).await.unwrap();
        assert_eq!(house.posted().len() - before, expected, "{template:?} {collection} {email}");
    }
    house.wait(120);
    house.run(&house.auth, Template::PasswordReset, users, "ann@x.co", 1).await.unwrap();
    assert_eq!(house.posted().len(), 5);
    // A confirmed reset clears its marker.
    let body = json!({"token": house.mailed_token(), "password": "another one", "passwordConfirm": "another one"});
    house.auth.confirm_password_reset("users", &object(body)).await.unwrap();
    house.run(&house.auth, Template::PasswordReset, users, "ann@x.co", 1).await.unwrap();
    assert_eq!(house.posted().len(), 6);
}

#[tokio::test]
async fn a_mail_that_failed_is_tried_again() {
    let house = house().await;
    let users = "_pb_users_auth_";
    let broken = house.without_mail().await;
    for template in [Template::Verification, Template::PasswordReset] {
        let failure = house.run(&broken, template, users, "ann@x.co", 1).await.unwrap_err();
        assert!(!failure.permanent, "{failure:?}");
        // Whoever asks again meanwhile: a verification has its marker, a reset that failed has none.
        let again = house.run(&broken, template, users, "ann@x.co", 1).await;
        assert_eq!(again.is_ok(), template == Template::Verification);
        let before = house.posted().len();
        house.run(&house.auth, template, users, "ann@x.co", 2).await.unwrap();
        assert_eq!(house.posted().len() - before, 1, "its own marker does not stop the next run");
    }
    let payload = json!({"template": "otp", "collection": users, "email": "ann@x.co"});
    for payload in [json!({}), json!({"template": "nope", "collection": users, "email": "x"}), json!("x")] {
        let job = Claimed { id: 1, kind: "account-mail", payload, attempt: 1, scheduled: None };
        assert!(house.auth.post_asked(&job).await.unwrap_err().permanent);
    }
    let job = Claimed { id: 1, kind: "account-mail", payload, attempt: 1, scheduled: None };
    house.auth.post_asked(&job).await.unwrap();
    assert_eq!(house.posted().len(), 2, "no other mail can be had so");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_as_the_wire_does() {
    let house = house().await;
    let long = format!("{}@x.co", "a".repeat(251));
    for (body, expected) in [
        (json!({}), &["email=validation_required"][..]),
        (json!({"email": null}), &["email=validation_required"]),
        (json!({"email": "x"}), &["email=validation_is_email"]),
        (json!({"email": long}), &["email=validation_length_out_of_range"]),
        (json!({"email": 5}), &[]),
    ] {
        let body = object(body);
        assert_eq!(
            refusal(house.auth.request_verification("users", &body, home()).await),
            invalid(expected),
            "{body:?}"
        );
        assert_eq!(
            refusal(house.auth.request_password_reset("users", &body, home()).await),
            invalid(expected),
            "{body:?}"
        );
    }
    let good = object(json!({"email": "ann@x.co"}));
    assert_eq!(refusal(house.auth.request_verification("_superusers", &good, home()).await), invalid(&[]));
    assert_eq!(refusal(house.auth.request_password_reset("_superusers", &good, home()).await), None);
    for collection in ["nope", "_mfas"] {
        assert_eq!(house.auth.request_verification(collection, &good, home()).await.unwrap_err().kind, Kind::NotFound);
        assert_eq!(
            house.auth.request_password_reset(collection, &good, home()).await.unwrap_err().kind,
            Kind::NotFound
        );
    }
    house.configure(json!({"passwordAuth": {"enabled": false}})).await;
    assert_eq!(refusal(house.auth.request_password_reset("users", &good, home()).await), invalid(&[]));
}

#[tokio::test]
async fn a_new_address_is_asked_for_in_a_session_and_mailed_at_once() {
    let house = house().await;
    house.auth.schema.create(object(json!({"name": "staff", "type": "auth"}))).await.unwrap();
    house.create("_superusers", json!({"email": "root@x.co"})).await;
    let root = house.auth.superuser_token("root@x.co").await.unwrap();
    let root = house.auth.caller(&root).await.unwrap();
    let caller = house.auth.caller(&house.token().await).await.unwrap();
    for (caller, collection, expected) in [
        (&Caller::Guest, "users", Kind::Unauthorized),
        (&Caller::Guest, "nope", Kind::NotFound),
        (&caller, "nope", Kind::NotFound),
        (&caller, "staff", Kind::Forbidden),
        (&caller, "_mfas", Kind::Forbidden),
        (&caller, "_superusers", Kind::Forbidden),
        (&root, "users", Kind::Forbidden),
        (&root, "_superusers", Kind::Invalid),
    ] {
        assert_eq!(house.auth.changes_email(caller, collection).unwrap_err().kind, expected, "{collection}");
    }
    let record = house.auth.changes_email(&caller, "users").unwrap();
    let long = format!("{}@x.co", "a".repeat(251));
    for (body, expected) in [
        (json!({}), &["newEmail=validation_required"][..]),
        (json!({"newEmail": "x"}), &["newEmail=validation_is_email"]),
        (json!({"newEmail": long}), &["newEmail=validation_length_out_of_range"]),
        (json!({"newEmail": "ann@x.co"}), &["newEmail=validation_not_in_invalid"]),
        (json!({"newEmail": "bob@x.co"}), &["newEmail=validation_invalid_new_email"]),
        (json!({"newEmail": 5}), &[]),
    ] {
        let told = refusal(house.auth.request_email_change(&record, &object(body.clone()), home()).await);
        assert_eq!(told, invalid(expected), "{body}");
    }
    let body = object(json!({"newEmail": "new@x.co"}));
    let broken = house.without_mail().await;
    assert_eq!(refusal(broken.request_email_change(&record, &body, home()).await), invalid(&[]));
    house.auth.request_email_change(&record, &body, home()).await.unwrap();
    assert_eq!(house.posted(), [(Template::EmailChange, "new@x.co".to_owned())]);
    let body = object(json!({"token": house.mailed_token(), "password": "longenough1"}));
    house.auth.confirm_email_change("users", &body, HOME.parse().unwrap()).await.unwrap();
    assert!(house.login("users", json!({"identity": "new@x.co", "password": "longenough1"})).await.is_ok());
}
