//! Another content in the place of a directory's: by renames, under a journal.
//!
//! No rename exchanges several names at once, so a crash may find the directory half exchanged. The journal says then how
//! to go on: every step moves what has not been moved yet, and is noted when all of it is on the disk. Whoever opens the
//! directory calls [`settle`] first, under the directory's lock and before anything in it is open. After that either the
//! old content is in place or the new one, as a whole.
//!
//! New content is on trial until [`confirm`]: if the server cannot be opened on it, or dies [`ATTEMPTS`] times, the old
//! content comes back by itself. Nothing is deleted on the way: what was taken out of its place is in a folder beside it.

mod journal;
mod kept;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

pub use self::journal::{Cause, Ended, Journal, Phase, exists as is_pending, last, load};
use self::journal::{WORK, sync};
pub use self::kept::is_kept;
use crate::{
    clock::Timestamp,
    error::{Error, Kind, Result},
    random,
};

/// Starts of the server without one that lasted, after which the old content comes back.
pub const ATTEMPTS: u32 = 3;
/// A server that has served for so long is up.
pub const TRIAL: Duration = Duration::from_secs(5);

/// What makes up a directory's content. Companions of a database go before it: without it they mean nothing, and it
/// would be another database without them.
const PARTS: [&str; 9] = [
    "data.db-shm",
    "data.db-wal",
    "data.db-journal",
    "data.db",
    "auxiliary.db-shm",
    "auxiliary.db-wal",
    "auxiliary.db-journal",
    "auxiliary.db",
    "storage",
];
/// An upgrade changes the database only.
const DATABASE: usize = 4;
/// Where new content comes together, in the folder of the journal.
const NEW: &str = "new";

/// The folder in which new content comes together. Empty when this returns.
pub fn prepare(dir: &Path) -> Result<PathBuf> {
    let new = dir.join(WORK).join(NEW);
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&new)?;
    Ok(new)
}

/// Fails with the reason if the content cannot be exchanged by renames: it lies on another file system.
pub fn check_place(dir: &Path) -> Result<()> {
    let device = fs::metadata(dir)?.dev();
    for name in PARTS {
        // A link is moved itself, wherever it leads.
        let Ok(found) = fs::symlink_metadata(dir.join(name)) else { continue };
        if found.dev() != device {
            return Err(Error::invalid(format!(
                "{} is a file system of its own: it cannot be put aside as a whole. Mount one for the whole of {} \
                 instead.",
                dir.join(name).display(),
                dir.display()
            )));
        }
    }
    Ok(())
}

/// Decides for what [`prepare`]d lies in the folder: from here on the exchange happens, whatever happens to the process.
/// The new content must be on the disk. Returns the id of this swap.
pub fn decide(dir: &Path, what: &str, now: Timestamp) -> Result<String> {
    let journal = Journal {
        id: random::string(random::LOWER_ALPHANUMERIC, 20),
        phase: Phase::Out,
        cause: Cause::Restore,
        what: what.to_owned(),
        old: kept::free_name(dir, kept::BEFORE_RESTORE, now),
        failed: kept::free_name(dir, kept::FAILED_RESTORE, now),
        attempts: 0,
        reason: None,
    };
    journal.save(dir)?;
    sync(dir)?;
    Ok(journal.id)
}

/// Notes that the database is being upgraded; `copy` is the file that it was copied to.
pub(super) fn begin_upgrade(dir: &Path, copy: &Path, from: u32, to: u32, now: Timestamp) -> Result<()> {
    let old = kept::free_name(dir, &format!("{}{from}_to_{to}_", kept::BEFORE_UPGRADE), now);
    create_private(&dir.join(&old))?;
    fs::rename(copy, dir.join(&old).join("data.db"))?;
    sync(&dir.join(&old))?;
    let journal = Journal {
        id: random::string(random::LOWER_ALPHANUMERIC, 20),
        phase: Phase::Trial,
        cause: Cause::Upgrade,
        what: format!("version {from} to {to}"),
        old,
        failed: kept::free_name(dir, kept::FAILED_UPGRADE, now),
        attempts: 0,
        reason: None,
    };
    journal.save(dir)?;
    sync(dir)?;
    Ok(())
}

/// Finishes what an earlier process, or this one, decided for: afterwards the directory is whole. Call it under the
/// directory's lock, before anything in it is open.
///
/// `serving`: this opening is the start of a server, which counts while the content is on trial. Returns the swap that is
/// on trial now. Fails after an upgrade was undone: it would be tried again.
pub fn settle(dir: &Path, serving: bool) -> Result<Option<Journal>> {
    let Some(mut journal) = load(dir)? else {
        discard_leftovers(dir);
        return Ok(None);
    };
    loop {
        match journal.phase {
            Phase::Out => forward(dir, &mut journal, Phase::In, out)?,
            Phase::In => forward(dir, &mut journal, Phase::Trial, come_in)?,
            Phase::Trial => {
                if serving || journal.cause == Cause::Upgrade {
                    journal.attempts += 1;
                    if journal.attempts > ATTEMPTS {
                        go_back(&mut journal, &format!("the server ended {ATTEMPTS} times before it was up"));
                        continue;
                    }
                    journal.save(dir)?;
                }
                return Ok(Some(journal));
            }
            Phase::Clear => {
                clear(dir, &journal)?;
                journal.phase = Phase::Return;
                journal.save(dir)?;
            }
            Phase::Return => {
                bring_back(dir, &journal)?;
                let ended = journal.clone().close(dir)?;
                tell(dir, &ended);
                // Whoever starts this again and again must not fill the disk with what failed.
                kept::tidy(dir, &ended.kept);
                return match journal.cause {
                    Cause::Restore => Ok(None),
                    // To go on would be to try it again.
                    Cause::Upgrade => Err(upgrade_failed(dir, &journal)),
                };
            }
        }
    }
}

/// Whether the content of the directory is on trial, so that there is a way back from whatever is done to it.
pub fn has_way_back(dir: &Path) -> Result<bool> {
    let has_old = |trial: &Journal| trial.cause == Cause::Restore || dir.join(&trial.old).join("data.db").exists();
    Ok(load(dir)?.as_ref().is_some_and(has_old))
}

/// The new content is good. Returns how the swap ended; `None` if nothing was on trial.
pub fn confirm(dir: &Path) -> Result<Option<Ended>> {
    let ended = close(dir)?;
    if let Some(ended) = &ended {
        let (dir, kept) = (dir.to_owned(), ended.kept.clone());
        // Folders of the past may be large, and nobody waits for them.
        thread::spawn(move || kept::tidy(&dir, &kept));
    }
    Ok(ended)
}

/// [`confirm`] for a process that is about to end, and would take the thread along that removes what is too old: returns
/// when that is done.
pub fn confirm_and_tidy(dir: &Path) -> Result<Option<Ended>> {
    let ended = close(dir)?;
    if let Some(ended) = &ended {
        kept::tidy(dir, &ended.kept);
    }
    Ok(ended)
}

fn close(dir: &Path) -> Result<Option<Ended>> {
    let Some(journal) = load(dir)?.filter(|journal| journal.phase == Phase::Trial) else { return Ok(None) };
    let ended = journal.close(dir)?;
    tell(dir, &ended);
    Ok(Some(ended))
}

/// The new content failed: the old one comes back. Under the same conditions as [`settle`], and with the same failure
/// after an upgrade.
pub fn turn_back(dir: &Path, reason: &str) -> Result<()> {
    let Some(mut journal) = load(dir)? else { return Ok(()) };
    go_back(&mut journal, reason);
    journal.save(dir)?;
    settle(dir, false).map(drop)
}

/// One step forward, or the way back if that fails: a rename may be refused for reasons that no look beforehand shows.
fn forward(dir: &Path, journal: &mut Journal, next: Phase, step: fn(&Path, &Journal) -> io::Result<()>) -> Result<()> {
    match step(dir, journal) {
        Ok(()) => journal.phase = next,
        Err(error) => go_back(journal, &format!("the content could not be moved: {error}")),
    }
    journal.save(dir)
}

fn go_back(journal: &mut Journal, reason: &str) {
    journal.phase = match journal.phase {
        // Nothing new is in place yet.
        Phase::Out | Phase::Return => Phase::Return,
        Phase::In | Phase::Trial | Phase::Clear => Phase::Clear,
    };
    journal.reason.get_or_insert_with(|| reason.to_owned());
}

fn out(dir: &Path, journal: &Journal) -> io::Result<()> {
    let old = dir.join(&journal.old);
    create_private(&old)?;
    move_parts(&PARTS, dir, &old)
}

fn come_in(dir: &Path, _: &Journal) -> io::Result<()> {
    let work = dir.join(WORK);
    let new = work.join(NEW);
    if new.exists() {
        move_parts(&PARTS, &new, dir)?;
        // Whatever else came along is not ours.
        put_away(&work, &new)?;
    }
    // Every content has one. Without it, what was to come in has gone, and the old one comes back.
    fs::metadata(dir.join("data.db")).map(drop)
}

/// What failed, out of the way. Of an upgrade that is the database only.
fn clear(dir: &Path, journal: &Journal) -> io::Result<()> {
    let failed = dir.join(&journal.failed);
    create_private(&failed)?;
    match journal.cause {
        Cause::Restore => {
            // What did not come in yet belongs to it as well.
            let new = dir.join(WORK).join(NEW);
            if new.exists() {
                move_parts(&PARTS, &new, &failed)?;
            }
            move_parts(&PARTS, dir, &failed)
        }
        // The copy comes back next, so this is done unless it already came.
        Cause::Upgrade if dir.join(&journal.old).join("data.db").exists() => {
            move_parts(&PARTS[..DATABASE], dir, &failed)
        }
        Cause::Upgrade => Ok(()),
    }
}

fn bring_back(dir: &Path, journal: &Journal) -> io::Result<()> {
    let old = dir.join(&journal.old);
    if old.exists() {
        move_parts(&PARTS, &old, dir)?;
        // Empty now, unless somebody put something there.
        let _ = fs::remove_dir(old);
    }
    sync(dir)
}

/// Moves what is there, and sees to it that it reaches the disk.
fn move_parts(parts: &[&str], from: &Path, to: &Path) -> io::Result<()> {
    for name in parts {
        match fs::rename(from.join(name), to.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
    }
    sync(to)?;
    sync(from)
}

fn create_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// What was being made ready when a process ended: nobody had decided for it.
fn discard_leftovers(dir: &Path) {
    let work = dir.join(WORK);
    let new = work.join(NEW);
    if !new.exists() {
        return;
    }
    if let Err(error) = put_away(&work, &new) {
        tracing::warn!(%error, path = %new.display(), "what is left of a restore that was not finished stays");
    }
    thread::spawn(move || kept::remove_away(&work));
}

/// To be removed by whoever has the time.
fn put_away(work: &Path, what: &Path) -> io::Result<()> {
    fs::rename(what, work.join(format!("{}{}", kept::AWAY, random::string(random::LOWER_ALPHANUMERIC, 8))))
}

fn tell(dir: &Path, ended: &Ended) {
    let kept = dir.join(&ended.kept);
    let kept = kept.display();
    match (&ended.reason, ended.cause) {
        (None, Cause::Restore) => {
            tracing::info!("restored {}: what was there before is kept in {kept}", ended.what);
        }
        (None, Cause::Upgrade) => {
            tracing::info!("upgraded the database from {}: a copy of what it was is kept in {kept}", ended.what);
        }
        (Some(reason), Cause::Restore) => {
            tracing::error!(
                "the restore of {} was undone, everything is as it was before: {reason}. What was restored is kept in \
                 {kept}",
                ended.what
            );
        }
        (Some(reason), Cause::Upgrade) => {
            tracing::error!(
                "the upgrade from {} was undone, the database is as it was before: {reason}. What became of it is kept \
                 in {kept}",
                ended.what
            );
        }
    }
}

/// The failure that a process ends with after its upgrade was undone.
fn upgrade_failed(dir: &Path, journal: &Journal) -> Error {
    let reason = journal.reason.as_deref().unwrap_or("it failed").trim_end_matches('.');
    Error::new(
        Kind::Invalid,
        format!(
            "{} could not be upgraded from {}: {reason}. The database is as it was before; run the version of Conch that \
             wrote it. What became of it is kept in {}.",
            dir.display(),
            journal.what,
            dir.join(&journal.failed).display()
        ),
    )
}

#[cfg(test)]
mod tests;
