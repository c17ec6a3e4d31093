//! Where finished archives are kept: the folder `backups/`, or the bucket that the settings name.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, aws::AmazonS3, path::Path as Location};
use serde::Serialize;
use tokio::io::AsyncWriteExt;

use super::{name, room::Room, turn::Turns, vault::Vault};
use crate::{
    clock::Timestamp,
    error::{Error, Leaf, Result},
    files::{Content, Head, Object, OpenFile, uploads::Uploads},
    outgoing::bucket,
    progress::{Progress, Unit},
    random,
    settings::S3,
};

/// The folder in the data directory. No key begins with a dot.
pub const FOLDER: &str = "backups";
/// In that folder: what is being made. Emptied at the start.
pub const MAKING: &str = ".making";
/// In that folder: notes of uploads in parts to a bucket, until they have ended.
pub const UPLOADING: &str = ".uploading";
/// PocketBase keeps what it knows of an archive beside it.
const SIDECAR: &str = ".attrs";
const TYPE: &str = "application/zip";
/// More are not listed.
const MAX_LISTED: usize = 10_000;
/// An archive as it is listed (`docs/wire/services.md` §8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The wire's datetime.
    pub modified: String,
}

/// A place for archives.
#[derive(Debug, Clone)]
pub enum Shelf {
    Folder(PathBuf),
    Bucket(Arc<Vault>),
}

/// An archive on the local disk, for whoever has to read all of it.
#[derive(Debug)]
pub struct Fetched {
    pub path: PathBuf,
    is_ours: bool,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if self.is_ours {
            // What stays is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Shelf {
    /// The place that the settings name. `dir` is the data directory, `uploads` its notes of what goes to a bucket.
    pub async fn of(settings: &S3, dir: &Path, uploads: &Arc<Uploads>) -> Result<Self> {
        if !settings.enabled {
            return Ok(Self::Folder(dir.join(FOLDER)));
        }
        Ok(Self::Bucket(Arc::new(Vault::open(settings.params(), Arc::clone(uploads)).await?)))
    }

    /// Calls off what earlier processes began to put here and did not end.
    pub async fn tidy(&self) -> Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Bucket(vault) => vault.tidy().await,
        }
    }

    /// Everything that is there, by its name.
    pub async fn list(&self) -> Result<Vec<Item>> {
        let mut items = match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                tokio::task::spawn_blocking(move || list_folder(&folder)).await.map_err(Error::internal)??
            }
            Self::Bucket(vault) => {
                // What lies in folders is not ours: the bucket may be that of files.
                let found = vault.client.list_with_delimiter(None).await.map_err(fault)?.objects;
                let item = |meta: object_store::ObjectMeta| Item {
                    key: meta.location.to_string(),
                    size: meta.size,
                    modified: Timestamp(meta.last_modified.timestamp_millis()).to_string(),
                };
                found.into_iter().take(MAX_LISTED).map(item).collect()
            }
        };
        let sidecars: HashSet<_> = items.iter().map(|item| format!("{}{SIDECAR}", item.key)).collect();
        items.retain(|item| name::is_key(&item.key) && !sidecars.contains(&item.key));
        items.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(items)
    }

    /// Finds an archive; `None` when there is none of this name.
    pub async fn find(&self, key: &str) -> Result<Option<Object>> {
        if !name::is_key(key) {
            return Ok(None);
        }
        match self {
            Self::Folder(folder) => {
                let path = folder.join(key);
                tokio::task::spawn_blocking(move || open(&path)).await.map_err(Error::internal)?
            }
            Self::Bucket(vault) => {
                let (bucket, location) = (&vault.client, location(key)?);
                let meta = match bucket.head(&location).await {
                    Ok(meta) => meta,
                    Err(error) if bucket::is_missing(&error) => return Ok(None),
                    Err(error) => return Err(fault(error)),
                };
                let head = Head {
                    content_type: TYPE.to_owned(),
                    size: meta.size,
                    modified: meta.last_modified.into(),
                    original_name: None,
                    tag: None,
                };
                Ok(Some(Object::new(head, Arc::new(InBucket { bucket: Arc::clone(bucket), location }))))
            }
        }
    }

    /// Fails with the wire's code in `field` when there is an archive of this name.
    pub async fn refuse_existing(&self, key: &str, field: &str) -> Result<()> {
        match self.find(key).await? {
            Some(_) => {
                Err(Error::field(field, Leaf::new("validation_backup_name_exists", "There is a backup of this name.")))
            }
            None => Ok(()),
        }
    }

    /// Takes a finished archive in, under a name that is not taken: the file at `source` is gone afterwards. Nobody sees
    /// a part of it, and it stays when this returns.
    pub async fn put(&self, key: &str, source: &Path, turns: &Turns, progress: &Progress) -> Result<()> {
        match self {
            Self::Folder(folder) => {
                let (folder, key, source) = (folder.clone(), key.to_owned(), source.to_owned());
                tokio::task::spawn_blocking(move || move_in(&folder, &key, &source)).await.map_err(Error::internal)?
            }
            Self::Bucket(vault) => {
                vault.send(key, source, turns, progress).await?;
                Ok(tokio::fs::remove_file(source).await?)
            }
        }
    }

    /// Removes an archive. False when there is none of this name.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        if self.find(key).await?.is_none() {
            return Ok(false);
        }
        match self {
            Self::Folder(folder) => {
                for path in [folder.join(key), folder.join(format!("{key}{SIDECAR}"))] {
                    match tokio::fs::remove_file(path).await {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                        _ => {}
                    }
                }
            }
            Self::Bucket(vault) => vault.client.delete(&location(key)?).await.map_err(fault)?,
        }
        Ok(true)
    }

    /// The whole archive on the local disk, in `making` if it has to be brought there, which has to have the room. `None`
    /// when there is none of this name.
    pub async fn fetch(&self, key: &str, making: &Path, turns: &Turns, progress: &Progress) -> Result<Option<Fetched>> {
        let Some(object) = self.find(key).await? else { return Ok(None) };
        if let Self::Folder(folder) = self {
            return Ok(Some(Fetched { path: folder.join(key), is_ours: false }));
        }
        let (size, mut done) = (object.head.size, 0);
        let mut room = Room::new(making);
        room.expect(size)?;
        let path = making.join(random::string(random::LOWER_ALPHANUMERIC, 20));
        let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).await?;
        let fetched = Fetched { path, is_ours: true };
        progress.begin("Downloading", size, Unit::Bytes);
        let mut pieces = object.read(0..size);
        while let Some(piece) = pieces.try_next().await? {
            turns.check()?;
            file.write_all(&piece).await?;
            done += piece.len() as u64;
            room.take(piece.len() as u64, size.saturating_sub(done))?;
            progress.advance(piece.len() as u64);
        }
        file.flush().await?;
        Ok(Some(fetched))
    }
}

fn list_folder(folder: &Path) -> Result<Vec<Item>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut items = Vec::new();
    for entry in entries.take(MAX_LISTED) {
        let entry = entry?;
        // What goes away meanwhile is not there.
        let Ok(found) = entry.metadata() else { continue };
        let Ok(key) = entry.file_name().into_string() else { continue };
        if found.is_file() {
            items.push(Item { key, size: found.len(), modified: datetime(found.modified()?) });
        }
    }
    Ok(items)
}

fn datetime(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).to_string()
}

fn open(path: &Path) -> Result<Option<Object>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(None);
    }
    let head = Head {
        content_type: TYPE.to_owned(),
        size: found.len(),
        modified: found.modified()?,
        original_name: None,
        tag: None,
    };
    Ok(Some(Object::new(head, Arc::new(OpenFile::new(file)))))
}

/// Moves a file into the folder, over no other. It and its name are on the disk when this returns.
fn move_in(folder: &Path, key: &str, source: &Path) -> Result<()> {
    let target = folder.join(key);
    let taken = || Error::field("name", Leaf::new("validation_backup_name_exists", "There is a backup of this name."));
    File::open(source)?.sync_all()?;
    match fs::hard_link(source, &target) {
        Ok(()) => fs::remove_file(source)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken()),
        // Another file system, or one without links.
        Err(_) => {
            let near = folder.join(MAKING).join(random::string(random::LOWER_ALPHANUMERIC, 20));
            fs::copy(source, &near)?;
            File::open(&near)?.sync_all()?;
            if target.exists() {
                return Err(taken());
            }
            fs::rename(&near, &target)?;
            fs::remove_file(source)?;
        }
    }
    Ok(File::open(folder)?.sync_all()?)
}

/// An archive in a bucket.
#[derive(Debug)]
struct InBucket {
    bucket: Arc<AmazonS3>,
    location: Location,
}

impl Content for InBucket {
    fn read(&self, range: std::ops::Range<u64>) -> stream::BoxStream<'static, Result<Bytes>> {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let (bucket, location) = (Arc::clone(&self.bucket), self.location.clone());
        let asked = async move {
            let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
            let found = bucket.get_opts(&location, options).await.map_err(fault)?;
            Ok::<_, Error>(found.into_stream().map_err(fault))
        };
        stream::once(asked).try_flatten().boxed()
    }
}

pub(super) fn location(key: &str) -> Result<Location> {
    Location::parse(key).map_err(|error| Error::invalid("A bucket cannot have a file of this name.").because(error))
}

pub(super) fn fault(error: object_store::Error) -> Error {
    Error::invalid(format!("The bucket of the backups: {}.", bucket::why(&error))).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[tokio::test]
    async fn a_folder_keeps_what_was_put_there_over_nothing_else() {
        let place = TempDir::new();
        let folder = place.path().join(FOLDER);
        fs::create_dir_all(folder.join(MAKING)).unwrap();
        let (shelf, turns, progress) = (Shelf::Folder(folder.clone()), Turns::default(), Progress::default());
        let source = place.path().join("source");
        for (key, content) in [("b.zip", "two"), ("a.zip", "three")] {
            fs::write(&source, content).unwrap();
            shelf.put(key, &source, &turns, &progress).await.unwrap();
            assert!(!source.exists());
        }
        fs::write(&source, "other").unwrap();
        let refused = shelf.put("b.zip", &source, &turns, &progress).await.unwrap_err();
        assert_eq!(refused.issues.leaves()[0].1, "validation_backup_name_exists");
        assert!(shelf.refuse_existing("b.zip", "file").await.unwrap_err().issues.contains("file"));
        shelf.refuse_existing("c.zip", "file").await.unwrap();

        // What PocketBase left there, and what is nobody's.
        fs::write(folder.join("a.zip.attrs"), "{}").unwrap();
        fs::create_dir(folder.join("folder")).unwrap();
        fs::write(folder.join(".hidden"), "x").unwrap();
        let listed: Vec<_> = shelf.list().await.unwrap().into_iter().map(|item| (item.key, item.size)).collect();
        assert_eq!(listed, [("a.zip".to_owned(), 5), ("b.zip".to_owned(), 3)]);

        let object = shelf.find("b.zip").await.unwrap().unwrap();
        let read: Vec<Bytes> = object.read(0..3).try_collect().await.unwrap();
        assert_eq!(read.concat(), b"two");
        for missing in ["c.zip", "folder", "../source", ".hidden", ""] {
            assert!(shelf.find(missing).await.unwrap().is_none(), "{missing}");
            assert!(!shelf.delete(missing).await.unwrap(), "{missing}");
        }
        let fetched = shelf.fetch("b.zip", &folder.join(MAKING), &turns, &progress).await.unwrap().unwrap();
        let path = fetched.path.clone();
        drop(fetched);
        assert!(path.exists(), "it is not ours to remove");
        assert!(shelf.delete("a.zip").await.unwrap() && !folder.join("a.zip.attrs").exists());
        assert_eq!(Shelf::Folder(place.path().join("none")).list().await.unwrap(), []);
    }

    #[tokio::test]
    async fn an_archive_that_does_not_fit_is_not_fetched() {
        use tokio::io::AsyncReadExt;

        // A bucket that has a very large one.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nlast-modified: Sun, 22 Nov 2026 10:00:00 GMT\r\netag: \"x\"\r\n\
                     connection: close\r\n\r\n",
                    4u64 << 40
                );
                let _ = stream.write_all(head.as_bytes()).await;
            }
        });
        let text = |text: &str| text.to_owned();
        let settings = S3 {
            enabled: true,
            endpoint,
            bucket: text("b"),
            region: text("r"),
            access_key: text("a"),
            secret: text("s"),
            force_path_style: true,
        };
        let place = TempDir::new();
        let shelf = Shelf::of(&settings, place.path(), &Uploads::open(place.path().join("notes"))).await.unwrap();
        let refused = shelf.fetch("a.zip", place.path(), &Turns::default(), &Progress::default()).await.unwrap_err();
        assert_eq!(refused.kind, crate::error::Kind::StorageFull, "{refused}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing was begun");
    }
}
