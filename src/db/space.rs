//! Whether the disk has room: so that a full one refuses writes at once instead of trying each, and nobody has to start
//! anything again when there is room.
//!
//! There are two lines. Below the *reserve* nothing should be added any more, while deletions and the house's own notes go
//! on: whoever makes room must be able to. The second is where even a small write fails; then every write is refused, and
//! the writer tries one of its own until it succeeds. Only the writer moves these lines.

use std::{
    ffi::CString,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::error::{Error, Kind};

/// Between two looks at the file system.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Space {
    path: CString,
    /// Bytes that should stay free.
    reserve: u64,
    free: AtomicU64,
    total: AtomicU64,
    /// Below the reserve.
    scarce: AtomicBool,
    /// A small write has failed.
    full: AtomicBool,
    /// Only the writer takes it.
    looked: Mutex<Option<Instant>>,
}

/// What is known of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this process may still write, of so many that the file system has; 0 of 0 where the system does not say.
    pub free: u64,
    pub total: u64,
    /// Bytes that should stay free.
    pub reserve: u64,
    /// Nothing should be added: less than the reserve is left, or nothing.
    pub scarce: bool,
    /// Nothing can be written at all.
    pub full: bool,
}

impl Space {
    pub fn new(dir: &Path, reserve: u64) -> Self {
        let space = Self {
            // A path with a zero byte could not have been opened.
            path: CString::new(dir.as_os_str().as_bytes()).unwrap_or_default(),
            reserve,
            free: AtomicU64::new(0),
            total: AtomicU64::new(0),
            scarce: AtomicBool::new(false),
            full: AtomicBool::new(false),
            looked: Mutex::new(None),
        };
        space.look();
        space
    }

    pub fn room(&self) -> Room {
        let full = self.is_full();
        Room {
            free: self.free.load(Relaxed),
            total: self.total.load(Relaxed),
            reserve: self.reserve,
            scarce: self.is_scarce(),
            full,
        }
    }

    /// Less than the reserve is left, or nothing.
    pub fn is_scarce(&self) -> bool {
        self.is_full() || self.scarce.load(Relaxed)
    }

    pub fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Looks at the file system, if that was not done a moment ago.
    pub fn look(&self) {
        let mut looked = self.looked.lock();
        if looked.is_some_and(|then| then.elapsed() < LOOK_EVERY) {
            return;
        }
        *looked = Some(Instant::now());
        let Some((free, total)) = measured(&self.path) else { return };
        self.free.store(free, Relaxed);
        self.total.store(total, Relaxed);
        let scarce = free < self.reserve;
        if self.scarce.swap(scarce, Relaxed) == scarce {
            return;
        }
        if scarce {
            tracing::error!(
                free,
                reserve = self.reserve,
                "the disk is nearly full: nothing can be added until there is room"
            );
        } else {
            tracing::info!(free, "the disk has room again");
        }
    }

    /// A small write has failed for want of room, or succeeded.
    pub fn tried(&self, full: bool) {
        if self.full.swap(full, Relaxed) == full {
            return;
        }
        if full {
            tracing::error!("the disk is full: writes are refused until one succeeds");
        } else {
            tracing::info!("the disk takes writes again");
        }
    }
}

/// What a write is told when there is no room for it.
pub(super) fn refusal() -> Error {
    Error::new(
        Kind::StorageFull,
        "The disk of the server is full. Reading goes on; writing will when there is room again.",
    )
}

/// Free and total bytes of the file system under `path`.
// These numbers are narrower on some systems.
#[allow(clippy::useless_conversion)]
fn measured(path: &CString) -> Option<(u64, u64)> {
    // SAFETY: a structure of numbers, for which zeroes are a value; the call fills it and reads a string that ends.
    let (ok, found) = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut found) == 0, found)
    };
    // Some file systems do not say how large they are.
    let unit = u64::from(found.f_frsize);
    let total = u64::from(found.f_blocks).saturating_mul(unit);
    (ok && total > 0).then(|| (u64::from(found.f_bavail).saturating_mul(unit), total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn a_reserve_that_is_not_there_makes_room_scarce() {
        let dir = TempDir::new();
        let plenty = Space::new(dir.path(), 0).room();
        assert!(plenty.free > 0 && plenty.free <= plenty.total, "{plenty:?}");
        assert_eq!((plenty.scarce, plenty.full), (false, false));
        let space = Space::new(dir.path(), u64::MAX);
        assert_eq!((space.room().scarce, space.room().full), (true, false));
        space.tried(true);
        assert!(space.is_full() && space.room().scarce);
        space.tried(false);
        assert!(!space.is_full());
        assert!(measured(&CString::new("/no/such/place").unwrap()).is_none());
    }
}
