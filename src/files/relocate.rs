//! All files from one store to the other, while they are read and written.
//!
//! Every file is copied, the copy is compared with the original, and only when all are there the settings change. What
//! comes and goes meanwhile is seen to at the end (see [`super::moving`]). A move that ends early, however, leaves the
//! settings as they were; the next one skips what is there already, and removes what the earlier one copied of files that
//! were dropped in between (see [`super::copies`]).

use std::{
    collections::HashSet,
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{
    StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use super::{
    Key, Storage,
    copies::Copies,
    digest::Digest,
    moving::Watch,
    storage::Home,
    store::{About, Object},
};
use crate::{
    error::{Error, Result},
    outgoing::bucket,
    progress::{Progress, Unit},
    settings,
};

/// Files on their way at the same time …
const AT_ONCE: usize = 4;
/// … and of those that were touched, which somebody may be waiting for.
const TOUCHED_AT_ONCE: usize = 16;
/// Touched files that may be left for the moment in which nobody passes.
const FEW: usize = 32;
/// Files whose records are looked up together, on the writer.
const LOOKED_AT_TOGETHER: usize = 100;
/// What is being put has so long to end before the moment is put off …
const PATIENCE: Duration = Duration::from_secs(20);
/// … and so often.
const PUT_OFF: usize = 10;

const CHANGED: &str = "somebody changed the settings of S3 meanwhile";

/// Where files are to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// The bucket of the settings.
    S3,
    /// The disk of this machine.
    Local,
}

/// Tells which of these files records name.
pub type NamedBy = dyn Fn(Vec<Key>) -> BoxFuture<'static, Result<HashSet<Key>>> + Send + Sync;

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Files that were copied, …
    pub copied: u64,
    /// … with so many bytes …
    pub bytes: u64,
    /// … and files that were there already.
    pub present: u64,
    /// Files that were removed where they came from.
    pub removed: u64,
    /// Files that stay there although they were to be removed: records name them, and the new place does not have them.
    pub left: u64,
    /// Files were kept there before.
    pub was_there: bool,
}

#[derive(Default)]
struct Counts {
    copied: AtomicU64,
    bytes: AtomicU64,
    present: AtomicU64,
}

impl Storage {
    /// Moves all files below `folders`, which are those of all collections, and has them kept there from then on. The
    /// originals are removed only with `delete_source`. Nothing that records name, which `named` tells, is removed unless
    /// the new place has it. One move at a time. May be dropped at any await.
    pub async fn relocate(
        &self,
        settings: &settings::Store,
        destination: Destination,
        folders: &[Key],
        named: &NamedBy,
        delete_source: bool,
        progress: &Progress,
    ) -> Result<Moved> {
        let watch = self.moving().begin();
        let watch = watch.ok_or_else(|| Error::invalid("Files are being moved already."))?;
        let (from, to) = self.ends(&settings.current(), destination)?;
        let mut moved = Moved { was_there: to.bucket == self.home().bucket, ..Moved::default() };
        let copies = self.copies(&to)?;
        if moved.was_there {
            // They are what is served.
            copies.ended()?;
        } else {
            // It tells more than any other request why it cannot be used.
            let end = if from.bucket.is_some() { &from } else { &to };
            if let Some(params) = &end.bucket {
                let tested = bucket::test(params).await;
                tested.map_err(|why| Error::invalid(format!("The bucket cannot be used: {why}")))?;
            }
            // What a move that was killed began and nobody looks after as long as files are kept elsewhere.
            end.store.tidy().await.map_err(unfinished)?;
            let course = Course { storage: self, from: &from, to: &to, copies: &copies, counts: Counts::default() };
            course.copy_all(folders, progress).await.map_err(unfinished)?;
            course.remove_dropped(named, progress).await.map_err(unfinished)?;
            progress.begin("Switching over", 0, Unit::Items);
            course.switch(&watch, settings).await.map_err(unfinished)?;
            if let Err(error) = copies.ended() {
                tracing::warn!(%error, "the notes of a move that has ended stay");
            }
            moved.copied = course.counts.copied.load(Relaxed);
            moved.bytes = course.counts.bytes.load(Relaxed);
            moved.present = course.counts.present.load(Relaxed);
        }
        if delete_source {
            (moved.removed, moved.left) =
                clear(self, &from, &to, folders, named, progress).await.map_err(unfinished)?;
        }
        Ok(moved)
    }

    fn ends(&self, settings: &settings::Settings, destination: Destination) -> Result<(Arc<Home>, Arc<Home>)> {
        let s3 = &settings.s3;
        let blank = [
            ("s3.endpoint", &s3.endpoint),
            ("s3.bucket", &s3.bucket),
            ("s3.region", &s3.region),
            ("s3.accessKey", &s3.access_key),
            ("s3.secret", &s3.secret),
        ];
        let blank: Vec<&str> = blank.into_iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name).collect();
        if !blank.is_empty() {
            let message = format!("There is no bucket in the settings: {} are blank.", blank.join(", "));
            return Err(Error::invalid(message));
        }
        let home = self.home();
        let bucket = if home.bucket.is_some() { home } else { self.bucket(s3.params()) };
        Ok(match destination {
            Destination::S3 => (self.local(), bucket),
            Destination::Local => (bucket, self.local()),
        })
    }
}

/// A move that is under way.
struct Course<'m> {
    storage: &'m Storage,
    from: &'m Home,
    to: &'m Home,
    /// What is copied by this one, and was by those that did not come to an end.
    copies: &'m Copies,
    counts: Counts,
}

impl Course<'_> {
    async fn copy_all(&self, folders: &[Key], progress: &Progress) -> Result<()> {
        progress.begin("Counting the files", 0, Unit::Items);
        let mut total = 0;
        let mut found = files(self.from, folders);
        while found.try_next().await?.is_some() {
            total += 1;
            progress.advance(1);
        }
        progress.begin("Copying the files", total, Unit::Items);
        let copies = files(self.from, folders).try_for_each_concurrent(AT_ONCE, |key| async move {
            // One that has gone meanwhile was touched.
            self.copy(&key).await?;
            progress.advance(1);
            Ok(())
        });
        copies.await
    }

    /// Has the file in both stores; false if it is not in the one where it comes from.
    async fn copy(&self, key: &Key) -> Result<bool> {
        let Some(original) = self.from.store.open(key).await? else { return Ok(false) };
        if let Some(copy) = self.to.store.open(key).await?
            && same(&original, &copy).await?
        {
            self.counts.present.fetch_add(1, Relaxed);
            return Ok(true);
        }
        self.copies.note(key)?;
        let spooled = self.storage.spool_path();
        let put = self.put(key, &original, &spooled).await;
        // A store that moves files has taken it. What cannot be removed goes with the next start.
        let _ = tokio::fs::remove_file(&spooled).await;
        if put.is_err() && self.from.store.open(key).await?.is_none() {
            return Ok(false);
        }
        put?;
        let copy = self.to.store.open(key).await?;
        let arrived = match &copy {
            Some(copy) => same(&original, copy).await?,
            None => false,
        };
        if !arrived {
            return Err(Error::invalid(format!("{} was copied, but is not there as it was", key.as_str())));
        }
        self.counts.copied.fetch_add(1, Relaxed);
        self.counts.bytes.fetch_add(original.head.size, Relaxed);
        Ok(true)
    }

    /// `spooled` is the way: the file itself under another name, if it is on this disk, or its copy.
    async fn put(&self, key: &Key, original: &Object, spooled: &Path) -> Result<()> {
        let local = self.storage.local_path(key);
        let is_linked = self.from.bucket.is_none() && tokio::fs::hard_link(&local, spooled).await.is_ok();
        if !is_linked {
            download(original, spooled).await?;
        }
        let head = &original.head;
        let about = About { content_type: head.content_type.clone(), original_name: head.original_name.clone() };
        self.to.store.put(key, spooled, &about).await
    }

    /// Removes what earlier moves copied of files that were dropped since, while nobody wrote down what was touched. What
    /// comes into being again meanwhile was touched, and is copied after this.
    async fn remove_dropped(&self, named: &NamedBy, progress: &Progress) -> Result<()> {
        if !self.copies.has_earlier() {
            return Ok(());
        }
        progress.begin("Looking for copies of what was dropped", 0, Unit::Items);
        let earlier = stream::iter(self.copies.earlier()?);
        let some = earlier.try_chunks(LOOKED_AT_TOGETHER).map_err(|error| error.1);
        let all = some.try_for_each(|keys| async move {
            let dropped = Mutex::new(Vec::new());
            let looks = stream::iter(keys.into_iter().map(Ok)).try_for_each_concurrent(TOUCHED_AT_ONCE, |key| {
                let dropped = &dropped;
                async move {
                    progress.advance(1);
                    if self.from.store.open(&key).await?.is_none() {
                        dropped.lock().push(key);
                    }
                    Ok::<(), Error>(())
                }
            });
            looks.await?;
            let dropped = dropped.into_inner();
            if dropped.is_empty() {
                return Ok(());
            }
            // A record that names what is not where files are kept has lost it: its copy may be the only one.
            let needed = named(dropped.clone()).await?;
            for key in dropped.into_iter().filter(|key| !needed.contains(key) && !self.storage.is_placing(key)) {
                self.is_still_home()?;
                self.to.store.delete(&key).await?;
            }
            Ok(())
        });
        all.await
    }

    /// Sees to what was touched until that is not much, or does not get less: what is left then has to wait for the moment
    /// in which nobody passes.
    async fn catch_up(&self, watch: &Watch<'_>) -> Result<()> {
        let mut before = usize::MAX;
        loop {
            let touched = watch.take()?;
            let count = touched.len();
            self.see_to(touched).await?;
            if count <= FEW || count > before / 2 {
                return Ok(());
            }
            before = count;
        }
    }

    async fn see_to(&self, touched: Vec<Key>) -> Result<()> {
        let all =
            stream::iter(touched.into_iter().map(Ok)).try_for_each_concurrent(TOUCHED_AT_ONCE, |key| async move {
                if !self.copy(&key).await? {
                    self.is_still_home()?;
                    self.to.remove(&key).await?;
                }
                Ok(())
            });
        all.await
    }

    /// Fails if files are not kept any more where they are moved from: then what is missing there may be nowhere else.
    fn is_still_home(&self) -> Result<()> {
        match self.storage.home().bucket == self.from.bucket {
            true => Ok(()),
            false => Err(Error::invalid(CHANGED)),
        }
    }

    /// Makes the other store the one, when nothing is missing there.
    async fn switch(&self, watch: &Watch<'_>, settings: &settings::Store) -> Result<()> {
        for _ in 0..PUT_OFF {
            self.catch_up(watch).await?;
            let Some(shut) = watch.shut(PATIENCE).await else { continue };
            self.see_to(watch.take()?).await?;
            self.is_still_home()?;
            let (from, to) = (self.from.bucket.clone(), self.to.bucket.clone());
            let change = move |next: &mut settings::Settings| {
                let is_as_it_was =
                    next.s3.enabled == from.is_some() && from.as_ref().or(to.as_ref()) == Some(&next.s3.params());
                next.s3.enabled = if is_as_it_was { to.is_some() } else { next.s3.enabled };
                is_as_it_was
            };
            // The change is queued and will be made, whoever has gone by then: until it is, nobody may pass.
            let settings = settings.clone();
            let changed = tokio::spawn(async move {
                let _shut = shut;
                settings.change(change).await.map(drop)
            });
            changed.await.map_err(Error::internal)??;
            if self.storage.home().bucket != self.to.bucket {
                return Err(Error::invalid(CHANGED));
            }
            return Ok(());
        }
        Err(Error::invalid("files are being uploaded all the time"))
    }
}

/// Removes what the other store has, or nobody names; how many were removed and how many not.
async fn clear(
    storage: &Storage,
    from: &Home,
    to: &Home,
    folders: &[Key],
    named: &NamedBy,
    progress: &Progress,
) -> Result<(u64, u64)> {
    progress.begin("Removing the originals", 0, Unit::Items);
    let (removed, left) = (AtomicU64::new(0), AtomicU64::new(0));
    let (removed, left) = (&removed, &left);
    let some = files(from, folders).try_chunks(LOOKED_AT_TOGETHER).map_err(|error| error.1);
    let remove = |key: Key| async move {
        from.store.delete(&key).await?;
        removed.fetch_add(1, Relaxed);
        progress.advance(1);
        Ok::<(), Error>(())
    };
    let all = some.try_for_each(|keys| async move {
        if storage.home().bucket == from.bucket {
            return Err(Error::invalid(CHANGED));
        }
        let missing = Mutex::new(Vec::new());
        let each = stream::iter(keys.into_iter().map(Ok)).try_for_each_concurrent(AT_ONCE, |key| {
            let missing = &missing;
            async move {
                if has_same_size(from, to, &key).await? {
                    return remove(key).await;
                }
                missing.lock().push(key);
                Ok(())
            }
        });
        each.await?;
        // Only now: whose record is gone by now is missing because of that.
        let missing = missing.into_inner();
        let needed = if missing.is_empty() { HashSet::new() } else { named(missing.clone()).await? };
        left.fetch_add(needed.len() as u64, Relaxed);
        // What is being put here (it was begun before the switch) is named when its record is written.
        for key in missing.into_iter().filter(|key| !needed.contains(key) && !storage.is_placing(key)) {
            remove(key).await?;
        }
        Ok(())
    });
    all.await?;
    Ok((removed.load(Relaxed), left.load(Relaxed)))
}

async fn has_same_size(one: &Home, other: &Home, key: &Key) -> Result<bool> {
    let both = one.store.open(key).await?.zip(other.store.open(key).await?);
    Ok(both.is_some_and(|(original, copy)| original.head.size == copy.head.size))
}

fn files<'h>(home: &'h Home, folders: &'h [Key]) -> BoxStream<'h, Result<Key>> {
    stream::iter(folders).flat_map(|folder| home.store.list(folder)).boxed()
}

/// Whether the bytes are the same. They are read only if what the stores say of them leaves it open.
async fn same(one: &Object, other: &Object) -> Result<bool> {
    if one.head.size != other.head.size {
        return Ok(false);
    }
    let (tag, other_tag) = (one.head.tag.as_deref(), other.head.tag.as_deref());
    if tag.is_some() && tag == other_tag {
        return Ok(true);
    }
    let digest = Digest::of(one).await?;
    Ok(other_tag.is_some_and(|tag| digest.is(tag)) || digest == Digest::of(other).await?)
}

/// With its time, which is what a browser's cache asks about.
async fn download(object: &Object, path: &Path) -> Result<()> {
    let mut file = tokio::fs::File::create_new(path).await?;
    let mut chunks = object.read(0..object.head.size);
    while let Some(chunk) = chunks.try_next().await? {
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let (file, modified): (File, _) = (file.into_std().await, object.head.modified);
    tokio::task::spawn_blocking(move || file.set_modified(modified)).await.map_err(Error::internal)??;
    Ok(())
}

/// For the owner, who is at the command line and has to know all of it.
fn unfinished(error: Error) -> Error {
    let why = error.source.as_ref().map_or_else(|| error.message.to_string(), |source| format!("{source:#}"));
    let message = format!(
        "Not all files could be moved: {}. They are kept where they were, and the same command goes on from here.",
        why.trim_end_matches('.')
    );
    Error::invalid(message)
}

#[cfg(test)]
mod tests;
