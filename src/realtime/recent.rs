//! The last changes that were read from the log, for the next reader: after a restart everybody comes back at once and
//! wants to hear the same.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::Hub;
use crate::{db::Change, error::Result, schema::Catalog};

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
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    /// As read by this version of the catalog.
    version: u64,
    changes: BTreeMap<u64, Option<Arc<Change>>>,
    bytes: usize,
}

impl Recent {
    /// Another log.
    pub fn clear(&self) {
        *self.kept.lock() = Kept::default();
    }
}

impl Kept {
    /// What follows `after` without a hole, up to a page.
    fn run(&self, catalog: &Catalog, after: u64, until: u64) -> Vec<Numbered> {
        if self.version != catalog.version || after >= until {
            return Vec::new();
        }
        let run = self.changes.range(after + 1..=until).zip(after + 1..);
        let run = run.take_while(|((seq, _), expected)| *seq == expected).take(PAGE);
        run.map(|((seq, change), _)| (*seq, change.clone())).collect()
    }

    fn keep(&mut self, catalog: &Catalog, changes: &[Numbered]) {
        if self.version != catalog.version {
            *self = Self { version: catalog.version, ..Self::default() };
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
        let find = || recent.kept.lock().run(&self.inner.schema.catalog(), after, until);
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
            recent.kept.lock().keep(&catalog, &changes);
        }
        Ok(if changes.is_empty() { None } else { Some(changes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_without_a_hole_is_found() {
        let catalog = Catalog::new(1, Vec::new());
        let mut kept = Kept::default();
        let numbers = |run: Vec<Numbered>| run.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
        kept.keep(&catalog, &[(5, None), (6, None), (8, None)]);
        assert_eq!(numbers(kept.run(&catalog, 4, 100)), [5, 6]);
        assert_eq!(numbers(kept.run(&catalog, 4, 5)), [5]);
        assert_eq!(numbers(kept.run(&catalog, 5, 100)), [6]);
        for (after, until) in [(3, 100), (6, 100), (8, 100), (9, 3), (7, 7)] {
            assert_eq!(numbers(kept.run(&catalog, after, until)), [0; 0], "{after}");
        }
        assert_eq!(
            numbers(kept.run(&Catalog::new(2, Vec::new()), 4, 100)),
            [0; 0],
            "another catalog reads differently"
        );
        kept.keep(&catalog, &(10..MAX_BYTES as u64 / OVERHEAD as u64 + 20).map(|seq| (seq, None)).collect::<Vec<_>>());
        assert!(kept.bytes <= MAX_BYTES && kept.changes.len() * OVERHEAD == kept.bytes);
    }
}
