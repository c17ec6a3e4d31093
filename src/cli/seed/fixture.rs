//! What a fixture file says, read and checked for its form. Every complaint names the place inside the file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde_json::{Map, Value as Json};

/// The largest fixture, in bytes; files that it names count by themselves.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What a test run begins with.
#[derive(Debug, Default, PartialEq)]
pub struct Fixture {
    /// Merged into the settings, as `PATCH /api/settings` does.
    pub settings: Option<Map<String, Json>>,
    /// As `GET /api/collections` shows them.
    pub collections: Vec<Map<String, Json>>,
    pub superusers: Vec<Map<String, Json>>,
    pub records: Vec<Record>,
    /// Where paths of files begin: the folder of the fixture.
    pub folder: PathBuf,
}

/// One record to be created.
#[derive(Debug, PartialEq)]
pub struct Record {
    /// Where it stands in the fixture.
    pub path: String,
    /// Id or name.
    pub collection: String,
    /// What others of the fixture call it.
    pub name: Option<String>,
    pub values: Map<String, Json>,
}

impl Fixture {
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        if size > MAX_BYTES {
            bail!("{} is larger than {} MiB", path.display(), MAX_BYTES >> 20);
        }
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&text, folder).with_context(|| path.display().to_string())
    }

    fn parse(text: &[u8], folder: PathBuf) -> anyhow::Result<Self> {
        let tree: Json = serde_json::from_slice(text).context("this is no JSON")?;
        let Json::Object(tree) = tree else { bail!("a fixture is a JSON object") };
        let mut fixture = Self { folder, ..Self::default() };
        for (key, value) in tree {
            match key.as_str() {
                "settings" => fixture.settings = Some(object(value, "settings")?),
                "collections" => fixture.collections = fixture.read_collections(value)?,
                "superusers" => fixture.superusers = objects(value, "superusers")?,
                // The collection that every new directory has.
                "users" => fixture.records.extend(records("users", "users", value)?),
                "records" => {
                    for (collection, value) in object(value, "records")? {
                        fixture.records.extend(records(&collection, &format!("records.{collection}"), value)?);
                    }
                }
                // For whoever reads it, and for editors.
                "$schema" | "comment" => {}
                other => bail!(
                    "{other}: unknown here; there are \"settings\", \"collections\", \"superusers\", \"users\" and \"records\""
                ),
            }
        }
        Ok(fixture)
    }

    /// The collections themselves, or the path of a file that was exported.
    fn read_collections(&self, value: Json) -> anyhow::Result<Vec<Map<String, Json>>> {
        let Json::String(path) = value else { return objects(value, "collections") };
        let path = self.folder.join(path);
        let read = || -> anyhow::Result<Json> { Ok(serde_json::from_slice(&fs::read(&path)?)?) };
        let exported = read().with_context(|| format!("collections: cannot read {}", path.display()))?;
        objects(exported, "collections")
    }
}

fn records(collection: &str, path: &str, value: Json) -> anyhow::Result<Vec<Record>> {
    let read = objects(value, path)?.into_iter().enumerate().map(|(index, mut values)| {
        let path = format!("{path}[{index}]");
        let name = match values.shift_remove("@name") {
            None => None,
            Some(Json::String(name)) if !name.is_empty() => Some(name),
            Some(_) => bail!("{path}.@name: must be a text"),
        };
        Ok(Record { path, collection: collection.to_owned(), name, values })
    });
    read.collect()
}

fn object(value: Json, path: &str) -> anyhow::Result<Map<String, Json>> {
    match value {
        Json::Object(object) => Ok(object),
        _ => bail!("{path}: must be an object"),
    }
}

fn objects(value: Json, path: &str) -> anyhow::Result<Vec<Map<String, Json>>> {
    let Json::Array(values) = value else { bail!("{path}: must be a list of objects") };
    values.into_iter().enumerate().map(|(index, value)| object(value, &format!("{path}[{index}]"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixture_is_read() {
        let text = br#"{"comment": "x", "settings": {"meta": {}}, "users": [{"@name": "ann", "email": "ann@x.co"}],
            "records": {"posts": [{"title": "a"}, {"title": "b"}]}}"#;
        let fixture = Fixture::parse(text, PathBuf::new()).unwrap();
        let read: Vec<_> =
            fixture.records.iter().map(|it| (it.path.as_str(), it.collection.as_str(), it.name.as_deref())).collect();
        let expected = [
            ("users[0]", "users", Some("ann")),
            ("records.posts[0]", "posts", None),
            ("records.posts[1]", "posts", None),
        ];
        assert_eq!(read, expected);
        assert!(!fixture.records[0].values.contains_key("@name"));
    }

    #[test]
    fn complaints_name_the_place() {
        for (text, told) in [
            ("[]", "a fixture is"),
            ("{", "no JSON"),
            (r#"{"record": {}}"#, "record: unknown"),
            (r#"{"settings": []}"#, "settings: must be"),
            (r#"{"collections": [1]}"#, "collections[0]: must be"),
            (r#"{"collections": "nowhere.json"}"#, "collections: cannot read nowhere.json"),
            (r#"{"records": {"posts": {}}}"#, "records.posts: must be a list"),
            (r#"{"records": {"posts": [{}, {"@name": 5}]}}"#, "records.posts[1].@name: must be"),
        ] {
            let error = format!("{:#}", Fixture::parse(text.as_bytes(), PathBuf::new()).unwrap_err());
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
