//! The files of a write: in place before its row is committed, gone after theirs is not (`records-storage.md` §8).
//!
//! Files go in the background, after the commit. A crash in between leaves a file that no record names; nothing ever
//! points at a file that is not there: a record's folder is not removed while another record of the same id moves in.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::task::Task;
use crate::{
    error::{Error, Result},
    files::Storage,
};

/// How long an upload waits for its folder's former owner to be swept out.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record's folder: collection and record id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Folder {
    pub collection: Arc<str>,
    pub record: String,
}

/// What nobody needs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Orphan {
    pub folder: Folder,
    /// Files that the record named.
    pub files: Vec<String>,
    /// The record has gone: so may its folder, with whatever else is in it.
    pub whole: bool,
}

/// Removes files on a thread of its own, so that neither the writer nor a request waits for the disk.
#[derive(Clone, Default)]
pub(super) struct Sweeper {
    /// Started with the first orphan.
    sender: Arc<OnceLock<mpsc::Sender<Vec<Orphan>>>>,
    folders: Arc<Folders>,
}

/// Which folders are being emptied or filled.
#[derive(Default)]
struct Folders {
    /// Held for look-ups only, never while the disk works.
    state: Mutex<InUse>,
    swept: Condvar,
}

#[derive(Default)]
struct InUse {
    /// Folders that wait to be removed.
    leaving: HashMap<Folder, usize>,
    /// Folders that uploads of unfinished writes were put into.
    arriving: HashMap<Folder, usize>,
}

impl Sweeper {
    /// Queues files for removal; blocks for nothing.
    pub fn sweep(&self, storage: &Storage, mut orphans: Vec<Orphan>) {
        if orphans.is_empty() {
            return;
        }
        self.folders.leave(&mut orphans);
        let sender = self.sender.get_or_init(|| start(storage.clone(), self.folders.clone()));
        if let Err(mpsc::SendError(orphans)) = sender.send(orphans) {
            tracing::error!("the thread that removes files is gone; files stay behind");
            orphans.iter().filter(|orphan| orphan.whole).for_each(|orphan| self.folders.has_left(&orphan.folder));
        }
    }
}

impl Folders {
    /// Whole folders are spared where somebody is moving in: of those only the known files go.
    fn leave(&self, orphans: &mut [Orphan]) {
        let mut state = self.state.lock();
        for orphan in orphans.iter_mut().filter(|orphan| orphan.whole) {
            if state.arriving.contains_key(&orphan.folder) {
                orphan.whole = false;
            } else {
                *state.leaving.entry(orphan.folder.clone()).or_default() += 1;
            }
        }
    }

    fn has_left(&self, folder: &Folder) {
        forget(&mut self.state.lock().leaving, folder);
        self.swept.notify_all();
    }

    /// Waits until nobody removes this folder, and blocks that long.
    fn arrive(&self, folder: &Folder) -> Result<()> {
        let mut state = self.state.lock();
        let is_leaving = |state: &mut InUse| state.leaving.contains_key(folder);
        if self.swept.wait_while_for(&mut state, is_leaving, PATIENCE).timed_out() {
            return Err(Error::busy(PATIENCE));
        }
        *state.arriving.entry(folder.clone()).or_default() += 1;
        Ok(())
    }

    fn has_arrived(&self, folder: &Folder) {
        forget(&mut self.state.lock().arriving, folder);
    }
}

/// Counts a folder down.
fn forget(folders: &mut HashMap<Folder, usize>, folder: &Folder) {
    if let Some(count) = folders.get_mut(folder) {
        *count -= 1;
        if *count == 0 {
            folders.remove(folder);
        }
    }
}

fn start(storage: Storage, folders: Arc<Folders>) -> mpsc::Sender<Vec<Orphan>> {
    let (sender, receiver) = mpsc::channel::<Vec<Orphan>>();
    let work = move || {
        for orphan in receiver.iter().flatten() {
            if let Err(error) = remove(&storage, &orphan) {
                tracing::warn!(?orphan, %error, "a file could not be removed");
            }
            if orphan.whole {
                folders.has_left(&orphan.folder);
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("conch-sweeper".into()).spawn(work) {
        tracing::error!(%error, "no thread to remove files");
    }
    sender
}

fn remove(storage: &Storage, orphan: &Orphan) -> Result<()> {
    let Folder { collection, record } = &orphan.folder;
    if orphan.whole {
        return storage.remove_record(collection, record);
    }
    orphan.files.iter().try_for_each(|name| storage.remove(collection, record, name))
}

/// The uploads that were put in place for one write. Unless the write commits they are removed when the last handle
/// goes: the request's and the queued write's, as the client may leave while the write still waits for its turn.
pub(super) struct Placed {
    storage: Storage,
    sweeper: Sweeper,
    /// Held for a push only.
    files: Mutex<Vec<(Folder, String)>>,
    committed: AtomicBool,
}

impl Placed {
    pub fn new(storage: Storage, sweeper: Sweeper) -> Arc<Self> {
        Arc::new(Self { storage, sweeper, files: Mutex::default(), committed: AtomicBool::new(false) })
    }

    /// Puts one upload where its record's files are. Returns when it is on the disk.
    pub async fn put(self: &Arc<Self>, task: &Arc<Task>, upload: usize, folder: Folder) -> Result<()> {
        let (placed, task) = (self.clone(), task.clone());
        let work = move || {
            let staged = &task.uploads[upload];
            placed.sweeper.folders.arrive(&folder)?;
            placed.files.lock().push((folder.clone(), staged.name.clone()));
            placed.storage.put(&folder.collection, &folder.record, &staged.name, &staged.upload)
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
        let files = std::mem::take(self.files.get_mut());
        for (folder, _) in &files {
            self.sweeper.folders.has_arrived(folder);
        }
        if !self.committed.load(Ordering::Acquire) {
            let orphans = files.into_iter().map(|(folder, name)| Orphan { folder, files: vec![name], whole: false });
            self.sweeper.sweep(&self.storage, orphans.collect());
        }
    }
}
