//! A directory whose database has gone. What is left of it says that there was one: whoever began anew over that would
//! give the next server an empty app, and the owner less of a chance to get the data back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::shelf::FOLDER;
use crate::error::{Error, Result};

/// So many entries of a folder tree are looked at.
const MOST: usize = 100_000;

/// Fails, saying what was found and how to go on, when there is no database but what only comes with one. A new directory
/// passes, and so does one that has nothing but backups, certificates or other people's files. Call it under the
/// directory's lock, before anything in it is open, and after [`super::swap::settle`]. Blocks.
pub fn refuse_remains(dir: &Path) -> Result<()> {
    let what = match fs::metadata(dir.join("data.db")) {
        Ok(found) if found.len() == 0 => "data.db is empty",
        Err(error) if error.kind() == io::ErrorKind::NotFound => "data.db is missing",
        // What cannot be looked at fails when it is opened, with words of its own.
        Ok(_) | Err(_) => return Ok(()),
    };
    let is_missing = what.ends_with("missing");
    let remains = remains(dir, is_missing);
    if remains.is_empty() {
        return Ok(());
    }
    let newest = newest_backup(dir).map(|name| format!(" (the newest one here is {name})")).unwrap_or_default();
    Err(Error::invalid(format!(
        "{what} in {0}, but what belongs to one is there: {1}. Nothing was changed. Put the database back, or restore a \
         backup with `conch backup restore NAME --dir {0}`{newest}. To begin anew, take an empty directory, or move {1} \
         out of this one first.",
        dir.display(),
        remains.join(", ")
    )))
}

/// What is written only beside a database.
fn remains(dir: &Path, is_missing: bool) -> Vec<&'static str> {
    let has_content = |name: &str| fs::metadata(dir.join(name)).is_ok_and(|found| found.is_file() && found.len() > 0);
    let mut found = Vec::new();
    // SQLite would take it for another database's, and remove it. Beside an empty one it may hold its first commit.
    if is_missing && has_content("data.db-wal") {
        found.push("data.db-wal");
    }
    if has_content("auxiliary.db") {
        found.push("auxiliary.db");
    }
    if has_files(&dir.join("storage")) {
        found.push("storage");
    }
    found
}

/// Whether there is a file below a folder, but for what begins with a dot: that is of a running server.
fn has_files(folder: &Path) -> bool {
    let (mut folders, mut left) = (vec![folder.to_owned()], MOST);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Some(fewer) = left.checked_sub(1) else { return false };
            left = fewer;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => return true,
                _ => {}
            }
        }
    }
    false
}

fn newest_backup(dir: &Path) -> Option<String> {
    let entries = fs::read_dir(dir.join(FOLDER)).ok()?.flatten().take(MOST);
    let archives = entries.filter(|entry| PathBuf::from(entry.file_name()).extension().is_some_and(|it| it == "zip"));
    let newest = archives.max_by_key(|entry| entry.metadata().and_then(|found| found.modified()).ok())?;
    newest.file_name().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::{App, Config},
        db::testing::TempDir,
    };

    #[test]
    fn nobody_begins_anew_over_what_is_left_of_a_database() {
        for (files, told) in [
            (&[][..], None),
            (&["backups/a.zip", ".autocert_cache/x", "pb_public/index.html", "pb_hooks/a.js", "types.d.ts"], None),
            (&["storage/.placing/x", "before_restore_20260101000000/data.db"], None),
            (&["data.db", "auxiliary.db", "storage/c/r/a.txt", "data.db-wal"], None),
            (&["auxiliary.db"], Some("auxiliary.db.")),
            (&["storage/c/r/a.txt", "backups/new.zip"], Some("new.zip")),
            (&["data.db-wal"], Some("data.db-wal")),
        ] {
            let dir = TempDir::new();
            for name in files {
                fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
                fs::write(dir.path().join(name), "x").unwrap();
            }
            let found = refuse_remains(dir.path());
            assert_eq!(found.is_err(), told.is_some(), "{files:?}");
            if let (Err(refused), Some(told)) = (found, told) {
                assert!(refused.message.contains("data.db is missing") && refused.message.contains(told), "{refused}");
            }
        }
        // Folders are no files, and empty files no content.
        let dir = TempDir::new();
        fs::create_dir_all(dir.path().join("storage/c/r")).unwrap();
        fs::write(dir.path().join("auxiliary.db"), "").unwrap();
        fs::write(dir.path().join("data.db"), "").unwrap();
        fs::write(dir.path().join("data.db-wal"), "x").unwrap();
        refuse_remains(dir.path()).unwrap();
        fs::write(dir.path().join("storage/c/r/a"), "").unwrap();
        assert!(refuse_remains(dir.path()).unwrap_err().message.contains("data.db is empty"));
    }

    #[actix_web::test]
    async fn a_server_without_its_database_does_not_start() {
        let dir = TempDir::new();
        let open = || App::open(Config { serving: true, ..Config::new(dir.path().to_owned()) });
        open().unwrap().db.close().await;
        fs::create_dir_all(dir.path().join("storage/c/r")).unwrap();
        fs::write(dir.path().join("storage/c/r/a"), "x").unwrap();
        open().unwrap().db.close().await;
        fs::remove_file(dir.path().join("data.db")).unwrap();
        let refused = open().map(drop).unwrap_err();
        assert!(refused.message.contains("storage") && refused.message.contains("backup restore"), "{refused}");
        assert!(!dir.path().join("data.db").exists());
    }
}
