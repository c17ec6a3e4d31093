//! Whose a data directory is: root must not leave files in somebody else's.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use anyhow::bail;

/// Refuses to work as root on the files of a directory that is somebody else's, while no server does it: what root makes
/// there (the log of a swap, the folder of backups) its server cannot read.
pub fn refuse_stranger(dir: &Path) -> anyhow::Result<()> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let Ok(about) = fs::metadata(dir) else { return Ok(()) };
    if !is_root || about.uid() == 0 {
        return Ok(());
    }
    let (dir, user) = (dir.display(), about.uid());
    bail!(
        "{dir} belongs to user {user}, and no server runs on it: what root makes there its server could not read. Run this \
         command as that user: sudo -u '#{user}' conch …, or with setpriv --reuid {user} --regid {} --clear-groups",
        about.gid()
    )
}
