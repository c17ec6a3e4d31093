//! The files of a write: in place before its row is committed, gone after theirs is not (`records-storage.md` §8).
//!
//! Files go in the background, after the commit. A crash in between leaves a file that no record names; nothing ever
//! points at a file that is not there.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use parking_lot::Mutex;

use super::task::Task;
use crate::{
    error::{Error, Result},
    files::Storage,
};

/// A file, or all files of a record, that nobody needs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Orphan {
    File { collection: Arc<str>, record: String, name: String },
    Record { collection: Arc<str>, record: String },
}

/// Removes files on a thread of its own, so that neither the writer nor a request waits for the disk.
#[derive(Clone, Default)]
pub(super) struct Sweeper {
    /// Started with the first orphan.
    sender: Arc<OnceLock<mpsc::Sender<Vec<Orphan>>>>,
}

impl Sweeper {
    /// Never blocks.
    pub fn sweep(&self, storage: &Storage, orphans: Vec<Orphan>) {
        if orphans.is_empty() {
            return;
        }
        let sender = self.sender.get_or_init(|| start(storage.clone()));
        if sender.send(orphans).is_err() {
            tracing::error!("the thread that removes files is gone; files stay behind");
        }
    }
}

fn start(storage: Storage) -> mpsc::Sender<Vec<Orphan>> {
    let (sender, receiver) = mpsc::channel::<Vec<Orphan>>();
    let work = move || {
        for orphan in receiver.iter().flatten() {
            let removed = match &orphan {
                Orphan::File { collection, record, name } => storage.remove(collection, record, name),
                Orphan::Record { collection, record } => storage.remove_record(collection, record),
            };
            if let Err(error) = removed {
                tracing::warn!(?orphan, %error, "a file could not be removed");
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("conch-sweeper".into()).spawn(work) {
        tracing::error!(%error, "no thread to remove files");
    }
    sender
}

/// The uploads that were put in place for one write. Unless the write commits they are removed when the last handle
/// goes: the request's and the queued write's, as the client may leave while the write still waits for its turn.
pub(super) struct Placed {
    storage: Storage,
    sweeper: Sweeper,
    /// Held for a push only.
    files: Mutex<Vec<Orphan>>,
    committed: AtomicBool,
}

impl Placed {
    pub fn new(storage: Storage, sweeper: Sweeper) -> Arc<Self> {
        Arc::new(Self { storage, sweeper, files: Mutex::default(), committed: AtomicBool::new(false) })
    }

    /// Puts one upload where its record's files are. Returns when it is on the disk.
    pub async fn put(self: &Arc<Self>, task: &Arc<Task>, upload: usize, collection: &str, record: &str) -> Result<()> {
        let (placed, task) = (self.clone(), task.clone());
        let (collection, record) = (Arc::<str>::from(collection), record.to_owned());
        let work = move || {
            let staged = &task.uploads[upload];
            let (name, kept) = (staged.name.clone(), (collection.clone(), record.clone()));
            placed.files.lock().push(Orphan::File { collection, record, name });
            placed.storage.put(&kept.0, &kept.1, &staged.name, &staged.upload)
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }

    /// The files belong to a committed record now.
    pub fn keep(&self) {
        self.committed.store(true, Ordering::Release);
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if !self.committed.load(Ordering::Acquire) {
            self.sweeper.sweep(&self.storage, std::mem::take(self.files.get_mut()));
        }
    }
}
