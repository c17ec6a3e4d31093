//! Large files given to the disk a little at a time. Left to the kernel, what is written piles up in memory and goes to the
//! disk in one go (when it is synchronised, at the latest), and a commit that is synchronised meanwhile waits behind it.

use std::{
    fs::File,
    io::{self, Write},
};

/// As much as a commit may have to wait for, in bytes.
const PIECE: u64 = 1 << 20;

/// How far a file has been given to the disk. It does not replace synchronising it.
#[derive(Debug, Default)]
pub struct Trickle {
    given: u64,
}

impl Trickle {
    /// The file has been written up to here, from its beginning: every so often, waits until that has left for the disk.
    pub fn reach(&mut self, file: &File, written: u64) -> io::Result<()> {
        if written >= self.given + PIECE {
            give(file, self.given, written - self.given)?;
            self.given = written;
        }
        Ok(())
    }
}

/// A file that is written from its beginning and trickles to the disk.
#[derive(Debug)]
pub struct Trickling {
    file: File,
    written: u64,
    trickle: Trickle,
}

impl Trickling {
    pub fn new(file: File) -> Self {
        Self { file, written: 0, trickle: Trickle::default() }
    }

    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Write for Trickling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.written += length as u64;
        self.trickle.reach(&self.file, self.written)?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Without what synchronising does besides: no journal is written, and no cache of the disk is emptied.
#[cfg(target_os = "linux")]
fn give(file: &File, from: u64, length: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let [from, length] = [from, length].map(|bytes| libc::off64_t::try_from(bytes).unwrap_or(libc::off64_t::MAX));
    // SAFETY: takes numbers only; the descriptor is open.
    if unsafe { libc::sync_file_range(file.as_raw_fd(), from, length, flags) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // Not every file system knows it.
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL | libc::ESPIPE)) => file.sync_data(),
        error => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn give(file: &File, _: u64, _: u64) -> io::Result<()> {
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn what_trickles_arrives_whole() {
        let place = TempDir::new();
        let path = place.path().join("a");
        let mut out = Trickling::new(File::create(&path).unwrap());
        let bytes: Vec<u8> = (0..5 * PIECE + 7).map(|n| (n % 251) as u8).collect();
        bytes.chunks(100_000).for_each(|piece| out.write_all(piece).unwrap());
        assert!(out.trickle.given > 4 * PIECE, "{}", out.trickle.given);
        out.flush().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), bytes);
    }
}
