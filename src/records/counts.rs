//! Totals of lists, remembered until a change of a collection that they read.
//!
//! Coherent by construction: an entry says how many there are at one sequence number of the log. It serves a snapshot
//! when no collection that it reads has changed between the two, as far as commits have told; a snapshot that is ahead
//! of what they told is counted anew.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::cache::Lookups;
use parking_lot::RwLock;
use rusqlite::params_from_iter;

use crate::{
    db::{Commit, ReadTx, Value},
    error::Result,
    measure::Counter,
    rules::Sql,
    schema::Catalog,
};

/// Entries of one of the two generations.
const GENERATION: usize = 2048;
/// Longer parameters (a long list of texts in a filter) are not worth the memory, in bytes.
const MAX_PARAMETERS: usize = 1024;

/// Totals by query and parameters.
pub struct Counts {
    /// Never held across a query; a commit holds it while it notes its collections.
    progress: RwLock<Progress>,
    entries: RwLock<Entries>,
    /// How often everything was forgotten.
    epoch: AtomicU64,
    hasher: RandomState,
    /// Beside the locks that every lookup takes.
    found: Counter,
    missed: Counter,
}

/// What the commits have told.
#[derive(Default)]
struct Progress {
    /// All changes up to this one.
    told: u64,
    /// The last change of each collection, by id.
    last: HashMap<Arc<str>, u64>,
}

/// As in [`super::cache`]: what is not asked for again falls out with its generation.
#[derive(Default)]
struct Entries {
    young: HashMap<u64, Entry>,
    old: HashMap<u64, Entry>,
}

#[derive(Clone)]
struct Entry {
    epoch: u64,
    /// Version of the catalog that the query was compiled from.
    catalog: u64,
    text: Arc<str>,
    params: Arc<[Value]>,
    total: u64,
    seq: u64,
}

/// A count as a list asks for it.
pub struct Count {
    sql: Sql,
    /// The epoch before its snapshot was opened.
    epoch: u64,
    catalog: u64,
    /// Ids of the collections that it reads; `None` when they do not tell all that it depends on.
    reads: Option<Vec<Arc<str>>>,
}

impl Count {
    fn run(&self, tx: &ReadTx<'_>) -> Result<u64> {
        let total = tx.query_one(&self.sql.text, params_from_iter(&self.sql.params), |row| row.get::<_, i64>(0))?;
        Ok(total.unwrap_or(0).unsigned_abs())
    }
}

impl Counts {
    /// `last` is the last change of the log so far.
    pub fn new(last: u64) -> Self {
        let progress = RwLock::new(Progress { told: last, last: HashMap::new() });
        let (found, missed) = Default::default();
        let (entries, epoch, hasher) = (RwLock::default(), AtomicU64::new(0), RandomState::new());
        Self { progress, entries, epoch, hasher, found, missed }
    }

    /// A count to be asked for in a snapshot that is opened after this.
    pub fn prepare(&self, catalog: &Catalog, sql: Sql, reads: Vec<Arc<str>>) -> Count {
        // Views may depend on the time, and so may a text that SQLite takes for a time.
        let steady = |id: &Arc<str>| catalog.by_id(id).is_some_and(|collection| !collection.is_view());
        let small = sql.params.iter().map(weight).sum::<usize>() <= MAX_PARAMETERS;
        let timeless = !sql.params.iter().any(is_now);
        let known = small && timeless && reads.iter().all(steady);
        let epoch = self.epoch.load(Ordering::SeqCst);
        Count { sql, epoch, catalog: catalog.version, reads: known.then_some(reads) }
    }

    /// To be called with every commit, after COMMIT.
    pub fn note(&self, commit: &Commit) {
        let mut progress = self.progress.write();
        // What is done quietly has no number of its own: until the log goes on, totals of its collection are not kept.
        for (seq, touched) in &commit.quiet {
            progress.changed(&touched.collection, *seq);
        }
        for (seq, change) in &commit.changes {
            progress.told = progress.told.max(*seq);
            progress.changed(&change.collection, *seq);
        }
    }

    /// Forgets everything: the sequence numbers of another epoch say nothing here. Nothing is remembered again until
    /// commits have told where the log stands.
    pub fn clear(&self) {
        let mut progress = self.progress.write();
        self.epoch.fetch_add(1, Ordering::SeqCst);
        *progress = Progress::default();
        *self.entries.write() = Entries::default();
    }

    /// How many records match in this snapshot.
    pub fn total(&self, tx: &ReadTx<'_>, count: &Count) -> Result<u64> {
        let Some(reads) = &count.reads else { return count.run(tx) };
        let seq = tx.seq()?;
        let hash = self.hash(count);
        if let Some(entry) = self.find(hash, count)
            && self.progress.read().serves(entry.seq, seq, reads)
        {
            self.found.add(1);
            return Ok(entry.total);
        }
        self.missed.add(1);
        let total = count.run(tx)?;
        let (text, params) = (count.sql.text.clone(), count.sql.params.clone().into());
        let entry = Entry { epoch: count.epoch, catalog: count.catalog, text, params, total, seq };
        self.entries.write().add(hash, entry);
        Ok(total)
    }

    /// How often a total that may be remembered was asked for, and known.
    pub fn lookups(&self) -> Lookups {
        Lookups { found: self.found.get(), missed: self.missed.get() }
    }

    fn find(&self, hash: u64, count: &Count) -> Option<Entry> {
        let found = {
            let entries = self.entries.read();
            if let Some(entry) = entries.young.get(&hash) {
                return entry.is(count).then(|| entry.clone());
            }
            entries.old.get(&hash).filter(|entry| entry.is(count))?.clone()
        };
        self.entries.write().add(hash, found.clone());
        Some(found)
    }

    fn hash(&self, count: &Count) -> u64 {
        let number = |value: &Value| match value {
            Value::Null => 0,
            Value::Integer(number) => self.hasher.hash_one(number),
            Value::Real(number) => self.hasher.hash_one(number.to_bits()),
            Value::Text(text) => self.hasher.hash_one(text),
            Value::Blob(bytes) => self.hasher.hash_one(bytes),
        };
        let params = count.sql.params.iter().map(number).fold(0u64, |all, one| all.rotate_left(7) ^ one);
        self.hasher.hash_one((count.catalog, &count.sql.text, params))
    }
}

impl Progress {
    fn changed(&mut self, collection: &Arc<str>, seq: u64) {
        match self.last.get_mut(collection) {
            Some(last) => *last = seq,
            None => _ = self.last.insert(collection.clone(), seq),
        }
    }

    /// True when what was counted at `counted` holds at `asked`.
    fn serves(&self, counted: u64, asked: u64, reads: &[Arc<str>]) -> bool {
        let last = |id| self.last.get(id).copied().unwrap_or(0);
        self.told >= asked && self.told >= counted && reads.iter().all(|id| last(id) <= counted.min(asked))
    }
}

impl Entries {
    fn add(&mut self, hash: u64, entry: Entry) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&hash) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(hash, entry);
    }
}

impl Entry {
    fn is(&self, count: &Count) -> bool {
        (self.epoch, self.catalog) == (count.epoch, count.catalog)
            && self.text == count.sql.text
            && *self.params == *count.sql.params
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
    }
}

fn is_now(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.trim().eq_ignore_ascii_case("now"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        db::{Change, Kind, Touched},
    };

    fn commit(changes: &[(u64, &str)]) -> Commit {
        let change = |collection: &str| Change {
            collection: collection.into(),
            record: "r".to_owned(),
            kind: Kind::Delete,
            old: None,
            new: None,
            actor: None,
            mutation: None,
        };
        let changes = changes.iter().map(|&(seq, collection)| (seq, Arc::new(change(collection)))).collect();
        Commit { changes, quiet: Vec::new(), at: Timestamp(0) }
    }

    #[test]
    fn a_total_holds_while_its_collections_rest() {
        let counts = Counts::new(10);
        counts.note(&commit(&[(11, "a"), (12, "b")]));
        counts.note(&commit(&[(13, "c")]));
        for (counted, asked, reads, serves) in [
            (10, 10, &["x"][..], true),
            (13, 13, &["a", "b"], true),
            (12, 13, &["a", "b"], true),
            (13, 12, &["a", "b"], true),
            (11, 13, &["a"], true),
            (11, 13, &["b"], false),
            (13, 11, &["b"], false),
            (12, 13, &["a", "c"], false),
            // No commit has told what 14 was.
            (13, 14, &["a"], false),
            (14, 13, &["a"], false),
        ] {
            let reads: Vec<Arc<str>> = reads.iter().map(|id| Arc::from(*id)).collect();
            assert_eq!(counts.progress.read().serves(counted, asked, &reads), serves, "{counted} {asked} {reads:?}");
        }
        // Quietly, while the log stood at 13: a snapshot with that number may or may not have it, one with 14 has.
        let quiet = vec![(14, Touched { collection: "a".into(), record: "r".to_owned(), actor: None })];
        counts.note(&Commit { quiet, ..commit(&[]) });
        let serves = |counted, asked, id: &str| counts.progress.read().serves(counted, asked, &[id.into()]);
        assert!(!serves(13, 13, "a") && !serves(12, 13, "a") && serves(13, 13, "b"));
        counts.note(&commit(&[(14, "b")]));
        assert!(!serves(13, 14, "a") && serves(14, 14, "a"));
        counts.clear();
        assert!(!counts.progress.read().serves(13, 13, &["x".into()]));
    }

    #[test]
    fn entries_are_bounded() {
        let mut entries = Entries::default();
        for hash in 0..10_000 {
            let text = Arc::from("");
            entries.add(hash, Entry { epoch: 0, catalog: 0, text, params: Arc::new([]), total: hash, seq: 0 });
        }
        assert!(entries.young.len() + entries.old.len() <= 2 * GENERATION);
        assert!(entries.young.contains_key(&9_999));
    }
}
