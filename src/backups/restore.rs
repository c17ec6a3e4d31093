//! A restore up to its decision: the archive is unpacked beside the data, verified, opened as the server would open it,
//! and given a new epoch. Only then it is decided for ([`swap::decide`]); until then nothing of the data is touched.
//!
//! The exchange itself happens when the directory is opened the next time, before anything in it is open.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Archive, Backups, Limits, Report, Turn, on_a_thread, room::Room, swap, verify, verify::Origin};
use crate::{
    clock::Clock,
    db::{self, Depth},
    error::{Error, Result},
    progress::{Progress, Unit},
    threads,
};

/// Of the thread that makes an archive ready: requests go first.
const NICENESS: i32 = 5;
/// What opening a directory leaves in it that belongs to the process, not to the content.
const TRACES: [&str; 2] = [".conch.lock", ".conch.sock"];

/// Opens a directory as the server would, and closes it: fails if the server could not. Begins a new epoch of its log.
pub type Rehearse = dyn Fn(&Path) -> Result<()> + Send + Sync;

/// Restores into one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Restorer {
    clock: Clock,
    rehearse: Arc<Rehearse>,
    /// Held while an archive is made ready: there is one place for it.
    busy: Arc<Mutex<()>>,
}

impl Restorer {
    /// `rehearse` comes from above, where all rooms are known.
    pub fn new(clock: Clock, rehearse: Arc<Rehearse>) -> Self {
        Self { clock, rehearse, busy: Arc::default() }
    }

    /// Makes the archive (or a folder that an earlier restore kept) ready and decides for it. `dir` is locked by this process, and nobody else prepares a swap there.
    /// `name` says in messages which archive it is; `go_on` fails when it should be left. Returns the id of the swap. Blocks,
    /// for as long as it takes to read the archive twice.
    pub fn stage(
        &self,
        dir: &Path,
        archive: &Path,
        name: &str,
        go_on: &dyn Fn() -> Result<()>,
        progress: &Progress,
    ) -> Result<String> {
        let another = || Error::invalid("Another restore is on its way.");
        let _busy = self.busy.try_lock().ok_or_else(another)?;
        // Who asks for a restore while the last one is on trial has a server that answers.
        swap::confirm(dir)?;
        if swap::is_pending(dir) {
            return Err(another());
        }
        swap::check_place(dir)?;
        let new = swap::prepare(dir)?;
        let staged = self.make_ready(archive, &new, name, go_on, progress).and_then(|()| {
            go_on()?;
            progress.begin("Putting it in place", 0, Unit::Items);
            swap::decide(dir, name, self.clock.now())
        });
        // Once it is decided for, what is there comes in at the next start, whatever else went wrong.
        if staged.is_err()
            && !swap::is_pending(dir)
            && let Err(error) = fs::remove_dir_all(&new)
        {
            tracing::warn!(%error, path = %new.display(), "what is left of a failed restore goes at the next start");
        }
        staged
    }

    fn make_ready(
        &self,
        archive: &Path,
        new: &Path,
        name: &str,
        go_on: &dyn Fn() -> Result<()>,
        progress: &Progress,
    ) -> Result<()> {
        let opened = if archive.is_dir() {
            copy_folder(archive, new, progress)?;
            None
        } else {
            let opened = Archive::open(archive)?;
            opened.extract_into(new, &Limits::for_room_in(new)?, progress)?;
            Some(opened)
        };
        go_on()?;
        let origin = opened.as_ref().map_or(Origin::Folder, |archive| Origin::Archive(archive.about()));
        judge(&verify(new, origin, Depth::Whole, progress)?, name)?;
        let triggers =
            db::remove_triggers(&new.join("data.db")).map_err(|error| db::damaged("The database in it", error))?;
        if !triggers.is_empty() {
            tracing::warn!(
                triggers = triggers.join(", "),
                "the SQL triggers of {name} are left out: what they change would reach neither log, nor caches, nor live clients"
            );
        }
        go_on()?;
        progress.begin("Trying to open it", 0, Unit::Items);
        (self.rehearse)(new).map_err(|error| {
            let error = db::damaged("the database in it", error);
            let message = format!("{name} cannot be restored, a server could not be opened on it: {}", error.message);
            Error::new(error.kind, message).because(error)
        })?;
        for trace in TRACES {
            ignore_missing(fs::remove_file(new.join(trace)))?;
        }
        // Its databases are closed, which has brought them to the disk.
        Ok(File::open(new)?.sync_all()?)
    }
}

/// Where an archive is.
#[derive(Debug)]
pub enum Source {
    /// Among the backups, under its name.
    Kept,
    /// Anywhere on this machine.
    File(PathBuf),
}

impl Backups {
    /// Makes a backup ready to take the place of everything, and decides for it: it does when the process starts again.
    /// `turn` is this backup's. Goes on if the caller leaves, but not when the server stops.
    pub async fn restore(
        &self,
        restorer: &Restorer,
        turn: Turn,
        key: &str,
        source: Source,
        progress: &Progress,
    ) -> Result<()> {
        let place = self.place().await?;
        let fetched = match source {
            Source::Kept => Some(self.fetch(key, &place, progress).await?.ok_or_else(missing)?),
            Source::File(_) => None,
        };
        let (restorer, dir, key, progress) = (restorer.clone(), self.dir(), key.to_owned(), progress.clone());
        on_a_thread("conch-restore", move || {
            threads::give_way(NICENESS);
            turn.may_be_left();
            let archive = match (&fetched, &source) {
                (Some(fetched), _) => &fetched.path,
                (None, Source::File(path)) => path,
                (None, Source::Kept) => return Err(missing()),
            };
            let staged = restorer.stage(&dir, archive, &key, &|| turn.check(), &progress);
            drop(place);
            staged.map(drop)
        })
        .await
    }
}

/// The failure where there is no backup of a name (`docs/wire/services.md` §8).
pub(super) fn missing() -> Error {
    Error::invalid("There is no backup of this name.")
}

/// What an earlier restore or upgrade kept, once more: the databases are copied; of files, which nobody changes, there is
/// another name. The folder stays as it is.
fn copy_folder(folder: &Path, new: &Path, progress: &Progress) -> Result<()> {
    let databases = ["data.db", "auxiliary.db"].map(|name| (name, folder.join(name)));
    let mut room = Room::new(new);
    room.expect(databases.iter().map(|(_, path)| fs::metadata(path).map_or(0, |found| found.len())).sum())?;
    for (name, source) in databases {
        if source.is_file() {
            progress.begin(format!("Copying {name}"), 0, Unit::Bytes);
            let mut done = 0;
            let mut pulse = |now: u64, of: u64| {
                room.take(now.saturating_sub(done), of.saturating_sub(now))?;
                done = now;
                Ok(())
            };
            db::copy_file(&source, &new.join(name), &mut pulse)?;
            File::open(new.join(name))?.sync_all()?;
        }
    }
    let storage = folder.join("storage");
    if storage.is_dir() {
        progress.begin("Linking files", 0, Unit::Items);
        link_tree(&storage, &new.join("storage"), &mut room, progress)?;
    }
    Ok(())
}

fn link_tree(from: &Path, to: &Path, room: &mut Room, progress: &Progress) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            link_tree(&source, &target, room, progress)?;
        } else if kind.is_file() {
            // Not every file system can.
            if fs::hard_link(&source, &target).is_err() {
                let size = entry.metadata()?.len();
                room.take(size, size)?;
                fs::copy(&source, &target)?;
                File::open(&target)?.sync_all()?;
            }
            progress.advance(1);
        }
    }
    Ok(File::open(to)?.sync_all()?)
}

/// Only what is ours and whole is restored.
fn judge(report: &Report, name: &str) -> Result<()> {
    if !report.is_conch {
        return Err(Error::invalid(format!(
            "{name} is a backup of PocketBase. Bring it over with `conch import pocketbase {name} --dir NEW`, which checks \
             what can come along."
        )));
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name} is damaged and was not restored; nothing was changed. Take another backup. {}",
        report.problems.join(" ")
    )))
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backups::zip::Writer,
        clock::Timestamp,
        db::{Db, Options, testing::TempDir},
    };

    /// An archive with a database in it, of which `change` makes what it should be.
    fn archive(place: &Path, change: &str) -> PathBuf {
        let made = TempDir::new();
        let db = Db::open(made.path(), Options::default()).unwrap();
        let sql = "CREATE TABLE _collections (id, system, type, name, fields, indexes, listRule, viewRule, createRule,
            updateRule, deleteRule, options, created, updated);";
        let change = format!("{sql}{change}");
        db.write_blocking(move |tx| tx.execute_batch(&change)).unwrap();
        drop(db);
        let path = place.join("a.zip");
        let _ = fs::remove_file(&path);
        let content = fs::read(made.path().join("data.db")).unwrap();
        let mut writer = Writer::create(&path).unwrap();
        writer.add("data.db", &mut &*content, content.len() as u64, Timestamp(0), &mut |_| Ok(())).unwrap();
        writer.finish("").unwrap();
        path
    }

    fn restorer(rehearse: impl Fn(&Path) -> Result<()> + Send + Sync + 'static) -> Restorer {
        Restorer::new(Clock::system(), Arc::new(rehearse))
    }

    #[test]
    fn a_kept_folder_that_does_not_fit_is_refused_before_it_is_copied() {
        let (folder, new) = (TempDir::new(), TempDir::new());
        // It has no such size on the disk.
        File::create(folder.path().join("data.db")).unwrap().set_len(4 << 40).unwrap();
        let refused = copy_folder(folder.path(), new.path(), &Progress::default()).unwrap_err();
        assert_eq!(refused.kind, crate::error::Kind::StorageFull);
        assert!(refused.message.contains("room on the disk"), "{refused}");
        assert_eq!(fs::read_dir(new.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_decided_for_unless_all_went_well() {
        let (dir, place) = (TempDir::new(), TempDir::new());
        let good = archive(place.path(), "");
        let go_on = || Ok(());
        let stage = |restorer: &Restorer, go_on: &dyn Fn() -> Result<()>, path: &Path| {
            restorer.stage(dir.path(), path, "a.zip", go_on, &Progress::default())
        };
        let nothing = || !swap::is_pending(dir.path()) && !dir.path().join(".conch-swap/new/data.db").exists();

        let refusing = restorer(|_| Err(Error::invalid("the key is wrong")));
        let refused = stage(&refusing, &go_on, &good).unwrap_err();
        assert!(refused.message.contains("a.zip") && refused.message.contains("the key is wrong"), "{refused}");
        assert!(nothing());
        let fine = restorer(|_| Ok(()));
        assert!(stage(&fine, &|| Err(Error::invalid("it ends")), &good).is_err() && nothing());
        let newer = archive(place.path(), "INSERT INTO __conch_migrations VALUES (9999, 'future', 0);");
        assert!(stage(&fine, &go_on, &newer).unwrap_err().message.contains("newer Conch") && nothing());

        let good = archive(place.path(), "");
        let id = stage(&fine, &go_on, &good).unwrap();
        assert!(swap::is_pending(dir.path()));
        assert!(stage(&fine, &go_on, &good).is_err(), "one at a time");
        assert_eq!(swap::settle(dir.path(), true).unwrap().unwrap().id, id);
        // On trial: whoever asks now has a server that answers.
        stage(&fine, &go_on, &good).unwrap();
        assert_eq!(swap::last(dir.path()).unwrap().unwrap().id, id);
    }

    #[test]
    fn triggers_do_not_come_along() {
        let (dir, place) = (TempDir::new(), TempDir::new());
        let made = archive(
            place.path(),
            "CREATE TABLE t (x); CREATE TRIGGER \"a b\" AFTER INSERT ON t BEGIN DELETE FROM t; END;
             CREATE TRIGGER c AFTER DELETE ON t BEGIN SELECT 1; END;",
        );
        let fine = restorer(|new| {
            assert_eq!(db::remove_triggers(&new.join("data.db"))?, Vec::<String>::new());
            Ok(())
        });
        fine.stage(dir.path(), &made, "a.zip", &|| Ok(()), &Progress::default()).unwrap();
    }
}
