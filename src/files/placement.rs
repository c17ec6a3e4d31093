//! Files in place whose record is not committed yet.
//!
//! Before such a file is put anywhere it is noted twice: in memory, for those who remove what no record names, and as a
//! *mark* on the disk, for the next process if this one dies. A mark is a symbolic link that points at the file and is
//! never followed: it comes into being whole, at once, and in the order of what else happens to names on the disk.
//! With the commit the note in memory goes at once: from then on the file is its record's, and goes with it. The mark goes
//! a little later. If the write fails, the file goes first, and then both notes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::runtime::Handle;

use super::{Key, Storage, storage::Home};
use crate::error::{Error, Result};

/// A file in place for a write on its way. When it is dropped without having been kept, the file is removed.
#[derive(Debug)]
pub struct Placement {
    storage: Storage,
    key: Key,
    /// Which store it was put into.
    home: Option<Arc<Home>>,
    mark: PathBuf,
    kept: AtomicBool,
    /// Where the end is seen to: the last handle may be dropped on any thread.
    runtime: Handle,
}

impl Placement {
    /// Notes that `key` is about to be put in place.
    pub(super) async fn announce(storage: &Storage, key: Key) -> Result<Self> {
        // In memory first: whoever sees a mark can tell whether somebody cares for it.
        storage.note_in_flight(&key);
        let mark = storage.mark_path();
        let (storage, runtime) = (storage.clone(), Handle::current());
        let placement = Self { storage, key, home: None, mark, kept: AtomicBool::new(false), runtime };
        let (mark, target) = (placement.mark.clone(), placement.key.as_str().to_owned());
        let note = move || std::os::unix::fs::symlink(target, mark);
        tokio::task::spawn_blocking(note).await.map_err(Error::internal)??;
        Ok(placement)
    }

    /// It is about to be put there.
    pub(super) fn is_in(&mut self, home: Arc<Home>) {
        self.home = Some(home);
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The file belongs to a record that has just been committed. To be called before anybody is told of the commit: who
    /// removes that record must find the file to be no longer on its way. Does not block.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Release);
        self.storage.no_longer_in_flight(&self.key);
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        let (storage, key, mark) = (self.storage.clone(), self.key.clone(), std::mem::take(&mut self.mark));
        let (kept, home) = (self.kept.load(Ordering::Acquire), self.home.take());
        // A runtime that has ended sees to nothing: then the mark tells the next process.
        self.runtime.spawn(async move {
            let removed = if kept { Ok(()) } else { storage.take_back(&key, home.as_ref()).await };
            match removed {
                Ok(()) => Mark { path: mark, key: key.clone() }.erase().await,
                Err(error) => tracing::warn!(?key, %error, "the file of a failed write stays for now"),
            }
            if !kept {
                storage.no_longer_in_flight(&key);
            }
        });
    }
}

/// A note on the disk that nobody in this process cares for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    path: PathBuf,
    pub key: Key,
}

impl Mark {
    /// When the file belongs to a record, or is gone.
    pub async fn erase(self) {
        match tokio::fs::remove_file(&self.path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(key = ?self.key, %error, "the mark of a file stays for now");
            }
            _ => {}
        }
    }
}

/// The marks in a folder, but for those that somebody cares for. Blocks.
pub(super) fn marks(folder: &Path, cared_for: impl Fn(&Key) -> bool) -> Result<Vec<Mark>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let target = match fs::read_link(&path) {
            // It was erased meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            target => target.ok(),
        };
        match target.as_ref().and_then(|target| Key::parse(target.to_str()?).ok()) {
            Some(key) if cared_for(&key) => {}
            Some(key) => found.push(Mark { path, key }),
            None => tracing::warn!(path = %path.display(), "this is no mark of ours and stays"),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{db::testing::TempDir, files::Upload};

    fn upload(storage: &Storage) -> Upload {
        let path = storage.spool_path();
        fs::write(&path, "hi").unwrap();
        Upload { key: "f".into(), client_name: "a.txt".into(), path, size: 2 }
    }

    async fn until(what: &str, done: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while !done().await {
            assert!(started.elapsed() < Duration::from_secs(5), "{what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn what_is_kept_stays_and_what_is_not_goes() {
        let place = TempDir::new();
        let storage = Storage::open(place.path(), false).unwrap();
        for keeps in [true, false] {
            let key = Key::file("c", "r", "a.txt").unwrap();
            let placement = storage.place(key.clone(), &upload(&storage), "text/plain").await.unwrap();
            assert!(storage.is_placing(&key) && storage.find(&key).await.unwrap().is_some());
            assert_eq!(storage.left_behind().await.unwrap(), [], "somebody cares for it");
            if keeps {
                placement.keep();
                assert!(!storage.is_placing(&key), "who removes its record must see it");
            }
            drop(placement);
            let marks = place.path().join("storage/.placing");
            until("settled", async || !storage.is_placing(&key) && fs::read_dir(&marks).unwrap().count() == 0).await;
            assert_eq!(storage.find(&key).await.unwrap().is_some(), keeps);
            storage.remove(&key).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_next_process_finds_what_this_one_left() {
        let place = TempDir::new();
        let storage = Storage::open(place.path(), false).unwrap();
        let key = Key::file("c", "r", "a.txt").unwrap();
        // As if the process died here.
        std::mem::forget(storage.place(key.clone(), &upload(&storage), "text/plain").await.unwrap());
        fs::write(place.path().join("storage/.placing/odd"), "not ours").unwrap();

        let storage = Storage::open(place.path(), false).unwrap();
        let left = storage.left_behind().await.unwrap();
        assert!(matches!(left.as_slice(), [mark] if mark.key == key), "{left:?}");
        assert!(storage.find(&key).await.unwrap().is_some(), "who left it behind does not say whether it is needed");
        for mark in left {
            mark.erase().await;
        }
        assert_eq!(storage.left_behind().await.unwrap(), []);
    }
}
