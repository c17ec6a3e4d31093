//! One process owns a data directory: an advisory lock on `.conch.lock`, which also says who holds it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::fd::AsRawFd,
    path::Path,
};

use crate::error::{Error, Kind, Result};

const NAME: &str = ".conch.lock";

/// The held lock; the kernel releases it with the process, however that ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Fails as [`Kind::Busy`] naming the owner's process id when another process (or another [`super::Db`]) holds it.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let mut file = open(dir)?;
        if !try_lock(&file)? {
            let owner = read_pid(&mut file).map_or(String::new(), |pid| format!(" (process {pid})"));
            let message = format!("The data directory {} is in use by another Conch{owner}.", dir.display());
            return Err(Error::new(Kind::Busy, message));
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

/// The process that owns the directory now, if one does; 0 when it did not say who it is.
pub(super) fn owner(dir: &Path) -> Result<Option<u32>> {
    if !dir.join(NAME).exists() {
        return Ok(None);
    }
    let mut file = open(dir)?;
    // The probe's own lock goes with the file handle.
    Ok(if try_lock(&file)? { None } else { Some(read_pid(&mut file).unwrap_or(0)) })
}

fn open(dir: &Path) -> Result<File> {
    let path = dir.join(NAME);
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|source| {
        let message = format!("Cannot open {}: {source}.", path.display());
        Error::new(Kind::Invalid, message).because(source)
    })
}

fn try_lock(file: &File) -> Result<bool> {
    // SAFETY: flock only reads the descriptor, which `file` keeps open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error.into()) }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn a_second_owner_is_refused_and_told_who_the_first_is() {
        let dir = TempDir::new();
        assert_eq!(owner(dir.path()).unwrap(), None);
        let held = DirectoryLock::take(dir.path()).unwrap();
        let refused = DirectoryLock::take(dir.path()).unwrap_err();
        assert_eq!(refused.kind, Kind::Busy);
        assert!(refused.message.contains(&format!("process {}", std::process::id())), "{refused}");
        assert_eq!(owner(dir.path()).unwrap(), Some(std::process::id()));
        drop(held);
        assert_eq!(owner(dir.path()).unwrap(), None);
        DirectoryLock::take(dir.path()).unwrap();
    }
}
