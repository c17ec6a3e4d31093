//! How far long work has come. Whoever works says so; whoever watches (a terminal, the control socket) sees the newest
//! step, and nobody waits for anybody.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Where the work is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is being done, in a few words for people.
    pub what: String,
    /// Of `total`, in `unit`.
    pub done: u64,
    /// 0 while it is not known.
    pub total: u64,
    pub unit: Unit,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    #[default]
    Bytes,
    Items,
}

/// Where long work tells its steps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    newest: watch::Sender<Step>,
}

impl Default for Progress {
    /// Nobody watches.
    fn default() -> Self {
        Self { newest: watch::Sender::new(Step::default()) }
    }
}

impl Progress {
    /// Begins another part of the work.
    pub fn begin(&self, what: impl Into<String>, total: u64, unit: Unit) {
        self.newest.send_replace(Step { what: what.into(), done: 0, total, unit });
    }

    /// So much more of it is done.
    pub fn advance(&self, by: u64) {
        self.newest.send_modify(|step| step.done += by);
    }

    /// The newest step, whenever it changes.
    pub fn watch(&self) -> watch::Receiver<Step> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_step_is_seen() {
        let progress = Progress::default();
        let watched = progress.watch();
        progress.begin("copying", 10, Unit::Bytes);
        progress.clone().advance(4);
        progress.advance(3);
        let expected = Step { what: "copying".into(), done: 7, total: 10, unit: Unit::Bytes };
        assert_eq!(*watched.borrow(), expected);
        progress.begin("looking", 0, Unit::Items);
        assert_eq!(watched.borrow().done, 0);
    }
}
