//! Registrations and tests over a whole house.

use serde_json::{Map, Value as Json, json};

use crate::{
    app::{App, Config},
    clock::{Clock, Timestamp},
    db::testing::TempDir,
    error::{Kind, Result},
    identity::{AuthRecord, Caller},
    notify::{how::testing::Provider, who::devices::MOST},
    records::{Body, Shape},
    rules::{Context, Request},
};

const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

struct House {
    app: App,
    clock: Clock,
    _dir: TempDir,
}

impl House {
    /// With two users, `ann` and `bob` (15 letters each), and private networks allowed.
    async fn new(capture: bool) -> Self {
        let dir = TempDir::new();
        let clock = Clock::manual(Timestamp(1_800_000_000_000));
        let config = Config { clock: clock.clone(), capture_mail: capture, ..Config::new(dir.path().to_owned()) };
        let config =
            Config { durability: crate::db::Durability::Off, password_cost: crate::identity::Cost::Cheap, ..config };
        let app = App::open(config).unwrap();
        let patch = json!({"notify": {"allowPrivate": true}});
        app.settings.patch(patch.as_object().unwrap().clone()).await.unwrap();
        for name in ["ann", "bob"] {
            let values = json!({"id": name.repeat(5), "email": format!("{name}@x.co"), "password": "longenough1",
                "passwordConfirm": "longenough1"});
            let body = Body { values: values.as_object().unwrap().clone(), uploads: Vec::new() };
            let request =
                Request { caller: Caller::system(), now: clock.now(), context: Context::Default, ..Request::default() };
            app.records.create(request, "users", body, Shape::default()).await.unwrap();
        }
        Self { app, clock, _dir: dir }
    }

    async fn caller(&self, name: &str) -> Caller {
        let collection = self.app.schema.find("users").unwrap();
        let id = name.repeat(5);
        let row = self.app.records.load(&collection, &id).await.unwrap().unwrap();
        let (collection_id, collection_name) = (collection.id.clone(), collection.name.clone());
        Caller::of(AuthRecord { collection_id, collection_name, id: id.as_str().into(), row })
    }

    async fn register(&self, name: &str, body: Json) -> Result<Json> {
        self.clock.set(Timestamp(self.clock.now().0 + 1000));
        let caller = if name == "root" { Caller::system() } else { self.caller(name).await };
        let body: Map<String, Json> = body.as_object().unwrap().clone();
        Ok(self.app.notify.register_device(&caller, &body).await?.device)
    }

    /// Owner and token of all devices.
    fn devices(&self) -> Vec<(String, String)> {
        let sql = "SELECT recordRef, token FROM _devices ORDER BY lastSeen";
        self.app.db.read_blocking(|tx| tx.query_all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))).unwrap()
    }

    async fn close(self) {
        let db = self.app.db.clone();
        drop(self.app);
        db.close().await;
    }
}

fn browser(endpoint: &str) -> Json {
    json!({"kind": "webpush", "subscription": {"endpoint": endpoint, "keys": {"p256dh": P256DH, "auth": AUTH}}})
}

#[actix_web::test]
async fn a_device_is_of_whoever_signed_in_there_last() {
    let house = House::new(true).await;
    let mut body = browser("https://push.example/1");
    body["label"] = "Phone".into();
    let first = house.register("ann", body).await.unwrap();
    assert_eq!(
        (&first["kind"], &first["label"], &first["user"]),
        (&json!("webpush"), &json!("Phone"), &json!("users/annannannannann"))
    );
    assert!(!first.to_string().contains(AUTH) && !first.to_string().contains("push.example"));
    let again = house.register("ann", browser("https://push.example/1")).await.unwrap();
    assert_eq!((&again["id"], &again["label"]), (&first["id"], &json!("Phone")));
    let moved = house.register("bob", browser("https://push.example/1")).await.unwrap();
    assert_eq!((&moved["id"], &moved["label"]), (&first["id"], &json!("")));
    assert_eq!(house.devices(), [("bob".repeat(5), "https://push.example/1".to_owned())]);
    house.close().await;
}

#[actix_web::test]
async fn who_may_register_for_whom() {
    let house = House::new(true).await;
    let fcm = |user: &str| json!({"kind": "fcm", "token": "t1", "user": user});
    let for_bob = house.register("root", fcm("users/bobbobbobbobbob")).await.unwrap();
    assert_eq!(for_bob["user"], "users/bobbobbobbobbob");
    assert!(house.register("bob", fcm("users/bobbobbobbobbob")).await.is_ok());
    assert_eq!(house.register("ann", fcm("users/bobbobbobbobbob")).await.unwrap_err().kind, Kind::Forbidden);
    for user in ["users/nobodynobodyno", "bob", "posts/x", "_topics/x"] {
        let error = house.register("root", fcm(user)).await.unwrap_err();
        assert_eq!(error.issues.leaves(), [("user".to_owned(), "validation_missing_record")], "{user}");
    }
    let guest = house.app.notify.register_device(&Caller::Guest, &Map::new()).await;
    assert_eq!(guest.unwrap_err().kind, Kind::Unauthorized);
    house.close().await;
}

#[actix_web::test]
async fn a_webhooks_secret_is_told_once_and_guards_it() {
    let house = House::new(true).await;
    let hook = |secret: Option<&str>| json!({"kind": "webhook", "url": "https://hook.example/1", "secret": secret});
    let first = house.register("ann", hook(None)).await.unwrap();
    let secret = first["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && house.register("ann", hook(None)).await.unwrap().get("secret").is_none());
    assert_eq!(house.register("bob", hook(None)).await.unwrap_err().kind, Kind::Invalid);
    assert!(house.register("bob", hook(Some(&secret))).await.unwrap().get("secret").is_none());
    assert_eq!(house.devices()[0].0, "bob".repeat(5));
    house.close().await;
}

#[actix_web::test]
async fn of_too_many_the_oldest_goes() {
    let house = House::new(true).await;
    house.register("bob", json!({"kind": "fcm", "token": "bobs"})).await.unwrap();
    for n in 0..MOST {
        house.register("ann", json!({"kind": "fcm", "token": format!("t{n}")})).await.unwrap();
    }
    house.register("ann", json!({"kind": "fcm", "token": "t0"})).await.unwrap();
    house.register("ann", json!({"kind": "fcm", "token": "new"})).await.unwrap();
    let tokens: Vec<String> = house.devices().into_iter().map(|(_, token)| token).collect();
    assert_eq!(tokens.len(), MOST + 1);
    assert_eq!((&*tokens[0], &*tokens[1], &*tokens[MOST - 1], &*tokens[MOST]), ("bobs", "t2", "t0", "new"));
    house.close().await;
}

#[actix_web::test]
async fn a_test_tells_how_far_it_came() {
    let house = House::new(false).await;
    let service = Provider::answering(|seen, _| {
        let head = if seen.path == "/gone" { "410 Gone" } else { "201 Created" };
        (head.to_owned(), String::new())
    })
    .await;
    let (ann, bob) = (house.caller("ann").await, house.caller("bob").await);
    for (endpoint, ok, failed, removed) in [
        (service.url("/fine"), true, Json::Null, false),
        (service.url("/gone"), false, json!("accepted"), true),
        ("http://127.0.0.1:1/".to_owned(), false, json!("connect"), false),
        ("https://nobody.invalid/".to_owned(), false, json!("resolve"), false),
    ] {
        let id = house.register("ann", browser(&endpoint)).await.unwrap()["id"].as_str().unwrap().to_owned();
        assert_eq!(house.app.notify.try_device(&bob, &id).await.unwrap_err().kind, Kind::NotFound);
        let told = house.app.notify.try_device(&ann, &id).await.unwrap();
        assert_eq!((&told["ok"], &told["failed"], &told["removed"]), (&json!(ok), &failed, &json!(removed)), "{told}");
    }
    assert_eq!(house.devices().len(), 3);
    let id = house.register("ann", browser(&service.url("/fine"))).await.unwrap()["id"].as_str().unwrap().to_owned();
    let mut busy = None;
    for _ in 0..6 {
        busy = house.app.notify.try_device(&ann, &id).await.err();
    }
    assert_eq!(busy.unwrap().kind, Kind::TooMany);
    house.close().await;
}

#[actix_web::test]
async fn where_nothing_leaves_a_test_is_kept() {
    let house = House::new(true).await;
    let ann = house.caller("ann").await;
    for body in [
        browser("https://push.example/1"),
        json!({"kind": "fcm", "token": "t"}),
        json!({"kind": "webhook", "url": "https://hook.example/"}),
    ] {
        let id = house.register("ann", body.clone()).await.unwrap()["id"].as_str().unwrap().to_owned();
        let told = house.app.notify.try_device(&ann, &id).await.unwrap();
        assert_eq!((&told["ok"], &told["message"]), (&json!(true), &json!("captured")), "{body}");
    }
    house.close().await;
}
