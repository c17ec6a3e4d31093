//! What is being done to a directory, on the disk: whoever opens the directory next carries on from here.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{Error, Kind, Result};

/// Where a swap keeps its journal, what is on its way in, and how the last one ended.
pub const WORK: &str = ".conch-swap";
const JOURNAL: &str = "journal.json";
const LAST: &str = "last.json";
/// A larger journal is none of ours, in bytes.
const MAX_JOURNAL: u64 = 64 << 10;

/// How far it is. Each step can be begun again from its beginning: what was moved is no longer where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The old content goes to its folder.
    Out,
    /// The new content comes to its place.
    In,
    /// The new content is in place and has to prove itself.
    Trial,
    /// It did not: it goes to a folder of its own.
    Clear,
    /// The old content comes back.
    Return,
}

/// Why the content is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// An archive takes the place of everything.
    Restore,
    /// The database has been changed where it is; its copy is the old content.
    Upgrade,
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Tells this swap from others.
    pub id: String,
    pub phase: Phase,
    pub cause: Cause,
    /// What comes in, for people: the name of the archive, or from which version to which.
    pub what: String,
    /// The folder of the old content, a name in the directory.
    pub old: String,
    /// The folder for the new content, should it fail.
    pub failed: String,
    /// Starts of the server in the trial.
    pub attempts: u32,
    /// Why it is undone.
    pub reason: Option<String>,
}

/// How a swap ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub id: String,
    pub cause: Cause,
    pub what: String,
    /// Why the old content is back; `None` when the new one stayed.
    pub reason: Option<String>,
    /// The folder of whatever was taken out of its place.
    pub kept: String,
}

/// What a directory's journal says; `None` in the usual case that there is none.
pub fn load(dir: &Path) -> Result<Option<Journal>> {
    let journal: Option<Journal> = read(&dir.join(WORK).join(JOURNAL))?;
    // Only the directory's owner can write it, but a name with a path in it must never be followed.
    match journal {
        Some(journal) if ![&journal.old, &journal.failed].into_iter().all(|name| is_plain(name)) => {
            Err(damaged(&dir.join(WORK).join(JOURNAL)).because(anyhow::anyhow!("a folder's name is no name")))
        }
        journal => Ok(journal),
    }
}

/// Whether there is one; costs one look at the disk.
pub fn exists(dir: &Path) -> bool {
    dir.join(WORK).join(JOURNAL).exists()
}

impl Journal {
    /// On the disk when this returns.
    pub fn save(&self, dir: &Path) -> Result<()> {
        write(&dir.join(WORK), JOURNAL, self)
    }

    /// Ends the swap and notes how.
    pub fn close(self, dir: &Path) -> Result<Ended> {
        let kept = if self.reason.is_some() { self.failed } else { self.old };
        let ended = Ended { id: self.id, cause: self.cause, what: self.what, reason: self.reason, kept };
        let work = dir.join(WORK);
        write(&work, LAST, &ended)?;
        fs::remove_file(work.join(JOURNAL))?;
        sync(&work)?;
        Ok(ended)
    }
}

/// How the last swap ended, if there was one.
pub fn last(dir: &Path) -> Result<Option<Ended>> {
    read(&dir.join(WORK).join(LAST))
}

/// Waits until names in `folder` are on the disk.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let size = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error)),
    };
    if size > MAX_JOURNAL {
        return Err(damaged(path));
    }
    let text = fs::read(path).map_err(|error| unreadable(path, error))?;
    serde_json::from_slice(&text).map(Some).map_err(|error| damaged(path).because(error))
}

fn write(work: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    fs::create_dir_all(work)?;
    let (new, path): (PathBuf, PathBuf) = (work.join(format!("{name}.new")), work.join(name));
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(value).map_err(Error::internal)?)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    sync(work)?;
    Ok(())
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::new(Kind::Invalid, format!("Cannot read {}: {source}.", path.display())).because(source)
}

/// `save` replaces the file as a whole: a crash does not do this.
fn damaged(path: &Path) -> Error {
    let message = format!(
        "{} is damaged: it says how far a restore or an upgrade has come. Look which folder beside it has the data that \
         you want, put that in its place, and remove the file.",
        path.display()
    );
    Error::new(Kind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    fn journal() -> Journal {
        Journal {
            id: "a".into(),
            phase: Phase::Out,
            cause: Cause::Restore,
            what: "x.zip".into(),
            old: "old".into(),
            failed: "failed".into(),
            attempts: 0,
            reason: None,
        }
    }

    #[test]
    fn a_journal_is_read_as_it_was_written_and_its_end_is_remembered() {
        let dir = TempDir::new();
        assert!(load(dir.path()).unwrap().is_none() && !exists(dir.path()) && last(dir.path()).unwrap().is_none());
        for reason in [None, Some("bad".to_owned())] {
            let journal = Journal { reason: reason.clone(), ..journal() };
            journal.save(dir.path()).unwrap();
            assert!(exists(dir.path()));
            assert_eq!(load(dir.path()).unwrap().unwrap(), journal);
            let ended = journal.close(dir.path()).unwrap();
            assert_eq!(ended.kept, if reason.is_some() { "failed" } else { "old" });
            assert_eq!(last(dir.path()).unwrap(), Some(ended));
            assert!(load(dir.path()).unwrap().is_none());
        }
    }

    #[test]
    fn a_journal_that_is_none_stops_with_words() {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join(WORK)).unwrap();
        let path = serde_json::to_string(&Journal { old: "../..".into(), ..journal() }).unwrap();
        for text in ["", "{}", "[1]", &path, &" ".repeat(100_000)] {
            fs::write(dir.path().join(WORK).join(JOURNAL), text).unwrap();
            assert!(load(dir.path()).unwrap_err().message.contains("damaged"), "{text:.20}");
        }
    }
}
