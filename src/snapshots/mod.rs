//! Snapshots of a temporary server: all that it holds at a moment, and back to that within milliseconds
//! (`docs/TESTING.md`), so that each test of a suite begins with the same data.
//!
//! A snapshot is a copy of the database (collections, records, accounts, settings, jobs), the files, the capture box and
//! the clock. Coming back to one is an exchange under everybody's feet (`db/exchange.rs`): what works in the background
//! rests meanwhile, caches are dropped with the epoch of the log, and live clients connect again.
//!
//! May touch every room below `app`. Main type: [`Snapshots`].

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Mutex};

use crate::{
    auth::Auth,
    clock::{Clock, Hands},
    db::Db,
    error::{Error, Leaf, Result},
    files::{Storage, shelf},
    jobs::Runner,
    mail::{Captured, Mail},
    notify::Notify,
    realtime::Hub,
    schema::Schema,
    settings,
};

/// The folder of the data directory in which they are.
const FOLDER: &str = ".snapshots";
/// What is kept at the same time, besides the one of the beginning.
const MOST: usize = 100;
/// All copies of the database together, in bytes.
const MOST_BYTES: u64 = 2 << 30;
/// What is under way has so long to end before a snapshot is taken.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What a snapshot is made of.
pub struct Rooms {
    pub db: Db,
    pub clock: Clock,
    pub settings: settings::Store,
    pub schema: Schema,
    pub storage: Storage,
    pub mail: Mail,
    pub auth: Auth,
    pub realtime: Hub,
    pub notify: Notify,
    pub runner: Runner,
}

/// The snapshots of one temporary server. Cheap to clone.
#[derive(Clone)]
pub struct Snapshots {
    inner: Arc<Inner>,
}

struct Inner {
    rooms: Rooms,
    /// Where the server's background work lives: it begins again there.
    home: OnceLock<Handle>,
    /// Held while one is taken or brought back: one at a time.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// What [`Snapshots::reset`] goes back to.
    base: Option<Snapshot>,
    others: BTreeMap<u64, Snapshot>,
    /// Taken so far: ids are not used twice.
    count: u64,
}

struct Snapshot {
    folder: PathBuf,
    /// Of the copy of the database.
    bytes: u64,
    mails: Vec<Arc<Captured>>,
    hands: Option<Hands>,
}

impl Snapshots {
    pub fn new(rooms: Rooms) -> Self {
        Self { inner: Arc::new(Inner { rooms, home: OnceLock::new(), kept: Mutex::default() }) }
    }

    /// Takes the snapshot of the beginning, unless files are kept in a bucket, which no snapshot holds. On the runtime of
    /// the server itself, once its data is there.
    pub async fn begin(&self) -> Result<()> {
        let _ = self.inner.home.set(Handle::current());
        // Of this directory before it was restored from a backup: nobody knows their ids any more.
        remove_folder(&self.inner.rooms.db.dir().join(FOLDER));
        if self.inner.has_bucket() {
            tracing::warn!("files are kept in a bucket: there is no snapshot of the beginning, and no way back to it");
            return Ok(());
        }
        let mut kept = self.inner.kept.lock().await;
        kept.base = Some(self.inner.copy_out(0).await?);
        Ok(())
    }

    /// Takes a snapshot; its id. What is due and under way may end first, within a time.
    pub async fn take(&self) -> Result<u64> {
        self.at_home(|inner| async move {
            let mut kept = inner.kept.lock().await;
            if kept.others.len() >= MOST {
                return Err(full(format!("There are {MOST} snapshots")));
            }
            inner.rest().await?;
            let id = kept.count + 1;
            let snapshot = inner.copy_out(id).await?;
            kept.count = id;
            let bytes = snapshot.bytes + kept.others.values().map(|other| other.bytes).sum::<u64>();
            if bytes > MOST_BYTES {
                snapshot.remove();
                return Err(full("The snapshots together would be larger than 2 GiB".to_owned()));
            }
            kept.others.insert(id, snapshot);
            Ok(id)
        })
        .await
    }

    /// Brings back what was when a snapshot was taken; `NotFound` if there is none of this id.
    pub async fn restore(&self, id: u64) -> Result<()> {
        self.at_home(move |inner| async move {
            let kept = inner.kept.lock().await;
            inner.put_back(kept.others.get(&id).ok_or_else(Error::not_found)?).await
        })
        .await
    }

    /// Brings back what was when the server began, its fixture included. Invalid if it began with its files in a bucket.
    pub async fn reset(&self) -> Result<()> {
        self.at_home(|inner| async move {
            let kept = inner.kept.lock().await;
            let base = kept.base.as_ref().ok_or_else(|| {
                Error::invalid(
                    "There is no way back to the beginning: this server began with its files in a bucket (S3).",
                )
            });
            inner.put_back(base?).await
        })
        .await
    }

    /// Forgets a snapshot; `NotFound` if there is none of this id.
    pub async fn forget(&self, id: u64) -> Result<()> {
        let forgotten = self.inner.kept.lock().await.others.remove(&id);
        forgotten.ok_or_else(Error::not_found)?.remove();
        Ok(())
    }

    /// What has begun is carried through, also if whoever asked goes away.
    async fn at_home<T, W>(&self, work: impl FnOnce(Arc<Inner>) -> W) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let home = self.inner.home.get().ok_or_else(|| Error::busy(Duration::from_secs(1)))?;
        home.spawn(work(Arc::clone(&self.inner))).await.map_err(Error::internal)?
    }
}

impl Inner {
    fn has_bucket(&self) -> bool {
        self.rooms.settings.current().s3.enabled
    }

    async fn copy_out(&self, id: u64) -> Result<Snapshot> {
        if self.has_bucket() {
            return Err(Error::invalid("Snapshots hold files of the disk only: switch off S3 in the settings."));
        }
        let (data_dir, mail, clock) =
            (self.rooms.db.dir().to_owned(), self.rooms.mail.clone(), self.rooms.clock.clone());
        let folder = data_dir.join(FOLDER).join(id.to_string());
        fs::create_dir_all(&folder)?;
        let (database, files) = (folder.join("data.db"), folder.join("storage"));
        // On the writer's thread: no record is written between the copies.
        let with = move || {
            shelf::keep(&data_dir, &files)?;
            Ok((mail.mailbox().all(), clock.steering().map(|steering| steering.hands())))
        };
        let copied = self.rooms.db.copy_out(database.clone(), with).await;
        let snapshot = |mails, hands| -> Result<Snapshot> {
            Ok(Snapshot { bytes: fs::metadata(&database)?.len(), folder: folder.clone(), mails, hands })
        };
        let taken = copied.and_then(|(mails, hands)| snapshot(mails, hands));
        if taken.is_err() {
            remove_folder(&folder);
        }
        taken
    }

    async fn put_back(&self, snapshot: &Snapshot) -> Result<()> {
        let rooms = &self.rooms;
        // What they do now is about rows that are about to go; what they were to do is in the snapshot.
        rooms.notify.stop().await;
        rooms.runner.stop().await;
        let exchanged = self.exchange(snapshot).await;
        rooms.auth.forget_what_was();
        rooms.realtime.end_streams();
        rooms.runner.start();
        rooms.notify.start();
        exchanged
    }

    async fn exchange(&self, snapshot: &Snapshot) -> Result<()> {
        let rooms = &self.rooms;
        let (settings, schema, storage) = (rooms.settings.clone(), rooms.schema.clone(), rooms.storage.clone());
        let (data_dir, mail, clock) = (rooms.db.dir().to_owned(), rooms.mail.clone(), rooms.clock.clone());
        let (files, mails, hands) = (snapshot.folder.join("storage"), snapshot.mails.clone(), snapshot.hands);
        rooms
            .db
            .put_back(snapshot.folder.join("data.db"), move |tx| {
                settings.reload(tx)?;
                schema.reload_in(tx)?;
                shelf::bring_back(&storage, &data_dir, &files)?;
                mail.mailbox().replace(mails);
                if let (Some(steering), Some(hands)) = (clock.steering(), hands) {
                    steering.put_back(hands);
                }
                Ok(())
            })
            .await
    }

    /// Waits until nothing is due or under way, as long as there is patience: what is then is given back by a restore.
    async fn rest(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // Twice: what one of them did last may be work for the other.
            let mut idle = true;
            for _ in 0..2 {
                idle = idle && self.rooms.runner.is_idle().await? && self.rooms.notify.is_idle().await?;
            }
            if idle {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

impl Snapshot {
    fn remove(self) {
        remove_folder(&self.folder);
    }
}

fn remove_folder(folder: &std::path::Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a snapshot could not be removed");
    }
}

fn full(what: String) -> Error {
    let message = format!("{what}: remove some with DELETE /api/test/snapshot/ID.");
    Error::field("snapshot", Leaf::new("validation_too_many_snapshots", message))
}
