//! The flows over real rooms: a database, a catalog, records. One file per flow.

mod email_change;
mod forged;
mod impersonate;
mod linking;
mod mails;
mod mfa;
mod oauth2;
mod origins;
mod otp;
mod password;
mod password_reset;
mod provider;
mod superusers;
mod tokens;
mod verification;

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::{token::Grant, *};
use crate::{
    clock::Clock,
    db::{Durability, Options, quote_ident, testing::TempDir},
    error::Kind,
    files::Storage,
    identity::Cost,
    records::{Body, Script, Shape},
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
    house_that_mails(true).await
}

/// Captures its mails, or really sends them.
async fn house_that_mails(capture: bool) -> House {
    let dir = TempDir::new();
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let options = Options { durability: Durability::Off, clock: clock.clone(), ..Options::default() };
    let db = Db::open(dir.path(), options).unwrap();
    let settings = settings::Store::open(db.clone(), None).unwrap();
    let schema = Schema::open(db.clone(), Arc::new(Checker)).unwrap();
    let storage = Storage::open(dir.path(), false).unwrap();
    let passwords = Passwords::new(Cost::Cheap);
    let records = Records::new(db.clone(), schema.clone(), storage, passwords.clone(), Jobs::new(db.clone()));
    let mail = Mail::new(settings.clone(), clock.clone(), capture);
    let house = House {
        auth: Auth::new(db.clone(), schema, records, passwords, settings, mail, Jobs::new(db)),
        clock,
        _dir: dir,
    };
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

    /// Changes an account as the house itself.
    async fn edit(&self, collection: &str, email: &str, values: Json) {
        let auth_collection = self.auth.auth_collection(collection).unwrap();
        let record = self.auth.by_email(&auth_collection, email).await.unwrap().unwrap();
        let request = Request { caller: Caller::system(), now: self.clock.now(), ..Request::default() };
        let body = Body { values: object(values), uploads: Vec::new() };
        self.auth.records.update(request, collection, &record.id, body, Shape::default()).await.unwrap();
    }

    async fn login(&self, collection: &str, body: Json) -> Result<Json> {
        answer(self.auth.with_password(self.attempt(body), collection).await?)
    }

    /// A login of a guest from home.
    fn attempt(&self, body: Json) -> Login {
        let request =
            Request { method: "POST".into(), body: object(body), now: self.clock.now(), ..Request::default() };
        let visitor = Visitor { address: HOME.parse().unwrap(), user_agent: b"UA1".to_vec() };
        Login { request, shape: Shape::default(), visitor, mfa_id: String::new() }
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

    /// An account of `users` as it is stored.
    async fn user(&self, email: &str) -> AuthRecord {
        let users = self.auth.auth_collection("users").unwrap();
        self.auth.by_email(&users, email).await.unwrap().unwrap()
    }

    /// How many rows a table has.
    async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {}", quote_ident(table));
        self.auth.db.read(move |tx| tx.query_one(&sql, [], |row| row.get(0))).await.unwrap().unwrap()
    }

    /// A token of an account of `users`.
    async fn mint(&self, email: &str, grant: Grant<'_>) -> String {
        let users = self.auth.auth_collection("users").unwrap();
        self.auth.mint(&users, &self.user(email).await, grant, None).unwrap()
    }

    /// A session of Ann's that no login began, and so left no trace.
    async fn session(&self) -> String {
        self.mint("ann@x.co", Grant::Auth { refreshable: true }).await
    }

    /// Number of the last change: stays as long as nobody writes.
    async fn seq(&self) -> u64 {
        self.auth.db.read(|tx| tx.seq()).await.unwrap()
    }

    /// A row of a system collection that belongs to Ann.
    async fn attach(&self, collection: &str, values: Json) {
        let mut values = object(values);
        values.insert("collectionRef".into(), "_pb_users_auth_".into());
        values.insert("recordRef".into(), self.get("id").await.into());
        let collection = collection.to_owned();
        let script = move |script: &mut Script<'_, '_>| script.create(&collection, values.clone()).map(drop);
        self.auth.records.transact(None, script).await.unwrap();
    }

    /// One row for Ann in each system collection of accounts.
    async fn attach_all(&self) {
        self.attach("_mfas", json!({"method": "otp"})).await;
        self.attach("_otps", json!({"password": "12345678"})).await;
        // The one that every login of these tests comes from.
        self.attach("_authOrigins", json!({"fingerprint": "aa384f2ac61bcfdaff9042f18c991fea"})).await;
        self.attach("_externalAuths", json!({"provider": "google", "providerId": "1"})).await;
    }

    /// How many rows are left in `_mfas`, `_otps`, `_authOrigins` and `_externalAuths`.
    async fn attached(&self) -> [i64; 4] {
        let mut counts = [0; 4];
        for (count, table) in counts.iter_mut().zip(["_mfas", "_otps", "_authOrigins", "_externalAuths"]) {
            *count = self.count(table).await;
        }
        counts
    }

    fn wait(&self, seconds: i64) {
        self.clock.set(Timestamp(self.clock.now().millis() + seconds * 1000));
    }

    async fn get(&self, column: &str) -> String {
        let sql = format!("SELECT {} FROM users WHERE email = 'ann@x.co'", quote_ident(column));
        self.auth.db.read(move |tx| tx.query_one(&sql, [], |row| row.get(0))).await.unwrap().unwrap()
    }
}

/// What the client is told: the answer, or only the id of the first factor.
fn answer(outcome: SignedIn) -> Result<Json> {
    Ok(match outcome {
        SignedIn::Answer(answer) => serde_json::from_slice(&answer).unwrap(),
        SignedIn::SecondFactor { mfa_id } => json!({ "mfaId": mfa_id }),
    })
}

/// What a flow was told, as (kind, codes); `None` when it went well.
fn refusal<T>(outcome: Result<T>) -> Option<(Kind, Vec<String>)> {
    outcome.err().map(|error| (error.kind, codes(&error)))
}

/// A refusal of the input with these codes.
fn invalid(codes: &[&str]) -> Option<(Kind, Vec<String>)> {
    Some((Kind::Invalid, codes.iter().map(|&code| code.to_owned()).collect()))
}

fn home() -> std::net::IpAddr {
    HOME.parse().unwrap()
}

fn ann() -> Json {
    json!({"identity": "ann@x.co", "password": "longenough1"})
}

fn codes(error: &Error) -> Vec<String> {
    error.issues.leaves().into_iter().map(|(path, code)| format!("{path}={code}")).collect()
}
