//! The directory of `serve --temp`: gone when its server is, however that ends.
//!
//! It is removed when the server stops, which also happens when the parent process dies. What a killed server left
//! behind is swept away by the next one.

use std::{
    fs::{self, DirBuilder, File},
    io,
    mem::ManuallyDrop,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::random;

const PREFIX: &str = "conch-temp-";
/// Held by the server for as long as it lives.
const LOCK: &str = ".temp.lock";
/// A younger directory may belong to a server that has not locked it yet.
const MIN_AGE: Duration = Duration::from_secs(60);
/// After its parent died, a server has this long to stop by itself.
const LAST_WILL: Duration = Duration::from_secs(5);

/// A directory for one server; removed on drop.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    lock: File,
}

impl Temporary {
    /// In the system's place for temporary files; only this user can look into it.
    pub fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", random::string(random::LOWER_ALPHANUMERIC, 12)));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::create(path.join(LOCK))?;
        if !try_lock(&lock) {
            return Err(io::Error::other("a fresh lock is already held"));
        }
        Ok(Self { path, lock })
    }

    /// The directory of the same process, before it started again.
    pub fn take_over(path: PathBuf, lock: File) -> Self {
        Self { path, lock }
    }

    /// Leaves the directory, locked, to the same process after it starts again.
    pub fn hand_over(self) -> (PathBuf, File) {
        let this = ManuallyDrop::new(self);
        // SAFETY: each member is read once, and `this` is never used or dropped after that.
        unsafe { (std::ptr::read(&raw const this.path), std::ptr::read(&raw const this.lock)) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "the temporary directory could not be removed");
    }
}

/// Removes, in the background, what killed servers left behind.
pub fn sweep() {
    thread::spawn(|| {
        let _ = sweep_in(&std::env::temp_dir(), MIN_AGE);
    });
}

fn sweep_in(dir: &Path, min_age: Duration) -> io::Result<()> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    let own = unsafe { libc::geteuid() };
    for entry in fs::read_dir(dir)?.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && metadata.is_dir()
            && metadata.uid() == own
            && metadata.modified().is_ok_and(|time| time.elapsed().unwrap_or_default() >= min_age);
        if is_ours && File::open(entry.path().join(LOCK)).map_or(true, |lock| try_lock(&lock)) {
            remove(&entry.path());
        }
    }
    Ok(())
}

fn try_lock(file: &File) -> bool {
    // SAFETY: flock only reads the descriptor, which `file` keeps open.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Ends this process when the one that started it does, also when that was killed. `dir` goes even if the server hangs.
pub fn die_with_parent(dir: PathBuf) {
    // SAFETY: neither call has preconditions. A terminal that closes ends the parent, which is noticed here.
    let parent = unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::getppid()
    };
    if parent <= 1 {
        return;
    }
    thread::spawn(move || {
        wait_for_end(parent);
        tracing::info!("the parent process is gone: stopping");
        // SAFETY: a signal to this process, which the server takes as the wish to stop.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        thread::sleep(LAST_WILL);
        remove(&dir);
        std::process::exit(1);
    });
}

/// Returns when `parent` is no longer the parent. Linux tells; elsewhere we look twice a second.
fn wait_for_end(parent: i32) {
    let is_parent = || {
        // SAFETY: getppid has no preconditions.
        unsafe { libc::getppid() == parent }
    };
    #[cfg(target_os = "linux")]
    // SAFETY: plain system calls on a descriptor that is ours; `poll` writes only into `watched`.
    unsafe {
        let descriptor = libc::syscall(libc::SYS_pidfd_open, parent, 0);
        // It may have died, and its number been given away, before we opened it.
        if descriptor >= 0 && is_parent() {
            let mut watched = libc::pollfd { fd: descriptor as i32, events: libc::POLLIN, revents: 0 };
            libc::poll(&mut watched, 1, -1);
        }
    }
    while is_parent() {
        thread::sleep(Duration::from_millis(500));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_private_and_goes_with_its_owner() {
        let temporary = Temporary::create().unwrap();
        let path = temporary.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::write(path.join("data.db"), "x").unwrap();
        drop(temporary);
        assert!(!path.exists());
    }

    #[test]
    fn the_sweeper_takes_what_nobody_holds() {
        let place = Temporary::create().unwrap();
        let make = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir(&path).unwrap();
            let lock = File::create(path.join(LOCK)).unwrap();
            (path, lock)
        };
        let (held, lock) = make("conch-temp-held");
        assert!(try_lock(&lock));
        let (left, _) = make("conch-temp-left");
        let (other, _) = make("something-else");
        sweep_in(place.path(), Duration::from_secs(60)).unwrap();
        assert!(left.exists(), "too young");
        sweep_in(place.path(), Duration::ZERO).unwrap();
        assert!(held.exists() && other.exists() && !left.exists());
    }
}
