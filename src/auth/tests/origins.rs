//! Login alerts (`docs/wire/auth.md` §3.9).

use super::*;
use crate::mail::{Search, Template};

impl House {
    /// A login of Ann with this user agent.
    async fn from(&self, user_agent: &str) {
        let mut login = self.attempt(ann());
        login.visitor.user_agent = user_agent.into();
        self.auth.with_password(login, "users").await.unwrap();
    }

    /// The agents of the mails about logins, oldest first.
    fn alerts(&self) -> Vec<String> {
        let search = Search { template: Some(Template::LoginAlert), ..Search::default() };
        let (mails, _) = self.auth.mail.mailbox().list(&search, 100);
        let agent =
            |text: &str| text.split(" - 127.0.0.1 ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        mails.iter().rev().map(|mail| agent(&mail.text)).collect()
    }

    /// Ann's origins, newest first: fingerprint and whether it was touched since.
    async fn origins(&self) -> Vec<(String, bool)> {
        let sql = "SELECT fingerprint, updated > created FROM _authOrigins ORDER BY created DESC";
        self.auth.db.read(|tx| tx.query_all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))).await.unwrap()
    }
}

#[tokio::test]
async fn the_first_login_is_silent_and_every_new_origin_is_told_once() {
    let house = house().await;
    for (agent, alerts, origins) in [
        ("UA1", vec![], 1),
        ("UA1", vec![], 1),
        ("UA2", vec!["UA2"], 2),
        ("UA1", vec!["UA2"], 2),
        ("UA2", vec!["UA2"], 2),
    ] {
        house.wait(1);
        house.from(agent).await;
        assert_eq!(
            (house.alerts(), house.origins().await.len()),
            (alerts.into_iter().map(str::to_owned).collect(), origins),
            "{agent}"
        );
    }
    let origins = house.origins().await;
    assert_eq!(origins[1], ("aa384f2ac61bcfdaff9042f18c991fea".to_owned(), true), "touched");
}

#[tokio::test]
async fn five_origins_are_kept_and_the_oldest_goes() {
    let house = house().await;
    for n in 0..7 {
        house.wait(1);
        house.from(&format!("UA{n}")).await;
    }
    let kept: Vec<_> = house.origins().await.into_iter().map(|(fingerprint, _)| fingerprint).collect();
    assert_eq!((kept.len(), house.alerts().len()), (5, 6));
    house.wait(1);
    house.from("UA0").await;
    assert_eq!(house.alerts().len(), 7, "what was forgotten is new again");
    let after: Vec<_> = house.origins().await.into_iter().map(|(fingerprint, _)| fingerprint).collect();
    assert_eq!(after[1..], kept[..4]);
}

#[tokio::test]
async fn a_mail_that_fails_stores_nothing_and_stops_nobody() {
    let house = house_that_mails(false).await;
    let closed = json!({"smtp": {"enabled": true, "host": "127.0.0.1", "port": 1}});
    house.auth.settings.patch(object(closed)).await.unwrap();
    house.from("UA1").await;
    for _ in 0..2 {
        house.from("UA2").await;
        assert_eq!(house.origins().await.len(), 1);
    }
}

#[tokio::test]
async fn where_there_is_nothing_to_tell_nothing_is_told() {
    let house = house().await;
    house.configure(json!({"authAlert": {"enabled": false}})).await;
    house.from("UA1").await;
    assert_eq!(house.count("_authOrigins").await, 0, "alerts are off");

    house.configure(json!({"authAlert": {"enabled": true}, "mfa": {"enabled": true}, "otp": {"enabled": true}})).await;
    house.from("UA1").await;
    assert_eq!(house.count("_authOrigins").await, 0, "a first factor is no login");
    house.configure(json!({"mfa": {"enabled": false}, "authRule": "name = 'bob'"})).await;
    assert!(house.login("users", ann()).await.is_err());
    assert_eq!(house.count("_authOrigins").await, 0, "nor is a refusal");

    house
        .configure(json!({
            "authRule": "",
            "fields": [{"name": "email", "type": "email", "required": false}, {"name": "name", "type": "text"}],
            "indexes": ["CREATE UNIQUE INDEX idx_name ON users (name)"],
            "passwordAuth": {"identityFields": ["name"]},
        }))
        .await;
    house.create("users", json!({"name": "cid"})).await;
    for (agent, origins) in [("UA1", 1), ("UA2", 2)] {
        let mut login = house.attempt(json!({"identity": "cid", "password": "longenough1"}));
        login.visitor.user_agent = agent.into();
        house.auth.with_password(login, "users").await.unwrap();
        assert_eq!((house.count("_authOrigins").await, house.alerts().len()), (origins, 0), "without an address");
    }
}

#[tokio::test]
async fn logins_from_one_new_place_at_once_are_one_origin() {
    let house = Arc::new(house().await);
    let logins: Vec<_> = (0..8)
        .map(|_| {
            let house = house.clone();
            tokio::spawn(async move { house.from("UA1").await })
        })
        .collect();
    for login in logins {
        login.await.unwrap();
    }
    assert_eq!(house.count("_authOrigins").await, 1);
}

#[tokio::test]
async fn a_login_does_not_wait_for_a_writer_that_is_held_up() {
    let house = house().await;
    house.from("UA1").await;
    house.wait(1);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (started, running) = std::sync::mpsc::channel();
    let db = house.auth.db.clone();
    let held = std::thread::spawn(move || {
        db.write_blocking(move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
            Ok(())
        })
    });
    running.recv().unwrap();
    house.from("UA1").await;
    assert!(!house.origins().await[0].1, "it waits in the queue");
    drop(release);
    held.join().unwrap().unwrap();
    // What is queued behind the touch comes after it.
    house.auth.db.write(|_| Ok(())).await.unwrap();
    assert!(house.origins().await[0].1, "it was stored without the login");
}
