//! Against push services that tests are.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    hmac,
};
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    clock::Timestamp,
    mail::Mail,
    notify::how::testing::{Provider, Seen, store, ticket},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// The other side of a subscription.
struct Browser {
    key: PrivateKey,
    auth: [u8; 16],
}

impl Browser {
    fn new() -> Self {
        Self { key: PrivateKey::generate(&ECDH_P256).unwrap(), auth: [7; 16] }
    }

    fn public(&self) -> Vec<u8> {
        self.key.compute_public_key().unwrap().as_ref().to_vec()
    }

    fn target(&self, endpoint: String) -> Target {
        let text = |bytes: &[u8]| Json::from(URL_SAFE_NO_PAD.encode(bytes));
        let secrets = [("p256dh".to_owned(), text(&self.public())), ("auth".to_owned(), text(&self.auth))];
        let secrets = secrets.into_iter().collect();
        Target::Device(Arc::new(Device { id: "x".to_owned(), kind: "webpush".to_owned(), token: endpoint, secrets }))
    }

    /// As RFC 8188 and 8291 read, with HMAC instead of the sender's HKDF.
    fn open(&self, body: &[u8]) -> Json {
        let (salt, theirs, sealed) = (&body[..16], &body[21..86], &body[86..]);
        assert_eq!((&body[16..20], body[20]), (&4096u32.to_be_bytes()[..], 65));
        let mac = |key: &[u8], text: &[&[u8]]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &text.concat()).as_ref().to_vec()
        };
        let ikm = agree(&self.key, UnparsedPublicKey::new(&ECDH_P256, theirs), (), |secret| {
            let prk = mac(&self.auth, &[secret]);
            Ok(mac(&prk, &[b"WebPush: info\0", &self.public(), theirs, &[1]]))
        });
        let prk = mac(salt, &[&ikm.unwrap()]);
        let key = mac(&prk, &[b"Content-Encoding: aes128gcm\0\x01"]);
        let nonce = mac(&prk, &[b"Content-Encoding: nonce\0\x01"]);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
        let mut sealed = sealed.to_vec();
        let open = key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap();
        let (last, message) = open.split_last().unwrap();
        assert_eq!(*last, 2);
        serde_json::from_slice(message).unwrap()
    }
}

fn sender(settings: settings::Store) -> WebPush {
    let clock = Clock::manual(NOW);
    let capture = Capture::new(&Mail::new(settings.clone(), clock.clone(), false), &clock, false);
    WebPush::new(settings, clock, Arc::new(Outgoing::default()), capture)
}

fn letter() -> Letter {
    let expires = Some(Timestamp(NOW.0 + 3_600_500));
    Letter {
        title: "Hello".to_owned(),
        priority: Priority::Low,
        collapse: "k".to_owned(),
        expires,
        ..Letter::default()
    }
}

async fn pushed(service: &Provider, browser: &Browser, letter: &Letter) -> (Tried, Vec<Seen>) {
    let (settings, db, _dir) = store(json!({})).await;
    let push = sender(settings);
    let tried = push.try_out(letter, &browser.target(service.url("/push/1")), &ticket()).await;
    drop(push);
    db.close().await;
    (tried, service.seen())
}

#[actix_web::test]
async fn a_browser_reads_what_was_sent() {
    let service = Provider::always("201 Created\r\nlocation: /message/7").await;
    let browser = Browser::new();
    let (tried, seen) = pushed(&service, &browser, &letter()).await;
    assert_eq!(tried.outcome, Outcome::Sent { receipt: Some("/message/7".to_owned()) });
    assert_eq!((tried.failed, tried.status), (None, Some(201)));
    let [seen] = &seen[..] else { panic!("{seen:?}") };
    let names = ["content-encoding", "ttl", "urgency", "topic"];
    let topic = topic(&letter(), &ticket());
    assert_eq!(names.map(|name| seen.header(name)), ["aes128gcm", "3600", "low", topic.as_str()]);
    assert!(topic.len() == 32 && !topic.contains("k="));
    assert!(seen.header("authorization").starts_with("vapid t=ey"));
    assert_eq!(browser.open(&seen.body), json!({"id": "d1", "title": "Hello", "body": "", "tag": "k"}));
}

#[actix_web::test]
async fn what_services_answer() {
    let minute = Some(Duration::from_secs(60));
    let sent = Outcome::Sent { receipt: None };
    let later = |why: &str, retry_after| Outcome::Later { why: why.to_owned(), retry_after };
    let refused = |why: &str| Outcome::Refused(why.to_owned());
    for (head, expected) in [
        ("202 Accepted", sent),
        ("404 Not Found", Outcome::Gone("404 Not Found".to_owned())),
        ("410 Gone", Outcome::Gone("410 Gone".to_owned())),
        ("413 Payload Too Large", refused("413 Payload Too Large")),
        ("400 Bad Request", refused("400 Bad Request")),
        ("401 Unauthorized", refused("401 Unauthorized")),
        ("403 Forbidden", refused("403 Forbidden")),
        ("307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/", refused("307 Temporary Redirect")),
        ("429 Too Many Requests\r\nretry-after: 60", later("429 Too Many Requests", minute)),
        (
            "503 Service Unavailable\r\nretry-after: Fri, 15 Jan 2027 08:01:00 GMT",
            later("503 Service Unavailable", minute),
        ),
        ("500 Internal Server Error", later("500 Internal Server Error", None)),
    ] {
        let service = Provider::always(head).await;
        let (tried, _) = pushed(&service, &Browser::new(), &letter()).await;
        assert_eq!(tried.outcome, expected, "{head}");
        let accepted = matches!(tried.outcome, Outcome::Sent { .. });
        assert_eq!(tried.failed, (!accepted).then_some("accepted"), "{head}");
    }
}

#[actix_web::test]
async fn a_failure_names_its_step() {
    let (settings, db, _dir) = store(json!({})).await;
    let push = sender(settings.clone());
    let service = Provider::always("201 Created").await;
    let browser = Browser::new();
    let step = async |target: Target| push.try_out(&letter(), &target, &ticket()).await;
    for (endpoint, failed, passes) in [
        ("nonsense", "url", false),
        ("http://169.254.169.254/", "address", false),
        ("https://nobody.invalid/", "resolve", true),
        ("http://127.0.0.1:1/", "connect", true),
    ] {
        let tried = step(browser.target(endpoint.to_owned())).await;
        assert_eq!(tried.failed, Some(failed), "{endpoint}");
        assert_eq!(matches!(tried.outcome, Outcome::Later { .. }), passes, "{endpoint}");
    }
    let Target::Device(device) = browser.target(service.url("/")) else { unreachable!() };
    let broken = Device { secrets: serde_json::Map::new(), ..Device::clone(&device) };
    assert_eq!(step(Target::Device(Arc::new(broken))).await.failed, Some("subscription"));
    assert_eq!(step(Target::Inbox).await.failed, Some("subscription"));
    let private = json!({"notify": {"allowPrivate": false}});
    settings.patch(private.as_object().unwrap().clone()).await.unwrap();
    assert_eq!(step(Target::Device(device.clone())).await.failed, Some("address"));
    settings
        .change(|settings| {
            (settings.notify.allow_private, settings.notify.web_push.public_key) = (true, "x".to_owned());
            true
        })
        .await
        .unwrap();
    assert_eq!(step(Target::Device(device.clone())).await.failed, Some("settings"));
    settings
        .change(|settings| {
            settings.notify.web_push.public_key = String::new();
            settings.notify.web_push.private_key = "x".to_owned();
            true
        })
        .await
        .unwrap();
    let tried = step(Target::Device(device)).await;
    assert!(tried.failed == Some("settings") && matches!(tried.outcome, Outcome::Refused(_)), "{tried:?}");
    assert!(service.seen().is_empty());
    drop(push);
    drop(settings);
    db.close().await;
}
