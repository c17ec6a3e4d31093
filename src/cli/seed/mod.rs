//! `--seed FILE`: what a temporary server begins with, out of a JSON fixture (`docs/TESTING.md`).
//!
//! Everything passes the doors that requests take, as the house itself: settings are validated, collections imported,
//! records created with hashes, files and dates. Records refer to each other by name (`"@ann"`), in any order; where they
//! do in a circle, the one that can is created first and completed afterwards.

mod files;
mod fixture;

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value as Json};

pub use self::fixture::Fixture;
use self::fixture::Record;
use super::told;
use crate::{
    app::App,
    error::Error,
    identity::Caller,
    records::{Body, Shape},
    rules::Request,
    schema::{Catalog, Collection, CollectionType, FieldKind, default_id},
};

/// Puts all of a fixture into an empty server. The error says where in the fixture it is.
pub async fn plant(app: &App, path: &Path) -> anyhow::Result<()> {
    let fixture = Fixture::load(path)?;
    plant_all(app, fixture).await.with_context(|| path.display().to_string())
}

async fn plant_all(app: &App, fixture: Fixture) -> anyhow::Result<()> {
    if let Some(settings) = fixture.settings {
        app.settings.patch(settings).await.map_err(|error| at("settings", &error))?;
    }
    if !fixture.collections.is_empty() {
        let collections = by_id(&app.schema.catalog(), fixture.collections)?;
        app.schema.import(collections, false).await.map_err(|error| at("collections", &error))?;
    }
    for (index, superuser) in fixture.superusers.iter().enumerate() {
        let path = format!("superusers[{index}]");
        let text = |key: &str| superuser.get(key).and_then(Json::as_str);
        let (Some(email), Some(password)) = (text("email"), text("password")) else {
            bail!("{path}: needs \"email\" and \"password\"");
        };
        app.auth.create_superuser(email, password).await.map_err(|error| at(&path, &error))?;
    }
    Planting::new(app, &fixture.folder, fixture.records)?.run().await
}

/// A failure at a place of the fixture: each field that is wrong with its own path.
fn at(path: &str, error: &Error) -> anyhow::Error {
    let leaves = serde_json::to_value(&error.issues).unwrap_or_default();
    let named = leaves.as_object().into_iter().flatten().map(|(name, issue)| {
        let reason = issue.get("message").and_then(Json::as_str).unwrap_or("is not valid");
        format!("{path}.{name}: {reason}")
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { anyhow!("{path}: {}", told(error)) } else { anyhow!("{}", named.join("\n")) }
}

/// Collections may name the targets of their relations; what is stored are ids.
fn by_id(catalog: &Catalog, mut collections: Vec<Map<String, Json>>) -> anyhow::Result<Vec<Map<String, Json>>> {
    let mut ids = HashMap::new();
    for (index, collection) in collections.iter_mut().enumerate() {
        let text = |key: &str| collection.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (id, name, kind) = (text("id"), text("name"), text("type"));
        if name.is_empty() {
            bail!("collections[{index}]: needs a \"name\"");
        }
        let id = match catalog.by_name(&name) {
            _ if !id.is_empty() => id,
            Some(known) => known.id.to_string(),
            None => {
                let kind = if kind.is_empty() { Some(CollectionType::Base) } else { CollectionType::parse(&kind) };
                let Some(kind) = kind else {
                    bail!("collections[{index}].type: must be \"base\", \"auth\" or \"view\"");
                };
                default_id(kind, &name)
            }
        };
        collection.insert("id".to_owned(), id.clone().into());
        ids.insert(name, id);
    }
    for collection in &mut collections {
        let fields = collection.get_mut("fields").and_then(Json::as_array_mut).into_iter().flatten();
        for target in fields.filter_map(|field| field.get_mut("collectionId")) {
            let known =
                |name: &str| ids.get(name).cloned().or_else(|| catalog.by_name(name).map(|known| known.id.to_string()));
            if let Some(id) = target.as_str().and_then(known) {
                *target = id.into();
            }
        }
    }
    Ok(collections)
}

/// Records on their way in.
struct Planting<'a> {
    app: &'a App,
    folder: &'a Path,
    waiting: VecDeque<Record>,
    /// Ids by collection id and name.
    known: HashMap<(String, String), String>,
    /// Names that have not come yet, the same.
    coming: HashMap<(String, String), String>,
    /// What was left out of records that were created: their collection, id, path and the rest of their values.
    rest: Vec<(String, String, Record)>,
}

/// What stands in the way of creating a record.
enum Obstacle {
    /// A name that is still to come, in this field, which could be set later.
    Later(String),
    /// The same, in a field that cannot.
    Required(String),
}

impl<'a> Planting<'a> {
    fn new(app: &'a App, folder: &'a Path, records: Vec<Record>) -> anyhow::Result<Self> {
        let catalog = app.schema.catalog();
        let mut coming = HashMap::new();
        for record in &records {
            let collection = find(&catalog, record)?;
            if let Some(name) = &record.name
                && let Some(other) = coming.insert((collection.id.to_string(), name.clone()), record.path.clone())
            {
                bail!("{}: \"{name}\" is the name of {other} already", record.path);
            }
        }
        let (known, rest) = Default::default();
        Ok(Self { app, folder, waiting: records.into(), known, coming, rest })
    }

    async fn run(mut self) -> anyhow::Result<()> {
        // How many records in a row had to wait.
        let mut stuck = 0;
        while let Some(record) = self.waiting.pop_front() {
            let obstacles = self.obstacles(&record)?;
            let all_wait = stuck > self.waiting.len();
            let requires = obstacles.iter().find_map(|obstacle| match obstacle {
                Obstacle::Required(field) => Some(field),
                Obstacle::Later(_) => None,
            });
            if let Some(field) = requires.filter(|_| stuck > 2 * self.waiting.len() + 1) {
                bail!("{}.{field}: the records refer to each other in a circle, and each needs the other", record.path);
            }
            if requires.is_some() || (!obstacles.is_empty() && !all_wait) {
                stuck += 1;
                self.waiting.push_back(record);
                continue;
            }
            stuck = 0;
            let later: Vec<String> = obstacles
                .into_iter()
                .map(|obstacle| match obstacle {
                    Obstacle::Later(field) | Obstacle::Required(field) => field,
                })
                .collect();
            self.create(record, &later).await?;
        }
        for (collection, id, record) in std::mem::take(&mut self.rest) {
            let body = self.body(&record).await?;
            let updated = self.app.records.update(self.request(), &collection, &id, body, Shape::default()).await;
            updated.map_err(|error| at(&record.path, &error))?;
        }
        Ok(())
    }

    /// The house's own: no rule applies.
    fn request(&self) -> Request {
        Request { caller: Caller::system(), now: self.app.clock.now(), ..Request::default() }
    }

    /// Creates a record without the fields that have to wait.
    async fn create(&mut self, mut record: Record, later: &[String]) -> anyhow::Result<()> {
        let collection = find(&self.app.schema.catalog(), &record)?;
        let mut rest = Map::new();
        for field in later {
            if let Some(value) = record.values.shift_remove(field) {
                rest.insert(field.clone(), value);
            }
        }
        let body = self.body(&record).await?;
        let created = self.app.records.create(self.request(), &collection.id, body, Shape::default()).await;
        let created = created.map_err(|error| at(&record.path, &error))?;
        let created: Json = serde_json::from_slice(&created).context("a created record is no JSON")?;
        let id = created.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
        if let Some(name) = record.name.take() {
            let key = (collection.id.to_string(), name);
            self.coming.remove(&key);
            self.known.insert(key, id.clone());
        }
        if !rest.is_empty() {
            self.rest.push((collection.id.to_string(), id, Record { values: rest, ..record }));
        }
        Ok(())
    }

    fn obstacles(&self, record: &Record) -> anyhow::Result<Vec<Obstacle>> {
        let collection = find(&self.app.schema.catalog(), record)?;
        let mut obstacles = Vec::new();
        for field in &collection.fields {
            let (FieldKind::Relation(relation), Some(value)) = (&field.kind, record.values.get(&field.name)) else {
                continue;
            };
            let waits =
                names(value).any(|name| self.coming.contains_key(&(relation.collection_id.clone(), name.to_owned())));
            if waits {
                let name = field.name.clone();
                obstacles.push(if field.required { Obstacle::Required(name) } else { Obstacle::Later(name) });
            }
        }
        Ok(obstacles)
    }

    /// The body of the write: names replaced by ids, files spooled.
    async fn body(&self, record: &Record) -> anyhow::Result<Body> {
        let collection = find(&self.app.schema.catalog(), record)?;
        let mut body = Body::default();
        for (name, value) in &record.values {
            let path = format!("{}.{name}", record.path);
            match collection.field(name).map(|field| &field.kind) {
                Some(FieldKind::Relation(relation)) => {
                    let ids = self.ids(value, &relation.collection_id).with_context(|| path)?;
                    body.values.insert(name.clone(), ids);
                }
                Some(FieldKind::File(_)) => {
                    let (records, folder) = (self.app.records.clone(), self.folder.to_owned());
                    let (name, value) = (name.clone(), value.clone());
                    let spool = move || files::uploads(&records, &folder, &name, &value);
                    body.uploads.extend(tokio::task::spawn_blocking(spool).await?.with_context(|| path)?);
                }
                Some(_) => drop(body.values.insert(name.clone(), value.clone())),
                None if name == "passwordConfirm" => {}
                None => bail!("{path}: {} has no such field", collection.name),
            }
        }
        if let Some(password) = body.values.get("password").filter(|_| collection.is_auth()).cloned() {
            body.values.insert("passwordConfirm".to_owned(), password);
        }
        Ok(body)
    }

    fn ids(&self, value: &Json, target: &str) -> anyhow::Result<Json> {
        Ok(match value {
            Json::Array(values) => values.iter().map(|value| self.ids(value, target)).collect::<Result<_, _>>()?,
            Json::String(text) => match text.strip_prefix('@') {
                None => text.clone().into(),
                Some(name) => match self.known.get(&(target.to_owned(), name.to_owned())) {
                    Some(id) => id.clone().into(),
                    None => {
                        let catalog = self.app.schema.catalog();
                        let target = catalog.by_id(target).map_or(target, |collection| &*collection.name);
                        bail!("no record of {target} in this fixture has the \"@name\" \"{name}\"");
                    }
                },
            },
            other => other.clone(),
        })
    }
}

fn find(catalog: &Catalog, record: &Record) -> anyhow::Result<std::sync::Arc<Collection>> {
    let found = catalog.find(&record.collection).cloned();
    found.ok_or_else(|| anyhow!("{}: there is no collection \"{}\"", record.path, record.collection))
}

/// The names in the value of a relation.
fn names(value: &Json) -> impl Iterator<Item = &str> {
    let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    values.iter().filter_map(|value| value.as_str()?.strip_prefix('@'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{app::Config, db::testing::TempDir};

    fn fixture(folder: &Path, tree: &Json) -> std::path::PathBuf {
        let path = folder.join("seed.json");
        std::fs::write(&path, tree.to_string()).unwrap();
        path
    }

    fn collections() -> Json {
        let relation = |name: &str, target: &str, required: bool| json!({"name": name, "type": "relation", "collectionId": target, "maxSelect": 1, "required": required});
        json!([
            {"name": "posts", "type": "base", "fields": [
                {"name": "title", "type": "text", "required": true},
                {"name": "photo", "type": "file", "maxSelect": 1},
                relation("author", "users", true),
                relation("best", "comments", false),
            ]},
            {"name": "comments", "type": "base", "fields": [relation("post", "posts", true)]},
            {"name": "hens", "type": "base", "fields": [relation("egg", "eggs", true)]},
            {"name": "eggs", "type": "base", "fields": [relation("hen", "hens", true)]},
        ])
    }

    async fn with_app(check: impl AsyncFnOnce(&App, &Path)) {
        let dir = TempDir::new();
        let app = App::open(Config { temporary: true, ..Config::new(dir.path().join("data")) }).unwrap();
        check(&app, dir.path()).await;
        app.db.close().await;
    }

    #[actix_web::test]
    async fn records_come_in_whatever_order_they_stand() {
        with_app(async |app, folder| {
            std::fs::write(folder.join("cat.txt"), "meow").unwrap();
            let tree = json!({
                "settings": {"meta": {"appName": "Shop"}},
                "superusers": [{"email": "boss@example.com", "password": "correct-horse"}],
                "collections": collections(),
                "records": {
                    "comments": [{"@name": "c", "post": "@p"}],
                    "posts": [
                        {"@name": "p", "title": "A", "author": "@ann", "best": "@c", "photo": "cat.txt"},
                        {"title": "B", "author": "@ann", "photo": {"name": "picture.bin", "base64": "AAE="}},
                    ],
                },
                "users": [{"@name": "ann", "email": "ann@example.com", "password": "12345678", "verified": true}],
            });
            plant(app, &fixture(folder, &tree)).await.unwrap();
            assert_eq!(app.settings.current().meta.app_name, "Shop");
            assert!(app.auth.superuser("boss@example.com").await.unwrap().is_some());
            let found = app.db.read_blocking(|tx| {
                let sql =
                    "SELECT p.title, p.best = c.id, p.photo, u.verified FROM posts p JOIN users u ON p.author = u.id
                    LEFT JOIN comments c ON c.post = p.id ORDER BY p.title";
                tx.query_all(sql, [], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, Option<bool>>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, bool>(3)?,
                    ))
                })
            });
            let found = found.unwrap();
            assert!(
                matches!(&found[..], [(a, Some(true), photo, true), (b, None, other, true)]
                if a == "A" && b == "B" && photo.starts_with("cat_") && other.starts_with("picture_")),
                "{found:?}"
            );
        })
        .await;
    }

    #[actix_web::test]
    async fn what_is_wrong_is_told_with_its_place() {
        with_app(async |app, folder| {
            let ann = json!({"@name": "ann", "email": "ann@example.com", "password": "12345678"});
            for (tree, told) in [
                (json!({"settings": {"meta": {"appName": ""}}}), "settings.meta"),
                (json!({"superusers": [{"email": "x"}]}), "superusers[0]: needs"),
                (json!({"superusers": [{"email": "x", "password": "12345678"}]}), "superusers[0].email: "),
                (json!({"collections": [{"name": "x", "type": "odd"}]}), "collections[0].type: must"),
                (json!({"collections": [{"name": "x y"}]}), "collections"),
                (json!({"records": {"nowhere": [{}]}}), "records.nowhere[0]: there is no collection"),
                (
                    json!({"users": [{"email": "a@b.co", "password": "12345678", "nmae": "x"}]}),
                    "users[0].nmae: users has no",
                ),
                (json!({"users": [{"email": "no", "password": "12345678"}]}), "users[0].email: "),
                (json!({"users": [ann, ann]}), "users[1]: \"ann\" is the name of users[0]"),
                (
                    json!({"collections": collections(), "records": {"posts": [{"title": "x", "author": "@bob"}]}}),
                    "records.posts[0].author: no record of users",
                ),
                (
                    json!({"records": {"posts": [{"title": "x", "photo": "no.png"}]}}),
                    "records.posts[0].photo: cannot read",
                ),
                (
                    json!({"records": {"hens": [{"@name": "h", "egg": "@e"}], "eggs": [{"@name": "e", "hen": "@h"}]}}),
                    "records.hens[0].egg: the records refer to each other",
                ),
            ] {
                let error = format!("{:#}", plant(app, &fixture(folder, &tree)).await.expect_err(told));
                assert!(error.contains(told) && error.contains("seed.json"), "{told}: {error}");
            }
        })
        .await;
    }
}
