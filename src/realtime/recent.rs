//! The last changes that were read from the log, for the next reader: after a restart everybody comes back at once and
//! wants to hear the same.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::Hub;
use crate::{db::Change, error::Result};

/// Changes that are read from the log at once.
const PAGE: usize = 250;
/// Bytes of images that are kept.
const MAX_BYTES: usize = 32 << 20;
/// What an entry costs besides its images.
const OVERHEAD: usize = 256;

/// A number with what happened; `None` if it cannot be of interest to anybody, as its collection is gone.
pub type Numbered = (u64, Option<Arc<Change>>);

#[derive(Default)]
pub struct Recent {
    kept: Mutex<Kept>,
    /// One reads, the others find what it has read.
    pub(super) reading: tokio::sync::Mutex<()>,
}

struct Kept {
    key: Key,
    changes: BTreeMap<u64, Option<Arc<Change>>>,
    bytes: usize,
}

/// What decides how the log reads: its epoch, and the version of the catalog.
type Key = (Arc<str>, u64);

impl Default for Kept {
    fn default() -> Self {
        Self { key: (Arc::from(""), 0), changes: BTreeMap::new(), bytes: 0 }
    }
}

impl Kept {
    /// What follows `after` without a hole, up to a page.
    fn run(&self, key: &Key, after: u64, until: u64) -> Vec<Numbered> {
        if self.key != *key || after >= until {
            return Vec::new();
        }
        let run = self.changes.range(after + 1..=until).zip(after + 1..);
        let run = run.take_while(|((seq, _), expected)| *seq == expected).take(PAGE);
        run.map(|((seq, change), _)| (*seq, change.clone())).collect()
    }

    fn keep(&mut self, key: Key, changes: &[Numbered]) {
        if self.key != key {
            *self = Self { key, changes: BTreeMap::new(), bytes: 0 };
        }
        let bytes = |change: &Option<Arc<Change>>| OVERHEAD + change.as_ref().map_or(0, |change| change.weight());
        for (seq, change) in changes {
            self.bytes += bytes(change);
            if let Some(before) = self.changes.insert(*seq, change.clone()) {
                self.bytes -= bytes(&before);
            }
        }
        // The newest are wanted by most.
        while self.bytes > MAX_BYTES
            && let Some((_, change)) = self.changes.pop_first()
        {
            self.bytes -= bytes(&change);
        }
    }
}

impl Hub {
    /// The next changes after `after`, oldest first, at least one, none after `until`. `None` when the log cannot tell.
    pub(super) async fn changes(&self, after: u64, until: u64) -> Result<Option<Vec<Numbered>>> {
        let recent = &self.inner.recent;
        let find = || {
            let key = (self.inner.db.epoch(), self.inner.schema.catalog().version);
            recent.kept.lock().run(&key, after, until)
        };
        let known = find();
        if !known.is_empty() {
            return Ok(Some(known));
        }
        let _reading = recent.reading.lock().await;
        let known = find();
        if !known.is_empty() {
            return Ok(Some(known));
        }
        let epoch = self.inner.db.epoch();
        let (records, schema) = (self.inner.records.clone(), self.inner.schema.clone());
        let (catalog, story) = self
            .inner
            .db
            .read(move |tx| {
                let catalog = schema.catalog();
                records.story(tx, &catalog, after, PAGE).map(|story| (catalog, story))
            })
            .await?;
        let mut changes = Vec::new();
        let mut told = story.changes.into_iter().peekable();
        for seq in after + 1..=story.read.min(until) {
            changes.push((seq, told.next_if(|(next, _)| *next == seq).map(|(_, change)| change)));
        }
        if !story.complete && changes.is_empty() {
            return Ok(None);
        }
        if *epoch == *self.inner.db.epoch() {
            recent.kept.lock().keep((epoch, catalog.version), &changes);
        }
        Ok(if changes.is_empty() { None } else { Some(changes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_without_a_hole_is_found() {
        let key = |epoch: &str, version| (Arc::from(epoch), version);
        let now = key("epoch", 1);
        let mut kept = Kept::default();
        let numbers = |run: Vec<Numbered>| run.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
        kept.keep(now.clone(), &[(5, None), (6, None), (8, None)]);
        assert_eq!(numbers(kept.run(&now, 4, 100)), [5, 6]);
        assert_eq!(numbers(kept.run(&now, 4, 5)), [5]);
        assert_eq!(numbers(kept.run(&now, 5, 100)), [6]);
        for (after, until) in [(3, 100), (6, 100), (8, 100), (9, 3), (7, 7)] {
            assert_eq!(numbers(kept.run(&now, after, until)), [0; 0], "{after}");
        }
        for other in [key("epoch", 2), key("another", 1)] {
            assert_eq!(numbers(kept.run(&other, 4, 100)), [0; 0], "another catalog or log reads differently");
        }
        kept.keep(
            now.clone(),
            &(10..MAX_BYTES as u64 / OVERHEAD as u64 + 20).map(|seq| (seq, None)).collect::<Vec<_>>(),
        );
        assert!(kept.bytes <= MAX_BYTES && kept.changes.len() * OVERHEAD == kept.bytes);
    }
}
