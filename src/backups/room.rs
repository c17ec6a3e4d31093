//! Room on the disk for what backups and restores write: looked at before they begin and while they go on, so that none
//! takes what the server's own writes need.

use std::path::{Path, PathBuf};

use super::archive::free_bytes;
use crate::error::{Error, Kind, Result};

/// Room that is left on the disk for what is written meanwhile, in bytes.
const RESERVE: u64 = 128 << 20;
/// After so many bytes the room is looked at again.
const LOOK: u64 = 32 << 20;

/// The room where one backup or restore writes.
pub struct Room {
    path: PathBuf,
    /// Bytes until the next look.
    left: u64,
}

impl Room {
    /// On the file system of `path`, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), left: 0 }
    }

    /// Before anything is written: fails unless so many bytes fit.
    pub fn expect(&mut self, bytes: u64) -> Result<()> {
        self.left = 0;
        self.take(0, bytes)
    }

    /// So much was written, and at least so much will be. Fails when that does not fit.
    pub fn take(&mut self, written: u64, expected: u64) -> Result<()> {
        self.left = self.left.saturating_sub(written);
        if self.left > 0 {
            return Ok(());
        }
        self.left = LOOK;
        let (free, needed) = (free_bytes(&self.path)?, expected.saturating_add(RESERVE));
        if free >= needed {
            return Ok(());
        }
        let message = format!(
            "There is not enough room on the disk: {} are needed, {} are free.",
            in_megabytes(needed),
            in_megabytes(free)
        );
        Err(Error::new(Kind::StorageFull, message))
    }
}

/// For people: `12 MB`.
pub fn in_megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_written() {
        let place = TempDir::new();
        let mut room = Room::new(place.path());
        room.expect(1).unwrap();
        let refused = room.expect(1 << 60).unwrap_err();
        assert_eq!(refused.kind, Kind::StorageFull);
        assert!(refused.message.contains("MB are needed"), "{refused}");
        // It is not asked for every piece.
        room.take(1, 1 << 60).unwrap();
        assert!(room.take(LOOK, 1 << 60).is_err());
    }
}
