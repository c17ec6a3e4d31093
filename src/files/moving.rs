//! What has to be known while all files move from one store to another.
//!
//! Whoever puts or removes a file *passes* first and then says what was *touched*. While files move, that is written down:
//! the copy of such a file is made again, or removed, after all others. In the end nobody may pass for the moment in which
//! the last of them are seen to and the other store becomes the one.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, RwLockReadGuard};

use super::Key;
use crate::error::{Error, Result};

/// Files that may be touched before they are seen to: more happens than one can keep up with.
const MAX_TOUCHED: usize = 200_000;

/// The state of a move, or that there is none.
#[derive(Debug, Default)]
pub struct Moving {
    gate: Arc<RwLock<()>>,
    /// What was touched since it was last asked; `None` while nothing moves. Held for look-ups only.
    touched: Mutex<Option<HashSet<Key>>>,
}

impl Moving {
    /// Waits while another store becomes the one. To be held while a file is put or removed.
    pub async fn pass(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// This file came or went. To be said before what [`Moving::pass`] gave is let go.
    pub fn touched(&self, key: &Key) {
        if let Some(touched) = self.touched.lock().as_mut().filter(|touched| touched.len() <= MAX_TOUCHED) {
            touched.insert(key.clone());
        }
    }

    /// Begins to write down what is touched, until the guard is dropped. `None` if somebody moves files already.
    pub fn begin(&self) -> Option<Watch<'_>> {
        let mut touched = self.touched.lock();
        if touched.is_some() {
            return None;
        }
        *touched = Some(HashSet::new());
        Some(Watch { moving: self })
    }
}

/// Files are moving as long as this lives.
#[derive(Debug)]
pub struct Watch<'m> {
    moving: &'m Moving,
}

impl Watch<'_> {
    /// What was touched since the last time.
    pub fn take(&self) -> Result<Vec<Key>> {
        let taken = self.moving.touched.lock().as_mut().map(std::mem::take).unwrap_or_default();
        if taken.len() > MAX_TOUCHED {
            return Err(Error::invalid(
                "Too many files change for them to be moved now: try again when there is less to do.",
            ));
        }
        Ok(taken.into_iter().collect())
    }

    /// Lets nobody pass, as long as what is returned lives; `None` if that takes longer than `patience`, because something
    /// large is being put.
    pub async fn shut(&self, patience: Duration) -> Option<OwnedRwLockWriteGuard<()>> {
        tokio::time::timeout(patience, Arc::clone(&self.moving.gate).write_owned()).await.ok()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        *self.moving.touched.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_touched_is_written_down_while_files_move() {
        let moving = Moving::default();
        let key = |name: &str| Key::file("c", "r", name).unwrap();
        moving.touched(&key("before"));
        let watch = moving.begin().unwrap();
        assert!(moving.begin().is_none(), "one at a time");
        moving.touched(&key("a"));
        moving.touched(&key("a"));
        assert_eq!(watch.take().unwrap(), [key("a")]);
        assert_eq!(watch.take().unwrap(), []);

        let passing = moving.pass().await;
        assert!(watch.shut(Duration::from_millis(5)).await.is_none(), "somebody is passing");
        drop(passing);
        let shut = watch.shut(Duration::from_millis(5)).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(5), moving.pass()).await.is_err());
        drop((shut, watch));
        let _ = moving.pass().await;
        assert_eq!(moving.begin().unwrap().take().unwrap(), []);
    }
}
