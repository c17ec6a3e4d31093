//! The folders of what was taken out of its place: what they are called, and how many stay.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::journal::WORK;
use crate::clock::Timestamp;

pub const BEFORE_RESTORE: &str = "before_restore_";
pub const FAILED_RESTORE: &str = "failed_restore_";
pub const BEFORE_UPGRADE: &str = "before_upgrade_";
pub const FAILED_UPGRADE: &str = "failed_upgrade_";
const KINDS: [&str; 4] = [BEFORE_RESTORE, FAILED_RESTORE, BEFORE_UPGRADE, FAILED_UPGRADE];

/// Of each kind so many of the newest stay.
const KEPT: usize = 2;
/// A clock that is put right by less has not run ahead.
const SLACK: Duration = Duration::from_secs(24 * 3600);
/// Begins the name of what is removed when there is time, in the folder of the journal.
pub const AWAY: &str = "away-";

/// A name that nothing in the directory has: what, and when in UTC.
pub fn free_name(dir: &Path, prefix: &str, now: Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    let name = format!("{prefix}{digits}");
    let names = std::iter::once(name.clone()).chain((2u32..).map(|number| format!("{name}_{number}")));
    names.into_iter().find(|name| fs::symlink_metadata(dir.join(name)).is_err()).unwrap_or(name)
}

/// Whether a path ends with the name of a folder that has a whole content: that of an upgrade has the database only.
pub fn is_kept(path: &str) -> bool {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    [BEFORE_RESTORE, FAILED_RESTORE].iter().any(|prefix| order(name, prefix).is_some())
}

/// Removes the oldest folders of each kind, but never `spared`, which was just made. Blocks.
pub fn tidy(dir: &Path, spared: &str) {
    for prefix in KINDS {
        match surplus(dir, prefix, spared) {
            Ok(folders) => folders.iter().for_each(|folder| remove(folder)),
            Err(error) => tracing::warn!(%error, "cannot look for what earlier restores have kept"),
        }
    }
    remove_away(&dir.join(WORK));
}

/// Removes what was put away. Blocks.
pub fn remove_away(work: &Path) {
    let Ok(entries) = fs::read_dir(work) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(AWAY) {
            remove(&entry.path());
        }
    }
}

/// The folders of a kind, but for `spared` and the newest. Only what is named as we name it. How old they are, the disk
/// says; what it dates to the future was made by a clock that ran ahead, nobody knows when, and counts as the oldest.
fn surplus(dir: &Path, prefix: &str, spared: &str) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut kept) = (Vec::new(), KEPT);
    let latest = SystemTime::now() + SLACK;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(order) = name.to_str().and_then(|name| order(name, prefix)) else { continue };
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if name == spared {
            kept -= 1;
            continue;
        }
        let modified = entry.metadata()?.modified()?;
        let age = if modified > latest { (false, SystemTime::UNIX_EPOCH) } else { (true, modified) };
        found.push((age, order, entry.path()));
    }
    found.sort();
    found.truncate(found.len().saturating_sub(kept));
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}

/// When a folder of this kind was made, and its number among those of the same second.
fn order(name: &str, prefix: &str) -> Option<(u64, u32)> {
    let rest = name.strip_prefix(prefix)?;
    // An upgrade's says from where to where before the time.
    let rest = if prefix == BEFORE_UPGRADE { rest.split_once("_to_")?.1.split_once('_')?.1 } else { rest };
    let (digits, number) =
        rest.split_once('_').map_or((rest, Some(1)), |(digits, number)| (digits, number.parse().ok()));
    let is_time = digits.len() == 14 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_time.then(|| Some((digits.parse().ok()?, number?)))?
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a folder that is not needed any more could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn names_are_free_and_the_newest_stay() {
        let dir = TempDir::new();
        let make = |name: &str| fs::create_dir(dir.path().join(name)).unwrap();
        let names = || -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let now = Timestamp(1_700_000_000_000);
        for expected in ["before_restore_20231114221320", "before_restore_20231114221320_2"] {
            let name = free_name(dir.path(), BEFORE_RESTORE, now);
            assert_eq!(name, expected);
            make(&name);
        }
        let old = "before_restore_20221114221320";
        for name in [old, "before_restore_mine", "before_upgrade_1_to_3_20231114221320"] {
            make(name);
        }
        let aged = |name: &str, time| fs::File::open(dir.path().join(name)).unwrap().set_modified(time).unwrap();
        let day = Duration::from_secs(24 * 3600);
        aged(old, SystemTime::now() - 365 * day);
        fs::write(dir.path().join("before_restore_20211114221320"), "a file").unwrap();
        tidy(dir.path(), "before_restore_20231114221320_2");
        let left = [
            "before_restore_20211114221320",
            "before_restore_20231114221320",
            "before_restore_20231114221320_2",
            "before_restore_mine",
            "before_upgrade_1_to_3_20231114221320",
        ];
        assert_eq!(names(), left);

        // A clock that once ran ahead has left two, and was put right.
        for name in ["before_restore_20991114221320", "before_restore_20981114221320"] {
            make(name);
            aged(name, SystemTime::now() + 26000 * day);
        }
        aged("before_restore_20231114221320", SystemTime::now() - day);
        tidy(dir.path(), "before_restore_20231114221320_2");
        assert_eq!(names(), left);
        // And while the clock is behind, what was just made stays all the same.
        aged("before_restore_20231114221320", SystemTime::now() - 3 * day);
        aged("before_restore_20231114221320_2", SystemTime::now() - 2 * day);
        make(old);
        aged(old, SystemTime::now() - 9 * day);
        tidy(dir.path(), old);
        assert!(names().contains(&old.to_owned()) && !names().contains(&"before_restore_20231114221320".to_owned()));
    }

    #[test]
    fn only_our_own_names_tell_a_time() {
        for (name, prefix, expected) in [
            ("before_restore_20231114221320", BEFORE_RESTORE, Some((20_231_114_221_320, 1))),
            ("before_restore_20231114221320_7", BEFORE_RESTORE, Some((20_231_114_221_320, 7))),
            ("before_restore_2023111422132", BEFORE_RESTORE, None),
            ("before_restore_20231114221320_x", BEFORE_RESTORE, None),
            ("before_restore_+0231114221320", BEFORE_RESTORE, None),
            ("before_upgrade_2_to_3_20231114221320_2", BEFORE_UPGRADE, Some((20_231_114_221_320, 2))),
            ("before_upgrade_20231114221320", BEFORE_UPGRADE, None),
        ] {
            assert_eq!(order(name, prefix), expected, "{name}");
            let is_whole = expected.is_some() && prefix == BEFORE_RESTORE;
            assert_eq!(is_kept(&format!("./there/{name}/")), is_whole, "{name}");
        }
    }
}
