//! What is being done with archives at this moment, for whoever watches.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::{
    clock::Timestamp,
    progress::{Progress, Unit},
};

/// What works on archives. Cheap to clone.
#[derive(Clone, Default)]
pub struct Doings {
    /// The newest last. Held for a look only.
    all: Arc<Mutex<Vec<Known>>>,
}

struct Known {
    id: u64,
    what: &'static str,
    key: String,
    since: Timestamp,
    progress: Progress,
}

/// As long as there is one, it is told.
pub struct Doing {
    doings: Doings,
    id: u64,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// `create`, `upload`, `restore` or `verify`
    pub what: &'static str,
    pub key: String,
    /// Of `total`, which is not known at times, in `unit`: `bytes` or `files`.
    pub done: u64,
    pub total: Option<u64>,
    pub unit: &'static str,
    pub since: String,
    /// What is being done, in a few words for people.
    pub step: String,
}

impl Doings {
    /// Tells of work from now on.
    pub fn begin(&self, what: &'static str, key: &str, since: Timestamp, progress: &Progress) -> Doing {
        let mut all = self.all.lock();
        let id = all.last().map_or(0, |last| last.id + 1);
        all.push(Known { id, what, key: key.to_owned(), since, progress: progress.clone() });
        Doing { doings: self.clone(), id }
    }

    /// What was begun last and goes on.
    pub fn newest(&self) -> Option<Running> {
        let all = self.all.lock();
        let known = all.last()?;
        let step = known.progress.watch().borrow().clone();
        Some(Running {
            what: known.what,
            key: known.key.clone(),
            done: step.done,
            // It was estimated.
            total: (step.total > 0).then_some(step.total.max(step.done)),
            unit: match step.unit {
                Unit::Bytes => "bytes",
                Unit::Items => "files",
            },
            since: known.since.to_string(),
            step: step.what,
        })
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        self.doings.all.lock().retain(|known| known.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_goes_on_is_told() {
        let (doings, progress) = (Doings::default(), Progress::default());
        assert_eq!(doings.newest(), None);
        let first = doings.begin("create", "a.zip", Timestamp(0), &progress);
        let second = doings.begin("verify", "b.zip", Timestamp(1000), &Progress::default());
        assert_eq!(doings.newest().map(|running| running.what), Some("verify"));
        drop(second);
        progress.begin("copying", 10, Unit::Items);
        progress.advance(4);
        let running = Running {
            what: "create",
            key: "a.zip".into(),
            done: 4,
            total: Some(10),
            unit: "files",
            since: "1970-01-01 00:00:00.000Z".into(),
            step: "copying".into(),
        };
        assert_eq!(doings.newest(), Some(running));
        drop(first);
        assert_eq!(doings.newest(), None);
    }
}
