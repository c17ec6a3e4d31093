//! The folder that is imported. Nothing here writes into it, not even SQLite: the database is copied as files.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};

/// A database is these files; only the first one has to exist. The WAL's index is made anew from the WAL.
const DATABASE: [&str; 3] = ["data.db", "data.db-wal", "data.db-journal"];
/// How often the copy is tried again while somebody writes.
const ATTEMPTS: u32 = 5;

#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    /// What a person knows it by.
    shown: PathBuf,
}

impl Source {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let real = path.canonicalize().with_context(|| format!("cannot open {}", path.display()))?;
        if real.join("data.db").is_file() {
            return Ok(Self { shown: real.clone(), path: real });
        }
        let inside = real.join("pb_data");
        if inside.join("data.db").is_file() {
            bail!("there is no data.db in {}: did you mean {}?", path.display(), inside.display());
        }
        bail!("there is no data.db in {}: name the data directory of PocketBase", path.display());
    }

    /// A folder of our own, with what an archive held.
    pub fn unpacked(path: &Path, archive: &Path) -> anyhow::Result<Self> {
        Ok(Self { shown: archive.to_owned(), ..Self::open(path)? })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the database as it was at one moment: if anybody wrote meanwhile, the copy is thrown away and made again.
    pub fn copy_database(&self, target: &Path) -> anyhow::Result<()> {
        for attempt in 0..ATTEMPTS {
            thread::sleep(Duration::from_millis(200) * attempt);
            let before = self.fingerprint()?;
            for name in DATABASE {
                copy_if_exists(&self.path.join(name), &target.join(name))
                    .with_context(|| format!("cannot copy {name}"))?;
            }
            if self.fingerprint()? == before {
                return Ok(());
            }
        }
        bail!("{} is being written to all the time: stop PocketBase and try again", self.path.display());
    }

    /// Identity, size and times of each file of the database.
    fn fingerprint(&self) -> io::Result<Vec<Option<[i64; 6]>>> {
        let look = |name: &&str| match fs::metadata(self.path.join(name)) {
            Ok(file) => Ok(Some([
                file.ino().cast_signed(),
                file.size().cast_signed(),
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ])),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        DATABASE.iter().map(look).collect()
    }

    /// The process that has the database open, if one has: SQLite holds a lock on its WAL's index.
    pub fn user(&self) -> Option<i32> {
        let index = File::open(self.path.join("data.db-shm")).ok()?;
        // The "dead man switch" byte of a WAL index (sqlite.org/walformat.html, "WAL Locks").
        // SAFETY: flock is plain old data; zero is a valid value for every member.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        lock.l_start = 128;
        lock.l_len = 1;
        // SAFETY: the descriptor is open, and F_GETLK only writes into `lock`.
        let asked = unsafe { libc::fcntl(index.as_raw_fd(), libc::F_GETLK, &mut lock) };
        (asked == 0 && lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid)
    }

    /// What belongs to PocketBase but not to its data, with the reason why it stays where it is.
    pub fn left_behind(&self) -> Vec<String> {
        let beside = self.path.parent().unwrap_or(&self.path);
        [
            (beside.join("pb_hooks"), "hooks are JavaScript for PocketBase; Conch does not run them"),
            (beside.join("pb_migrations"), "their effects are in the database already; Conch does not run them"),
            (beside.join("pb_public"), "static files are not part of the data"),
            (self.path.join("auxiliary.db"), "the request log is not brought"),
            (self.path.join("backups"), "backups of PocketBase are not brought"),
        ]
        .into_iter()
        .filter(|(path, _)| fs::metadata(path).is_ok_and(|found| !found.is_dir() || !is_empty(path)))
        .map(|(path, why)| {
            let within = path.strip_prefix(&self.path).map(|name| self.shown.join(name));
            format!("{}: {why}", within.unwrap_or(path).display())
        })
        .collect()
    }
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// Overwrites what an earlier attempt left; a file that vanished meanwhile vanishes there too.
fn copy_if_exists(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::remove_file(to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        Err(error) => return Err(error),
    };
    io::copy(&mut source, &mut File::create(to)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn what_is_only_in_the_wal_comes_along_and_the_user_is_noticed() {
        let place = TempDir::new();
        let (from, to) = (place.path().join("pb_data"), place.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        assert!(Source::open(&from).unwrap_err().to_string().contains("no data.db"));
        let live = Connection::open(from.join("data.db")).unwrap();
        live.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (42)").unwrap();
        assert!(Source::open(place.path()).unwrap_err().to_string().contains("did you mean"));

        let source = Source::open(&from).unwrap();
        let before = source.fingerprint().unwrap();
        source.copy_database(&to).unwrap();
        assert_eq!(source.fingerprint().unwrap(), before);
        let copy = Connection::open(to.join("data.db")).unwrap();
        assert_eq!(copy.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 42);
        drop((copy, live));
        assert_eq!(source.user(), None);
    }

    #[test]
    fn what_stays_behind_is_named() {
        let place = TempDir::new();
        let from = place.path().join("pb_data");
        fs::create_dir_all(place.path().join("pb_hooks")).unwrap();
        fs::create_dir_all(place.path().join("pb_public")).unwrap();
        fs::create_dir_all(from.join("backups")).unwrap();
        fs::write(place.path().join("pb_hooks/main.pb.js"), "").unwrap();
        fs::write(from.join("data.db"), "").unwrap();
        fs::write(from.join("auxiliary.db"), "").unwrap();
        let left = Source::open(&from).unwrap().left_behind().join("\n");
        assert!(left.contains("pb_hooks") && left.contains("auxiliary.db"), "{left}");
        assert!(!left.contains("pb_public") && !left.contains("backups"), "empty folders are nobody's loss: {left}");
    }
}
