//! The flows over real rooms: a database, a catalog, records.

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::{
    clock::Clock,
    db::{Durability, Options, quote_ident, testing::TempDir},
    error::Kind,
    files::Storage,
    identity::Cost,
    records::{Body, Shape},
    rules::{Checker, Request},
};

/// bcrypt of `longenough1` (`docs/wire/auth.md` §11).
const BCRYPT: &str = "$2a$10$xnt0LZOREFV2Figno.U43OkQgazIb521j/xYpI5dt6k.wBRJ884US";
const HOME: &str = "127.0.0.1";

struct House {
    auth: Auth,
    clock: Clock,
    _dir: TempDir,
}

/// A fresh server with the users `ann@x.co` and `bob@x.co`, password `longenough1`.
async fn house() -> House {
    let dir = TempDir::new();
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let options = Options { durability: Durability::Off, clock: clock.clone(), ..Options::default() };
    let db = Db::open(dir.path(), options).unwrap();
    let settings = settings::Store::open(db.clone(), None).unwrap();
    let schema = Schema::open(db.clone(), Arc::new(Checker)).unwrap();
    let storage = Storage::open(dir.path(), false).unwrap();
    let passwords = Passwords::new(Cost::Cheap);
    let records = Records::new(db.clone(), schema.clone(), storage, passwords.clone());
    let house = House { auth: Auth::new(db, schema, records, passwords, settings), clock, _dir: dir };
    for name in ["ann", "bob"] {
        house.create("users", json!({"email": format!("{name}@x.co"), "name": name})).await;
    }
    house
}

fn object(value: Json) -> Map<String, Json> {
    value.as_object().expect("an object").clone()
}

impl House {
    async fn create(&self, collection: &str, values: Json) {
        let mut values = object(values);
        for key in ["password", "passwordConfirm"] {
            values.entry(key).or_insert("longenough1".into());
        }
        let body = Body { values, uploads: Vec::new() };
        let request = Request { caller: Caller::system(), now: self.clock.now(), ..Request::default() };
        self.auth.records.create(request, collection, body, Shape::default()).await.unwrap();
    }

    async fn login(&self, collection: &str, body: Json) -> Result<Json> {
        let request = Request { method: "POST".into(), now: self.clock.now(), ..Request::default() };
        let address: IpAddr = HOME.parse().unwrap();
        let answer = self.auth.with_password(request, collection, object(body), Shape::default(), address).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// A token of Ann.
    async fn token(&self) -> String {
        let answer = self.login("users", ann()).await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    async fn refresh(&self, collection: &str, token: &str) -> Result<Json> {
        let caller = self.auth.caller(token).await.unwrap();
        let request = Request { method: "POST".into(), caller, now: self.clock.now(), ..Request::default() };
        let answer = self.auth.refresh(request, collection, token, Shape::default()).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// The e-mail of whom a header names; `None` for a guest.
    async fn whose(&self, header: &str) -> Option<String> {
        let caller = self.auth.caller(header).await.unwrap();
        Some(caller.record()?.row.text("email").unwrap().to_owned())
    }

    async fn configure(&self, change: Json) {
        self.auth.schema.update("users", object(change)).await.unwrap();
    }

    /// Writes a column of Ann's behind the records' back.
    async fn set(&self, column: &str, value: &str) {
        let sql = format!("UPDATE users SET {} = ?1 WHERE email = 'ann@x.co' RETURNING id", quote_ident(column));
        let value = value.to_owned();
        let id: Option<String> =
            self.auth.db.write(move |tx| tx.query_one(&sql, [&value], |row| row.get(0))).await.unwrap();
        self.auth.records.forget("_pb_users_auth_", &id.unwrap());
    }

    async fn get(&self, column: &str) -> String {
        let sql = format!("SELECT {} FROM users WHERE email = 'ann@x.co'", quote_ident(column));
        self.auth.db.read(move |tx| tx.query_one(&sql, [], |row| row.get(0))).await.unwrap().unwrap()
    }
}

fn ann() -> Json {
    json!({"identity": "ann@x.co", "password": "longenough1"})
}

fn codes(error: &Error) -> Vec<String> {
    error.issues.leaves().into_iter().map(|(path, code)| format!("{path}={code}")).collect()
}

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
async fn nobody_who_needs_a_second_factor_gets_in_without() {
    let house = house().await;
    for (rule, expected) in
        [("", Some(Kind::Forbidden)), ("name = 'bob'", None), ("name = 'ann'", Some(Kind::Forbidden))]
    {
        house.configure(json!({"mfa": {"enabled": true, "rule": rule}, "otp": {"enabled": true}})).await;
        let outcome = house.login("users", ann()).await.err().map(|error| error.kind);
        assert_eq!(outcome, expected, "{rule}");
    }
}

#[tokio::test]
async fn tokens_end_with_their_time_their_key_and_their_record() {
    let house = house().await;
    let token = house.token().await;
    assert!(house.whose(&token).await.is_some());
    house.set("tokenKey", &"n".repeat(50)).await;
    assert_eq!(house.whose(&token).await, None, "a new token key");

    let token = house.token().await;
    assert!(house.whose(&token).await.is_some());
    house.configure(json!({"authToken": {"secret": "n".repeat(50)}})).await;
    assert_eq!(house.whose(&token).await, None, "a new secret");

    let token = house.token().await;
    let start = house.clock.now().millis();
    let lifetime = 432_000_000;
    house.clock.set(Timestamp(start + lifetime - 1000));
    assert!(house.whose(&token).await.is_some());
    house.clock.set(Timestamp(start + lifetime));
    assert_eq!(house.whose(&token).await, None, "expired");

    let token = house.token().await;
    let id = house.get("id").await;
    let request = Request { caller: Caller::system(), ..Request::default() };
    assert!(house.whose(&token).await.is_some());
    house.auth.records.delete(request, "users", &id).await.unwrap();
    assert_eq!(house.whose(&token).await, None, "a deleted record");
}

#[tokio::test]
async fn refresh_gives_a_new_token_or_the_same() {
    let house = house().await;
    let token = house.token().await;
    house.clock.set(Timestamp(house.clock.now().millis() + 5000));
    let answer = house.refresh("users", &token).await.unwrap();
    assert_eq!(answer["record"]["email"], "ann@x.co");
    assert_ne!(answer["token"], token.as_str());
    assert!(house.whose(&token).await.is_some(), "the old one stays good");

    let (users, id) = (house.auth.auth_collection("users").unwrap(), house.get("id").await);
    let row = house.auth.records.load(&users, &id).await.unwrap().unwrap();
    let fixed = house.auth.issue(&users, &auth_record(&users, id.into(), row), Some(60)).unwrap();
    assert_eq!(house.refresh("users", &fixed).await.unwrap()["token"], fixed.as_str());
    assert_eq!(house.refresh("users", &format!("Bearer {fixed}")).await.unwrap()["token"], fixed.as_str());

    for (collection, token, expected) in [
        ("nope", &*token, Kind::NotFound),
        ("users", "", Kind::Unauthorized),
        ("_superusers", &token, Kind::Forbidden),
        ("_mfas", &token, Kind::Forbidden),
    ] {
        assert_eq!(house.refresh(collection, token).await.unwrap_err().kind, expected, "{collection}");
    }
}

#[tokio::test]
async fn a_bcrypt_hash_logs_in_and_becomes_argon2id_without_side_effects() {
    let house = house().await;
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
async fn superusers_may_be_bound_to_addresses() {
    let house = house().await;
    house.create("_superusers", json!({"email": "root@x.co"})).await;
    let body = json!({"identity": "root@x.co", "password": "longenough1"});
    let answer = house.login("_superusers", body.clone()).await.unwrap();
    assert!(house.auth.caller(answer["token"].as_str().unwrap()).await.unwrap().is_superuser());
    house.auth.settings.patch(object(json!({"superuserIPs": ["10.0.0.0/8"]}))).await.unwrap();
    assert_eq!(house.login("_superusers", body).await.unwrap_err().kind, Kind::Forbidden);
    let wrong = json!({"identity": "root@x.co", "password": "longenough2"});
    assert_eq!(house.login("_superusers", wrong).await.unwrap_err().kind, Kind::Invalid);
    assert!(house.login("users", ann()).await.is_ok(), "others are not meant");
}

#[tokio::test]
async fn the_installer_opens_the_door_until_somebody_is_in() {
    let house = house().await;
    let token = house.auth.installer().await.unwrap().unwrap();
    assert!(house.auth.caller(&token).await.unwrap().is_superuser());
    let again = house.auth.installer().await.unwrap().unwrap();
    assert!(house.auth.caller(&again).await.unwrap().is_superuser());
    assert!(house.auth.caller(&token).await.unwrap().is_superuser(), "the account is reused");
    assert_eq!(house.refresh("_superusers", &token).await.unwrap()["token"], token.as_str(), "it cannot be prolonged");

    house.auth.create_superuser("root@x.co", "longenough1").await.unwrap();
    assert!(matches!(house.auth.caller(&token).await.unwrap(), Caller::Guest));
    assert_eq!(house.auth.installer().await.unwrap(), None);
    let token = house.auth.superuser_token("root@x.co").await.unwrap();
    assert!(house.auth.caller(&token).await.unwrap().is_superuser());
}
