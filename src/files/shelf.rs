//! The files of the disk as they were at a moment, and back to that: for temporary servers.
//!
//! A stored file never changes, it is only put in place and removed. So a moment is kept as a tree of second names for the
//! same files, which copies nothing, and coming back to it touches what has come or gone since.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Key, Storage, disk::SIDECAR};
use crate::error::Result;

/// Gives every file below the data directory's `storage/` a second name below `to`, which does not exist yet. The two are
/// on the same file system. Blocks.
pub fn keep(data_dir: &Path, to: &Path) -> Result<()> {
    let root = data_dir.join("storage");
    fs::create_dir_all(to)?;
    for path in walk(&root)?.into_keys() {
        link(&root.join(&path), &to.join(&path))?;
    }
    Ok(())
}

/// Has `storage/` hold what was kept and nothing else, but for what a write on its way has just put in place. Blocks.
pub fn bring_back(storage: &Storage, data_dir: &Path, kept: &Path) -> Result<()> {
    let root = data_dir.join("storage");
    let (now, then) = (walk(&root)?, walk(kept)?);
    let mut touched = BTreeSet::new();
    for (path, inode) in &now {
        let on_its_way = || {
            // What is known of a file lies beside it.
            let of = path.to_str().map(|path| path.strip_suffix(SIDECAR).unwrap_or(path));
            of.and_then(|of| Key::parse(of).ok()).is_some_and(|key| storage.is_placing(&key))
        };
        if then.get(path) != Some(inode) && !on_its_way() {
            ignore_missing(fs::remove_file(root.join(path)))?;
            touched.extend(path.ancestors().skip(1).map(Path::to_owned));
        }
    }
    for path in then.keys().filter(|path| now.get(*path) != then.get(*path)) {
        link(&kept.join(path), &root.join(path))?;
    }
    // The innermost first; those that are not empty stay.
    for folder in touched.iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        let _ = fs::remove_dir(root.join(folder));
    }
    Ok(())
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::hard_link(from, to) {
        // It is there already, as something else.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            ignore_missing(fs::remove_file(to))?;
            fs::hard_link(from, to)
        }
        // It went while we looked: whoever removed it has its reasons.
        done => ignore_missing(done),
    }
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The regular files below `root` by their relative paths, with what tells one from another. The house's own, which begins
/// with a dot in the storage itself, is left out.
fn walk(root: &Path) -> io::Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if folder.as_os_str().is_empty() && name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = folder.join(name);
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) if metadata.is_file() => drop(found.insert(path, metadata.ino())),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[tokio::test]
    async fn files_come_and_go_with_the_moment() {
        let dir = TempDir::new();
        let storage = Storage::open(dir.path(), false).unwrap();
        let put = async |record: &str, name: &str, text: &str| {
            let key = Key::file("c", record, name).unwrap();
            storage.put_made(&key, text.as_bytes().to_vec(), "text/plain").await.unwrap();
            key
        };
        let (a, b) = (put("r", "a.txt", "a").await, put("r", "b.txt", "b").await);
        let kept = dir.path().join("kept");
        keep(dir.path(), &kept).unwrap();
        for _ in 0..2 {
            storage.remove(&a).await.unwrap();
            storage.remove(&b).await.unwrap();
            put("r", "b.txt", "another").await;
            put("new", "c.txt", "c").await;
            let placing = put("on-its-way", "d.txt", "d").await;
            storage.note_in_flight(&placing);
            bring_back(&storage, dir.path(), &kept).unwrap();
            let read = |name: &str| fs::read_to_string(dir.path().join("storage/c").join(name)).ok();
            assert_eq!((read("r/a.txt").as_deref(), read("r/b.txt").as_deref()), (Some("a"), Some("b")));
            assert!(storage.find(&a).await.unwrap().is_some_and(|object| object.head.content_type == "text/plain"));
            assert!(read("new/c.txt").is_none() && !dir.path().join("storage/c/new").exists());
            assert_eq!(read("on-its-way/d.txt").as_deref(), Some("d"));
            storage.no_longer_in_flight(&placing);
        }
    }
}
