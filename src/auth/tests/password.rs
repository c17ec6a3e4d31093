//! `auth-with-password`, and the upgrade of old hashes.

use super::*;

#[tokio::test]
async fn a_right_password_gives_the_record_and_a_token() {
    let house = house().await;
    let answer = house.login("users", json!({"Identity": "ann@x.co", "PASSWORD": "longenough1"})).await.unwrap();
    assert_eq!(answer["record"]["email"], "ann@x.co");
    assert_eq!(answer["record"]["collectionName"], "users");
    for secret in ["password", "tokenKey"] {
        assert!(answer["record"].get(secret).is_none(), "{secret}");
    }
    let token = answer["token"].as_str().unwrap();
    for header in [token.to_owned(), format!("Bearer {token}"), format!("bearer {token}"), token.to_owned()] {
        assert_eq!(house.whose(&header).await.as_deref(), Some("ann@x.co"));
    }
    for header in ["", "x", &format!("Bearer  {token}"), &format!("Basic {token}"), &token[..token.len() - 1]] {
        assert_eq!(house.whose(header).await, None, "{header}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_login_is_told_as_the_wire_does() {
    let house = house().await;
    let long = "x".repeat(256);
    for (body, expected) in [
        (json!({}), vec!["identity=validation_required", "password=validation_required"]),
        (json!({"identity": null, "password": "x"}), vec!["identity=validation_required"]),
        (json!({"identity": "x", "password": long}), vec!["password=validation_length_out_of_range"]),
        (
            json!({"identity": "x", "password": "x", "identityField": "name"}),
            vec!["identityField=validation_in_invalid"],
        ),
        (json!({"identity": "x", "password": 123}), vec![]),
        (json!({"identity": "ann@x.co", "password": "longenough2"}), vec![]),
        (json!({"identity": "nobody@x.co", "password": "longenough1"}), vec![]),
        (json!({"identity": "ANN@x.co", "password": "longenough1"}), vec![]),
        (json!({"identity": " ann@x.co", "password": "longenough1"}), vec![]),
    ] {
        let error = house.login("users", body.clone()).await.unwrap_err();
        assert_eq!(
            (error.kind, codes(&error)),
            (Kind::Invalid, expected.into_iter().map(str::to_owned).collect()),
            "{body}"
        );
    }
    assert_eq!(house.login("nope", ann()).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(house.login("_mfas", ann()).await.unwrap_err().kind, Kind::NotFound);
    house.configure(json!({"passwordAuth": {"enabled": false}})).await;
    assert_eq!(house.login("users", json!({})).await.unwrap_err().kind, Kind::Forbidden);
}

#[tokio::test]
async fn identities_are_found_by_every_field_and_the_collation_of_its_index() {
    let house = house().await;
    house
        .configure(json!({
            "indexes": [
                "CREATE UNIQUE INDEX idx_name ON users (name)",
                "CREATE UNIQUE INDEX idx_mail ON users (email COLLATE NOCASE) WHERE email != ''",
            ],
            "passwordAuth": {"identityFields": ["name", "email"]},
        }))
        .await;
    // Whose name is another's address: e-mail counts first.
    house.create("users", json!({"email": "eve@x.co", "name": "ann@x.co"})).await;
    for (body, expected) in [
        (json!({"identity": "ann"}), Some("ann@x.co")),
        (json!({"identity": "ANN"}), None),
        (json!({"identity": "Ann@X.co"}), Some("ann@x.co")),
        (json!({"identity": "ann@x.co"}), Some("ann@x.co")),
        (json!({"identity": "ann@x.co", "identityField": "name"}), Some("eve@x.co")),
        (json!({"identity": "ann", "identityField": "email"}), None),
        (json!({"identity": "", "identityField": "email"}), None),
        (json!({"identity": "' OR 1=1 --"}), None),
    ] {
        let mut form = object(body.clone());
        form.insert("password".into(), "longenough1".into());
        let answer = house.login("users", form.into()).await;
        let email = answer.ok().map(|answer| answer["record"]["email"].as_str().unwrap().to_owned());
        assert_eq!(email.as_deref(), expected, "{body}");
    }
}

#[tokio::test]
async fn the_auth_rule_decides_who_may_sign_in() {
    let house = house().await;
    for (rule, expected) in [
        (json!(null), Some(Kind::Forbidden)),
        (json!(""), None),
        (json!("verified = true"), Some(Kind::Forbidden)),
        (json!("name = 'ann' && @request.context = 'password'"), None),
        (json!("@request.body.identity = 'ann@x.co'"), None),
        (json!("@request.auth.id != ''"), Some(Kind::Forbidden)),
    ] {
        house.configure(json!({"authRule": rule})).await;
        let outcome = house.login("users", ann()).await.err().map(|error| error.kind);
        assert_eq!(outcome, expected, "{rule}");
    }
}

#[tokio::test]
async fn a_bcrypt_hash_logs_in_and_becomes_argon2id_without_side_effects() {
    let house = house().await;
    // The origin of a login is a record of its own.
    house.configure(json!({"authAlert": {"enabled": false}})).await;
    house.set("password", BCRYPT).await;
    let token = house.token().await;
    let upgraded = house.get("password").await;
    assert!(upgraded.starts_with("$argon2id$"), "{upgraded}");
    assert!(house.whose(&token).await.is_some());
    let (updated, seq) = (house.get("updated").await, house.auth.db.read(|tx| tx.seq()).await.unwrap());
    house.token().await;
    assert_eq!(house.get("password").await, upgraded, "once is enough");
    assert_eq!((house.get("updated").await, house.auth.db.read(|tx| tx.seq()).await.unwrap()), (updated, seq));

    house.set("password", BCRYPT).await;
    assert!(house.login("users", json!({"identity": "ann@x.co", "password": "longenough2"})).await.is_err());
    assert_eq!(house.get("password").await, BCRYPT, "a wrong password upgrades nothing");
    house.set("password", "longenough1").await;
    assert!(house.login("users", ann()).await.is_err(), "what is no hash never matches");
}

#[tokio::test]
async fn an_upgrade_never_overwrites_a_newer_password() {
    let house = house().await;
    house.set("password", BCRYPT).await;
    let users = house.auth.auth_collection("users").unwrap();
    let row = house.auth.records.load(&users, &house.get("id").await).await.unwrap().unwrap();
    house.set("password", "changed meanwhile").await;
    house.auth.upgrade_hash(&users, "longenough1".into(), &row).await;
    assert_eq!(house.get("password").await, "changed meanwhile");
}

#[tokio::test]
async fn logins_at_the_same_time_all_succeed_while_one_upgrades() {
    let house = Arc::new(house().await);
    house.set("password", BCRYPT).await;
    let logins: Vec<_> = (0..4)
        .map(|_| {
            let house = house.clone();
            tokio::spawn(async move { house.login("users", ann()).await.map(drop) })
        })
        .collect();
    for login in logins {
        login.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn whoever_fails_often_has_to_wait_and_an_owner_elsewhere_does_not() {
    for identity in ["ann@x.co", "nobody@x.co"] {
        let house = house().await;
        let start = house.clock.now();
        let wrong = json!({"identity": identity, "password": "wrong-password"});
        for _ in 0..6 {
            assert_eq!(house.login("users", wrong.clone()).await.unwrap_err().kind, Kind::Invalid);
        }
        // Not even the right one is looked at.
        for body in [wrong.clone(), json!({"identity": identity, "password": "longenough1"})] {
            let error = house.login("users", body).await.unwrap_err();
            assert_eq!((error.kind, error.retry_after), (Kind::TooMany, Some(Duration::from_secs(1))), "{identity}");
        }
        house.login("users", json!({"identity": "bob@x.co", "password": "longenough1"})).await.unwrap();
        let mut elsewhere = house.attempt(json!({"identity": identity, "password": "longenough1"}));
        elsewhere.visitor.address = "10.9.8.7".parse().unwrap();
        let known = identity == "ann@x.co";
        assert_eq!(house.auth.with_password(elsewhere, "users").await.is_ok(), known);
        house.clock.set(start.plus(Duration::from_secs(1)));
        let late = house.login("users", json!({"identity": identity, "password": "longenough1"})).await;
        assert_eq!(late.is_ok(), known);
        let again = house.login("users", wrong).await.unwrap_err();
        assert_eq!(again.kind, if known { Kind::Invalid } else { Kind::TooMany }, "success starts anew");
    }
}

/// Between COMMIT and the new catalog an account is still looked for by the old names: that must not fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_login_survives_the_moment_before_the_new_catalog() {
    let house = Arc::new(house().await);
    let users = house.auth.auth_collection("users").unwrap();
    let (committed, reached) = std::sync::mpsc::channel();
    house.auth.schema.on_rename(move |tx, _| {
        let committed = committed.clone();
        tx.after_commit(move || {
            let _ = committed.send(());
            std::thread::sleep(Duration::from_millis(200));
        });
        Ok(())
    });
    let renaming = tokio::spawn({
        let house = house.clone();
        async move { house.auth.schema.update("users", object(json!({"name": "people"}))).await }
    });
    tokio::task::spawn_blocking(move || reached.recv()).await.unwrap().unwrap();
    assert!(house.auth.auth_collection("users").is_ok(), "the old catalog still stands");
    let login = house.attempt(json!({"identity": "ann@x.co", "password": "longenough1"}));
    let (found, signed_in) =
        tokio::join!(house.auth.by_email(&users, "ann@x.co"), house.auth.with_password(login, &users.id));
    assert!(found.unwrap().is_some());
    assert!(signed_in.is_ok());
    renaming.await.unwrap().unwrap();
}
