//! Whose a data directory is: root must not leave files in somebody else's.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use anyhow::bail;

/// Whether a directory has a database. Fails, saying whose the directory is, when this user may not look.
pub fn has_data(dir: &Path) -> anyhow::Result<bool> {
    looked(dir, fs::metadata(dir.join("data.db")).map(drop))
}

fn looked(dir: &Path, found: io::Result<()>) -> anyhow::Result<bool> {
    match found.map_err(|error| (error.kind(), error)) {
        Ok(()) => Ok(true),
        Err((io::ErrorKind::NotFound, _)) => Ok(false),
        Err((io::ErrorKind::PermissionDenied, _)) => {
            let advice = fs::metadata(dir).map_or_else(
                |_| "run this command as the user that the server runs as".to_owned(),
                |about| {
                    format!(
                        "it belongs to user {0}: run this command as that user, with sudo -u '#{0}' conch …",
                        about.uid()
                    )
                },
            );
            bail!("permission denied: you may not look into {}; {advice}", dir.display())
        }
        Err((_, error)) => bail!("cannot look into {}: {error}", dir.display()),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn whoever_may_not_look_is_not_told_that_there_is_nothing() {
        let dir = TempDir::new();
        assert!(!has_data(dir.path()).unwrap() && !has_data(&dir.path().join("none")).unwrap());
        fs::write(dir.path().join("data.db"), "x").unwrap();
        assert!(has_data(dir.path()).unwrap());
        // Root may look anywhere, so the refusal is played.
        let refused = looked(dir.path(), Err(io::ErrorKind::PermissionDenied.into())).unwrap_err().to_string();
        assert!(refused.contains("permission denied") && refused.contains("belongs to user"), "{refused}");
        let nowhere = looked(&dir.path().join("none"), Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
        assert!(nowhere.to_string().contains("as the user that"), "{nowhere}");
        let file = looked(&dir.path().join("data.db"), Err(io::ErrorKind::NotADirectory.into())).unwrap_err();
        assert!(file.to_string().starts_with("cannot look into"), "{file}");
    }
}
