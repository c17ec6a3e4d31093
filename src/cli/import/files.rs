//! Copies `storage/` as it is (`docs/wire/records-storage.md` §8).

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::progress::{Progress, Unit};

/// `<collection>/<record>/thumbs_<name>/<file>`, and some room for what others may have put there.
const MAX_DEPTH: usize = 8;

/// What was copied.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Uploaded files: neither sidecars nor thumbnails.
    pub files: u64,
    /// Bytes of everything.
    pub bytes: u64,
    /// What is neither file nor folder stays behind.
    pub skipped: Vec<PathBuf>,
}

/// A file or folder to copy, in an order in which folders come before what is in them.
struct Item {
    relative: PathBuf,
    /// `None` for a folder.
    bytes: Option<u64>,
}

/// Copies the tree `from` to `to`, times included. No `from` is an empty one.
pub fn copy(from: &Path, to: &Path, progress: &Progress) -> anyhow::Result<Copied> {
    let mut copied = Copied::default();
    if !from.exists() {
        return Ok(copied);
    }
    let items = walk(from, &mut copied)?;
    progress.begin("Copying the files", items.iter().filter_map(|item| item.bytes).sum(), Unit::Bytes);
    fs::create_dir(to)?;
    for item in items {
        let (source, target) = (from.join(&item.relative), to.join(&item.relative));
        let Some(bytes) = item.bytes else {
            fs::create_dir(&target).with_context(|| format!("cannot create {}", target.display()))?;
            continue;
        };
        copied.bytes += copy_file(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
        copied.files += u64::from(is_upload(&item.relative));
        progress.advance(bytes);
    }
    Ok(copied)
}

/// Symbolic links are followed (storage may be spread over disks), but not for ever.
fn walk(root: &Path, copied: &mut Copied) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        for entry in fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))? {
            let relative = folder.join(entry?.file_name());
            match fs::metadata(root.join(&relative)) {
                Ok(found) if found.is_dir() => {
                    if relative.components().count() > MAX_DEPTH {
                        bail!("{} is nested too deeply", root.join(&relative).display());
                    }
                    items.push(Item { relative: relative.clone(), bytes: None });
                    folders.push(relative);
                }
                Ok(found) if found.is_file() => items.push(Item { relative, bytes: Some(found.len()) }),
                _ => copied.skipped.push(root.join(relative)),
            }
        }
    }
    Ok(items)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<u64> {
    let mut source = File::open(from)?;
    let mut target = File::create_new(to)?;
    let bytes = io::copy(&mut source, &mut target)?;
    // The time is what a browser's cache asks about.
    target.set_modified(source.metadata()?.modified()?)?;
    Ok(bytes)
}

/// `<collection>/<record>/<name>` that is no sidecar.
fn is_upload(relative: &Path) -> bool {
    relative.components().count() == 3 && relative.extension().is_none_or(|extension| extension != "attrs")
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::symlink,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn the_tree_is_copied_with_its_times_and_only_uploads_are_counted() {
        let place = TempDir::new();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        let record = from.join("c/r");
        fs::create_dir_all(record.join("thumbs_a.png")).unwrap();
        fs::create_dir_all(from.join("c/empty")).unwrap();
        for (name, content) in [("a.png", "png"), ("a.png.attrs", "{}"), ("thumbs_a.png/100x100_a.png", "small")] {
            fs::write(record.join(name), content).unwrap();
        }
        let elsewhere = place.path().join("elsewhere.txt");
        fs::write(&elsewhere, "linked").unwrap();
        symlink(&elsewhere, record.join("b.txt")).unwrap();
        symlink("/nonexistent", record.join("broken")).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        File::options().write(true).open(record.join("a.png")).unwrap().set_modified(time).unwrap();

        let copied = copy(&from, &to, &Progress::default()).unwrap();
        assert_eq!(copied, Copied { files: 2, bytes: 16, skipped: vec![record.join("broken")] });
        assert_eq!(fs::read(to.join("c/r/thumbs_a.png/100x100_a.png")).unwrap(), b"small");
        assert_eq!(fs::metadata(to.join("c/r/a.png")).unwrap().modified().unwrap(), time);
        assert!(to.join("c/empty").is_dir());
        assert!(fs::symlink_metadata(to.join("c/r/b.txt")).unwrap().is_file());
    }

    #[test]
    fn a_loop_of_links_ends_and_no_storage_is_an_empty_one() {
        let place = TempDir::new();
        let from = place.path().join("from");
        assert_eq!(copy(&from, &place.path().join("to"), &Progress::default()).unwrap(), Copied::default());
        fs::create_dir(&from).unwrap();
        symlink(&from, from.join("again")).unwrap();
        let error = copy(&from, &place.path().join("to"), &Progress::default()).unwrap_err();
        assert!(error.to_string().contains("too deeply"), "{error}");
    }
}
