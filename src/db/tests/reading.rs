//! Slow reads, panics in reads, snapshots, and the log that readers hold up.

use std::io::Read;

use rusqlite::StatementStatus;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn slow_reads_are_handed_over_and_do_not_stop_point_reads() {
    let (db, _dir) = open(Options { slow_readers: 2, query_timeout: Duration::from_secs(2), ..options() });
    db.write(inserting("a")).await.unwrap();
    let tries = Arc::new(AtomicU32::new(0));
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let (db, tries) = (db.clone(), Arc::clone(&tries));
            tokio::spawn(async move {
                db.read(move |tx| {
                    tries.fetch_add(1, SeqCst);
                    // An error that does not say what it came from must not hide the hand-over.
                    endless(tx).map_err(|_| Error::not_found())
                })
                .await
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    for _ in 0..100 {
        assert_eq!(db.read(count).await.unwrap(), 1);
        db.write(|tx| tx.execute("UPDATE t SET body = body || 'x'", [])).await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    let mut kinds = Vec::new();
    for read in slow {
        kinds.push(read.await.unwrap().unwrap_err().kind);
    }
    assert!(kinds.contains(&ErrorKind::Invalid), "timed out: {kinds:?}");
    assert!(kinds.iter().all(|kind| matches!(kind, ErrorKind::Invalid | ErrorKind::Busy)), "{kinds:?}");
    assert!(tries.load(SeqCst) >= 6, "four inline, two or more in the slow lane");
    assert_eq!(db.read(count).await.unwrap(), 1);
}

#[tokio::test]
async fn a_statement_is_compiled_once_whatever_is_bound() {
    let (db, _dir) = open(options());
    let compiled_again = |tx: &ReadTx<'_>| {
        let sql = "SELECT id FROM t WHERE body LIKE ?1 AND id = ?2 ORDER BY body LIMIT ?3";
        for bound in 0..3 {
            let mut statement = tx.prepare(sql)?;
            statement.query((format!("a{bound}%"), bound, bound))?.next()?;
        }
        Ok(tx.prepare(sql)?.get_status(StatementStatus::RePrepare))
    };
    assert_eq!(db.read(compiled_again).await.unwrap(), 0);
    assert_eq!(db.write(move |tx| compiled_again(tx)).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_slow_read_gives_its_place_back() {
    let (db, _dir) = open(Options { slow_readers: 1, ..options() });
    let read = tokio::time::timeout(Duration::from_millis(100), db.read(endless)).await;
    assert!(read.is_err());
    let started = Instant::now();
    let next = tokio::time::timeout(Duration::from_millis(100), db.read(endless)).await;
    assert!(next.is_err() && started.elapsed() < Duration::from_secs(5));
    let started = Instant::now();
    db.close().await;
    assert!(started.elapsed() < Duration::from_secs(5), "closing interrupts");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_slow_reads_are_busy() {
    let (db, _dir) = open(Options { slow_readers: 1, query_timeout: Duration::from_secs(1), ..options() });
    let reads: Vec<_> = (0..60)
        .map(|_| {
            tokio::spawn({
                let db = db.clone();
                async move { db.read(endless).await.unwrap_err().kind }
            })
        })
        .collect();
    let mut busy = 0;
    for read in reads {
        busy += usize::from(read.await.unwrap() == ErrorKind::Busy);
    }
    assert!(busy >= 60 - 33 - 1, "{busy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_read_leaves_the_connection_usable() {
    let (db, _dir) = open(options());
    for _ in 0..3 {
        let failed = db.read(|tx| -> Result<()> { panic!("after {}", count(tx)?) }).await.unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Internal);
        assert!(db.read_blocking(|_| -> Result<()> { panic!("there") }).is_err());
        assert_eq!(db.read(count).await.unwrap(), 0);
        assert_eq!(db.read_blocking(count).unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_one_snapshot_and_cannot_write() {
    let (db, _dir) = open(options());
    let writer = db.clone();
    let (first, seq, second) = tokio::task::spawn_blocking(move || {
        writer.clone().read_blocking(move |tx| {
            let first = count(tx)?;
            writer.write_blocking(|tx| insert(tx, "a", ""))?;
            Ok((first, tx.seq()?, count(tx)?))
        })
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!((first, seq, second), (0, 0, 0));
    assert_eq!(db.read(|tx| Ok((tx.seq()?, count(tx)?))).await.unwrap(), (1, 1));
    assert!(db.read(|tx| Ok(tx.prepare("DELETE FROM t")?.execute([])?)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_inside_a_write_has_its_own_limit() {
    let (db, _dir) = open(options());
    let refused = db
        .write(|tx| {
            insert(tx, "a", "")?;
            assert!(tx.within(Duration::from_millis(20), endless).is_err());
            // Limits nest, and an inner one that was reached is no matter of the outer one.
            let outer = tx.within(Duration::from_secs(60), |_| {
                assert!(tx.within(Duration::from_millis(20), endless).is_err());
                count(tx)
            });
            assert_eq!(outer?, 1);
            let started = Instant::now();
            let short = tx.within(Duration::from_millis(20), |_| tx.within(Duration::from_secs(60), endless));
            assert!(short.is_err() && started.elapsed() < Duration::from_secs(30));
            // The interrupted read took nothing with it.
            insert(tx, "b", "")
        })
        .await;
    refused.unwrap();
    assert_eq!(consistent(&db), ["a", "b"]);
}

#[tokio::test]
async fn what_is_asked_for_is_copied_back_from_the_write_ahead_log() {
    let (db, dir) = open(options());
    let size = || std::fs::metadata(dir.path().join("data.db")).unwrap().len();
    let insert = |tx: &mut WriteTx<'_>| tx.execute("INSERT INTO t (id, body) VALUES ('a', ?1)", ["x".repeat(100_000)]);
    db.write(insert).await.unwrap();
    let before = size();
    db.optimize().await.unwrap();
    // The writer does it after it has answered, and before it takes up the next write.
    db.write(|_| Ok(())).await.unwrap();
    assert!(size() >= before + 100_000, "{before} bytes, then {}", size());
}

/// Grave: a WAL that never checkpoints under a stream of single writes, here with readers that always overlap.
#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_begins_anew_under_a_stream_of_single_writes_and_overlapping_reads() {
    let (db, dir) = open(options());
    let stop = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (db, stop) = (db.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                while stop.load(SeqCst) == 0 {
                    db.read_blocking(|tx| {
                        count(tx)?;
                        thread::sleep(Duration::from_millis(3));
                        Ok(())
                    })
                    .unwrap();
                }
            })
        })
        .collect();
    // The log's header counts how often it began anew (https://sqlite.org/fileformat2.html#walformat). How soon depends
    // on when the readers get their turn; that it does again and again, while nobody ever pauses, does not.
    let beginnings = || {
        let mut header = [0u8; 16];
        std::fs::File::open(dir.path().join("data.db-wal")).unwrap().read_exact(&mut header).unwrap();
        u32::from_be_bytes([header[12], header[13], header[14], header[15]])
    };
    let (mut written, mut first) = (0u64, None);
    while first.is_none_or(|first| beginnings() < first + 5) {
        for _ in 0..100 {
            let body = "x".repeat(40_000);
            db.write(move |tx| {
                tx.execute("INSERT OR REPLACE INTO t (id, body) VALUES (?1, ?2)", [&(written % 97).to_string(), &body])
            })
            .await
            .unwrap();
            written += 40_000;
        }
        first.get_or_insert_with(beginnings);
        assert!(written < 4 << 30, "the log began anew only {} times", beginnings() - first.unwrap());
    }
    stop.store(1, SeqCst);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}
