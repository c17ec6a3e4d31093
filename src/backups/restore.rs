//! A restore up to its decision: the archive is unpacked beside the data, verified, opened as the server would open it,
//! and given a new epoch. Only then it is decided for ([`swap::decide`]); until then nothing of the data is touched.
//!
//! The exchange itself happens when the directory is opened the next time, before anything in it is open.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Archive, Limits, Report, swap, verify};
use crate::{
    clock::Clock,
    db::Depth,
    error::{Error, Result},
    progress::{Progress, Unit},
};

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

    /// Makes the archive ready and decides for it. `dir` is locked by this process, and nobody else prepares a swap there.
    /// `name` says in messages which archive it is. Returns the id of the swap. Blocks, for as long as it takes to read the
    /// archive twice.
    pub fn stage(&self, dir: &Path, archive: &Path, name: &str, progress: &Progress) -> Result<String> {
        let another = || Error::invalid("Another restore is on its way.");
        let _busy = self.busy.try_lock().ok_or_else(another)?;
        // Who asks for a restore while the last one is on trial has a server that answers.
        swap::confirm(dir)?;
        if swap::is_pending(dir) {
            return Err(another());
        }
        swap::check_place(dir)?;
        let new = swap::prepare(dir)?;
        let staged = self.make_ready(archive, &new, name, progress).and_then(|()| {
            progress.begin("putting it in place", 0, Unit::Items);
            swap::decide(dir, name, self.clock.now())
        });
        if staged.is_err()
            && let Err(error) = fs::remove_dir_all(&new)
        {
            tracing::warn!(%error, path = %new.display(), "what is left of a failed restore goes at the next start");
        }
        staged
    }

    fn make_ready(&self, archive: &Path, new: &Path, name: &str, progress: &Progress) -> Result<()> {
        let opened = Archive::open(archive)?;
        opened.extract_into(new, &Limits::for_room_in(new)?, progress)?;
        judge(&verify(new, opened.about(), Depth::Whole, progress)?, name)?;
        progress.begin("trying to open it", 0, Unit::Items);
        (self.rehearse)(new).map_err(|error| {
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

/// Only what is ours and whole is restored.
fn judge(report: &Report, name: &str) -> Result<()> {
    if !report.is_conch {
        return Err(Error::invalid(format!(
            "{name} is a backup of PocketBase. Unpack it, and bring it over with `conch import pocketbase FOLDER --dir \
             NEW`, which checks what can come along."
        )));
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} is damaged and was not restored: {}", report.problems.join(" "))))
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
