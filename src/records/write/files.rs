//! The files of a write: in place before its row is committed, gone after theirs is not (`records-storage.md` §8).
//!
//! Nothing ever points at a file that is not there, and nothing is removed that a record names:
//!
//! - An upload is put where its record's files are, as a [`Placement`]: unless the write commits, it goes again, be it
//!   by the next process.
//! - What a write makes useless is left to a **job** in its own transaction. A single file is removed by its name, which
//!   is random: no other record has it. A whole folder (its record or its collection is gone) may have got a new owner of
//!   the same id by then, so it is *swept*: of the files found in it, those of writes on their way are left alone first,
//!   and then, by a look into the database, those that a record names. In this order a file that was there cannot be
//!   missed: it is placed before it is there, and named before it is no longer placed.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use super::task::Task;
use crate::{
    db::WriteTx,
    error::Result,
    files::{Key, Placement, Storage},
    jobs::{Claimed, Failure, Jobs, NewJob, Policy, Runner},
    records::Records,
    schema::FieldKind,
};

/// Removes files and sweeps folders.
const REMOVE: &str = "files.remove";
/// Looks for what dead processes and sick disks have left.
const TIDY: &str = "files.tidy";
/// Bytes of keys in one job, well below what a job may hold.
const MAX_KEYS: usize = 48 << 10;
/// Files of a folder that are looked at together; their records are looked up on the writer.
const SWEPT_TOGETHER: usize = 100;
/// A run takes about so long and leaves the rest to another: a folder may hold millions.
const SHIFT: Duration = Duration::from_secs(8);
/// Files that somebody wants kept are looked after again in so long.
const KEPT_AGAIN: Duration = Duration::from_secs(20);
/// Runs of a removal before it is given up, over about two days.
const ATTEMPTS: u32 = 60;
/// Useless files of a folder that are removed at the same time: a bucket takes its time for each.
const REMOVED_AT_ONCE: usize = 16;
/// No upload takes so long to arrive.
const FORGOTTEN: Duration = Duration::from_secs(6 * 3600);

/// Has dropped files stay.
#[derive(Debug)]
pub struct Kept(Arc<AtomicU32>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A record's folder: collection and record id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Folder {
    pub collection: Arc<str>,
    pub record: String,
}

/// The uploads that were put in place for one write. Unless it commits they are removed when the last handle goes: the
/// request's and the queued write's, as the client may leave while the write still waits for its turn.
pub(super) struct Placed {
    storage: Storage,
    /// Held for a push or a look only.
    files: Mutex<Vec<Placement>>,
}

impl Placed {
    pub fn new(storage: Storage) -> Arc<Self> {
        Arc::new(Self { storage, files: Mutex::default() })
    }

    /// Puts one upload where its record's files are. Returns when it is on the disk.
    pub async fn put(&self, task: &Task, upload: usize, folder: &Folder) -> Result<()> {
        let staged = &task.uploads[upload];
        let key = Key::file(&folder.collection, &folder.record, &staged.name)?;
        let placement = self.storage.place(key, &staged.upload, &staged.mime).await?;
        self.files.lock().push(placement);
        Ok(())
    }

    /// The files belong to a committed record now.
    pub fn keep(&self) {
        self.files.lock().iter().for_each(Placement::keep);
    }
}

/// Leaves jobs that remove these files and sweep these folders once the transaction has committed.
pub(super) fn remove_later(jobs: &Jobs, tx: &mut WriteTx<'_>, keys: &[Key]) -> Result<()> {
    let mut rest = keys;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |key: &&Key| {
            bytes += key.as_str().len() + 4;
            bytes <= MAX_KEYS
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (together, later) = rest.split_at(count);
        let keys: Vec<&str> = together.iter().map(Key::as_str).collect();
        jobs.add(tx, &NewJob::new(REMOVE, json!({"keys": keys})))?;
        rest = later;
    }
    Ok(())
}

impl Records {
    /// Removes files that nobody needs any more, from now on in the background.
    pub fn take_jobs(&self, runner: &Runner) {
        let records = self.clone();
        // Longer than a run wants to take.
        // A bucket may be out of reach for days; what is buried stays there for good.
        let policy = Policy { timeout: 3 * SHIFT, attempts: ATTEMPTS, ..Policy::default() };
        runner.on(REMOVE, policy, move |job| {
            let records = records.clone();
            async move { records.remove_files(&job).await }
        });
        let records = self.clone();
        runner.hourly(TIDY, move |_| {
            let records = records.clone();
            async move { Ok(records.tidy_files().await?) }
        });
    }

    /// Files that records drop from now on stay where they are as long as this lives: a backup needs those of the moment
    /// that it is of. Those that were dropped before may go.
    pub fn keep_files(&self) -> Kept {
        self.keepers.fetch_add(1, SeqCst);
        Kept(Arc::clone(&self.keepers))
    }

    async fn remove_files(&self, job: &Claimed) -> Result<(), Failure> {
        // A job that follows on a commit after `keep_files` begins after it, too.
        if self.keepers.load(SeqCst) > 0 {
            let due = Some(self.db.clock().now().plus(KEPT_AGAIN));
            return Ok(self.jobs.enqueue(NewJob { due, ..NewJob::new(REMOVE, job.payload.clone()) }).await?);
        }
        let keys = job.payload.get("keys").and_then(Json::as_array).ok_or_else(|| Failure::permanent("no keys"))?;
        let keys = keys.iter().map(|key| Key::parse(key.as_str().unwrap_or_default())).collect::<Result<Vec<Key>>>();
        let end = Instant::now() + SHIFT;
        Ok(self.remove_keys(keys.map_err(Failure::permanent)?, &|| Instant::now() >= end).await?)
    }

    /// Removes and sweeps from the last to the first. When time is over, what is left goes to another job and this one
    /// has succeeded; else all of it would be done twice, by both.
    async fn remove_keys(&self, mut keys: Vec<Key>, is_over: &(impl Fn() -> bool + Sync)) -> Result<()> {
        // One that cannot be removed is in nobody's way.
        let (mut stuck, mut error, mut any_done) = (Vec::new(), None, false);
        while let Some(key) = keys.pop() {
            let removed = match key.parts() {
                Some(_) => self.storage.remove(&key).await.map(|()| true),
                None => self.sweep(&key, is_over).await,
            };
            any_done |= removed.is_ok();
            match removed {
                Ok(true) => {}
                Ok(false) => keys.push(key),
                Err(failed) => {
                    stuck.push(key);
                    error.get_or_insert(failed);
                }
            }
            if is_over() && !keys.is_empty() {
                if !any_done {
                    // Another job would come no further: this one waits, and is buried in the end.
                    break;
                }
                // Last of all it tries what failed now.
                stuck.append(&mut keys);
                let jobs = self.jobs.clone();
                return self.db.write(move |tx| remove_later(&jobs, tx, &stuck)).await;
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Removes what no record names from the folder of a record or a collection. False when there was no time for all of
    /// it.
    async fn sweep(&self, folder: &Key, is_over: &(impl Fn() -> bool + Sync)) -> Result<bool> {
        let mut found = self.storage.list(folder).chunks(SWEPT_TOGETHER);
        while let Some(keys) = found.next().await {
            let mut keys = keys.into_iter().collect::<Result<Vec<Key>>>()?;
            // In this order: see above.
            keys.retain(|key| original(key).is_none_or(|original| !self.storage.is_placing(&original)));
            let named = self.named(&keys).await?;
            keys.retain(|key| original(key).is_none_or(|original| !named.contains(&original)));
            let removals = stream::iter(keys.into_iter().map(Ok));
            removals
                .try_for_each_concurrent(REMOVED_AT_ONCE, |key| async move { self.storage.delete(&key).await })
                .await?;
            if is_over() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Those of these files that records name; what was made of a file is none.
    pub async fn files_named(&self, keys: Vec<Key>) -> Result<HashSet<Key>> {
        self.named(&keys).await
    }

    /// The files that records name, of those that these keys are or were made of. Asked on the writer: nowhere else is it
    /// certain that the catalog and the tables are of one mind.
    async fn named(&self, keys: &[Key]) -> Result<HashSet<Key>> {
        let mut records = BTreeMap::<String, HashSet<String>>::new();
        for (collection, record, _) in keys.iter().filter_map(Key::parts) {
            records.entry(collection.to_owned()).or_default().insert(record.to_owned());
        }
        let (schema, plans) = (self.schema.clone(), self.writes.plans.clone());
        let look = move |tx: &mut WriteTx<'_>| {
            let catalog = schema.catalog();
            let mut named = HashSet::new();
            for (id, records) in &records {
                let Some(collection) = catalog.by_id(id).filter(|found| !found.is_view()) else { continue };
                let plan = plans.of(collection);
                for record in records {
                    let Some(row) = plan.load(tx, record)? else { continue };
                    for (field, value) in collection.fields.iter().zip(&row.values) {
                        if let FieldKind::File(_) = field.kind {
                            let names = crate::schema::field::value::list::read(value);
                            named.extend(names.iter().filter_map(|name| Key::file(id, record, name).ok()));
                        }
                    }
                }
            }
            Ok(named)
        };
        self.db.write(look).await
    }

    /// Sees to what was put in place by writes that ended without a trace, and empties forgotten corners. At every start
    /// and every hour.
    pub async fn tidy_files(&self) -> Result<()> {
        self.storage.clear_spool(FORGOTTEN).await?;
        for mark in self.storage.left_behind().await? {
            if !self.named(std::slice::from_ref(&mark.key)).await?.contains(&mark.key) {
                tracing::info!(key = ?mark.key, "a file of a write that never committed is removed");
                self.storage.take_back(&mark.key, None).await?;
            }
            mark.erase().await;
        }
        self.storage.tidy().await
    }
}

/// The file that this one is or was made of; `None` for what is nobody's.
fn original(key: &Key) -> Option<Key> {
    let (collection, record, name) = key.parts()?;
    Key::file(collection, record, name).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::{db::Db, records::write::testing::House};

    /// Keys of the jobs that wait, the oldest first.
    async fn waiting(db: &Db) -> Vec<Json> {
        let sql = "SELECT payload FROM __conch_jobs WHERE kind = ?1 ORDER BY id";
        let payloads = db.read(move |tx| tx.query_all(sql, [REMOVE], |row| row.get::<_, String>(0))).await.unwrap();
        payloads.iter().map(|payload| serde_json::from_str::<Json>(payload).unwrap()["keys"].clone()).collect()
    }

    /// Either the job itself runs again or another goes on with all that is left, never both.
    #[tokio::test]
    async fn what_is_left_when_time_is_over_is_left_to_one_job() {
        let files = ["c/r/stuck.txt", "c/r/b.txt", "c/r/c.txt", "c/r/also_stuck.txt"];
        for (order, steps, succeeds, left, gone) in [
            // Time for everything: what cannot be removed is tried again by the job itself.
            ([0, 1, 2, 3], 9, false, None, vec![1, 2]),
            // Nothing was possible: another job would come no further.
            ([1, 2, 0, 3], 1, false, None, vec![]),
            ([1, 2, 0, 3], 2, false, None, vec![]),
            // Something was: what failed comes last, which is first in the list.
            ([1, 0, 3, 2], 1, true, Some(vec![1, 0, 3]), vec![2]),
            ([1, 0, 3, 2], 2, true, Some(vec![3, 1, 0]), vec![2]),
            ([0, 1, 2, 3], 3, true, Some(vec![3, 0]), vec![1, 2]),
        ] {
            let house = House::without_background();
            let path = |number: usize| house.db.dir().join("storage").join(files[number]);
            for (number, file) in files.iter().enumerate() {
                // A folder is no file to be removed.
                let made = if file.contains("stuck") { path(number).join("x") } else { path(number) };
                std::fs::create_dir_all(made.parent().unwrap()).unwrap();
                std::fs::write(made, "x").unwrap();
            }
            let keys = order.map(|number| Key::parse(files[number]).unwrap());
            let taken = AtomicUsize::new(0);
            let done = house.records.remove_keys(keys.into(), &|| taken.fetch_add(1, Relaxed) + 1 >= steps).await;
            assert_eq!(done.is_ok(), succeeds, "{order:?} {steps}");
            let left = left.map(|left| json!(left.iter().map(|&number: &usize| files[number]).collect::<Vec<_>>()));
            assert_eq!(waiting(&house.db).await, Vec::from_iter(left), "{order:?} {steps}");
            for number in 0..files.len() {
                assert_eq!(path(number).exists(), !gone.contains(&number), "{order:?} {steps} {number}");
            }
        }
    }
}
