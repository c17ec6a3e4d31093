//! The change log: images, retention, epochs, and what the writer remembers of it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_keeps_before_images_and_says_who() {
    let clock = Clock::manual(crate::clock::Timestamp(77));
    let (db, _dir) = open(Options { clock, ..options() });
    db.write(|tx| {
        let actor = Actor { collection: "users".into(), record: "u1".into() };
        tx.append(change("t", "a"))?;
        tx.append(Change {
            kind: Kind::Update,
            old: Some(row("a", "old")),
            new: Some(row("a", "new")),
            actor: Some(actor),
            mutation: Some("m1".into()),
            ..change("t", "a")
        })?;
        tx.append(Change { kind: Kind::Delete, old: Some(row("a", "new")), new: None, ..change("t", "a") })
    })
    .await
    .unwrap();
    let page = db.read(|tx| Db::read_after(tx, 0, 10)).await.unwrap();
    let told: Vec<_> = page.entries.iter().map(|entry| (entry.seq, entry.kind, entry.before.as_deref())).collect();
    assert_eq!(
        told,
        [
            (1, Kind::Create, None),
            (2, Kind::Update, Some(r#"{"body":"old"}"#)),
            (3, Kind::Delete, Some(r#"{"id":"a","body":"new"}"#)),
        ]
    );
    let update = &page.entries[1];
    assert_eq!(update.actor, Some(Actor { collection: "users".into(), record: "u1".into() }));
    assert_eq!((update.mutation.as_deref(), update.at.millis()), (Some("m1"), 77));
    let rest = db.read(|tx| Db::read_after(tx, 1, 1)).await.unwrap();
    assert_eq!((rest.entries.len(), rest.entries[0].seq, rest.last), (1, 2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_bounds_the_log_and_a_reader_that_fell_behind_is_told() {
    let (db, _dir) = open(Options { log_retention: 10, ..options() });
    for batch in 0..30 {
        db.write(move |tx| (0..100).try_for_each(|index| insert(tx, &format!("{batch}-{index}"), "").map(|_| ())))
            .await
            .unwrap();
    }
    let rows = |tx: &ReadTx<'_>| tx.query_one("SELECT count(*) FROM __conch_log", [], |row| row.get::<_, i64>(0));
    assert!(db.read(rows).await.unwrap() < Some(1200), "pruned under load");
    let deadline = Instant::now() + Duration::from_secs(10);
    while db.read(rows).await.unwrap() != Some(10) {
        assert!(Instant::now() < deadline, "pruned to the retention when idle");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (after, complete, entries) in
        [(0, false, 0), (2989, false, 0), (2990, true, 10), (2999, true, 1), (3000, true, 0), (3001, false, 0)]
    {
        let page = db.read(move |tx| Db::read_after(tx, after, 100)).await.unwrap();
        assert_eq!((page.complete, page.entries.len(), page.last), (complete, entries, 3000), "after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_known_to_later_jobs_of_its_group() {
    let (db, _dir) = open(options());
    let at = db.write(inserting("a")).await.unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let ask = |id: &'static str| -> Job {
        let asked = Arc::clone(&asked);
        Box::new(move |tx| {
            asked.lock().push((id, tx.changed_since(at, &["t".into()]), tx.changed_since(at, &["other".into()])));
            Ok(0)
        })
    };
    as_one_group(&db, vec![ask("first"), failing("b"), ask("second"), inserting("c"), ask("third")]).await;
    assert_eq!(*asked.lock(), [("first", false, false), ("second", false, false), ("third", true, false)]);
    let later = db.write(move |tx| Ok((tx.changed_since(at, &["t".into()]), tx.changed_since(at + 1, &["t".into()]))));
    assert_eq!(later.await.unwrap(), (true, false));

    let at = db.announced();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let ask = || -> Job {
        let asked = Arc::clone(&asked);
        Box::new(move |tx| {
            asked.lock().push(["d", "e"].map(|record| tx.record_changed_since(at, "t", record)));
            Ok(0)
        })
    };
    as_one_group(&db, vec![ask(), inserting("d"), ask(), failing("e"), ask()]).await;
    assert_eq!(*asked.lock(), [[false, false], [true, false], [true, false]]);
    assert_eq!(db.announced(), at + 1);
    assert!(db.write(move |tx| Ok(tx.record_changed_since(at, "t", "d"))).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_write_begins_a_new_epoch() {
    let (db, dir) = open(options());
    let at = db.write(inserting("a")).await.unwrap();
    let (epoch, heard) = (db.epoch(), Arc::new(AtomicUsize::new(0)));
    let hearing = Arc::clone(&heard);
    db.on_new_epoch(move |_| _ = hearing.fetch_add(1, SeqCst));
    for _ in 0..20 {
        db.write(|tx| tx.execute("UPDATE t SET body = ''", [])).await.unwrap();
        db.read(count).await.unwrap();
    }
    assert_eq!((db.epoch(), heard.load(SeqCst)), (epoch.clone(), 0), "our own writes are not foreign");
    let foreign = Connection::open(dir.path().join("data.db")).unwrap();
    foreign.execute("INSERT INTO t VALUES ('theirs', '')", []).unwrap();
    assert!(db.write(move |tx| Ok(tx.changed_since(at, &["t".into()]))).await.unwrap());
    assert_eq!(heard.load(SeqCst), 1);
    let second = db.epoch();
    assert_ne!(second, epoch);
    foreign.execute("DELETE FROM t WHERE id = 'theirs'", []).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while db.epoch() == second {
        assert!(Instant::now() < deadline, "an idle writer notices, too");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let third = db.epoch();
    assert_eq!(db.write(inserting("b")).await.unwrap(), 2, "the numbers go on");
    let asked = db.new_epoch().await.unwrap();
    assert_eq!(db.epoch(), asked);
    assert_ne!(asked, third);
    drop(foreign);
    drop(db);
    assert_eq!(Db::open(dir.path(), options()).unwrap().epoch(), asked);
}
