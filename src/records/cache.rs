//! Stored rows by id, for reads that need no SQL.
//!
//! Coherent by construction: every fill carries a [`Ticket`] taken *before* its snapshot was opened. A change is
//! forgotten here after its COMMIT and before its acknowledgement, which spoils all tickets of its shard. A fill that
//! read an older snapshot therefore either comes before that (and is removed) or is refused. Nobody who has seen a
//! write acknowledged is served the row before it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::Arc,
};

use parking_lot::RwLock;

use crate::{db::Row, measure::Counter};

/// Locks that readers and the writer share; each guards its own part of the keys.
const SHARDS: usize = 64;
/// A larger row would push too many others out, in bytes.
const MAX_ROW: usize = 32 * 1024;
/// What an entry costs besides its values, in bytes.
const OVERHEAD: usize = 200;

/// Rows of all collections, bounded in bytes.
pub struct RowCache {
    /// Never held across an await or a query.
    shards: Box<[Counted<RwLock<Shard>>]>,
    hasher: RandomState,
    /// Bytes of one generation of one shard.
    generation_bytes: usize,
}

/// Lookups are counted beside the lock that they take: that part of memory is this core's then anyway.
#[derive(Default)]
struct Counted<T> {
    guarded: T,
    found: Counter,
    missed: Counter,
}

/// How often a lookup found what it looked for, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lookups {
    pub found: u64,
    pub missed: u64,
}

/// The right to fill a key as long as nothing in its shard has changed since.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    hash: u64,
    changes: u64,
}

/// Two generations: entries are added to the young one; when that is full, the old one is dropped and the young one
/// takes its place. What is read meanwhile moves back to the young one.
#[derive(Default)]
struct Shard {
    young: Generation,
    old: Generation,
    /// How many changes came by.
    changes: u64,
}

#[derive(Default)]
struct Generation {
    /// By the key's hash; the entry says whose row it really is.
    rows: HashMap<u64, Entry>,
    bytes: usize,
}

#[derive(Clone)]
struct Entry {
    collection: Arc<str>,
    record: Arc<str>,
    row: Arc<Row>,
    bytes: usize,
}

impl RowCache {
    /// Holds about this many bytes at most.
    pub fn new(bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Counted::default()).collect(),
            hasher: RandomState::new(),
            generation_bytes: bytes / SHARDS / 2,
        }
    }

    /// The row of this record, if it is known.
    pub fn get(&self, collection: &str, record: &str) -> Option<Arc<Row>> {
        let hash = self.hash(collection, record);
        let shard = self.counted(hash);
        let found = self.find(hash, collection, record);
        if found.is_some() {
            shard.found.add(1)
        } else {
            shard.missed.add(1)
        }
        found
    }

    fn find(&self, hash: u64, collection: &str, record: &str) -> Option<Arc<Row>> {
        let entry = {
            let shard = self.shard(hash).read();
            if let Some(entry) = shard.young.rows.get(&hash) {
                return entry.is(collection, record).then(|| entry.row.clone());
            }
            shard.old.rows.get(&hash).filter(|entry| entry.is(collection, record))?.clone()
        };
        self.rejuvenate(hash, &entry);
        Some(entry.row)
    }

    /// How often a row was asked for, and known.
    pub fn lookups(&self) -> Lookups {
        self.shards.iter().fold(Lookups::default(), |all, shard| Lookups {
            found: all.found + shard.found.get(),
            missed: all.missed + shard.missed.get(),
        })
    }

    /// To be taken before the snapshot is opened that will fill this key.
    pub fn ticket(&self, collection: &str, record: &str) -> Ticket {
        let hash = self.hash(collection, record);
        Ticket { hash, changes: self.shard(hash).read().changes }
    }

    /// Remembers the row, unless something changed since the ticket was taken.
    pub fn fill(&self, ticket: Ticket, collection: &Arc<str>, record: &str, row: Arc<Row>) {
        let bytes = OVERHEAD + record.len() + row.weight();
        if bytes > MAX_ROW.min(self.generation_bytes) {
            return;
        }
        let entry = Entry { collection: collection.clone(), record: record.into(), row, bytes };
        let mut shard = self.shard(ticket.hash).write();
        if shard.changes != ticket.changes {
            return;
        }
        let dropped = shard.add(ticket.hash, entry, self.generation_bytes);
        drop(shard);
        drop(dropped);
    }

    /// Forgets a record that changed, and refuses fills that may have read it before.
    pub fn forget(&self, collection: &str, record: &str) {
        let hash = self.hash(collection, record);
        let mut shard = self.shard(hash).write();
        shard.changes += 1;
        let forgotten = (shard.young.remove(hash), shard.old.remove(hash));
        drop(shard);
        drop(forgotten);
    }

    /// Forgets everything, for changes that no log tells.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.guarded.write();
            shard.changes += 1;
            let forgotten = (mem::take(&mut shard.young), mem::take(&mut shard.old));
            drop(shard);
            drop(forgotten);
        }
    }

    fn hash(&self, collection: &str, record: &str) -> u64 {
        self.hasher.hash_one((collection, record))
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.counted(hash).guarded
    }

    fn counted(&self, hash: u64) -> &Counted<RwLock<Shard>> {
        // The map inside uses the low bits as well, so the high ones choose the shard.
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    fn rejuvenate(&self, hash: u64, entry: &Entry) {
        let mut shard = self.shard(hash).write();
        // Another reader may have moved it, or a change removed it, since the read lock was given back.
        if let Some(found) = shard.old.remove(hash) {
            let dropped = shard.add(hash, found, self.generation_bytes);
            drop(shard);
            drop((dropped, entry));
        }
    }
}

impl Shard {
    /// Adds to the young generation; returns what fell out, to be dropped outside of the lock.
    fn add(&mut self, hash: u64, entry: Entry, limit: usize) -> Generation {
        self.old.remove(hash);
        self.young.remove(hash);
        let mut dropped = Generation::default();
        if self.young.bytes + entry.bytes > limit {
            dropped = mem::replace(&mut self.old, mem::take(&mut self.young));
        }
        self.young.bytes += entry.bytes;
        self.young.rows.insert(hash, entry);
        dropped
    }
}

impl Generation {
    fn remove(&mut self, hash: u64) -> Option<Entry> {
        let entry = self.rows.remove(&hash)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

impl Entry {
    fn is(&self, collection: &str, record: &str) -> bool {
        &*self.collection == collection && &*self.record == record
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicI64, Ordering},
        thread,
    };

    use super::*;
    use crate::db::Value;

    fn row(value: i64) -> Arc<Row> {
        Arc::new(Row { columns: Arc::from(["n".into()]), values: vec![Value::Integer(value)] })
    }

    fn text(bytes: usize) -> Arc<Row> {
        Arc::new(Row { columns: Arc::from(["t".into()]), values: vec![Value::Text("x".repeat(bytes))] })
    }

    fn fill(cache: &RowCache, collection: &str, record: &str, row: Arc<Row>) {
        cache.fill(cache.ticket(collection, record), &collection.into(), record, row);
    }

    #[test]
    fn what_was_filled_is_found_until_it_changes() {
        let cache = RowCache::new(1 << 20);
        fill(&cache, "c", "a", row(1));
        assert_eq!(cache.get("c", "a"), Some(row(1)));
        assert_eq!(cache.get("c", "b"), None);
        assert_eq!(cache.get("d", "a"), None);
        cache.forget("c", "a");
        assert_eq!(cache.get("c", "a"), None);
        fill(&cache, "c", "a", row(2));
        cache.clear();
        assert_eq!(cache.get("c", "a"), None);
    }

    #[test]
    fn a_fill_older_than_the_last_change_is_refused() {
        let cache = RowCache::new(1 << 20);
        let ticket = cache.ticket("c", "a");
        cache.forget("c", "a");
        cache.fill(ticket, &"c".into(), "a", row(1));
        assert_eq!(cache.get("c", "a"), None);
        let ticket = cache.ticket("c", "a");
        cache.clear();
        cache.fill(ticket, &"c".into(), "a", row(1));
        assert_eq!(cache.get("c", "a"), None);
    }

    #[test]
    fn memory_is_bounded_and_the_read_ones_stay() {
        let budget = 4 << 20;
        let cache = RowCache::new(budget);
        for n in 0..20_000 {
            fill(&cache, "c", &n.to_string(), text(1000));
            assert!(n == 0 || cache.get("c", "0").is_some(), "the hot row was lost at {n}");
        }
        let bytes: usize =
            cache.shards.iter().map(|shard| shard.guarded.read()).map(|s| s.young.bytes + s.old.bytes).sum();
        assert!(bytes <= budget, "{bytes}");
        assert!(bytes > budget / 4, "{bytes}");
        assert_eq!(cache.get("c", "1"), None);
        fill(&cache, "c", "huge", text(MAX_ROW + 1));
        assert_eq!(cache.get("c", "huge"), None);
    }

    /// A writer counts up: it commits, forgets, then acknowledges. No reader may then get an older number.
    #[test]
    fn nobody_reads_behind_an_acknowledgement() {
        let cache = RowCache::new(1 << 20);
        let (committed, acknowledged, stop) = (AtomicI64::new(0), AtomicI64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let known = acknowledged.load(Ordering::SeqCst);
                        let seen = cache.get("c", "a").unwrap_or_else(|| {
                            let ticket = cache.ticket("c", "a");
                            let snapshot = row(committed.load(Ordering::SeqCst));
                            thread::yield_now();
                            cache.fill(ticket, &"c".into(), "a", snapshot.clone());
                            snapshot
                        });
                        let Some(Value::Integer(seen)) = seen.get("n") else { panic!("no number") };
                        assert!(*seen >= known, "read {seen} after {known} was acknowledged");
                    }
                });
            }
            for n in 1..20_000 {
                committed.store(n, Ordering::SeqCst);
                cache.forget("c", "a");
                acknowledged.store(n, Ordering::SeqCst);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
