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
    /// The name of the archive. Held for a look only.
    at_work: Mutex<Option<String>>,
    is_over: AtomicBool,
}

/// As long as there is one, no other backup or restore begins.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
}

impl Turns {
    /// Begins to work on this archive. Fails as invalid while somebody works on any.
    pub fn take(&self, key: &str) -> Result<Turn> {
        let mut at_work = self.inner.at_work.lock();
        if at_work.is_some() {
            return Err(Error::invalid("Another backup or restore is at work. Try again when it has ended."));
        }
        *at_work = Some(key.to_owned());
        Ok(Turn { turns: self.clone() })
    }

    pub fn is_taken(&self) -> bool {
        self.inner.at_work.lock().is_some()
    }

    /// Whether this very archive is worked on.
    pub fn is_on(&self, key: &str) -> bool {
        self.inner.at_work.lock().as_deref() == Some(key)
    }

    /// Whoever works should end as soon as possible.
    pub fn end(&self) {
        self.inner.is_over.store(true, Relaxed);
    }

    /// Waits until nobody works.
    pub async fn ended(&self) {
        while self.is_taken() {
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

impl Drop for Turn {
    fn drop(&mut self) {
        *self.turns.inner.at_work.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time() {
        let turns = Turns::default();
        let turn = turns.take("a").unwrap();
        assert!(turns.take("b").is_err() && turns.is_taken() && turns.is_on("a") && !turns.is_on("b"));
        drop(turn);
        assert!(!turns.is_taken() && turns.take("b").is_ok());
        assert!(turns.check().is_ok());
        turns.end();
        assert!(turns.check().is_err());
    }
}
