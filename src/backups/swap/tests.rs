//! Every way that an exchange can be broken off, and that it always ends with one content or the other, whole.

use std::collections::BTreeMap;

use super::*;
use crate::db::testing::TempDir;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// The content of a directory, by name; folders are told by a file in them.
fn content(dir: &Path) -> BTreeMap<String, String> {
    let read = |name: &str| match name {
        "storage" => fs::read_to_string(dir.join("storage/c/r/f")).ok(),
        _ => fs::read_to_string(dir.join(name)).ok(),
    };
    PARTS.iter().filter_map(|name| Some(((*name).to_owned(), read(name)?))).collect()
}

fn fill(dir: &Path, text: &str, names: &[&str]) {
    for name in names {
        let path = if *name == "storage" { dir.join("storage/c/r/f") } else { dir.join(name) };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn expected(text: &str, names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| ((*name).to_owned(), text.to_owned())).collect()
}

const OLD: [&str; 4] = ["data.db", "data.db-wal", "auxiliary.db", "storage"];
const NEW_PARTS: [&str; 2] = ["data.db", "storage"];

/// A directory with old content, and new content that is decided for.
fn decided() -> TempDir {
    let dir = TempDir::new();
    fill(dir.path(), "old", &OLD);
    fs::create_dir(dir.path().join("backups")).unwrap();
    let new = prepare(dir.path()).unwrap();
    fill(&new, "new", &NEW_PARTS);
    fs::write(new.join("something-else"), "").unwrap();
    decide(dir.path(), "x.zip", NOW).unwrap();
    dir
}

fn kept(dir: &Path, prefix: &str) -> Option<BTreeMap<String, String>> {
    let mut entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let found = entries.find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))?;
    Some(content(&found.path()))
}

#[test]
fn new_content_takes_the_place_of_the_old_and_stays_when_it_is_good() {
    let dir = decided();
    let trial = settle(dir.path(), true).unwrap().unwrap();
    assert_eq!((trial.phase, trial.attempts), (Phase::Trial, 1));
    assert_eq!(content(dir.path()), expected("new", &NEW_PARTS));
    assert_eq!(kept(dir.path(), kept::BEFORE_RESTORE).unwrap(), expected("old", &OLD));
    // Whoever is no server does not count.
    assert_eq!(settle(dir.path(), false).unwrap().unwrap().attempts, 1);
    let ended = confirm(dir.path()).unwrap().unwrap();
    assert_eq!((ended.reason, last(dir.path()).unwrap().unwrap().id), (None, trial.id));
    assert!(confirm(dir.path()).unwrap().is_none() && settle(dir.path(), true).unwrap().is_none());
    assert_eq!(content(dir.path()), expected("new", &NEW_PARTS));
    assert!(dir.path().join("backups").exists());
}

#[test]
fn what_was_not_decided_for_never_happened() {
    let dir = TempDir::new();
    fill(dir.path(), "old", &OLD);
    fill(&prepare(dir.path()).unwrap(), "new", &NEW_PARTS);
    assert!(settle(dir.path(), true).unwrap().is_none());
    assert_eq!(content(dir.path()), expected("old", &OLD));
    assert!(!dir.path().join(WORK).join(NEW).exists());
    assert_eq!(fs::read_dir(prepare(dir.path()).unwrap()).unwrap().count(), 0);
}

/// A process that ends right after it takes its threads along.
#[test]
fn whoever_ends_at_once_leaves_as_few_folders_as_whoever_stays() {
    let dir = decided();
    for second in 0..4 {
        fs::create_dir(dir.path().join(format!("{}2023010100000{second}", kept::BEFORE_RESTORE))).unwrap();
    }
    settle(dir.path(), true).unwrap().unwrap();
    let ended = confirm_and_tidy(dir.path()).unwrap().unwrap();
    let folders = || {
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(kept::BEFORE_RESTORE)).collect::<Vec<_>>()
    };
    assert!(folders().len() == 2 && folders().contains(&ended.kept), "{:?}", folders());
    assert!(confirm_and_tidy(dir.path()).unwrap().is_none());
}

#[test]
fn old_content_comes_back_when_the_new_fails() {
    for starts in [1, ATTEMPTS] {
        let dir = decided();
        for _ in 0..starts {
            settle(dir.path(), true).unwrap().unwrap();
        }
        if starts == 1 {
            turn_back(dir.path(), "it cannot be opened").unwrap();
        } else {
            assert!(settle(dir.path(), true).unwrap().is_none(), "one start too many");
        }
        assert_eq!(content(dir.path()), expected("old", &OLD));
        assert_eq!(kept(dir.path(), kept::FAILED_RESTORE).unwrap(), expected("new", &NEW_PARTS));
        assert!(kept(dir.path(), kept::BEFORE_RESTORE).is_none(), "it is empty, and gone");
        let ended = last(dir.path()).unwrap().unwrap();
        assert!(ended.reason.is_some() && ended.kept.starts_with(kept::FAILED_RESTORE), "{ended:?}");
    }
}

#[test]
fn a_crash_between_any_two_steps_leaves_one_content_or_the_other() {
    // A crash is played by carrying out the first so many renames of a way only, with the journal of before.
    let renames = |dir: &Path, from: &Path, to: &Path, so_many: usize| {
        create_private(to).unwrap();
        let there: Vec<_> = PARTS.iter().filter(|name| dir.join(from).join(name).exists()).collect();
        there.iter().take(so_many).for_each(|name| fs::rename(from.join(name), to.join(name)).unwrap());
    };
    for so_many in 0..=OLD.len() {
        for back in [false, true] {
            let dir = decided();
            let journal = load(dir.path()).unwrap().unwrap();
            let (old, failed) = (dir.path().join(&journal.old), dir.path().join(&journal.failed));
            renames(dir.path(), dir.path(), &old, so_many);
            if back {
                turn_back(dir.path(), "no").unwrap();
                assert_eq!(content(dir.path()), expected("old", &OLD), "out, {so_many}");
                assert!(last(dir.path()).unwrap().unwrap().reason.is_some());
                continue;
            }
            assert_eq!(settle(dir.path(), false).unwrap().unwrap().phase, Phase::Trial);
            assert_eq!(content(dir.path()), expected("new", &NEW_PARTS), "out, {so_many}");

            // The way back, broken off while the new goes, and while the old comes.
            let trial = load(dir.path()).unwrap().unwrap();
            let clear = Journal { phase: Phase::Clear, reason: Some("no".into()), ..trial.clone() };
            clear.save(dir.path()).unwrap();
            renames(dir.path(), dir.path(), &failed, so_many);
            if so_many % 2 == 0 {
                settle(dir.path(), false).unwrap();
            } else {
                renames(dir.path(), dir.path(), &failed, PARTS.len());
                Journal { phase: Phase::Return, ..clear }.save(dir.path()).unwrap();
                renames(dir.path(), &old, dir.path(), so_many);
                settle(dir.path(), false).unwrap();
            }
            assert_eq!(content(dir.path()), expected("old", &OLD), "back, {so_many}");
            assert_eq!(content(&failed), expected("new", &NEW_PARTS), "back, {so_many}");
        }
    }
    // While the new comes in.
    for so_many in 0..=NEW_PARTS.len() {
        for back in [false, true] {
            let dir = decided();
            let journal = load(dir.path()).unwrap().unwrap();
            renames(dir.path(), dir.path(), &dir.path().join(&journal.old), PARTS.len());
            Journal { phase: Phase::In, ..journal.clone() }.save(dir.path()).unwrap();
            renames(dir.path(), &dir.path().join(WORK).join(NEW), dir.path(), so_many);
            if back {
                turn_back(dir.path(), "no").unwrap();
                assert_eq!(content(dir.path()), expected("old", &OLD), "in, {so_many}");
                assert_eq!(content(&dir.path().join(&journal.failed)), expected("new", &NEW_PARTS));
            } else {
                settle(dir.path(), false).unwrap();
                assert_eq!(content(dir.path()), expected("new", &NEW_PARTS), "in, {so_many}");
            }
        }
    }
}

#[test]
fn a_rename_that_is_refused_undoes_what_went_before() {
    let dir = decided();
    let journal = load(dir.path()).unwrap().unwrap();
    // A folder that is not empty is in the way of the last part.
    fs::create_dir_all(dir.path().join(&journal.old).join("storage/there")).unwrap();
    assert!(settle(dir.path(), true).unwrap_err().message.len() > 10 || !is_pending(dir.path()));
    fs::remove_dir_all(dir.path().join(&journal.old).join("storage/there")).unwrap();
    let _ = settle(dir.path(), true);
    assert_eq!(content(dir.path()), expected("old", &OLD));
}

#[test]
fn an_upgrade_takes_back_the_database_only() {
    for good in [true, false] {
        let dir = TempDir::new();
        fill(dir.path(), "old", &["data.db", "storage", "auxiliary.db"]);
        let copy = prepare(dir.path()).unwrap().join("copy");
        fs::write(&copy, "old").unwrap();
        begin_upgrade(dir.path(), &copy, 2, 3, NOW).unwrap();
        fill(dir.path(), "upgraded", &["data.db", "data.db-wal"]);
        assert_eq!(settle(dir.path(), false).unwrap().unwrap().cause, Cause::Upgrade);
        if good {
            let ended = confirm(dir.path()).unwrap().unwrap();
            assert_eq!(ended.kept, "before_upgrade_2_to_3_20231114221320");
            assert_eq!(content(&dir.path().join(ended.kept)), expected("old", &["data.db"]));
            assert_eq!(content(dir.path())["data.db"], "upgraded");
            continue;
        }
        let failed = turn_back(dir.path(), "a table is missing.").unwrap_err();
        assert!(failed.message.contains("version 2 to 3: a table is missing. The database is"), "{failed}");
        assert_eq!(content(dir.path()), expected("old", &["data.db", "storage", "auxiliary.db"]));
        let kept = kept(dir.path(), kept::FAILED_UPGRADE).unwrap();
        assert_eq!(kept, expected("upgraded", &["data.db", "data.db-wal"]));
        assert!(settle(dir.path(), true).unwrap().is_none());
    }
}

#[test]
fn an_upgrade_that_ends_the_process_each_time_is_taken_back() {
    let dir = TempDir::new();
    fill(dir.path(), "old", &["data.db"]);
    let copy = prepare(dir.path()).unwrap().join("copy");
    fs::write(&copy, "old").unwrap();
    begin_upgrade(dir.path(), &copy, 2, 3, NOW).unwrap();
    fill(dir.path(), "upgraded", &["data.db"]);
    for _ in 0..ATTEMPTS {
        settle(dir.path(), false).unwrap().unwrap();
    }
    assert!(settle(dir.path(), false).unwrap_err().message.contains("could not be upgraded"));
    assert_eq!(content(dir.path()), expected("old", &["data.db"]));
}

#[test]
fn the_content_has_to_lie_on_one_file_system() {
    let dir = TempDir::new();
    fill(dir.path(), "old", &OLD);
    check_place(dir.path()).unwrap();
    // A link is moved as what it is.
    fs::remove_dir_all(dir.path().join("storage")).unwrap();
    std::os::unix::fs::symlink("/proc", dir.path().join("storage")).unwrap();
    check_place(dir.path()).unwrap();
}
