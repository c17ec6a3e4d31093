//! The folder in which an import comes together before it appears at its place.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::random;

const PREFIX: &str = ".conch-import-";

/// Removed on drop, unless it was published.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    target: PathBuf,
    /// The target was made for this import.
    made: bool,
    /// Keeps a second import out of the target.
    _lock: File,
}

impl Staging {
    /// Refuses a target that has data already, or lies within the source or around it.
    pub fn create(target: &Path, source: &Path) -> anyhow::Result<Self> {
        let made = !target.exists();
        fs::create_dir_all(target).with_context(|| format!("cannot create {}", target.display()))?;
        let target = target.canonicalize()?;
        if target.starts_with(source) || source.starts_with(&target) {
            bail!("{} and {} lie within each other: choose another --dir", target.display(), source.display());
        }
        let lock = File::open(&target)?;
        // SAFETY: flock only reads the descriptor, which `lock` keeps open.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            bail!("another import into {} is running", target.display());
        }
        refuse_data(&target)?;
        sweep(&target)?;
        let path = target.join(format!("{PREFIX}{}", random::string(random::LOWER_ALPHANUMERIC, 8)));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path, target, made, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything on the disk, then moved: the database last, so that it never appears without its files.
    pub fn publish(self) -> io::Result<()> {
        for name in ["data.db-wal", "data.db-shm", ".conch.lock"] {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_all(&self.path)?;
        let mut names: Vec<_> =
            fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        names.sort_by_key(|name| name == "data.db");
        for name in names {
            fs::rename(self.path.join(&name), self.target.join(&name))?;
            if name == "storage" {
                File::open(&self.target)?.sync_all()?;
            }
        }
        fs::remove_dir(&self.path)?;
        File::open(&self.target)?.sync_all()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        if self.made {
            // Fails, as it should, when there is something in it.
            let _ = fs::remove_dir(&self.target);
        }
    }
}

fn refuse_data(target: &Path) -> anyhow::Result<()> {
    for name in ["data.db", "data.db-wal", "data.db-journal"] {
        if target.join(name).exists() {
            bail!("{} has a {name} already: an import needs a directory without data", target.display());
        }
    }
    let storage = target.join("storage");
    if storage.exists() && fs::read_dir(&storage)?.next().is_some() {
        bail!("{} is not empty: an import needs a directory without data", storage.display());
    }
    Ok(())
}

/// What a killed import left: nobody else works in the target, which is locked.
fn sweep(target: &Path) -> io::Result<()> {
    for entry in fs::read_dir(target)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Waits until the whole copy is on the disk: at once where the system can, else file by file.
fn sync_all(dir: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let handle = File::open(dir)?;
        // SAFETY: syncfs only reads the descriptor, which `handle` keeps open.
        if unsafe { libc::syncfs(handle.as_raw_fd()) } == 0 {
            return Ok(());
        }
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(dir)?.sync_all()
}
