//! The files of records, whatever store keeps them; and the local spool through which they arrive.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{TryStreamExt, stream::BoxStream};
use parking_lot::Mutex;

use super::{
    Key, Upload,
    disk::Disk,
    placement::{self, Mark, Placement},
    store::{About, Object, Store},
};
use crate::{
    error::{Error, Result},
    random,
};

/// Where uploads arrive, inside of `storage/` so that storing one is a rename. No collection id begins with a dot.
const SPOOL: &str = ".spool";
/// Where files are noted that were put in place for writes which have not committed yet.
const PLACING: &str = ".placing";

/// `storage/` of one data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    store: Arc<dyn Store>,
    spool: PathBuf,
    placing: PathBuf,
    /// What was put in place by writes that are on their way. Held for look-ups only.
    pub(super) in_flight: Arc<Mutex<HashSet<Key>>>,
}

impl Storage {
    /// Opens (or creates) `storage/` and removes what an earlier process left in its spool. The directory's lock must be
    /// held. Blocks.
    pub fn open(data_dir: &Path, durable: bool) -> Result<Self> {
        let root = data_dir.join("storage");
        let (spool, placing) = (root.join(SPOOL), root.join(PLACING));
        match fs::remove_dir_all(&spool) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::create_dir_all(&spool)?;
        fs::create_dir_all(&placing)?;
        let store = Arc::new(Disk::new(root, spool.clone(), durable));
        Ok(Self { store, spool, placing, in_flight: Arc::default() })
    }

    /// A fresh path for spooling an upload, on the same file system.
    pub fn spool_path(&self) -> PathBuf {
        self.spool.join(random::string(random::LOWER_ALPHANUMERIC, 20))
    }

    /// Puts an upload where its record's files are, for a write that has not committed yet. It is on the disk when this
    /// returns, and goes again unless the placement is kept.
    pub async fn place(&self, key: Key, upload: &Upload, content_type: &str) -> Result<Placement> {
        let placement = Placement::announce(self, key).await?;
        let original_name = Some(upload.client_name.clone());
        let about = About { content_type: content_type.to_owned(), original_name };
        self.store.put(placement.key(), &upload.path, &about).await?;
        Ok(placement)
    }

    /// Whether a write on its way has put this file in place, or is about to.
    pub fn is_placing(&self, key: &Key) -> bool {
        self.in_flight.lock().contains(key)
    }

    /// Keeps what was made of a stored file.
    pub async fn put_made(&self, key: &Key, bytes: Vec<u8>, content_type: &str) -> Result<()> {
        let spooled = self.spool_path();
        let about = About { content_type: content_type.to_owned(), original_name: None };
        let put = async {
            tokio::fs::write(&spooled, bytes).await?;
            self.store.put(key, &spooled, &about).await
        };
        let put = put.await;
        if put.is_err() {
            // What cannot be removed either goes with the next start.
            let _ = tokio::fs::remove_file(&spooled).await;
        }
        put
    }

    /// A stored file; `None` when there is none.
    pub async fn find(&self, key: &Key) -> Result<Option<Object>> {
        self.store.open(key).await
    }

    /// Files in and below a folder, thumbnails among them.
    pub fn list<'a>(&'a self, folder: &'a Key) -> BoxStream<'a, Result<Key>> {
        self.store.list(folder)
    }

    /// Removes exactly this file. A missing one is fine.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        self.store.delete(key).await
    }

    /// Removes a file, and then what was made of it. A missing one is fine.
    pub async fn remove(&self, key: &Key) -> Result<()> {
        self.store.delete(key).await?;
        let thumbs = key.thumbs()?;
        self.store.list(&thumbs).try_for_each(|thumb| async move { self.store.delete(&thumb).await }).await
    }

    /// The files that writes put in place and neither kept nor removed, because the process died or the disk failed.
    pub async fn left_behind(&self) -> Result<Vec<Mark>> {
        let (placing, in_flight) = (self.placing.clone(), Arc::clone(&self.in_flight));
        let read = move || placement::marks(&placing, |key| in_flight.lock().contains(key));
        tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
    }

    /// Removes what lies in the spool and has not been touched for `age`.
    pub async fn clear_spool(&self, age: Duration) -> Result<()> {
        let spool = self.spool.clone();
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

    pub(super) fn mark_path(&self) -> PathBuf {
        self.placing.join(random::string(random::LOWER_ALPHANUMERIC, 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

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
