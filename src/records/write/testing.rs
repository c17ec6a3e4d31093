//! A whole data directory for tests of the write path: real database, real schema, real files.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::{
    clock::{Clock, Timestamp},
    db::{Db, Durability, LogEntry, Options, testing::TempDir},
    error::{Error, Result},
    files::{Storage, Upload},
    identity::{AuthRecord, Caller, Cost, Passwords, SUPERUSERS_ID},
    jobs::{Jobs, Runner},
    records::{Body, Records, Shape},
    rules::{Checker, Request},
    schema::{Collection, Schema},
};

pub(super) struct House {
    pub clock: Clock,
    pub db: Db,
    pub schema: Schema,
    pub storage: Storage,
    pub records: Records,
    /// Ends with it.
    runner: Runner,
    /// Goes last, when nothing writes into it any more.
    dir: TempDir,
}

impl House {
    pub fn new() -> Self {
        let house = Self::without_background();
        if tokio::runtime::Handle::try_current().is_ok() {
            house.runner.start();
        }
        house
    }

    /// Jobs wait.
    pub fn without_background() -> Self {
        let dir = TempDir::new();
        let clock = Clock::manual(Timestamp(1_800_000_000_000));
        let options = Options {
            durability: Durability::Off,
            clock: clock.clone(),
            functions: vec![crate::rules::register],
            ..Options::default()
        };
        let db = Db::open(dir.path(), options).unwrap();
        let schema = Schema::open(db.clone(), Arc::new(Checker)).unwrap();
        let storage = Storage::open(dir.path(), false).unwrap();
        let jobs = Jobs::new(db.clone());
        let runner = Runner::new(jobs.clone());
        let passwords = Passwords::new(Cost::Cheap);
        let records = Records::new(db.clone(), schema.clone(), storage.clone(), passwords, jobs);
        records.take_jobs(&runner);
        Self { clock, db, schema, storage, records, runner, dir }
    }

    pub async fn collection(&self, definition: Json) -> Arc<Collection> {
        self.schema.create(object(definition)).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn change_collection(&self, name: &str, change: Json) {
        self.schema.update(name, object(change)).await.unwrap_or_else(|error| panic!("{error}"));
    }

    pub async fn create(&self, who: &Caller, collection: &str, values: Json) -> Result<Json> {
        self.create_with(request(who), collection, body(values)).await
    }

    pub async fn create_with(&self, request: Request, collection: &str, body: Body) -> Result<Json> {
        let answer = self.records.create(request, collection, body, Shape::default()).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    pub async fn update(&self, who: &Caller, collection: &str, id: &str, values: Json) -> Result<Json> {
        let answer = self.records.update(request(who), collection, id, body(values), Shape::default()).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    pub async fn delete(&self, who: &Caller, collection: &str, id: &str) -> Result<()> {
        self.records.delete(request(who), collection, id).await
    }

    /// What a superuser would see, `null` when there is no such record.
    pub async fn view(&self, collection: &str, id: &str) -> Json {
        match self.records.view(request(&superuser()), collection, id, Shape::default()).await {
            Ok(answer) => serde_json::from_slice(&answer).unwrap(),
            Err(_) => Json::Null,
        }
    }

    /// A column as it is stored, secrets included.
    pub async fn stored(&self, collection: &str, id: &str, column: &str) -> String {
        let collection = self.schema.find(collection).unwrap();
        let row = self.records.load(&collection, id).await.unwrap().unwrap();
        row.text(column).unwrap_or_default().to_owned()
    }

    pub async fn count(&self, collection: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM `{collection}`");
        self.db.read(move |tx| Ok(tx.query_one(&sql, [], |row| row.get(0))?.unwrap())).await.unwrap()
    }

    /// A signed-in record.
    pub async fn caller(&self, collection: &str, id: &str) -> Caller {
        let collection = self.schema.find(collection).unwrap();
        let row = self.records.load(&collection, id).await.unwrap().unwrap();
        let (collection_id, collection_name) = (collection.id.clone(), collection.name.clone());
        Caller::Record(Arc::new(AuthRecord { collection_id, collection_name, id: id.into(), row }))
    }

    /// Keeps the writer thread busy until the hold is released: what is written meanwhile queues up.
    pub fn hold_writer(&self) -> Hold {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (started, running) = std::sync::mpsc::channel();
        let db = self.db.clone();
        std::thread::spawn(move || {
            db.write_blocking(move |_| {
                started.send(()).unwrap();
                // A dropped sender releases too.
                let _ = released.recv();
                Ok(())
            })
            .unwrap();
        });
        running.recv().unwrap();
        Hold { _release: release }
    }

    pub async fn log(&self) -> Vec<LogEntry> {
        self.db.read(|tx| Db::read_after(tx, 0, 10_000)).await.unwrap().entries
    }

    /// An upload of `content`, as http spools it.
    pub fn upload(&self, key: &str, client_name: &str, content: &[u8]) -> Upload {
        let path = self.storage.spool_path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        Upload { key: key.into(), client_name: client_name.into(), path, size: content.len() as u64 }
    }

    /// Whether a stored file is there; waits a moment for the background to agree.
    pub async fn has_file(&self, collection: &str, record: &str, name: &str, expected: bool) -> bool {
        let collection = self.schema.find(collection).unwrap();
        let path = self.dir.path().join("storage").join(&*collection.id).join(record).join(name);
        for _ in 0..200 {
            if path.exists() == expected {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        path.exists()
    }
}

/// The writer thread is held up while this lives.
pub(super) struct Hold {
    _release: std::sync::mpsc::Sender<()>,
}

impl Hold {
    /// Lets go after everybody else has had the time to queue up.
    pub async fn release_later(self) {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

pub(super) fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

pub(super) fn body(values: Json) -> Body {
    Body { values: object(values), ..Body::default() }
}

pub(super) fn request(who: &Caller) -> Request {
    Request { method: "POST".into(), caller: who.clone(), ..Request::default() }
}

pub(super) fn superuser() -> Caller {
    let row = crate::db::Row { columns: Arc::new([]), values: Vec::new() };
    Caller::Superuser(Arc::new(AuthRecord {
        collection_id: SUPERUSERS_ID.into(),
        collection_name: "_superusers".into(),
        id: "root00000000000".into(),
        row: Arc::new(row),
    }))
}

pub(super) fn id(record: &Json) -> &str {
    record["id"].as_str().unwrap()
}

/// `name=code` of every failed field, sorted.
pub(super) fn codes(error: &Error) -> Vec<String> {
    error.issues.leaves().into_iter().map(|(name, code)| format!("{name}={code}")).collect()
}

/// A new account's body.
pub(super) fn account(email: &str) -> Json {
    json!({"email": email, "password": "first password", "passwordConfirm": "first password"})
}
