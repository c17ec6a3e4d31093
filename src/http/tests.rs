//! The wire in one process: requests go through the whole of [`middleware::answer`], without a socket.

use std::{
    io::{Read, Write},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    body::to_bytes,
    http::{ConnectionType, Method, StatusCode, header::HeaderMap},
    test::TestRequest,
};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use super::{Shared, Wire, health::Health, middleware, server::Options};
use crate::{
    app::{App, Config},
    db::{Durability, testing::TempDir},
};

const ADMIN: &str = "admin@example.com";

/// A server on an empty directory, with one superuser.
struct Server {
    wire: Rc<Wire>,
    token: String,
    _dir: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn config(dir: &Path) -> Config {
    Config {
        durability: Durability::Off,
        query_timeout: Duration::from_secs(5),
        temporary: true,
        log_retention: 0,
        ..Config::new(dir.to_owned())
    }
}

impl Server {
    async fn start() -> Self {
        let dir = TempDir::new();
        let app = App::open(config(dir.path())).unwrap();
        app.auth.create_superuser(ADMIN, "1234567890").await.unwrap();
        let token = app.auth.superuser_token(ADMIN).await.unwrap();
        let shared = Shared::new(&app, &Options::default());
        let wire = Rc::new(Wire::new(app.clone(), Health::new(app, None, &[]), shared));
        Self { wire, token, _dir: dir }
    }

    async fn ask(&self, request: TestRequest) -> Answer {
        let (http, payload) = request.peer_addr("127.0.0.1:9".parse().unwrap()).to_http_parts();
        let response = middleware::answer(self.wire.clone(), http, payload).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        Answer { status, headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, uri: &str) -> Answer {
        self.ask(TestRequest::with_uri(uri)).await
    }

    /// The address of a stored file that only superusers may read; it says "secret".
    async fn locked_file(&self) -> String {
        let fields = json!([{"name": "f", "type": "file", "protected": true}]);
        let made = self.admin(Method::POST, "/api/collections", json!({"name": "locked", "fields": fields})).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let form = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nsecret\r\n--b--\r\n";
        let upload = TestRequest::with_uri("/api/collections/locked/records")
            .method(Method::POST)
            .insert_header(("Authorization", self.token.as_str()))
            .insert_header(("Content-Type", "multipart/form-data; boundary=b"))
            .set_payload(form);
        let record = self.ask(upload).await.json();
        format!("/api/files/locked/{}/{}", record["id"].as_str().unwrap(), record["f"].as_str().unwrap())
    }

    /// As the superuser.
    async fn admin(&self, method: Method, uri: &str, body: Json) -> Answer {
        let request = TestRequest::with_uri(uri).method(method).insert_header(("Authorization", self.token.as_str()));
        self.ask(if body.is_null() { request } else { request.set_json(body) }).await
    }
}

#[actix_web::test]
async fn what_is_unknown_is_not_found() {
    let server = Server::start().await;
    for (method, uri) in [
        (Method::GET, "/"),
        (Method::GET, "/api"),
        (Method::GET, "/api/health/"),
        (Method::GET, "/API/health"),
        (Method::POST, "/api/health"),
        (Method::PUT, "/api/collections/users/records/abc"),
        (Method::GET, "/api/batch"),
        (Method::GET, "/api/collections/a/b/c/d/e/f"),
        (Method::GET, "/api/collections/a%2Frecords"),
        (Method::GET, "/api/collections/nope/records"),
        (Method::GET, "/_/nope"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/health"),
    ] {
        let answer = server.admin(method.clone(), uri, Json::Null).await;
        assert_eq!(answer.status, 404, "{method} {uri}");
        let body = answer.json();
        assert_eq!((&body["status"], &body["data"]), (&json!(404), &json!({})), "{method} {uri}");
        assert!(body["message"].as_str().unwrap().ends_with('.'));
        assert_eq!(body.as_object().unwrap().len(), 3);
    }
}

#[actix_web::test]
async fn every_answer_carries_its_headers() {
    let server = Server::start().await;
    let mut ids = std::collections::HashSet::new();
    for uri in ["/api/health", "/nope", "/_/"] {
        let answer = server.ask(TestRequest::with_uri(uri).insert_header(("Origin", "http://a"))).await;
        for (name, value) in [
            ("x-xss-protection", "1; mode=block"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("cross-origin-opener-policy", "same-origin"),
            ("vary", "Origin"),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{uri} {name}");
        }
        assert!(ids.insert(answer.header("x-request-id").unwrap().to_owned()));
    }
}

#[actix_web::test]
async fn a_panic_is_answered_and_its_connection_lives() {
    let server = Server::start().await;
    let (app, health, shared) = (server.wire.app.clone(), server.wire.health.clone(), server.wire.shared.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listening = actix_web::HttpServer::new(move || {
        let wire = Rc::new(Wire::new(app.clone(), health.clone(), shared.clone()));
        let answer = move |http: actix_web::HttpRequest, payload: actix_web::web::Payload| {
            middleware::answer(wire.clone(), http, payload.into_inner())
        };
        actix_web::App::new().default_service(actix_web::web::to(answer))
    });
    let running = listening.workers(1).listen(listener).unwrap().run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    let conversation = move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        for path in ["/api/test/panic", "/api/test/panic", "/api/health"] {
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n\r\n").unwrap();
        }
        let mut said = Vec::new();
        let mut piece = [0; 4096];
        while String::from_utf8_lossy(&said).matches("}").count() < 5 {
            match stream.read(&mut piece).unwrap() {
                0 => break,
                length => said.extend_from_slice(&piece[..length]),
            }
        }
        String::from_utf8(said).unwrap()
    };
    let said = tokio::task::spawn_blocking(conversation).await.unwrap();
    for (words, times) in [
        ("HTTP/1.1 500 ", 2),
        ("HTTP/1.1 200 ", 1),
        ("\"data\":{}", 3),
        ("\"status\":500", 2),
        ("x-content-type-options: nosniff", 3),
        ("access-control-allow-origin: *", 3),
        ("secret", 0),
    ] {
        assert_eq!(said.matches(words).count(), times, "{words}: {said}");
    }
    handle.stop(false).await;
}

/// Memory that a log is written to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[actix_web::test]
#[expect(clippy::await_holding_refcell_ref, reason = "that is what makes the handler panic")]
async fn a_handler_that_panics_answers_500_and_the_server_goes_on() {
    let server = Server::start().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let uri = "/api/collections/users/records?secret=1";

    // A promise that the code makes to itself, broken: the handlers of records borrow this, too.
    let borrowed = server.wire.asked.borrow_mut();
    let (panicked, meanwhile) = tokio::join!(server.get(uri), server.get("/api/health"));
    drop(borrowed);
    assert_eq!((panicked.status.as_u16(), meanwhile.status.as_u16()), (500, 200));
    assert_eq!(panicked.header("content-type"), Some("application/json"));
    assert_eq!(panicked.header("x-content-type-options"), Some("nosniff"));
    let body = panicked.json();
    assert_eq!((&body["status"], &body["data"], body.as_object().unwrap().len()), (&json!(500), &json!({}), 3));
    assert!(!panicked.text.contains("borrow"), "{}", panicked.text);
    let logged = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(logged.contains(panicked.header("x-request-id").unwrap()), "{logged}");
    assert!(logged.contains("a handler panicked") && logged.contains("borrowed"), "{logged}");

    let next = server.get(uri).await;
    assert_eq!(next.status, 200, "{}", next.text);
    assert_ne!(next.header("x-request-id"), panicked.header("x-request-id"));
}

#[actix_web::test]
async fn unclean_paths_and_preflights_end_early() {
    let server = Server::start().await;
    for (uri, location) in
        [("//api/../api/health?a=1", "/api/health?a=1"), ("/_", "/_/"), ("//evil.example", "/evil.example")]
    {
        let answer = server.get(uri).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (307, Some(location)), "{uri}");
        assert_eq!(answer.header("vary"), None);
    }
    let preflight = TestRequest::with_uri("/anything").method(Method::OPTIONS).insert_header(("Origin", "http://a"));
    let answer = server.ask(preflight).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,HEAD,PUT,PATCH,POST,DELETE"));
    assert_eq!(answer.header("x-frame-options"), None);
}

#[actix_web::test]
async fn what_is_no_path_is_not_redirected() {
    let server = Server::start().await;
    for (method, uri, status) in [(Method::OPTIONS, "*", 204), (Method::CONNECT, "example.com:80", 404)] {
        let answer = server.ask(TestRequest::with_uri(uri).method(method.clone())).await;
        assert_eq!(answer.status, status, "{method} {uri}");
    }
}

#[actix_web::test]
async fn who_wants_another_protocol_is_told_that_the_connection_closes() {
    let server = Server::start().await;
    for (method, uri, upgrade, kind) in [
        (Method::GET, "/api/health", "h2c", ConnectionType::Close),
        (Method::GET, "//api/health", "h2c", ConnectionType::Close),
        (Method::OPTIONS, "/api/health", "websocket", ConnectionType::Close),
        (Method::CONNECT, "example.com:80", "", ConnectionType::Close),
        (Method::GET, "/api/health", "", ConnectionType::KeepAlive),
    ] {
        let mut request = TestRequest::with_uri(uri).method(method.clone());
        if !upgrade.is_empty() {
            request = request.insert_header(("Upgrade", upgrade));
        }
        let (http, payload) = request.to_http_parts();
        let response = middleware::answer(server.wire.clone(), http, payload).await;
        assert_eq!(response.head().connection_type(), kind, "{method} {uri}");
    }
}

#[test]
fn an_unusable_key_leaves_no_directory_behind() {
    let place = TempDir::new();
    let dir = place.path().join("new");
    let config = Config { encryption_key: Some("short".to_owned()), ..config(&dir) };
    assert!(App::open(config).is_err_and(|error| error.message.contains("5 bytes")));
    assert!(!dir.exists());
}

#[actix_web::test]
async fn health_tells_superusers_more() {
    let server = Server::start().await;
    let guest = server.get("/api/health").await.json();
    assert_eq!((&guest["code"], &guest["data"]), (&json!(200), &json!({})));
    assert_eq!(server.get("/api/health?fields=code").await.json(), json!({"code": 200}));
    let head = server.ask(TestRequest::with_uri("/api/health").method(Method::HEAD)).await;
    assert_eq!(head.status, 200);

    let asked = TestRequest::with_uri("/api/health")
        .insert_header(("Authorization", format!("bearer {}", server.token)))
        .insert_header(("CF-Connecting-IP", ""))
        .insert_header(("X-Forwarded-For", "1.2.3.4"));
    let data = server.ask(asked).await.json()["data"].clone();
    assert_eq!(data, json!({"canBackup": true, "realIP": "127.0.0.1", "possibleProxyHeader": "X-Forwarded-For"}));

    let broken = TestRequest::with_uri("/api/health").insert_header(("Authorization", "Basic abc"));
    assert_eq!(server.ask(broken).await.json()["data"], json!({}));
}

#[actix_web::test]
async fn superuser_routes_are_guarded() {
    let server = Server::start().await;
    for (method, uri) in [
        (Method::GET, "/api/settings"),
        (Method::PATCH, "/api/settings"),
        (Method::GET, "/api/collections"),
        (Method::POST, "/api/collections"),
        (Method::GET, "/api/collections/users"),
        (Method::PATCH, "/api/collections/users"),
        (Method::DELETE, "/api/collections/users"),
        (Method::DELETE, "/api/collections/users/truncate"),
        (Method::PUT, "/api/collections/import"),
        (Method::GET, "/api/collections/meta/scaffolds"),
        (Method::GET, "/api/collections/meta/oauth2-providers"),
        (Method::POST, "/api/collections/meta/dry-run-view"),
    ] {
        let answer = server.ask(TestRequest::with_uri(uri).method(method.clone()).set_payload("{broken")).await;
        assert_eq!(answer.status, 401, "{method} {uri}");
    }
}

#[actix_web::test]
async fn settings_are_patched_and_keep_their_secrets() {
    let server = Server::start().await;
    let patch = json!({"meta": {"appName": "Z"}, "smtp": {"password": "hush"}});
    let answer = server.admin(Method::PATCH, "/api/settings", patch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!answer.text.contains("hush"));
    assert_eq!(server.admin(Method::GET, "/api/settings", Json::Null).await.json()["meta"]["appName"], "Z");
    assert_eq!(server.wire.app.settings.current().smtp.password, "hush");

    let picked = server.admin(Method::GET, "/api/settings?fields=meta.appName", Json::Null).await;
    assert_eq!(picked.json(), json!({"meta": {"appName": "Z"}}));

    let answer = server.admin(Method::PATCH, "/api/settings", json!({"meta": {"appURL": "x"}})).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["data"]["meta"]["appURL"]["code"]),
        (400, &json!("validation_is_url"))
    );

    let form = TestRequest::patch()
        .uri("/api/settings")
        .insert_header(("Authorization", server.token.as_str()))
        .insert_header(("Content-Type", "application/x-www-form-urlencoded"))
        .set_payload("meta.appName=123&logs.maxDays=7&meta.hideControls=true");
    let body = server.ask(form).await.json();
    assert_eq!(
        (&body["meta"]["appName"], &body["meta"]["hideControls"], &body["logs"]["maxDays"]),
        (&json!("123"), &json!(true), &json!(7))
    );
}

#[actix_web::test]
async fn superusers_come_from_listed_addresses_only() {
    let server = Server::start().await;
    let patch = |list: &[&str]| json!({"superuserIPs": list});
    let file = server.locked_file().await;
    let token = server.admin(Method::POST, "/api/files/token", Json::Null).await.json()["token"].clone();
    let with_token = format!("{file}?token={}", token.as_str().unwrap());
    assert_eq!(
        (server.get(&file).await.status, server.get(&with_token).await.text),
        (404.try_into().unwrap(), "secret".into())
    );
    assert_eq!(server.admin(Method::PATCH, "/api/settings", patch(&["127.0.0.0/8"])).await.status, 200);
    assert_eq!(server.admin(Method::GET, "/api/health", Json::Null).await.status, 200);
    assert_eq!(server.admin(Method::PATCH, "/api/settings", patch(&["10.0.0.1"])).await.status, 200);
    for uri in ["/api/health", "/api/settings", "/nope"] {
        assert_eq!(server.admin(Method::GET, uri, Json::Null).await.status, 403, "{uri}");
    }
    assert_eq!(server.get("/api/health").await.status, 200);
    // With a file token such a superuser is a guest.
    assert_eq!(server.get(&with_token).await.status, 404);
}

#[actix_web::test]
async fn files_may_be_framed_and_failures_may_not() {
    let server = Server::start().await;
    let file = server.locked_file().await;
    let token = server.admin(Method::POST, "/api/files/token", Json::Null).await.json()["token"].clone();
    let with_token = format!("{file}?token={}", token.as_str().unwrap());
    for (uri, range, status, framing) in [
        (&with_token, "", 200, None),
        (&with_token, "bytes=1-2", 206, None),
        (&with_token, "bytes=9-", 416, None),
        (&file, "", 404, Some("SAMEORIGIN")),
    ] {
        let answer = server.ask(TestRequest::with_uri(uri).insert_header(("Range", range))).await;
        assert_eq!((answer.status.as_u16(), answer.header("X-Frame-Options")), (status, framing), "{range}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    }
}

#[actix_web::test]
async fn batches_have_to_be_enabled() {
    let server = Server::start().await;
    let create = json!({"method": "POST", "url": "/api/collections/users/records", "body": {}});
    let body = json!({"requests": [create.clone()]});
    assert_eq!(server.admin(Method::POST, "/api/batch", body.clone()).await.status, 403);
    // A time that no clock can count to bounds nothing and breaks nothing.
    let enable = json!({"batch": {"enabled": true, "timeout": i64::MAX}});
    assert_eq!(server.admin(Method::PATCH, "/api/settings", enable).await.status, 200);
    let answer = server.admin(Method::POST, "/api/batch", body).await;
    let failed = &answer.json()["data"]["requests"]["0"];
    assert_eq!((answer.status.as_u16(), &failed["code"]), (400, &json!("batch_request_failed")));
    assert_eq!(failed["response"]["data"]["password"]["code"], "validation_required");

    let good = json!({"method": "POST", "url": "/api/collections/users/records", "body":
        {"email": "b@x.co", "password": "1234567890", "passwordConfirm": "1234567890"}});
    let body = json!({"requests": [good]});
    // A bad `fields` is refused before anything is written.
    assert_eq!(server.admin(Method::POST, "/api/batch?fields=id:bad", body.clone()).await.status, 400);
    let picked = server.admin(Method::POST, "/api/batch?fields=status,body.email", body).await;
    assert_eq!(picked.json(), json!([{"status": 200, "body": {"email": "b@x.co"}}]));

    for (url, status) in [
        ("/api/collections/%75sers/records", 404),
        ("/api/collections//records", 400),
        ("/api/collections/users/records?a=%zz", 400),
    ] {
        let body = json!({"requests": [{"method": "POST", "url": url}]});
        let answer = server.admin(Method::POST, "/api/batch", body).await.json();
        assert_eq!(answer["data"]["requests"]["0"]["response"]["status"], status, "{url}");
    }

    // The first bad item is told, also when a later one is no record write at all.
    for (requests, first) in [
        (json!([create, {"method": "GET", "url": "/api/health"}]), "0"),
        (json!([{"method": "POST", "url": "/api/collections/nope/records/"}, create]), "0"),
        (json!([{"method": "POST", "url": "/api/collections/nope/records"}, create]), "0"),
    ] {
        let answer = server.admin(Method::POST, "/api/batch", json!({"requests": requests})).await.json();
        let failed = answer["data"]["requests"].as_object().unwrap();
        assert_eq!(failed.keys().collect::<Vec<_>>(), [first], "{requests}");
    }
}

#[actix_web::test]
async fn a_body_over_its_limit_is_refused_by_its_length() {
    let server = Server::start().await;
    let request = TestRequest::patch()
        .uri("/api/settings")
        .insert_header(("Authorization", server.token.as_str()))
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Content-Length", "33554433"));
    assert_eq!(server.ask(request).await.status, 413);

    // Also where nobody reads the body; and nothing is done.
    for (method, uri) in [
        (Method::GET, "/api/health"),
        (Method::PUT, "/nope"),
        (Method::DELETE, "/api/collections/users"),
        (Method::DELETE, "/api/collections/users/records/abc"),
        (Method::POST, "/api/collections/users/records"),
    ] {
        let request = TestRequest::with_uri(uri)
            .method(method.clone())
            .insert_header(("Authorization", server.token.as_str()))
            .insert_header(("Content-Length", "99999999999"));
        assert_eq!(server.ask(request).await.status, 413, "{method} {uri}");
    }
    assert_eq!(server.admin(Method::GET, "/api/collections/users", Json::Null).await.status, 200);
}

#[actix_web::test]
async fn a_login_is_small() {
    let server = Server::start().await;
    for (route, authorization) in [("auth-with-password", ""), ("auth-refresh", server.token.as_str())] {
        for (size, status) in [(1, [200, 400]), (64 << 10, [413, 413])] {
            let request = TestRequest::post()
                .uri(&format!("/api/collections/_superusers/{route}"))
                .insert_header(("Authorization", authorization))
                .set_json(json!({"identity": "x".repeat(size)}));
            let answer = server.ask(request).await;
            assert!(status.contains(&answer.status.as_u16()), "{route} {size}: {}", answer.text);
        }
    }
}

#[actix_web::test]
async fn rules_read_headers_and_query_only_if_one_asks() {
    let server = Server::start().await;
    let collection =
        json!({"name": "notes", "type": "base", "listRule": "", "fields": [{"name": "t", "type": "text"}]});
    assert_eq!(server.admin(Method::POST, "/api/collections", collection).await.status, 200);
    let create = server.admin(Method::POST, "/api/collections/notes/records", json!({"t": "a"})).await;
    assert_eq!(create.status, 200, "{}", create.text);

    for (rule, hit, miss) in [
        (
            "@request.headers.x_key = 't1'",
            ("/api/collections/notes/records", "t1"),
            ("/api/collections/notes/records", "t2"),
        ),
        (
            "@request.query.q = 'a'",
            ("/api/collections/notes/records?q=a&q=b", ""),
            ("/api/collections/notes/records?q=b", ""),
        ),
    ] {
        let answer = server.admin(Method::PATCH, "/api/collections/notes", json!({"listRule": rule})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        for ((uri, key), count) in [(hit, 1), (miss, 0)] {
            let answer = server.ask(TestRequest::with_uri(uri).insert_header(("X-Key", key))).await;
            assert_eq!(answer.json()["items"].as_array().unwrap().len(), count, "{rule} {uri}");
        }
    }
}

#[actix_web::test]
async fn who_may_ask_is_told_before_what_is_wrong() {
    let server = Server::start().await;
    let account = json!({"email": "ann@x.co", "password": "1234567890", "passwordConfirm": "1234567890"});
    let id = server.admin(Method::POST, "/api/collections/users/records", account).await.json()["id"].clone();
    let id = id.as_str().unwrap();
    let login = TestRequest::post().uri("/api/collections/users/auth-with-password");
    let login = server.ask(login.set_json(json!({"identity": "ann@x.co", "password": "1234567890"}))).await.json();
    let (root, ann) = (server.token.as_str(), login["token"].as_str().unwrap());
    let users = |rest: &str| format!("/api/collections/users/{rest}");
    let impersonate = users(&format!("impersonate/{id}"));
    let change = users("request-email-change");
    for (uri, token, body, status) in [
        ("/api/files/token", "", "{}", 401),
        ("/api/files/token", ann, "nonsense", 200),
        ("/api/files/token", root, "", 200),
        (&impersonate, "", "{}", 401),
        (&impersonate, ann, "{}", 403),
        ("/api/collections/nope/impersonate/x", ann, "{}", 403),
        ("/api/collections/nope/impersonate/x", root, "{", 404),
        ("/api/collections/_mfas/impersonate/x", root, "{}", 404),
        (&users("impersonate/x"), root, "{", 404),
        (&impersonate, root, "{", 400),
        (&impersonate, root, r#"{"duration":-1}"#, 400),
        (&impersonate, root, r#"{"duration":1.5}"#, 400),
        (&impersonate, root, r#"{"duration":"60"}"#, 400),
        (&impersonate, root, r#"{"duration":null}"#, 200),
        (&impersonate, root, r#"{"Duration":60}"#, 200),
        ("/api/collections/nope/request-email-change", "", "{", 404),
        (&change, "", "{", 401),
        (&change, root, "{", 403),
        ("/api/collections/_superusers/request-email-change", root, "{", 400),
        (&change, ann, "{", 400),
        (&change, ann, r#"{"newEmail":"new@x.co"}"#, 204),
        (&users("request-verification"), "", r#"{"email":"nobody@x.co"}"#, 204),
        (&users("request-password-reset"), "", r#"{"email":"nobody@x.co"}"#, 204),
        (&users("confirm-verification"), "", r#"{"token":"x"}"#, 400),
        (&users("confirm-password-reset"), "", "[]", 400),
        (&users("confirm-email-change"), "", "", 400),
    ] {
        let request = TestRequest::post()
            .uri(uri)
            .insert_header(("Authorization", token))
            .insert_header(("Content-Type", "application/json"))
            .insert_header(("Content-Length", body.len()))
            .set_payload(body);
        let answer = server.ask(request).await;
        assert_eq!(answer.status, status, "{uri} {body}: {}", answer.text);
        assert_eq!(answer.text.is_empty(), status == 204);
    }
}
