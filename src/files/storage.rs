//! The files of records, whatever store keeps them; and the local spool through which they arrive.
//!
//! Which store that is, the settings say: this machine's disk or a bucket. It may change while files come and go.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use futures_util::{TryStreamExt, stream::BoxStream};
use parking_lot::Mutex;

use super::{
    Key, Upload,
    bucket::Bucket,
    copies::Copies,
    disk::Disk,
    moving::Moving,
    placement::{self, Mark, Placement},
    store::{About, Object, Store},
    uploads::Uploads,
};
use crate::{
    error::{Error, Result},
    outgoing::bucket::Params,
    random,
    settings::{self, Settings},
};

/// Where uploads arrive, inside of `storage/` so that storing one is a rename. No collection id begins with a dot.
const SPOOL: &str = ".spool";
/// Where files are noted that were put in place for writes which have not committed yet.
const PLACING: &str = ".placing";
/// Where uploads in parts to a bucket are noted.
const UPLOADING: &str = ".uploading";
/// Where moves that did not come to their end note what they copied.
const MOVING: &str = ".moving";

/// The files of one data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    spool: PathBuf,
    placing: PathBuf,
    uploads: Arc<Uploads>,
    local: Arc<Home>,
    home: ArcSwap<Home>,
    /// What was put in place by writes that are on their way. Held for look-ups only.
    in_flight: Mutex<HashSet<Key>>,
    moving: Moving,
}

/// A store, and which one it is.
#[derive(Debug)]
pub struct Home {
    /// `None` for the local disk.
    pub(super) bucket: Option<Params>,
    pub(super) store: Arc<dyn Store>,
}

impl Home {
    /// Removes a file, and then what was made of it. A missing one is fine.
    pub(super) async fn remove(&self, key: &Key) -> Result<()> {
        self.store.delete(key).await?;
        let thumbs = key.thumbs()?;
        self.store.list(&thumbs).try_for_each(|thumb| async move { self.store.delete(&thumb).await }).await
    }
}

impl Storage {
    /// Opens (or creates) `storage/` and removes what an earlier process left in its spool. The directory's lock must be
    /// held. Files are on the local disk until [`Storage::follow`] says otherwise. Blocks.
    pub fn open(data_dir: &Path, durable: bool) -> Result<Self> {
        let root = data_dir.join("storage");
        let (spool, placing) = (root.join(SPOOL), root.join(PLACING));
        match fs::remove_dir_all(&spool) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::create_dir_all(&spool)?;
        fs::create_dir_all(&placing)?;
        let uploads = Uploads::open(root.join(UPLOADING));
        let local = Arc::new(Home { bucket: None, store: Arc::new(Disk::new(root.clone(), spool.clone(), durable)) });
        let home = ArcSwap::new(Arc::clone(&local));
        let (in_flight, moving) = (Mutex::default(), Moving::default());
        Ok(Self { inner: Arc::new(Inner { root, spool, placing, uploads, local, home, in_flight, moving }) })
    }

    /// Keeps files where the settings say, now and after each change of them. What is elsewhere stays there.
    pub fn follow(&self, settings: &settings::Store) {
        self.settle(&settings.current());
        let storage = self.clone();
        settings.on_change(move |_, now| storage.settle(now));
    }

    /// Neither blocks nor asks anybody.
    fn settle(&self, settings: &Settings) {
        let wanted = settings.s3.enabled.then(|| settings.s3.params());
        if self.home().bucket == wanted {
            return;
        }
        let home = wanted.map_or_else(|| Arc::clone(&self.inner.local), |params| self.bucket(params));
        let bucket = home.bucket.as_ref().map(tracing::field::debug);
        tracing::info!(bucket, "files are kept {}", if home.bucket.is_some() { "in a bucket" } else { "on this disk" });
        self.inner.home.store(home);
    }

    /// Where files are kept now.
    #[cfg(test)]
    pub(super) fn keep_in(&self, home: &Arc<Home>) {
        self.inner.home.store(Arc::clone(home));
    }

    pub(super) fn home(&self) -> Arc<Home> {
        self.inner.home.load_full()
    }

    /// This machine's disk.
    pub(super) fn local(&self) -> Arc<Home> {
        Arc::clone(&self.inner.local)
    }

    /// A bucket, whoever keeps files there.
    pub(super) fn bucket(&self, params: Params) -> Arc<Home> {
        let store = Arc::new(Bucket::new(params.clone(), Arc::clone(&self.inner.uploads)));
        Arc::new(Home { bucket: Some(params), store })
    }

    pub(super) fn moving(&self) -> &Moving {
        &self.inner.moving
    }

    /// A fresh path for spooling an upload, on the same file system.
    pub fn spool_path(&self) -> PathBuf {
        self.inner.spool.join(random::string(random::LOWER_ALPHANUMERIC, 20))
    }

    /// Puts an upload where its record's files are, for a write that has not committed yet. It is in the store when this
    /// returns, and goes again unless the placement is kept.
    pub async fn place(&self, key: Key, upload: &Upload, content_type: &str) -> Result<Placement> {
        let mut placement = Placement::announce(self, key).await?;
        let about = About { content_type: content_type.to_owned(), original_name: Some(upload.client_name.clone()) };
        let (storage, source) = (self.clone(), upload.path.clone());
        // Whoever wants it may go away meanwhile. A file that then arrives nevertheless must not come after its removal.
        let put = tokio::spawn(async move {
            let _open = storage.inner.moving.pass().await;
            let home = storage.home();
            placement.is_in(Arc::clone(&home));
            let put = home.store.put(placement.key(), &source, &about).await;
            storage.inner.moving.touched(placement.key());
            put.map(|()| placement)
        });
        put.await.map_err(Error::internal)?
    }

    /// Whether a write on its way has put this file in place, or is about to.
    pub fn is_placing(&self, key: &Key) -> bool {
        self.inner.in_flight.lock().contains(key)
    }

    pub(super) fn note_in_flight(&self, key: &Key) {
        self.inner.in_flight.lock().insert(key.clone());
    }

    pub(super) fn no_longer_in_flight(&self, key: &Key) {
        self.inner.in_flight.lock().remove(key);
    }

    /// Keeps what was made of a stored file.
    pub async fn put_made(&self, key: &Key, bytes: Vec<u8>, content_type: &str) -> Result<()> {
        let spooled = self.spool_path();
        let about = About { content_type: content_type.to_owned(), original_name: None };
        let put = async {
            tokio::fs::write(&spooled, bytes).await?;
            let _open = self.inner.moving.pass().await;
            let put = self.home().store.put(key, &spooled, &about).await;
            self.inner.moving.touched(key);
            put
        };
        let put = put.await;
        // A store that moves files has taken it. What cannot be removed goes with the next start.
        let _ = tokio::fs::remove_file(&spooled).await;
        put
    }

    /// A stored file; `None` when there is none.
    pub async fn find(&self, key: &Key) -> Result<Option<Object>> {
        self.home().store.open(key).await
    }

    /// Files in and below a folder, thumbnails among them.
    pub fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        self.home().store.list(folder)
    }

    /// Removes exactly this file. A missing one is fine.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        let _open = self.inner.moving.pass().await;
        let deleted = self.home().store.delete(key).await;
        self.inner.moving.touched(key);
        deleted
    }

    /// Removes a file, and then what was made of it. A missing one is fine.
    pub async fn remove(&self, key: &Key) -> Result<()> {
        let _open = self.inner.moving.pass().await;
        let removed = self.home().remove(key).await;
        self.inner.moving.touched(key);
        removed
    }

    /// The same for a file of a write that failed, which was put into `home` unless it is not known where it is.
    pub async fn take_back(&self, key: &Key, home: Option<&Arc<Home>>) -> Result<()> {
        self.remove(key).await?;
        let elsewhere = home.unwrap_or(&self.inner.local);
        if !Arc::ptr_eq(elsewhere, &self.home()) { elsewhere.remove(key).await } else { Ok(()) }
    }

    /// The files that writes put in place and neither kept nor removed, because the process died or the disk failed.
    pub async fn left_behind(&self) -> Result<Vec<Mark>> {
        let inner = Arc::clone(&self.inner);
        let read = move || placement::marks(&inner.placing, |key| inner.in_flight.lock().contains(key));
        tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
    }

    /// Calls off what earlier processes began to upload and did not end.
    pub async fn tidy(&self) -> Result<()> {
        self.home().store.tidy().await
    }

    /// Removes what lies in the spool and has not been touched for `age`.
    pub async fn clear_spool(&self, age: Duration) -> Result<()> {
        let spool = self.inner.spool.clone();
        let clear = move || {
            let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
            for entry in fs::read_dir(&spool)? {
                let entry = entry?;
                // What goes away meanwhile is being taken care of.
                if entry.metadata().and_then(|found| found.modified()).is_ok_and(|modified| modified < before) {
                    let _ = fs::remove_file(entry.path());
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(clear).await.map_err(Error::internal)?
    }

    /// Where a file is on this machine's disk, if it is there.
    pub(super) fn local_path(&self, key: &Key) -> PathBuf {
        self.inner.root.join(key.as_str())
    }

    /// What moves to this place have copied and did not come to an end with.
    pub(super) fn copies(&self, to: &Home) -> Result<Copies> {
        Copies::open(&self.inner.root.join(MOVING), to.bucket.as_ref())
    }

    pub(super) fn mark_path(&self) -> PathBuf {
        self.inner.placing.join(random::string(random::LOWER_ALPHANUMERIC, 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    /// The log is read by programs, too.
    #[test]
    fn the_log_names_the_bucket_and_nothing_around_it() {
        let place = TempDir::new();
        let log = place.path().join("log");
        let file = Arc::new(fs::File::create(&log).unwrap());
        let subscriber = tracing_subscriber::fmt().json().with_writer(file).finish();
        tracing::subscriber::with_default(subscriber, || {
            let storage = Storage::open(place.path(), false).unwrap();
            let mut settings = Settings::fresh();
            settings.s3.enabled = true;
            settings.s3.endpoint = "http://127.0.0.1:9".to_owned();
            settings.s3.bucket = "files".to_owned();
            storage.settle(&settings);
            storage.settle(&Settings::fresh());
        });
        let told = fs::read_to_string(log).unwrap();
        let lines: Vec<_> = told.lines().filter(|line| line.contains("files are kept")).collect();
        assert!(lines.len() == 2 && lines[0].contains(r#""bucket":"http://127.0.0.1:9/files""#), "{lines:?}");
        assert!(!lines[1].contains("\"bucket\""), "{lines:?}");
    }

    #[tokio::test]
    async fn an_upload_that_is_not_stored_is_removed() {
        let place = TempDir::new();
        let storage = Storage::open(place.path(), false).unwrap();
        let spooled = |content: &str| {
            let path = storage.spool_path();
            fs::write(&path, content).unwrap();
            path
        };
        let path = spooled("hi");
        drop(Upload { key: "f".into(), client_name: "a.txt".into(), path: path.clone(), size: 2 });
        assert!(!path.exists());

        let old = spooled("forgotten");
        let time = SystemTime::now() - Duration::from_secs(100);
        fs::File::options().write(true).open(&old).unwrap().set_modified(time).unwrap();
        let new = spooled("arriving");
        storage.clear_spool(Duration::from_secs(50)).await.unwrap();
        assert!(!old.exists() && new.exists());
        Storage::open(place.path(), false).unwrap();
        assert!(!new.exists());
    }

    #[tokio::test]
    async fn what_was_made_of_a_file_goes_with_it() {
        let place = TempDir::new();
        let storage = Storage::open(place.path(), false).unwrap();
        let [a, b] = ["a.png", "b.png"].map(|name| Key::file("c", "r", name).unwrap());
        for key in [&a, &b, &a.thumb("1x1").unwrap(), &a.thumb("2x2").unwrap(), &b.thumb("1x1").unwrap()] {
            storage.put_made(key, b"x".to_vec(), "image/png").await.unwrap();
        }
        storage.remove(&a).await.unwrap();
        storage.remove(&a).await.unwrap();
        let record = Key::record("c", "r").unwrap();
        let mut left: Vec<Key> = storage.list(&record).try_collect().await.unwrap();
        left.sort();
        assert_eq!(left, [b.clone(), b.thumb("1x1").unwrap()]);
        assert_eq!(fs::read_dir(place.path().join("storage/.spool")).unwrap().count(), 0);
    }
}
