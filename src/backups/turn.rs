//! One backup or restore at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;

use crate::error::{Error, Result};

/// How often is looked whether work has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Knows what is being worked on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Held for a look only.
    at_work: Mutex<Option<Work>>,
    is_over: AtomicBool,
    /// The one that works leaves nothing to be cleaned up.
    may_be_left: AtomicBool,
}

#[derive(Debug)]
struct Work {
    /// The name of the archive.
    key: String,
    /// It is not there before this work has ended.
    is_new: bool,
}

/// As long as there is one, no other backup or restore begins.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
}

impl Turns {
    /// Begins to work on this archive. Fails as invalid while somebody works on any.
    pub fn take(&self, key: &str) -> Result<Turn> {
        self.begin(key, false)
    }

    /// Begins to make this archive. Fails as invalid while somebody works on any.
    pub fn take_new(&self, key: &str) -> Result<Turn> {
        self.begin(key, true)
    }

    fn begin(&self, key: &str, is_new: bool) -> Result<Turn> {
        let mut at_work = self.inner.at_work.lock();
        if at_work.is_some() {
            return Err(Error::invalid(
                "A backup, a restore or a move of files is at work. Try again when it has ended.",
            ));
        }
        *at_work = Some(Work { key: key.to_owned(), is_new });
        Ok(Turn { turns: self.clone() })
    }

    pub fn is_taken(&self) -> bool {
        self.inner.at_work.lock().is_some()
    }

    /// Whether this very archive is worked on.
    pub fn is_on(&self, key: &str) -> bool {
        self.inner.at_work.lock().as_ref().is_some_and(|work| work.key == key)
    }

    /// Whether this very archive is being made: even if it lies in its place already, nobody has been promised it.
    pub fn is_making(&self, key: &str) -> bool {
        self.inner.at_work.lock().as_ref().is_some_and(|work| work.is_new && work.key == key)
    }

    /// Whoever works should end as soon as possible.
    pub fn end(&self) {
        self.inner.is_over.store(true, Relaxed);
    }

    /// Waits until nobody works who has to be waited for.
    pub async fn ended(&self) {
        while self.is_taken() && !self.inner.may_be_left.load(Relaxed) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Fails once work should end.
    pub fn check(&self) -> Result<()> {
        match self.inner.is_over.load(Relaxed) {
            true => Err(Error::invalid("The server is stopping: this was broken off.")),
            false => Ok(()),
        }
    }
}

impl Turn {
    /// Nobody has to wait for this one: what it does counts only at its end, before which it asks whether it may go on.
    pub fn may_be_left(&self) {
        self.turns.inner.may_be_left.store(true, Relaxed);
    }

    /// Fails once work should end.
    pub fn check(&self) -> Result<()> {
        self.turns.check()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.inner.may_be_left.store(false, Relaxed);
        *self.turns.inner.at_work.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn there_is_one_at_a_time() {
        let turns = Turns::default();
        let turn = turns.take("a").unwrap();
        assert!(turns.take("b").is_err() && turns.is_taken() && turns.is_on("a") && !turns.is_on("b"));
        drop(turn);
        assert!(!turns.is_taken() && turns.take("b").is_ok());
        let turn = turns.take_new("c").unwrap();
        assert!(turns.is_on("c") && turns.is_making("c") && !turns.is_making("a"));
        drop(turn);
        let turn = turns.take("c").unwrap();
        assert!(turns.is_on("c") && !turns.is_making("c"));
        drop(turn);
        assert!(turns.check().is_ok());
        turns.end();
        assert!(turns.check().is_err());
    }

    #[tokio::test]
    async fn one_that_may_be_left_is_not_waited_for() {
        let turns = Turns::default();
        let turn = turns.take("a").unwrap();
        let waiting = |turns: &Turns| turns.ended().now_or_never().is_none();
        assert!(waiting(&turns));
        turn.may_be_left();
        assert!(!waiting(&turns) && turns.is_taken() && turn.check().is_ok());
        drop(turn);
        let _turn = turns.take("b").unwrap();
        assert!(waiting(&turns), "that was the other one");
    }
}
