//! Against a Google that tests are.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer,
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::json;

use super::*;
use crate::{
    clock::Timestamp,
    mail::Mail,
    notify::how::testing::{Provider, Seen, store, ticket},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

fn account() -> String {
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&*KEY).unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    json!({"type": "service_account", "project_id": "proj-1", "private_key_id": "kid1", "private_key": pem,
        "client_email": "x@proj-1.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token"})
    .to_string()
}

/// Answers requests for tokens with `tok-N` (N counts), and others with what the test says.
async fn google(answer: impl Fn(&Seen) -> (u16, &'static str) + Send + Sync + 'static) -> Provider {
    Provider::answering(move |seen, count| {
        if seen.path == "/token" {
            let body = json!({"access_token": format!("tok-{count}"), "expires_in": 3600, "token_type": "Bearer"});
            return ("200 OK".to_owned(), body.to_string());
        }
        let (status, body) = answer(seen);
        (format!("{status} X"), body.to_owned())
    })
    .await
}

fn ok(_: &Seen) -> (u16, &'static str) {
    (200, r#"{"name":"projects/proj-1/messages/5"}"#)
}

fn error(status: u16, code: &str) -> &'static str {
    let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
    let details = json!([{"@type": "x"}, {"@type": kind, "errorCode": code}]);
    json!({"error": {"code": status, "message": "words", "status": "X", "details": details}}).to_string().leak()
}

struct Sender {
    fcm: Fcm,
    db: crate::db::Db,
    _dir: crate::db::testing::TempDir,
}

impl Sender {
    async fn new(google: &Provider, account: &str) -> Self {
        let fcm = json!({"baseURL": google.url("/"), "tokenURL": google.url("/token")});
        let (settings, db, _dir) = store(json!({"notify": {"fcm": fcm}})).await;
        // Past the checks of the settings: older ones may hold anything.
        let account = account.to_owned();
        let put = move |settings: &mut settings::Settings| {
            settings.notify.fcm.service_account.clone_from(&account);
            true
        };
        settings.change(put).await.unwrap();
        let clock = Clock::manual(NOW);
        let capture = Capture::new(&Mail::new(settings.clone(), clock.clone(), false), &clock, false);
        let fcm = Fcm::new(settings, clock, Arc::new(Outgoing::default()), capture);
        Self { fcm, db, _dir }
    }

    async fn send(&self) -> Tried {
        let (kind, token) = ("fcm".to_owned(), "device-token".to_owned());
        let device = Device { id: "x".to_owned(), kind, token, secrets: serde_json::Map::new() };
        let letter = Letter { title: "T".to_owned(), ..Letter::default() };
        self.fcm.try_out(&letter, &Target::Device(Arc::new(device)), &ticket()).await
    }

    async fn close(self) {
        drop(self.fcm);
        self.db.close().await;
    }
}

#[actix_web::test]
async fn one_token_serves_all_messages() {
    let google = google(ok).await;
    let sender = Sender::new(&google, &account()).await;
    for tried in futures_util::future::join_all((0..5).map(|_| sender.send())).await {
        assert_eq!(tried.outcome, Outcome::Sent { receipt: Some("projects/proj-1/messages/5".to_owned()) });
    }
    let seen = google.seen();
    let asked: Vec<&Seen> = seen.iter().filter(|seen| seen.path == "/token").collect();
    assert_eq!((asked.len(), seen.len()), (1, 6));
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&asked[0].body).into_owned().collect();
    assert_eq!(form[0], ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()));
    let mut checks = Validation::new(Algorithm::RS256);
    checks.validate_exp = false;
    checks.set_audience(&[google.url("/token")]);
    let key = DecodingKey::from_rsa_der(KEY.public_key().as_ref());
    let token = decode::<Json>(&form[1].1, &key, &checks).unwrap();
    assert_eq!(token.header.kid.as_deref(), Some("kid1"));
    assert_eq!(token.claims["iss"], "x@proj-1.iam.gserviceaccount.com");
    assert_eq!(token.claims["exp"], json!(NOW.seconds() + 3600));
    let sent = &seen[1];
    assert_eq!(
        (sent.path.as_str(), sent.header("authorization")),
        ("/v1/projects/proj-1/messages:send", "Bearer tok-1")
    );
    let body: Json = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["message"]["token"], "device-token");
    sender.close().await;
}

#[actix_web::test]
async fn a_token_that_was_taken_back_is_replaced_once() {
    let first = google(|seen| if seen.header("authorization") == "Bearer tok-1" { (401, "") } else { ok(seen) }).await;
    let sender = Sender::new(&first, &account()).await;
    assert!(matches!(sender.send().await.outcome, Outcome::Sent { .. }));
    let paths: Vec<String> = first.seen().iter().map(|seen| seen.path.clone()).collect();
    let message = "/v1/projects/proj-1/messages:send";
    assert_eq!(paths, ["/token", message, "/token", message]);
    sender.close().await;
    let always = google(|_| (401, "no")).await;
    let sender = Sender::new(&always, &account()).await;
    assert_eq!(sender.send().await.outcome, Outcome::Refused("401 Unauthorized: no".to_owned()));
    assert_eq!(always.seen().len(), 4);
    sender.close().await;
}

#[actix_web::test]
async fn what_google_answers() {
    #[derive(Debug, PartialEq)]
    enum Is {
        Gone,
        Refused,
        Later(Option<u64>),
    }
    for (status, body, expected) in [
        (404, error(404, "UNREGISTERED"), Is::Gone),
        (404, "<html>no such page</html>", Is::Refused),
        (400, error(400, "INVALID_ARGUMENT"), Is::Refused),
        (403, error(403, "SENDER_ID_MISMATCH"), Is::Refused),
        (401, error(401, "THIRD_PARTY_AUTH_ERROR"), Is::Refused),
        (429, error(429, "QUOTA_EXCEEDED"), Is::Later(Some(60))),
        (503, error(503, "UNAVAILABLE"), Is::Later(None)),
        (500, error(500, "INTERNAL"), Is::Later(None)),
        (502, "", Is::Later(None)),
    ] {
        let google = google(move |_| (status, body)).await;
        let sender = Sender::new(&google, &account()).await;
        let tried = sender.send().await;
        let is = match tried.outcome {
            Outcome::Gone(_) => Is::Gone,
            Outcome::Refused(_) => Is::Refused,
            Outcome::Later { retry_after, .. } => Is::Later(retry_after.map(|wait| wait.as_secs())),
            Outcome::Sent { .. } => panic!("{status} {body}"),
        };
        assert_eq!((is, tried.failed, tried.status), (expected, Some("accepted"), Some(status)), "{status} {body}");
        assert_eq!(google.seen().len(), 2, "no second token: {status} {body}");
        sender.close().await;
    }
}

#[actix_web::test]
async fn without_access_nobody_is_sent_anything() {
    let nobody = google(ok).await;
    for (account, words) in [
        (String::new(), "not set up"),
        ("{".to_owned(), "no JSON"),
        ("{}".to_owned(), "no project_id"),
        (account().replace("proj-1\"", "../x\""), "malformed"),
        (json!({"project_id": "p", "client_email": "e", "private_key": "k"}).to_string(), "no RSA key"),
    ] {
        let sender = Sender::new(&nobody, &account).await;
        let tried = sender.send().await;
        let Outcome::Refused(why) = &tried.outcome else { panic!("{tried:?}") };
        assert!(why.contains(words) && tried.failed == Some("settings"), "{why}");
        sender.close().await;
    }
    assert!(nobody.seen().is_empty());
    let closed = Provider::answering(|_, _| ("503 X\r\nretry-after: 30".to_owned(), String::new())).await;
    let sender = Sender::new(&closed, &account()).await;
    for tried in futures_util::future::join_all((0..5).map(|_| sender.send())).await {
        let Outcome::Later { retry_after, .. } = tried.outcome else { panic!("{tried:?}") };
        assert_eq!(
            (retry_after, tried.failed, tried.status),
            (Some(Duration::from_secs(30)), Some("access"), Some(503))
        );
    }
    assert_eq!(closed.seen().len(), 1, "the failure is shared");
    sender.close().await;
}
