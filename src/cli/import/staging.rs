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
    /// Refuses a target that has data already, or lies within the source.
    pub fn create(target: &Path, source: &Path) -> anyhow::Result<Self> {
        if real(target)?.starts_with(source) {
            bail!("{} lies within {}: choose another --dir", target.display(), source.display());
        }
        let made = !target.exists();
        fs::create_dir_all(target).with_context(|| format!("cannot create {}", target.display()))?;
        let target = target.canonicalize()?;
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

    /// Removes what was needed on the way only.
    pub fn discard(&self, name: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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

/// The path without links, as far as it exists.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(&path);
    let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
    Ok(existing.canonicalize()?.join(rest))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn a_copy_appears_whole_or_not_at_all() {
        let place = TempDir::new();
        let (source, target) = (place.path().join("source"), place.path().join("deep/target"));
        fs::create_dir(&source).unwrap();
        let staging = Staging::create(&target, &source).unwrap();
        fs::write(staging.path().join("data.db"), "x").unwrap();
        assert!(Staging::create(&target, &source).unwrap_err().to_string().contains("another import"));
        drop(staging);
        assert!(!target.exists(), "a failed import leaves nothing");

        fs::create_dir_all(&target).unwrap();
        fs::write(target.join("README.md"), "kept").unwrap();
        fs::create_dir(target.join(format!("{PREFIX}killed"))).unwrap();
        let staging = Staging::create(&target, &source).unwrap();
        fs::write(staging.path().join("data.db"), "x").unwrap();
        fs::write(staging.path().join("data.db-wal"), "").unwrap();
        fs::create_dir_all(staging.path().join("storage/c")).unwrap();
        staging.publish().unwrap();
        let mut names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["README.md", "data.db", "storage"]);
    }

    #[test]
    fn a_target_with_data_or_within_the_source_is_refused() {
        let place = TempDir::new();
        let source = place.path().canonicalize().unwrap().join("source");
        fs::create_dir(&source).unwrap();
        for (name, reason) in
            [("source", "within"), ("source/new/er", "within"), ("full", "data.db"), ("files", "storage")]
        {
            let target = place.path().join(name);
            match name {
                "full" => fs::create_dir(&target).and_then(|()| fs::write(target.join("data.db"), "")).unwrap(),
                "files" => fs::create_dir_all(target.join("storage/c")).unwrap(),
                _ => {}
            }
            let error = Staging::create(&target, &source).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(&source).unwrap().count(), 0, "the source is only read");
    }
}
