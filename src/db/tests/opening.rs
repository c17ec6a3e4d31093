//! Opening and closing a directory.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_is_queued_and_leaves_no_log_behind() {
    let (db, dir) = open(options());
    db.read(count).await.unwrap();
    let (release, holder) = hold(&db);
    let mut last = Box::pin(db.write(inserting("a")));
    assert!((&mut last).now_or_never().is_none());
    let closing = tokio::spawn({
        let db = db.clone();
        async move { db.close().await }
    });
    drop(release);
    holder.await.unwrap();
    last.await.unwrap();
    closing.await.unwrap();
    assert!(!dir.path().join("data.db-wal").exists());
    assert_eq!(db.write(inserting("b")).await.unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(db.read(count).await.unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(db.read_blocking(count).unwrap_err().kind, ErrorKind::Busy);
    let again = Db::open(dir.path(), options()).unwrap();
    assert_eq!(consistent(&again), ["a"]);
    assert_eq!(again.epoch(), db.epoch());
}

#[test]
fn the_last_clone_closes_even_inside_a_write() {
    let (db, dir) = open(options());
    let (sent, received) = mpsc::channel();
    let moved = db.clone();
    db.write_blocking(move |tx| {
        let (moved, sent) = (moved.clone(), sent.clone());
        tx.after_commit(move || {
            assert!(moved.write_blocking(|_| Ok(())).is_err(), "it would wait for itself");
            let _ = sent.send(());
        });
        insert(tx, "a", "")
    })
    .unwrap();
    received.recv().unwrap();
    drop(db);
    assert_eq!(consistent(&Db::open(dir.path(), options()).unwrap()), ["a"]);
}

#[test]
fn a_second_opener_is_refused() {
    let (_db, dir) = open(options());
    let refused = Db::open(dir.path(), options()).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Busy);
    assert_eq!(Db::owner(dir.path()).unwrap(), Some(std::process::id()));
}

#[test]
fn what_is_no_database_is_refused_by_name() {
    let dir = TempDir::new();
    std::fs::write(dir.path().join("data.db"), "not a database at all, but long enough to be looked at\n".repeat(100))
        .unwrap();
    let refused = Db::open(dir.path(), options()).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(refused.message.contains("data.db"), "{refused}");
}

#[test]
fn a_directory_of_pocketbase_is_refused_untouched() {
    let names = |dir: &TempDir| -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let entries = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect();
        files.sort();
        files
    };
    // Everything in the database; everything in a log left by a crash; the later part there.
    for (before, in_log) in [("x", false), ("_collections", false), ("x", true), ("_collections", true)] {
        let (made, dir) = (TempDir::new(), TempDir::new());
        let theirs = rusqlite::Connection::open(made.path().join("data.db")).unwrap();
        theirs.execute_batch(&format!("PRAGMA journal_mode = WAL; CREATE TABLE {before} (id)")).unwrap();
        theirs.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        theirs.execute_batch("CREATE TABLE IF NOT EXISTS _collections (id); CREATE TABLE more (id)").unwrap();
        if !in_log {
            theirs.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        }
        for file in ["data.db", "data.db-wal"] {
            std::fs::copy(made.path().join(file), dir.path().join(file)).unwrap();
        }
        let found = names(&dir);
        let refused = Db::open(dir.path(), options()).map(|_| ()).unwrap_err();
        assert!(refused.message.contains("conch import pocketbase"), "{before} {in_log}: {refused}");
        assert!(names(&dir) == found, "{before} {in_log}");
    }
}

#[test]
fn a_directory_of_our_own_opens_with_all_of_it_in_the_log() {
    let (dir, copy) = (TempDir::new(), TempDir::new());
    let db = Db::open(dir.path(), options()).unwrap();
    db.write_blocking(|tx| tx.execute_batch("CREATE TABLE _collections (id)")).unwrap();
    for file in ["data.db", "data.db-wal"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    drop(db);
    assert!(std::fs::metadata(copy.path().join("data.db-wal")).unwrap().len() > 0);
    Db::open(copy.path(), options()).unwrap();
}

#[test]
fn files_are_for_their_owner_only_and_an_emptied_database_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (db, dir) = open(options());
    db.read_blocking(count).unwrap();
    for name in ["data.db", "data.db-wal", "data.db-shm"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(db);
    std::fs::write(dir.path().join("data.db"), "").unwrap();
    drop(Db::open(dir.path(), options()).expect("nothing says that it was more than empty"));
    std::fs::create_dir_all(dir.path().join("storage/pbc_1")).unwrap();
    std::fs::write(dir.path().join("data.db"), "").unwrap();
    let refused = Db::open(dir.path(), options()).map(drop).unwrap_err();
    assert!(refused.message.contains("is empty"), "{refused}");
}

#[test]
fn the_database_of_another_program_is_refused_untouched() {
    let dir = TempDir::new();
    let path = dir.path().join("data.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Db::open(dir.path(), options()).map(drop).unwrap_err();
    assert!(refused.message.contains("another program"), "{refused}");
    assert!(std::fs::read(&path).unwrap() == before && !dir.path().join("data.db-wal").exists());
}

#[test]
fn no_value_is_larger_than_a_connection_may_take() {
    let (db, _dir) = open(options());
    let blob = |size: u32| format!("SELECT length(zeroblob({size}) || 'x')");
    for (size, fits) in [(1 << 20, true), (1_000_000_000, false)] {
        let asked = db.read_blocking(|tx| tx.query_one(&blob(size), [], |row| row.get::<_, i64>(0)));
        assert_eq!(asked.is_ok(), fits, "{size}");
        let asked = db.write_blocking(move |tx| tx.query_one(&blob(size), [], |row| row.get::<_, i64>(0)));
        assert_eq!(asked.is_ok(), fits, "{size}");
    }
}

#[test]
fn an_older_directory_is_changed_only_after_somebody_had_a_look() {
    fn keep_a_copy(upgrade: &Upgrade<'_>) -> Result<()> {
        assert!(upgrade.from == 1 && upgrade.to > 1 && upgrade.size()? > 0);
        upgrade.copy_to(&upgrade.dir.join("copy.db"))
    }
    fn refuse(_: &Upgrade<'_>) -> Result<()> {
        Err(Error::invalid("not today"))
    }
    let make_old = |dir: &TempDir| {
        let connection = rusqlite::Connection::open(dir.path().join("data.db")).unwrap();
        let sql = include_str!("../../../assets/migrations/0001_log.sql");
        connection.execute_batch(sql).unwrap();
        connection.execute("INSERT INTO __conch_migrations VALUES (1, 'log', 0)", []).unwrap();
    };
    let version = |path: &Path| Copy::open(path, &[]).unwrap().versions().unwrap().0;
    let dir = TempDir::new();
    make_old(&dir);
    let refused = Db::open(dir.path(), Options { before_upgrade: Some(refuse), ..options() }).map(drop).unwrap_err();
    assert_eq!(refused.message, "not today");
    assert_eq!(version(&dir.path().join("data.db")), 1);
    drop(Db::open(dir.path(), Options { before_upgrade: Some(keep_a_copy), ..options() }).unwrap());
    assert!(version(&dir.path().join("data.db")) > 1);
    assert_eq!(version(&dir.path().join("copy.db")), 1);
    // Neither a new directory nor one that is up to date is anything to look at.
    for dir in [dir, TempDir::new()] {
        drop(Db::open(dir.path(), Options { before_upgrade: Some(refuse), ..options() }).unwrap());
    }
}
