//! Thumbnails: made on the first request for them, once, and kept beside the original
//! (`docs/wire/services-files.md` §5).
//!
//! Whatever goes wrong, the caller gets `None` and serves the original. A generation belongs to nobody: it goes on when
//! those who wait for it go away, and they wait for a bounded time.

mod form;
mod picture;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use self::{form::Form, picture::Kind};
use super::{Key, Object, Storage};
use crate::{
    error::{Error, Result},
    threads::{Threads, spare_cores},
};

/// Bytes of an original that is read at most.
const MAX_SOURCE: u64 = 64 << 20;
/// MiB that all generations together may take, unless a single one takes more.
const MEMORY: u32 = 512;
/// Thumbnails in the making, waiting ones included; for more the originals are served.
const MAX_FLIGHTS: usize = 512;
/// What could not be made is not tried again for so long …
const GIVEN_UP_FOR: Duration = Duration::from_secs(600);
/// … and so many are remembered.
const MAX_GIVEN_UP: usize = 4096;

/// How much of the machine thumbnails may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Generations at the same time, at least one.
    pub workers: usize,
    /// A request waits so long before it gets the original.
    pub wait: Duration,
}

impl Default for Effort {
    /// All cores but one, a minute.
    fn default() -> Self {
        Self { workers: spare_cores(), wait: Duration::from_secs(60) }
    }
}

/// The workshop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Thumbs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    storage: Storage,
    wait: Duration,
    threads: Threads,
    /// One permit for each generation at the same time.
    workers: Semaphore,
    /// One permit for each MiB.
    memory: Semaphore,
    /// Held for look-ups only, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is being made; the receiver hears when that has ended, however.
    flights: HashMap<Key, watch::Receiver<()>>,
    given_up: HashMap<Key, Instant>,
}

/// A generation in progress. Its end is told when it is dropped.
struct Flight {
    inner: Arc<Inner>,
    thumb: Key,
    _told: watch::Sender<()>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.inner.state.lock().flights.remove(&self.thumb);
    }
}

impl Thumbs {
    pub fn new(storage: Storage, effort: Effort) -> Self {
        let workers = effort.workers.max(1);
        Self {
            inner: Arc::new(Inner {
                storage,
                wait: effort.wait,
                threads: Threads::new("thumbs", workers),
                workers: Semaphore::new(workers),
                memory: Semaphore::new(MEMORY as usize),
                state: Mutex::default(),
            }),
        }
    }

    /// The thumbnail of this size of a stored picture; `None` where the original has to do. Fails only when the storage
    /// does.
    pub async fn get(&self, original: &Key, content_type: &str, size: &str) -> Result<Option<Object>> {
        let Some((kind, form)) = Kind::of(content_type).zip(Form::parse(size)) else { return Ok(None) };
        let Ok(thumb) = original.thumb(size) else { return Ok(None) };
        let storage = &self.inner.storage;
        if let Some(found) = storage.find(&thumb).await? {
            return Ok(Some(found));
        }
        let Some(mut flight) = self.board(original, &thumb, kind, form) else { return Ok(None) };
        // An error tells of the end as well, and a time-out of the end of patience.
        let _ = tokio::time::timeout(self.inner.wait, flight.changed()).await;
        storage.find(&thumb).await
    }

    /// Joins the generation of `thumb`, or begins it. `None` where there is none to wait for.
    fn board(&self, original: &Key, thumb: &Key, kind: Kind, form: Form) -> Option<watch::Receiver<()>> {
        let mut state = self.inner.state.lock();
        if state.given_up.get(thumb).is_some_and(|since| since.elapsed() < GIVEN_UP_FOR) {
            return None;
        }
        let flights = state.flights.len();
        match state.flights.entry(thumb.clone()) {
            Entry::Occupied(flight) => Some(flight.get().clone()),
            Entry::Vacant(_) if flights >= MAX_FLIGHTS => None,
            Entry::Vacant(place) => {
                let (told, end) = watch::channel(());
                place.insert(end.clone());
                let flight = Flight { inner: self.inner.clone(), thumb: thumb.clone(), _told: told };
                tokio::spawn(flight.make(original.clone(), kind, form));
                Some(end)
            }
        }
    }
}

impl Flight {
    async fn make(self, original: Key, kind: Kind, form: Form) {
        let Err(error) = self.try_to_make(&original, kind, form).await else { return };
        tracing::info!(thumb = ?self.thumb, %error, "no thumbnail could be made, the original is served");
        let mut state = self.inner.state.lock();
        if state.given_up.len() >= MAX_GIVEN_UP {
            state.given_up.clear();
        }
        state.given_up.insert(self.thumb.clone(), Instant::now());
    }

    async fn try_to_make(&self, original: &Key, kind: Kind, form: Form) -> Result<()> {
        let Inner { storage, threads, workers, memory, .. } = &*self.inner;
        let _worker = workers.acquire().await.map_err(Error::internal)?;
        let Some(source) = storage.find(original).await? else { return Ok(()) };
        if source.head.size > MAX_SOURCE {
            return Err(Error::invalid("The picture's file is too large."));
        }
        let bytes = Arc::new(whole(&source).await?);
        let seen = Arc::clone(&bytes);
        let cost = threads.run(move || picture::cost(kind, &seen, form)).await?.map_err(unfit)?;
        let mebibytes = u32::try_from(cost >> 20).unwrap_or(MEMORY).clamp(1, MEMORY);
        let _memory = memory.acquire_many(mebibytes).await.map_err(Error::internal)?;
        let made = threads.run(move || picture::shrink(kind, &bytes, form)).await?.map_err(unfit)?;
        storage.put_made(&self.thumb, made, kind.thumbs_are()).await?;
        // Who removed the original meanwhile has not seen this one.
        if storage.find(original).await?.is_none() {
            storage.remove(original).await?;
        }
        Ok(())
    }
}

async fn whole(source: &Object) -> Result<Vec<u8>> {
    let size = source.head.size;
    let room = Vec::with_capacity(usize::try_from(size).map_err(Error::internal)?);
    let gathered = source.read(0..size).try_fold(room, |mut bytes, chunk| async move {
        bytes.extend_from_slice(&chunk);
        Ok(bytes)
    });
    gathered.await
}

fn unfit(reason: picture::Unfit) -> Error {
    Error::invalid("The picture cannot be shrunk.").because(reason)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;
    use crate::db::testing::TempDir;

    struct House {
        _place: TempDir,
        storage: Storage,
    }

    impl House {
        fn new() -> Self {
            let place = TempDir::new();
            Self { storage: Storage::open(place.path(), false).unwrap(), _place: place }
        }

        async fn store(&self, name: &str, content: &[u8]) -> Key {
            let key = Key::file("c", "r", name).unwrap();
            self.storage.put_made(&key, content.to_vec(), "image/png").await.unwrap();
            key
        }

        fn thumbs(&self, workers: usize, wait: u64) -> Thumbs {
            Thumbs::new(self.storage.clone(), Effort { workers, wait: Duration::from_millis(wait) })
        }
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height).write_to(&mut out, ImageFormat::Png).unwrap();
        out.into_inner()
    }

    #[tokio::test]
    async fn a_thumbnail_is_made_once_and_kept_beside_the_original() {
        let house = House::new();
        let key = house.store("a.png", &png(40, 20)).await;
        let thumbs = house.thumbs(1, 60_000);
        let all = (0..20).map(|_| thumbs.get(&key, "image/png", "10x10"));
        let found: Vec<_> = futures_util::future::join_all(all).await;
        assert!(found.iter().all(|found| found.as_ref().is_ok_and(Option::is_some)));
        let first = thumbs.get(&key, "image/png", "10x10").await.unwrap().unwrap();
        assert_eq!(first.head.content_type, "image/png");
        let path = house._place.path().join("storage/c/r/thumbs_a.png/10x10_a.png");
        let sidecar = std::fs::read_to_string(path.with_extension("png.attrs")).unwrap();
        assert!(sidecar.contains(r#""user.metadata":{}"#), "{sidecar}");
        // What is there is not made again.
        std::fs::write(&path, "mine").unwrap();
        let kept = thumbs.get(&key, "image/png", "10x10").await.unwrap().unwrap();
        assert_eq!(whole(&kept).await.unwrap(), b"mine");
        assert!(thumbs.inner.state.lock().flights.is_empty());
    }

    #[tokio::test]
    async fn where_there_can_be_none_the_original_has_to_do_and_it_is_not_tried_again() {
        let house = House::new();
        let thumbs = house.thumbs(1, 60_000);
        let (text, broken, large) = (
            house.store("t.txt", b"hi").await,
            house.store("b.png", b"\x89PNG\r\n\x1a\nbroken").await,
            house.store("l.png", &png(1, 9000)).await,
        );
        for (key, kind, size) in [
            (&text, "text/plain", "10x10"),
            (&broken, "image/png", "10x10"),
            (&large, "image/png", "10x0"),
            (&large, "image/png", "0x0"),
            (&large, "image/png", "tiny"),
        ] {
            assert!(thumbs.get(key, kind, size).await.unwrap().is_none(), "{key:?} {size}");
        }
        assert_eq!(thumbs.inner.state.lock().given_up.len(), 2);
        // Repaired, but given up for now.
        house.store("b.png", &png(10, 10)).await;
        assert!(thumbs.get(&broken, "image/png", "10x10").await.unwrap().is_none());
        thumbs.inner.state.lock().given_up.clear();
        assert!(thumbs.get(&broken, "image/png", "10x10").await.unwrap().is_some());
        let gone = Key::file("c", "r", "gone.png").unwrap();
        assert!(thumbs.get(&gone, "image/png", "10x10").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn who_waited_long_enough_gets_the_original_and_the_work_goes_on() {
        let house = House::new();
        let key = house.store("a.png", &png(400, 400)).await;
        let thumbs = house.thumbs(1, 0);
        let busy = thumbs.inner.workers.acquire().await.unwrap();
        assert!(thumbs.get(&key, "image/png", "10x10").await.unwrap().is_none());
        drop(busy);
        let thumb = key.thumb("10x10").unwrap();
        let started = Instant::now();
        while house.storage.find(&thumb).await.unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(10), "nobody goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_flood_of_sizes_is_bounded() {
        let house = House::new();
        let key = house.store("a.png", &png(4, 4)).await;
        let thumbs = house.thumbs(1, 0);
        let busy = thumbs.inner.workers.acquire().await.unwrap();
        for size in 1..MAX_FLIGHTS + 50 {
            thumbs.get(&key, "image/png", &format!("{size}x1")).await.unwrap();
        }
        assert_eq!(thumbs.inner.state.lock().flights.len(), MAX_FLIGHTS);
        drop(busy);
    }
}
