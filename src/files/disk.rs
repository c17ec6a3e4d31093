//! Files on the disk: `<collection id>/<record id>/<name>`, each with a sidecar that says what it is
//! (`docs/wire/services-files.md` §2).

mod chunks;

use std::{
    fs::{self, File, ReadDir},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{
    StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use md5::{Digest, Md5};
use serde_json::{Value as Json, json};

pub use self::chunks::OpenFile;
use super::{
    Key,
    store::{About, Head, Object, Store},
};
use crate::{
    error::{Error, Result},
    random,
};

/// Follows the file's name in the name of its sidecar.
pub(super) const SIDECAR: &str = ".attrs";
/// Bytes of a client's name that the sidecar keeps (`docs/wire/services-files.md` §2).
const MAX_ORIGINAL: usize = 255;
/// Bytes of a sidecar that are read; ours are shorter.
const MAX_SIDECAR: u64 = 64 << 10;
/// The type of a file that no sidecar tells about.
const UNKNOWN_TYPE: &str = "application/octet-stream";
/// Names that are read from a folder at once.
const NAMES: usize = 256;
/// Times that a folder may vanish under a file that is being put into it: whoever empties one removes it.
const TRIES: usize = 16;

/// A folder of the local disk. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// For sidecars that are being written; on the same file system.
    spool: PathBuf,
    /// Whether what is stored has to survive a power cut.
    durable: bool,
}

impl Disk {
    pub fn new(root: PathBuf, spool: PathBuf, durable: bool) -> Self {
        Self { inner: Arc::new(Inner { root, spool, durable }) }
    }

    /// Runs what waits for the disk where that may be waited for.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(Error::internal)?
    }
}

impl Store for Disk {
    fn put<'a>(&'a self, key: &'a Key, source: &'a Path, about: &'a About) -> BoxFuture<'a, Result<()>> {
        let (key, source, about) = (key.clone(), source.to_owned(), about.clone());
        Box::pin(self.blocking(move |disk| disk.put(&key, &source, &about)))
    }

    fn open<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        let path = self.inner.path(key);
        Box::pin(self.blocking(move |_| open(&path)))
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let walk = Walk { open: Vec::new(), next: Some((folder.clone(), self.inner.path(folder))) };
        let disk = self.clone();
        let batches = stream::try_unfold(walk, move |mut walk| {
            let disk = disk.clone();
            async move {
                let found = disk.blocking(move |_| Ok(walk.step()?.map(|keys| (keys, walk)))).await?;
                Ok::<_, Error>(found.map(|(keys, walk)| (stream::iter(keys).map(Ok), walk)))
            }
        });
        batches.try_flatten().boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let key = key.clone();
        Box::pin(self.blocking(move |disk| disk.delete(&key)))
    }
}

impl Inner {
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// File and sidecar are on the disk when this returns.
    fn put(&self, key: &Key, source: &Path, about: &About) -> Result<()> {
        let target = self.path(key);
        let sidecar = self.spool.join(random::string(random::LOWER_ALPHANUMERIC, 20));
        let attributes = self.describe(source, about)?;
        let written = self.write_new(&sidecar, attributes.as_bytes());
        let moved = written.and_then(|()| self.move_in(&sidecar, source, &target));
        if moved.is_err() {
            // Whatever of the two arrived is of no use alone.
            for leftover in [&sidecar, &beside(&target, SIDECAR)] {
                if let Err(error) = ignore_missing(fs::remove_file(leftover)) {
                    tracing::warn!(path = %leftover.display(), %error, "cannot remove what is left of a failed upload");
                }
            }
        }
        Ok(moved?)
    }

    /// The sidecar first: whoever sees the file sees what it is.
    fn move_in(&self, sidecar: &Path, source: &Path, target: &Path) -> io::Result<()> {
        let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let target_sidecar = beside(target, SIDECAR);
        let mut tries = 0;
        let mut in_folder = |step: &dyn Fn() -> io::Result<()>| loop {
            tries += 1;
            match self.create_folder(folder).and_then(|()| step()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
                done => return done,
            }
        };
        in_folder(&|| fs::rename(sidecar, &target_sidecar))?;
        // From here on the folder is not empty, and stays.
        in_folder(&|| fs::rename(source, target))?;
        self.sync_folder(folder)
    }

    /// The sidecar of a file, which reaches the disk on the way.
    fn describe(&self, path: &Path, about: &About) -> Result<String> {
        let mut file = File::open(path)?;
        let mut digest = Md5::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => digest.update(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.durable {
            file.sync_all()?;
        }
        let metadata = about.original_name.as_ref().map_or(json!({}), |name| {
            let name = &name[..name.floor_char_boundary(MAX_ORIGINAL)];
            json!({"original-filename": name})
        });
        Ok(json!({
            "user.cache_control": "",
            "user.content_disposition": "",
            "user.content_encoding": "",
            "user.content_language": "",
            "user.content_type": about.content_type,
            "user.metadata": metadata,
            "md5": BASE64_STANDARD.encode(digest.finalize()),
        })
        .to_string())
    }

    fn write_new(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(content)?;
        if self.durable { file.sync_all() } else { Ok(()) }
    }

    /// Creates the folder of a record; a new folder is on the disk when its parent is.
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Ok(()) => folder.parent().map_or(Ok(()), |parent| self.sync_folder(parent)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match folder.parent() {
                Some(parent) if parent.starts_with(&self.root) => {
                    self.create_folder(parent)?;
                    self.create_folder(folder)
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if self.durable { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    /// The file, its sidecar, and the folders that are empty without them.
    fn delete(&self, key: &Key) -> Result<()> {
        let path = self.path(key);
        ignore_missing(fs::remove_file(&path))?;
        ignore_missing(fs::remove_file(beside(&path, SIDECAR)))?;
        for folder in path.ancestors().skip(1).take_while(|folder| **folder != *self.root) {
            // Not empty, or somebody was quicker.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// A walk through folders, some names at a time.
struct Walk {
    /// The folders that are being read, the innermost last.
    open: Vec<(Key, ReadDir)>,
    /// The folder to be read next.
    next: Option<(Key, PathBuf)>,
}

impl Walk {
    /// The next files; `None` at the end.
    fn step(&mut self) -> io::Result<Option<Vec<Key>>> {
        let mut found = Vec::new();
        let mut names = 0;
        while names < NAMES {
            if let Some((key, path)) = self.next.take() {
                match fs::read_dir(path) {
                    Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                    opened => self.open.push((key, opened?)),
                }
            }
            let Some((folder, entries)) = self.open.last_mut() else {
                return Ok((!found.is_empty()).then_some(found));
            };
            names += 1;
            let Some(entry) = entries.next().transpose()? else {
                self.open.pop();
                continue;
            };
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(|name| folder.below(name).ok()) else {
                tracing::warn!(path = %entry.path().display(), "this is not ours and stays");
                continue;
            };
            if entry.file_type()?.is_dir() {
                self.next = Some((key, entry.path()));
            } else if !is_sidecar(&entry.path()) {
                found.push(key);
            }
        }
        Ok(Some(found))
    }
}

/// Whether there is, or was, a file that this one tells about. A file may have such a name of its own.
fn is_sidecar(path: &Path) -> bool {
    let of = path.to_str().and_then(|path| path.strip_suffix(SIDECAR));
    of.is_some_and(|of| Path::new(of).exists())
}

fn open(path: &Path) -> Result<Option<Object>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    Ok(Some(Object::of_told(file, Sidecar::of(path)?)?))
}

impl Object {
    /// An open file of the local disk, wherever it lies.
    pub fn of_file(file: File, content_type: String) -> Result<Self> {
        Self::of_told(file, Sidecar { content_type, original_name: None, md5: None })
    }

    fn of_told(file: File, told: Sidecar) -> Result<Self> {
        let found = file.metadata()?;
        let head = Head {
            content_type: told.content_type,
            original_name: told.original_name,
            size: found.len(),
            modified: found.modified()?,
            tag: told.md5,
        };
        Ok(Self { head, content: Arc::new(OpenFile::new(file)) })
    }
}

/// What the sidecar of a file tells.
struct Sidecar {
    content_type: String,
    original_name: Option<String>,
    /// In hex.
    md5: Option<String>,
}

impl Sidecar {
    /// What is known of this file: little, if there is no readable sidecar.
    fn of(path: &Path) -> Result<Self> {
        let mut text = Vec::new();
        match File::open(beside(path, SIDECAR)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => drop(opened?.take(MAX_SIDECAR).read_to_end(&mut text)?),
        }
        let told = serde_json::from_slice::<Json>(&text).unwrap_or_default();
        let text = |pointer: &str| told.pointer(pointer).and_then(Json::as_str).filter(|text| !text.is_empty());
        let md5 = text("/md5").and_then(|sum| BASE64_STANDARD.decode(sum).ok());
        Ok(Self {
            content_type: text("/user.content_type").unwrap_or(UNKNOWN_TYPE).to_owned(),
            original_name: text("/user.metadata/original-filename").map(str::to_owned),
            md5: md5.map(|sum| sum.iter().map(|byte| format!("{byte:02x}")).collect()),
        })
    }
}

/// `path` with something after its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::db::testing::TempDir;

    struct House {
        place: TempDir,
        disk: Disk,
    }

    impl House {
        fn new() -> Self {
            let place = TempDir::new();
            let (root, spool) = (place.path().join("storage"), place.path().join("storage/.spool"));
            fs::create_dir_all(&spool).unwrap();
            Self { disk: Disk::new(root, spool, true), place }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.place.path().join("storage").join(path)
        }

        async fn put(&self, key: &Key, name: Option<&str>, content: &[u8]) -> Result<()> {
            let source = self.path(".spool").join(random::record_id());
            fs::write(&source, content).unwrap();
            let about = About { content_type: "text/plain; charset=utf-8".into(), original_name: name.map(Into::into) };
            self.disk.put(key, &source, &about).await
        }

        async fn listed(&self, folder: &Key) -> BTreeSet<String> {
            self.disk.list(folder).map_ok(|key| key.as_str().to_owned()).try_collect().await.unwrap()
        }
    }

    fn key(name: &str) -> Key {
        Key::file("c", "r", name).unwrap()
    }

    #[tokio::test]
    async fn a_stored_file_has_a_sidecar_and_leaves_the_spool() {
        let house = House::new();
        house.put(&key("photo_x.PNG"), Some("Photö X.PNG"), b"hi").await.unwrap();
        assert_eq!(fs::read(house.path("c/r/photo_x.PNG")).unwrap(), b"hi");
        assert_eq!(
            fs::read_to_string(house.path("c/r/photo_x.PNG.attrs")).unwrap(),
            concat!(
                r#"{"user.cache_control":"","user.content_disposition":"","user.content_encoding":"","#,
                r#""user.content_language":"","user.content_type":"text/plain; charset=utf-8","#,
                r#""user.metadata":{"original-filename":"Photö X.PNG"},"md5":"SfaKXIST7CwL9ImCHCH8Ow=="}"#
            )
        );
        assert_eq!(fs::read_dir(house.path("c/r")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(house.path(".spool")).unwrap().count(), 0);
    }

    /// As long as a file's name may be, and cut between characters.
    #[tokio::test]
    async fn a_long_name_of_a_client_is_kept_in_part() {
        let house = House::new();
        for (name, kept) in [
            ("x".repeat(255), 255),
            ("x".repeat(256), 255),
            (format!("x{}", "ü".repeat(300)), 255),
            ("ü".repeat(300), 254),
        ] {
            house.put(&key("a.txt"), Some(&name), b"hi").await.unwrap();
            let sidecar = fs::read(house.path("c/r/a.txt.attrs")).unwrap();
            let told = serde_json::from_slice::<Json>(&sidecar).unwrap()["user.metadata"]["original-filename"].take();
            assert_eq!(told, name[..kept]);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_put_leaves_nothing() {
        let house = House::new();
        fs::write(house.path("c"), "a file where a folder should be").unwrap();
        assert!(house.put(&key("a.txt"), None, b"hi").await.is_err());
        fs::remove_file(house.path("c")).unwrap();
        fs::create_dir_all(house.path("c/r/a.txt/full")).unwrap();
        assert!(house.put(&key("a.txt"), None, b"hi").await.is_err());
        assert!(!house.path("c/r/a.txt.attrs").exists());
    }

    #[tokio::test]
    async fn a_stored_file_is_opened_with_its_type() {
        let house = House::new();
        house.put(&key("a.txt"), None, b"hi").await.unwrap();
        let told = async |name: &str| Some(house.disk.open(&key(name)).await.unwrap()?.head.content_type);
        assert_eq!(told("a.txt").await.as_deref(), Some("text/plain; charset=utf-8"));
        for sidecar in ["", "{", "[]", r#"{"user.content_type":5}"#, r#"{"user.content_type":""}"#] {
            fs::write(house.path("c/r/a.txt.attrs"), sidecar).unwrap();
            assert_eq!(told("a.txt").await.as_deref(), Some(UNKNOWN_TYPE), "{sidecar}");
        }
        fs::remove_file(house.path("c/r/a.txt.attrs")).unwrap();
        assert_eq!(told("a.txt").await.as_deref(), Some(UNKNOWN_TYPE));
        fs::create_dir(house.path("c/r/folder")).unwrap();
        for missing in ["b.txt", "folder"] {
            assert_eq!(told(missing).await, None, "{missing}");
        }
    }

    #[tokio::test]
    async fn folders_are_listed_without_sidecars_and_go_with_their_last_file() {
        let house = House::new();
        let many: BTreeSet<String> = (0..NAMES * 2).map(|n| format!("c/r{n}/a.txt")).collect();
        for name in &many {
            let record = name.split('/').nth(1).unwrap();
            house.put(&Key::file("c", record, "a.txt").unwrap(), None, b"x").await.unwrap();
        }
        house.put(&key("mine.attrs"), None, b"x").await.unwrap();
        house.put(&key("a.png").thumb("1x1").unwrap(), None, b"x").await.unwrap();
        let expected = ["c/r/mine.attrs", "c/r/thumbs_a.png/1x1_a.png"].map(str::to_owned);
        let collection = Key::collection("c").unwrap();
        assert_eq!(house.listed(&collection).await, &many | &expected.clone().into());
        assert_eq!(house.listed(&Key::record("c", "r").unwrap()).await, expected.into());
        assert!(house.listed(&Key::record("c", "none").unwrap()).await.is_empty());
        assert!(house.listed(&key("mine.attrs")).await.is_empty());

        let keys: Vec<Key> = house.disk.list(&collection).try_collect().await.unwrap();
        for key in &keys {
            house.disk.delete(key).await.unwrap();
            house.disk.delete(key).await.unwrap();
        }
        assert!(!house.path("c").exists() && house.path("").exists());
    }

    /// Whoever removes the last file removes the folder, also under the hands of who puts another into it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_moves_in_while_its_folder_is_being_removed() {
        let house = Arc::new(House::new());
        let removing = {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                for _ in 0..400 {
                    house.put(&key("old.txt"), None, b"x").await.unwrap();
                    house.disk.delete(&key("old.txt")).await.unwrap();
                }
            })
        };
        for _ in 0..400 {
            house.put(&key("new.txt"), None, b"x").await.unwrap();
            house.disk.delete(&key("new.txt")).await.unwrap();
        }
        removing.await.unwrap();
        assert!(!house.path("c").exists());
    }
}
