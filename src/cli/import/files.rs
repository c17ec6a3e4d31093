//! Copies `storage/` as it is (`docs/wire/records-storage.md` §8).

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::progress::Progress;

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
    let sizes = items.iter().filter_map(|item| item.bytes);
    let mut counter = progress.files(sizes.clone().count() as u64, sizes.sum());
    fs::create_dir(to)?;
    for item in items {
        let (source, target) = (from.join(&item.relative), to.join(&item.relative));
        let Some(bytes) = item.bytes else {
            fs::create_dir(&target).with_context(|| format!("cannot create {}", target.display()))?;
            continue;
        };
        copied.bytes += copy_file(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
        copied.files += u64::from(is_upload(&item.relative));
        counter.add(bytes);
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
