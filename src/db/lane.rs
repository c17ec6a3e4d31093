//! The slow lane's places, shared fairly: nobody who asks may have more than half of them, or most of the queue.
//!
//! A read first waits for one of its asker's own places, then for one of all. So whoever asks for much queues behind
//! itself, and at most its share stands before others.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// When a read that found no place may be tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Reads that may wait for a place, per place.
const WAITING_PER_PLACE: usize = 32;
/// The part of the queue that one asker may have.
const QUEUE_SHARE: usize = 4;

/// Who asks for a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker(Option<u64>);

impl Asker {
    /// The house itself, whose reads have no share of their own.
    pub const HOUSE: Self = Self(None);

    /// Whoever is known by `name`: an account, an address. Two names may share one share, by a chance that nobody can
    /// improve from outside.
    pub fn named(name: &impl Hash) -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(Some(SEED.hash_one(name)))
    }

    /// The same for the same asker, as long as the process runs; `None` for the house.
    pub fn share(self) -> Option<u64> {
        self.0
    }
}

pub(super) struct Lane {
    places: Arc<Semaphore>,
    size: usize,
    /// Reads that wait, for their asker's places or for any.
    waiting: AtomicUsize,
    shares: Mutex<HashMap<u64, Share>>,
}

/// What one asker has of the lane, while it has anything.
struct Share {
    places: Arc<Semaphore>,
    /// Reads that run or wait.
    reads: usize,
}

/// A place in the lane, until dropped.
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
    /// Before the seat, which ends the share.
    _own: Option<OwnedSemaphorePermit>,
    _seat: Option<Seat>,
}

impl Lane {
    pub(super) fn new(size: u32) -> Self {
        let size = size as usize;
        Self { places: Arc::new(Semaphore::new(size)), size, waiting: AtomicUsize::new(0), shares: Mutex::default() }
    }

    /// Waits for a place, no longer than `patience`. Fails as busy, at once when too many wait already.
    pub(super) async fn turn(self: &Arc<Self>, asker: Asker, patience: Duration) -> Result<Turn> {
        let _ticket = Ticket::take(&self.waiting, self.size * WAITING_PER_PLACE)?;
        let share = asker.0.map(|key| self.seat(key)).transpose()?;
        let waited = tokio::time::timeout(patience, async {
            let (seat, own) = match share {
                Some((seat, places)) => (Some(seat), Some(places.acquire_owned().await?)),
                None => (None, None),
            };
            Ok(Turn { _place: Arc::clone(&self.places).acquire_owned().await?, _own: own, _seat: seat })
        });
        waited.await.map_err(|_| Error::busy(RETRY_AFTER))?.map_err(|_: tokio::sync::AcquireError| closed())
    }

    /// Reads that have a place, and reads that wait for one.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.size.saturating_sub(self.places.available_permits()), self.waiting.load(Relaxed))
    }

    /// Nobody gets a place any more.
    pub(super) fn close(&self) {
        self.places.close();
    }

    fn seat(self: &Arc<Self>, key: u64) -> Result<(Seat, Arc<Semaphore>)> {
        let own = (self.size / 2).max(1);
        let mut shares = self.shares.lock();
        let share = shares.entry(key).or_insert_with(|| Share { places: Arc::new(Semaphore::new(own)), reads: 0 });
        if share.reads >= own + self.size * WAITING_PER_PLACE / QUEUE_SHARE {
            return Err(Error::busy(RETRY_AFTER));
        }
        share.reads += 1;
        Ok((Seat { lane: Arc::clone(self), key }, Arc::clone(&share.places)))
    }
}

/// What a read is answered when the database is closing.
pub(super) fn closed() -> Error {
    Error::busy(RETRY_AFTER)
}

/// One of the reads of an asker.
struct Seat {
    lane: Arc<Lane>,
    key: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut shares = self.lane.shares.lock();
        if let Some(share) = shares.get_mut(&self.key) {
            share.reads -= 1;
            if share.reads == 0 {
                shares.remove(&self.key);
            }
        }
    }
}

/// One of the reads that wait for a place.
struct Ticket<'a>(&'a AtomicUsize);

impl<'a> Ticket<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Result<Self> {
        let ticket = Self(waiting);
        // The ticket's drop takes the number back either way.
        if waiting.fetch_add(1, Relaxed) >= most { Err(Error::busy(RETRY_AFTER)) } else { Ok(ticket) }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn one_asker_gets_half_of_the_places_and_its_own_queue() {
        let lane = Arc::new(Lane::new(4));
        let (greedy, other) = (Asker::named(&"greedy"), Asker::named(&"other"));
        let held = [lane.turn(greedy, LONG).await.unwrap(), lane.turn(greedy, LONG).await.unwrap()];
        let mut queue: Vec<_> = (0..32).map(|_| waiting(&lane, greedy)).collect();
        tokio::task::yield_now().await;
        // It waits, its queue is full, and others have their places and the house what is left.
        let full = lane.turn(greedy, LONG).await.map(drop).unwrap_err();
        assert_eq!(full.kind, Kind::Busy);
        let others = [lane.turn(other, SHORT).await.unwrap(), lane.turn(Asker::HOUSE, SHORT).await.unwrap()];
        assert!(lane.turn(other, SHORT).await.is_err(), "all four are taken");
        assert!(queue.iter().all(|read| !read.is_finished()));
        // Who waits goes on when its own places come free; who gives up leaves the queue.
        drop(held);
        for read in queue.drain(..2) {
            read.await.unwrap().unwrap();
        }
        queue.iter().for_each(tokio::task::JoinHandle::abort);
        for read in queue {
            let _ = read.await;
        }
        drop(others);
        assert!(lane.shares.lock().is_empty(), "nothing is kept of those who are gone");
        assert_eq!((lane.waiting.load(Relaxed), lane.places.available_permits()), (0, 4));
    }

    fn waiting(lane: &Arc<Lane>, asker: Asker) -> tokio::task::JoinHandle<Result<()>> {
        let lane = Arc::clone(lane);
        tokio::spawn(async move { lane.turn(asker, LONG).await.map(drop) })
    }
}
