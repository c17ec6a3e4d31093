//! The files of a write: in place before its row is committed, gone after theirs is not (`records-storage.md` §8).
//!
//! Files go in the background, after the commit; a crash in between leaves files that no record names. Nothing ever
//! points at a file that is not there, and nobody's removal takes a file of a successor under the same id:
//!
//! - A **single file** is removed by its name, which is random: no other record has it.
//! - A **record's folder** is not removed while a record of the same id moves in, nor entered before it is removed:
//!   `arriving` and `leaving` exclude each other under one lock.
//! - A **collection's folder** is renamed into the spool by the writer thread, after the commit that removes the
//!   collection and before any later write: no successor has a row by then, so none has a file that was committed.
//!   What unfinished writes had put there goes along, and they must not commit. Therefore each removal is counted
//!   before and after the rename; an upload remembers the count from before it is put in place, and the write compares
//!   it in its own transaction. Writer and removals share one thread, so nothing comes between the comparison and the
//!   commit. Only an upload that began after the rename has the final count, and it lies where the successor's files
//!   lie. Any other fails, also one that made the folder anew, and is swept by its name.
//! - A row's files lie under **its collection's and its own id**: a write that is judged anew and finds another
//!   collection behind its name fails, for its uploads are where the first one's were.

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
    files::{Key, Storage},
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
    /// Two for each removal of a collection of this id since the start. Grows by an entry for each such id.
    removals: HashMap<Arc<str>, u64>,
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

    /// Takes the folders of removed collections away: at once out of the way, later from the disk. Only on the writer
    /// thread. A failure is for the log only: the collections are gone already.
    pub fn discard(&self, storage: &Storage, collections: &[Arc<str>]) {
        let mut discarded = Vec::new();
        for id in collections {
            self.folders.count_removal(id);
            match storage.discard_collection(id) {
                Ok(folder) => discarded.extend(folder),
                Err(error) => tracing::error!(%id, %error, "the files of a removed collection stay behind"),
            }
            self.folders.count_removal(id);
        }
        if discarded.is_empty() {
            return;
        }
        let work = move || {
            for folder in discarded {
                if let Err(error) = std::fs::remove_dir_all(&folder) {
                    tracing::warn!(?folder, %error, "removed files stay until the next start");
                }
            }
        };
        // Not the sweeper's thread: uploads may wait for that one, and this can take minutes.
        if let Err(error) = std::thread::Builder::new().name("conch-discard".into()).spawn(work) {
            tracing::warn!(%error, "no thread to remove files, they stay until the next start");
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

    /// Before and after a collection's folder is taken away.
    fn count_removal(&self, collection: &Arc<str>) {
        *self.state.lock().removals.entry(collection.clone()).or_default() += 1;
    }

    /// The count of the folder's collection.
    fn removals(&self, folder: &Folder) -> u64 {
        self.state.lock().removals.get(&folder.collection).copied().unwrap_or_default()
    }

    /// Waits until nobody removes this folder, and blocks that long. Returns the removals of its collection.
    fn arrive(&self, folder: &Folder) -> Result<u64> {
        let mut state = self.state.lock();
        let is_leaving = |state: &mut InUse| state.leaving.contains_key(folder);
        if self.swept.wait_while_for(&mut state, is_leaving, PATIENCE).timed_out() {
            return Err(Error::busy(PATIENCE));
        }
        *state.arriving.entry(folder.clone()).or_default() += 1;
        Ok(state.removals.get(&folder.collection).copied().unwrap_or_default())
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
    orphan.files.iter().try_for_each(|name| storage.remove(&Key::file(collection, record, name)?))
}

struct PlacedFile {
    folder: Folder,
    name: String,
    /// Removals of its collection before it was put in place.
    removals: u64,
}

/// The uploads that were put in place for one write. Unless the write commits they are removed when the last handle
/// goes: the request's and the queued write's, as the client may leave while the write still waits for its turn.
pub(super) struct Placed {
    storage: Storage,
    sweeper: Sweeper,
    /// Held for a push or a look only.
    files: Mutex<Vec<PlacedFile>>,
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
            let removals = placed.sweeper.folders.arrive(&folder)?;
            let file = PlacedFile { folder: folder.clone(), name: staged.name.clone(), removals };
            placed.files.lock().push(file);
            let key = Key::file(&folder.collection, &folder.record, &staged.name)?;
            let put = placed.storage.put(&key, &staged.upload);
            // A folder that was taken away under our hands tells as an error of the disk.
            put.or_else(|error| placed.check().and(Err(error)))
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }

    /// Fails when a collection was removed since its uploads were put in place: they went with it. On the writer thread
    /// this holds until the commit.
    pub fn check(&self) -> Result<()> {
        let files = self.files.lock();
        let went = files.iter().any(|file| self.sweeper.folders.removals(&file.folder) != file.removals);
        if went { Err(Error::not_found()) } else { Ok(()) }
    }

    /// The files belong to a committed record now.
    pub fn keep(&self) {
        self.committed.store(true, Ordering::Release);
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let files = std::mem::take(self.files.get_mut());
        for file in &files {
            self.sweeper.folders.has_arrived(&file.folder);
        }
        if !self.committed.load(Ordering::Acquire) {
            let orphan = |file: PlacedFile| Orphan { folder: file.folder, files: vec![file.name], whole: false };
            self.sweeper.sweep(&self.storage, files.into_iter().map(orphan).collect());
        }
    }
}
