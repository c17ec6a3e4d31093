//! The database copied out and put back under those who use it.

use super::*;

fn inserting(id: &str) -> impl FnMut(&mut WriteTx<'_>) -> Result<u64> + Send + 'static {
    let id = id.to_owned();
    move |tx| insert(tx, &id, "")
}

fn ids(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    tx.query_all("SELECT id FROM t ORDER BY id", [], |row| row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_copied_out_comes_back_as_it_was() {
    let (db, dir) = open(options());
    let copy = dir.path().join("copy.db");
    db.write(inserting("a")).await.unwrap();
    db.copy_out(copy.clone(), || Ok(())).await.unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let hearing = Arc::clone(&heard);
    db.on_new_epoch(move |_| _ = hearing.fetch_add(1, SeqCst));
    for round in 0..5 {
        let epoch = db.epoch();
        // Also what is no record, and what no log tells.
        db.write(move |tx| tx.execute_batch(&format!("CREATE TABLE other{round} (x); DELETE FROM t"))).await.unwrap();
        let before = db.write(inserting("b")).await.unwrap();
        assert_eq!(db.read(ids).await.unwrap(), ["b"]);
        let seen = db.put_back(copy.clone(), |tx| ids(tx)).await.unwrap();
        assert_eq!((seen, db.read(ids).await.unwrap()), (vec!["a".to_owned()], vec!["a".to_owned()]));
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'other%'";
        assert_eq!(db.read(|tx| tx.query_one(tables, [], |row| row.get::<_, i64>(0))).await.unwrap(), Some(0));
        assert!(db.epoch() != epoch && heard.load(SeqCst) == round + 1);
        assert!(db.write(move |tx| Ok(tx.changed_since(before, &["x".into()]))).await.unwrap(), "nothing is known");
        let after = db.write(inserting("c")).await.unwrap();
        assert!(after > before, "numbers are not used twice: {before} {after}");
        assert!(db.read(move |tx| Ok(Db::read_after(tx, before, 10)?.complete)).await.unwrap());
    }
    db.close().await;
    drop(db);
    let again = Db::open(dir.path(), options()).unwrap();
    assert_eq!(again.read_blocking(ids).unwrap(), ["a", "c"]);
    let damage = again.read_blocking(|tx| tx.query_one("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)));
    assert_eq!(damage.unwrap().as_deref(), Some("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_one_or_the_other_and_writers_wait() {
    let (db, dir) = open(options());
    let copy = dir.path().join("copy.db");
    for n in 0..50 {
        db.write(inserting(&format!("a{n}"))).await.unwrap();
    }
    db.copy_out(copy.clone(), || Ok(())).await.unwrap();
    db.write(|tx| tx.execute("DELETE FROM t", [])).await.unwrap();
    let stop = Arc::new(AtomicUsize::new(0));
    let work = (0..4).map(|worker| {
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(SeqCst) > 0 {
                    break;
                }
                let id = format!("w{worker}-{n}");
                db.write(inserting(&id)).await.unwrap();
                let seen = db.read(ids).await.unwrap().into_iter().filter(|id| id.starts_with('a')).count();
                assert!(seen == 0 || seen == 50, "{seen}");
            }
        })
    });
    let work: Vec<_> = work.collect();
    for _ in 0..20 {
        let seen = db.put_back(copy.clone(), |tx| Ok(ids(tx)?.len())).await.unwrap();
        assert_eq!(seen, 50, "no write is in between");
    }
    stop.store(1, SeqCst);
    for worker in work {
        worker.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_none_changes_nothing() {
    let (db, dir) = open(options());
    db.write(inserting("a")).await.unwrap();
    std::fs::write(dir.path().join("noise"), "this is no database, and long enough to be taken for one ".repeat(100))
        .unwrap();
    for name in ["noise", "nowhere"] {
        assert!(db.put_back(dir.path().join(name), |_| Ok(())).await.is_err(), "{name}");
        assert_eq!(db.read(ids).await.unwrap(), ["a"]);
    }
    db.write(inserting("b")).await.unwrap();
}
