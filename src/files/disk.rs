//! Files on the disk: `storage/<collection id>/<record id>/<name>`, each with a sidecar that says what it is.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use serde_json::{Value as Json, json};

use super::{Head, Key, Object, Upload};
use crate::{
    error::{Error, Result},
    random,
};

/// Where uploads arrive, inside of `storage/` so that storing one is a rename. No collection id begins with a dot.
const SPOOL: &str = ".spool";
/// Follows the file's name in the name of its sidecar.
const SIDECAR: &str = ".attrs";
/// Bytes of a client's name that the sidecar keeps.
const MAX_ORIGINAL: usize = 1024;
/// Bytes of a sidecar that are read; ours are shorter.
const MAX_SIDECAR: u64 = 64 << 10;
/// The type of a file that no sidecar tells about.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// `storage/` of one data directory. All methods block: call them off the async workers.
#[derive(Debug, Clone)]
pub struct Storage {
    root: PathBuf,
    /// Whether what is stored has to survive a power cut.
    durable: bool,
}

impl Storage {
    /// Opens (or creates) `storage/` and removes what an earlier process left in its spool. The directory's lock must be
    /// held.
    pub fn open(data_dir: &Path, durable: bool) -> Result<Self> {
        let storage = Self { root: data_dir.join("storage"), durable };
        let spool = storage.root.join(SPOOL);
        match fs::remove_dir_all(&spool) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::create_dir_all(&spool)?;
        Ok(storage)
    }

    /// A fresh path for spooling an upload, on the same file system.
    pub fn spool_path(&self) -> PathBuf {
        self.root.join(SPOOL).join(random::string(random::LOWER_ALPHANUMERIC, 20))
    }

    /// Moves the upload to its place and writes its sidecar; both are on the disk when this returns.
    pub fn put(&self, key: &Key, upload: &Upload) -> Result<()> {
        let original: &str = &upload.client_name;
        let original = &original[..original.floor_char_boundary(MAX_ORIGINAL)];
        self.put_spooled(key, &upload.path, &upload.sniff()?, json!({"original-filename": original}))
    }

    /// Keeps what was made of an upload.
    pub async fn put_made(&self, key: &Key, bytes: Vec<u8>, content_type: &'static str) -> Result<()> {
        let (storage, key) = (self.clone(), key.clone());
        let put = move || {
            let spooled = storage.spool_path();
            let put = fs::write(&spooled, bytes)
                .map_err(Error::from)
                .and_then(|()| storage.put_spooled(&key, &spooled, content_type, json!({})));
            if put.is_err() {
                remove_quietly(&spooled);
            }
            put
        };
        tokio::task::spawn_blocking(put).await.map_err(Error::internal)?
    }

    fn put_spooled(&self, key: &Key, spooled: &Path, content_type: &str, metadata: Json) -> Result<()> {
        let target = self.path(key);
        let folder = target.parent().expect("keys are below the root");
        let attributes = self.describe(spooled, content_type, metadata)?;
        self.create_folder(folder)?;
        // The sidecar first: whoever sees the file sees what it is.
        let sidecar = self.spool_path();
        let written = self.write_new(&sidecar, attributes.as_bytes()).and_then(|()| {
            fs::rename(&sidecar, beside(&target, SIDECAR))?;
            fs::rename(spooled, &target)
        });
        if let Err(error) = written {
            // Whatever of the two arrived is of no use alone.
            for leftover in [&sidecar, &beside(&target, SIDECAR)] {
                remove_quietly(leftover);
            }
            return Err(error.into());
        }
        self.sync_folder(folder)?;
        Ok(())
    }

    /// Opens a stored file; `None` when there is none.
    pub async fn open_file(&self, key: &Key) -> Result<Option<Object>> {
        let path = self.path(key);
        tokio::task::spawn_blocking(move || open(&path)).await.map_err(Error::internal)?
    }

    /// Removes a file, its sidecar and its thumbnails. A missing file is fine.
    pub fn remove(&self, key: &Key) -> Result<()> {
        let target = self.path(key);
        ignore_missing(fs::remove_file(&target))?;
        ignore_missing(fs::remove_file(beside(&target, SIDECAR)))?;
        ignore_missing(fs::remove_dir_all(self.path(&key.thumbs()?)))
    }

    /// Removes what was made of a file.
    pub async fn remove_thumbs(&self, key: &Key) -> Result<()> {
        let folder = self.path(&key.thumbs()?);
        let remove = move || ignore_missing(fs::remove_dir_all(folder));
        tokio::task::spawn_blocking(remove).await.map_err(Error::internal)?
    }

    /// Removes all files of a record. A missing folder is fine.
    pub fn remove_record(&self, collection: &str, record: &str) -> Result<()> {
        ignore_missing(fs::remove_dir_all(self.path(&Key::record(collection, record)?)))
    }

    /// Moves the folder of a collection out of the way, in one step; whatever is put there next is in a new folder.
    /// Returns where it is now, or `None` when there was none. The next start empties that place if nobody does before.
    pub fn discard_collection(&self, collection: &str) -> Result<Option<PathBuf>> {
        let discarded = self.spool_path();
        match fs::rename(self.path(&Key::collection(collection)?), &discarded) {
            Ok(()) => Ok(Some(discarded)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// The sidecar of a spooled file, which reaches the disk on the way.
    fn describe(&self, spooled: &Path, content_type: &str, metadata: Json) -> Result<String> {
        let mut file = File::open(spooled)?;
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
        Ok(json!({
            "user.cache_control": "",
            "user.content_disposition": "",
            "user.content_encoding": "",
            "user.content_language": "",
            "user.content_type": content_type,
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
                Some(parent) => {
                    self.create_folder(parent)?;
                    self.create_folder(folder)
                }
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if self.durable { File::open(folder)?.sync_all() } else { Ok(()) }
    }
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
    let head = Head { content_type: content_type(path)?, size: found.len(), modified: found.modified()? };
    Ok(Some(Object { head, file: Arc::new(file) }))
}

/// What the sidecar of a file tells, if there is a readable one (`docs/wire/services-files.md` §2).
fn content_type(path: &Path) -> Result<String> {
    let mut text = Vec::new();
    match File::open(beside(path, SIDECAR)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => drop(opened?.take(MAX_SIDECAR).read_to_end(&mut text)?),
    }
    let told = serde_json::from_slice::<Json>(&text).ok();
    let told = told.as_ref().and_then(|sidecar| sidecar.get("user.content_type")?.as_str());
    Ok(told.filter(|told| !told.is_empty()).unwrap_or(UNKNOWN_TYPE).to_owned())
}

/// `path` with something after its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_quietly(path: &Path) {
    if let Err(error) = ignore_missing(fs::remove_file(path)) {
        tracing::warn!(path = %path.display(), %error, "cannot remove what is left of a failed upload");
    }
}

fn ignore_missing(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("conch-files-{}", random::record_id()));
            fs::create_dir_all(&path).expect("a temporary directory");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn key(name: &str) -> Key {
        Key::file("c", "r", name).expect("a key")
    }

    fn upload(storage: &Storage, client_name: &str, content: &[u8]) -> Upload {
        let path = storage.spool_path();
        fs::write(&path, content).expect("spooled");
        Upload { key: "f".into(), client_name: client_name.into(), path, size: content.len() as u64 }
    }

    #[test]
    fn a_stored_file_has_a_sidecar_and_leaves_the_spool() {
        let scratch = Scratch::new();
        let storage = Storage::open(&scratch.0, true).expect("opens");
        let upload = upload(&storage, "Photö X.PNG", b"hi");
        storage.put(&Key::file("pbc_1", "r1", "photo_x.PNG").expect("a key"), &upload).expect("stored");
        let spooled = upload.path.clone();
        drop(upload);

        let folder = scratch.0.join("storage/pbc_1/r1");
        assert!(!spooled.exists());
        assert_eq!(fs::read(folder.join("photo_x.PNG")).expect("there"), b"hi");
        assert_eq!(
            fs::read_to_string(folder.join("photo_x.PNG.attrs")).expect("there"),
            concat!(
                r#"{"user.cache_control":"","user.content_disposition":"","user.content_encoding":"","#,
                r#""user.content_language":"","user.content_type":"text/plain; charset=utf-8","#,
                r#""user.metadata":{"original-filename":"Photö X.PNG"},"md5":"SfaKXIST7CwL9ImCHCH8Ow=="}"#
            )
        );
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 2);
    }

    #[tokio::test]
    async fn a_stored_file_is_opened_with_its_type() {
        let scratch = Scratch::new();
        let storage = Storage::open(&scratch.0, false).expect("opens");
        storage.put(&key("a.txt"), &upload(&storage, "a.txt", b"hi")).expect("stored");
        let told = async |name: &str| Some(storage.open_file(&key(name)).await.expect("readable")?.head.content_type);
        assert_eq!(told("a.txt").await.as_deref(), Some("text/plain; charset=utf-8"));
        let folder = scratch.0.join("storage/c/r");
        for sidecar in ["", "{", "[]", r#"{"user.content_type":5}"#, r#"{"user.content_type":""}"#] {
            fs::write(folder.join("a.txt.attrs"), sidecar).expect("written");
            assert_eq!(told("a.txt").await.as_deref(), Some(UNKNOWN_TYPE), "{sidecar}");
        }
        fs::remove_file(folder.join("a.txt.attrs")).expect("removed");
        assert_eq!(told("a.txt").await.as_deref(), Some(UNKNOWN_TYPE));
        fs::create_dir(folder.join("folder")).expect("created");
        for missing in ["b.txt", "folder"] {
            assert_eq!(told(missing).await, None, "{missing}");
        }
    }

    #[test]
    fn an_upload_that_is_not_stored_is_removed() {
        let scratch = Scratch::new();
        let storage = Storage::open(&scratch.0, false).expect("opens");
        let path = upload(&storage, "a.txt", b"hi").path.clone();
        assert!(!path.exists());

        let left = storage.spool_path();
        fs::write(&left, b"from a crash").expect("spooled");
        Storage::open(&scratch.0, false).expect("opens again");
        assert!(!left.exists());
    }

    #[test]
    fn removing_takes_sidecars_and_thumbnails_along() {
        let scratch = Scratch::new();
        let storage = Storage::open(&scratch.0, false).expect("opens");
        let folder = scratch.0.join("storage/c/r");
        for name in ["a.png", "b.png"] {
            storage.put(&key(name), &upload(&storage, name, b"x")).expect("stored");
        }
        fs::create_dir(folder.join("thumbs_a.png")).expect("created");
        fs::write(folder.join("thumbs_a.png/10x10_a.png"), b"t").expect("written");

        storage.remove(&key("a.png")).expect("removed");
        storage.remove(&key("a.png")).expect("a missing file is fine");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 2);
        storage.remove_record("c", "r").expect("removed");
        assert!(!folder.exists());
        storage.remove_record("c", "r").expect("a missing folder is fine");
        let discarded = storage.discard_collection("c").expect("moved").expect("there");
        assert!(discarded.starts_with(scratch.0.join("storage/.spool")) && discarded.is_dir());
        assert_eq!(storage.discard_collection("c").expect("a missing folder is fine"), None);
        assert!(!scratch.0.join("storage/c").exists());
    }
}
