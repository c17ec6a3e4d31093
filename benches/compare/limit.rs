//! The limit: the barest actix-web handlers running the same SQL by hand on the directory that Conch was seeded in.
//!
//! Inline reads on one connection per worker, one group-committing writer with `synchronous=FULL`, JSON written by
//! hand; no accounts, no rules, no log, no validation. Its answers are those of Conch, so what Conch costs on top of this
//! is Conch's own.

use std::{cell::RefCell, path::PathBuf};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{Bytes, Data, Path, Payload},
};
use rusqlite::{Connection, OpenFlags, params};
use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COLUMNS: &str = "id, title, body, category, likes, public, author, created, updated";

struct Shared {
    database: PathBuf,
    writes: mpsc::Sender<(Write, Reply)>,
}

/// The written record as JSON.
type Reply = oneshot::Sender<Vec<u8>>;

enum Write {
    Create { id: String, title: String, body: String, likes: i64, author: String },
    Update { id: String, likes: i64 },
}

thread_local! {
    static READER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Runs `f` on this worker's own read-only connection.
fn read<T>(shared: &Shared, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
    READER.with_borrow_mut(|slot| {
        let connection = slot.get_or_insert_with(|| {
            let connection = Connection::open_with_flags(
                &shared.database,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )
            .expect("the seeded database opens");
            connection.set_prepared_statement_cache_capacity(64);
            connection
        });
        f(connection).expect("the seeded tables answer")
    })
}

fn quote(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("memory takes every byte");
}

/// A record of COLUMNS, but for its closing brace.
fn record(row: &rusqlite::Row<'_>, out: &mut Vec<u8>) -> rusqlite::Result<()> {
    out.extend_from_slice(b"{\"author\":");
    quote(row.get_ref(6)?.as_str()?, out);
    out.extend_from_slice(b",\"body\":");
    quote(row.get_ref(2)?.as_str()?, out);
    out.extend_from_slice(b",\"category\":");
    quote(row.get_ref(3)?.as_str()?, out);
    out.extend_from_slice(b",\"collectionId\":\"posts\",\"collectionName\":\"posts\",\"created\":");
    quote(row.get_ref(7)?.as_str()?, out);
    out.extend_from_slice(b",\"id\":");
    quote(row.get_ref(0)?.as_str()?, out);
    out.extend_from_slice(format!(",\"likes\":{},\"public\":", row.get::<_, i64>(4)?).as_bytes());
    out.extend_from_slice(flag(row, 5)?);
    out.extend_from_slice(b",\"title\":");
    quote(row.get_ref(1)?.as_str()?, out);
    out.extend_from_slice(b",\"updated\":");
    quote(row.get_ref(8)?.as_str()?, out);
    Ok(())
}

/// An author of EXPANDED.
fn author(row: &rusqlite::Row<'_>, out: &mut Vec<u8>) -> rusqlite::Result<()> {
    out.extend_from_slice(b",\"expand\":{\"author\":{\"avatar\":");
    quote(row.get_ref(11)?.as_str()?, out);
    out.extend_from_slice(b",\"collectionId\":\"_pb_users_auth_\",\"collectionName\":\"users\",\"created\":");
    quote(row.get_ref(12)?.as_str()?, out);
    out.extend_from_slice(b",\"emailVisibility\":");
    out.extend_from_slice(flag(row, 14)?);
    out.extend_from_slice(b",\"id\":");
    quote(row.get_ref(9)?.as_str()?, out);
    out.extend_from_slice(b",\"name\":");
    quote(row.get_ref(10)?.as_str()?, out);
    out.extend_from_slice(b",\"updated\":");
    quote(row.get_ref(13)?.as_str()?, out);
    out.extend_from_slice(b",\"verified\":");
    out.extend_from_slice(flag(row, 15)?);
    out.extend_from_slice(b"}}");
    Ok(())
}

fn flag(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<&'static [u8]> {
    Ok(if row.get::<_, i64>(at)? == 0 { b"false" } else { b"true" })
}

fn list(connection: &Connection, sql: &str, expand: bool, total: Option<i64>) -> rusqlite::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(16 << 10);
    out.extend_from_slice(b"{\"items\":[");
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut first = true;
    while let Some(row) = rows.next()? {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        record(row, &mut out)?;
        if expand {
            author(row, &mut out)?;
        }
        out.push(b'}');
    }
    out.extend_from_slice(format!("],\"page\":1,\"perPage\":30,\"totalItems\":{}}}", total.unwrap_or(-1)).as_bytes());
    Ok(out)
}

fn json(body: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"message":"API is healthy.","code":200,"data":{}}"#)
}

async fn view(shared: Data<Shared>, id: Path<String>) -> HttpResponse {
    json(read(&shared, |connection| {
        let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM posts WHERE id = ?"))?;
        statement.query_row([id.as_str()], |row| {
            let mut out = Vec::with_capacity(1024);
            record(row, &mut out)?;
            out.push(b'}');
            Ok(out)
        })
    }))
}

const FILTERED: &str = "WHERE likes > 500 AND category = 'tech' ORDER BY created DESC LIMIT 30";

async fn filtered(shared: Data<Shared>) -> HttpResponse {
    json(read(&shared, |connection| list(connection, &format!("SELECT {COLUMNS} FROM posts {FILTERED}"), false, None)))
}

async fn counted(shared: Data<Shared>) -> HttpResponse {
    json(read(&shared, |connection| {
        let total = connection
            .prepare_cached("SELECT count(*) FROM posts WHERE likes > 500 AND category = 'tech'")?
            .query_row([], |row| row.get(0))?;
        list(connection, &format!("SELECT {COLUMNS} FROM posts {FILTERED}"), false, Some(total))
    }))
}

async fn owned(shared: Data<Shared>) -> HttpResponse {
    let sql = format!("SELECT {COLUMNS} FROM posts WHERE author = 'user00000000007' ORDER BY created DESC LIMIT 30");
    json(read(&shared, |connection| list(connection, &sql, false, None)))
}

async fn expanded(shared: Data<Shared>) -> HttpResponse {
    let columns = COLUMNS.split(", ").map(|name| format!("p.{name}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns}, u.id, u.name, u.avatar, u.created, u.updated, u.emailVisibility, u.verified \
         FROM (SELECT * FROM posts ORDER BY created DESC LIMIT 30) p JOIN users u ON u.id = p.author"
    );
    json(read(&shared, |connection| list(connection, &sql, true, None)))
}

async fn body_of(mut payload: Payload) -> Json {
    use futures_util::StreamExt;
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        bytes.extend_from_slice(&chunk.unwrap_or_else(|_| Bytes::new()));
    }
    serde_json::from_slice(&bytes).unwrap_or_default()
}

async fn written(shared: &Shared, write: Write) -> HttpResponse {
    let (done, committed) = oneshot::channel();
    if shared.writes.send((write, done)).await.is_err() {
        return HttpResponse::InternalServerError().finish();
    }
    committed.await.map_or_else(|_| HttpResponse::InternalServerError().finish(), json)
}

async fn create(shared: Data<Shared>, payload: Payload) -> HttpResponse {
    let body = body_of(payload).await;
    let write = Write::Create {
        title: body["title"].as_str().unwrap_or_default().to_owned(),
        body: body["body"].as_str().unwrap_or_default().to_owned(),
        likes: body["likes"].as_i64().unwrap_or_default(),
        author: body["author"].as_str().unwrap_or_default().to_owned(),
        id: conch::random::record_id(),
    };
    written(&shared, write).await
}

async fn update(shared: Data<Shared>, id: Path<String>, payload: Payload) -> HttpResponse {
    let body = body_of(payload).await;
    let likes = body["likes"].as_i64().unwrap_or_default();
    written(&shared, Write::Update { id: id.into_inner(), likes }).await
}

/// One thread, one connection: every waiting write in one transaction.
fn write_in_groups(database: &std::path::Path, mut writes: mpsc::Receiver<(Write, Reply)>) {
    let connection = Connection::open(database).expect("the seeded database opens");
    connection
        .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32000")
        .expect("pragmas hold");
    let create = format!(
        "INSERT INTO events (id, title, body, category, likes, public, author, created, updated) \
         VALUES (?1, ?2, ?3, 'news', ?4, 1, ?5, ?6, ?6) RETURNING {COLUMNS}"
    );
    let update = format!("UPDATE posts SET likes = ?, updated = ? WHERE id = ? RETURNING {COLUMNS}");
    let rendered = |row: &rusqlite::Row<'_>| {
        let mut out = Vec::with_capacity(512);
        record(row, &mut out)?;
        out.push(b'}');
        Ok(out)
    };
    let mut group = Vec::new();
    let now = conch::clock::Clock::system();
    while writes.blocking_recv_many(&mut group, 256) > 0 {
        connection.execute_batch("BEGIN IMMEDIATE").expect("the only writer begins");
        let time = now.now().to_string();
        let mut answers = Vec::with_capacity(group.len());
        for (write, reply) in group.drain(..) {
            let answer = match write {
                Write::Create { id, title, body, likes, author } => {
                    connection.prepare_cached(&create).and_then(|mut statement| {
                        statement.query_row(params![id, title, body, likes, author, time], rendered)
                    })
                }
                Write::Update { id, likes } => connection
                    .prepare_cached(&update)
                    .and_then(|mut statement| statement.query_row(params![likes, time, id], rendered)),
            };
            answers.push((reply, answer.expect("the row is written")));
        }
        connection.execute_batch("COMMIT").expect("the group commits");
        for (reply, answer) in answers {
            let _ = reply.send(answer);
        }
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(dir), Some(port)) = (words.next(), words.next().and_then(|port| port.parse::<u16>().ok())) else {
        eprintln!("usage: limit DIR PORT");
        std::process::exit(2);
    };
    let database = PathBuf::from(dir).join("data.db");
    let (writes, queue) = mpsc::channel(1024);
    let path = database.clone();
    std::thread::spawn(move || write_in_groups(&path, queue));
    let shared = Data::new(Shared { database, writes });
    HttpServer::new(move || {
        use actix_web::web::{get, patch, post};
        App::new()
            .app_data(shared.clone())
            .route("/api/health", get().to(health))
            .route("/filtered", get().to(filtered))
            .route("/counted", get().to(counted))
            .route("/owned", get().to(owned))
            .route("/expanded", get().to(expanded))
            .route("/api/collections/posts/records/{id}", get().to(view))
            .route("/api/collections/posts/records/{id}", patch().to(update))
            .route("/api/collections/events/records", post().to(create))
    })
    .workers(2)
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
