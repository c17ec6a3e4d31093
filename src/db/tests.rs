//! The room as a whole: what a group does when a job fails, when the disk is full, when readers are slow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use parking_lot::Mutex;
use rusqlite::Connection;

use super::{
    testing::{TempDir, change, consistent, count, insert, open, options, row},
    *,
};

/// Some 10⁹ steps: far longer than any limit here.
const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n";

fn endless(tx: &ReadTx<'_>) -> Result<i64> {
    Ok(tx.query_one(ENDLESS, [], |row| row.get(0))?.unwrap_or(0))
}

/// Holds the writer until the sender is dropped, so that what is queued meanwhile becomes one group.
fn hold(db: &Db) -> (mpsc::Sender<()>, impl Future<Output = Result<()>> + use<>) {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel::<()>();
    let db = db.clone();
    let handle = tokio::spawn(async move {
        db.write_alone(move |_| {
            let _ = started.send(());
            let _ = held.recv();
            Ok(())
        })
        .await
    });
    let wait = async move { handle.await.unwrap() };
    tokio::task::block_in_place(|| running.recv().unwrap());
    (release, wait)
}

/// Queues the writes while the writer is held: they run as one group, in this order.
async fn as_one_group(db: &Db, jobs: Vec<Job>) -> Vec<Result<u64>> {
    let (release, holder) = hold(db);
    let mut writes: Vec<_> = jobs.into_iter().map(|job| Box::pin(db.write(job))).collect();
    for write in &mut writes {
        assert!(write.now_or_never().is_none(), "the first poll queues");
    }
    drop(release);
    holder.await.unwrap();
    join_all(writes).await
}

type Job = Box<dyn FnMut(&mut WriteTx<'_>) -> Result<u64> + Send>;

fn inserting(id: &'static str) -> Job {
    Box::new(move |tx| insert(tx, id, ""))
}

fn failing(id: &'static str) -> Job {
    Box::new(move |tx| {
        insert(tx, id, "")?;
        tx.after_commit(|| panic!("the effect of a failed write must not run"));
        Err(Error::invalid("no"))
    })
}

fn panicking(id: &'static str) -> Job {
    Box::new(move |tx| {
        insert(tx, id, "")?;
        panic!("in a job")
    })
}

/// Fills a mebibyte.
fn big(id: &'static str) -> Job {
    Box::new(move |tx| insert(tx, id, &"x".repeat(1 << 20)))
}

fn limit_pages(db: &Db, more: i64) {
    db.write_blocking(move |tx| {
        let pages: i64 = tx.connection().query_row("PRAGMA page_count", [], |row| row.get(0))?;
        tx.connection().query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))?;
        Ok(())
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_one_commit_and_a_failed_job_leaves_nothing() {
    let (db, _dir) = open(options());
    let commits = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&commits);
    db.on_commit(move |commit| seen.lock().push(commit.changes.iter().map(|(seq, _)| *seq).collect::<Vec<_>>()));
    let jobs = vec![inserting("a"), failing("b"), inserting("c"), panicking("d"), inserting("a"), inserting("e")];
    let results = as_one_group(&db, jobs).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().map_err(|error| error.kind)).collect();
    let (invalid, internal) = (ErrorKind::Invalid, ErrorKind::Internal);
    assert_eq!(
        format!("{kinds:?}"),
        format!("{:?}", [Ok(1), Err(invalid), Ok(2), Err(internal), Err(internal), Ok(3)])
    );
    assert_eq!(*commits.lock(), [[1, 2, 3]], "one commit for the group");
    assert_eq!(consistent(&db), ["a", "c", "e"]);
    assert_eq!(*db.watch().borrow(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_is_alone_and_keeps_its_place() {
    let (db, _dir) = open(options());
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    db.on_commit(move |commit| seen.lock().push(commit.changes.len()));
    let (release, holder) = hold(&db);
    let mut writes: Vec<std::pin::Pin<Box<dyn Future<Output = Result<u64>> + Send>>> = Vec::new();
    for id in ["a", "b", "C", "d", "e", "f"] {
        let db = db.clone();
        let job = inserting(id);
        writes.push(if id == "C" {
            Box::pin(async move { db.write_alone(job).await })
        } else {
            Box::pin(async move { db.write(job).await })
        });
    }
    for write in &mut writes {
        assert!(write.now_or_never().is_none());
    }
    drop(release);
    holder.await.unwrap();
    for (index, result) in join_all(writes).await.into_iter().enumerate() {
        assert_eq!(result.unwrap(), index as u64 + 1);
    }
    assert_eq!(*sizes.lock(), [2, 1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_and_listeners_run_before_the_acknowledgement() {
    let (db, _dir) = open(options());
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (effects, listeners) = (Arc::clone(&steps), Arc::clone(&steps));
    db.on_commit(move |_| listeners.lock().push("listener"));
    db.on_commit(|_| panic!("a listener's panic stays with it"));
    db.write(move |tx| {
        let effects = Arc::clone(&effects);
        tx.after_commit(|| panic!("an effect's panic stays with it"));
        tx.after_commit(move || effects.lock().push("effect"));
        insert(tx, "a", "")
    })
    .await
    .unwrap();
    assert_eq!(*steps.lock(), ["effect", "listener"]);
    db.write(|tx| insert(tx, "b", "")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inner_savepoint_takes_its_log_and_effects_back() {
    let (db, _dir) = open(options());
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    db.write(move |tx| {
        insert(tx, "a", "")?;
        let before = tx.seq()?;
        let counted = Arc::clone(&counted);
        let inner: Result<()> = tx.savepoint(|tx| {
            insert(tx, "b", "")?;
            tx.after_commit(move || drop(counted.fetch_add(1, SeqCst)));
            assert!(tx.changed_since(before, &["t".into()]));
            Err(Error::invalid("no"))
        });
        assert!(inner.is_err());
        assert!(!tx.changed_since(before, &["t".into()]));
        tx.savepoint(|tx| insert(tx, "c", ""))
    })
    .await
    .unwrap();
    assert_eq!(consistent(&db), ["a", "c"]);
    assert_eq!(ran.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_in_the_middle_of_a_group_costs_only_the_job_that_met_it() {
    let (db, _dir) = open(options());
    limit_pages(&db, 20);
    let jobs =
        vec![inserting("a"), big("b"), failing("c"), big("d"), inserting("e"), big("f"), big("g"), inserting("h")];
    let results = as_one_group(&db, jobs).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|error| error.kind)).collect();
    let full = Some(ErrorKind::StorageFull);
    assert_eq!(kinds, [None, full, Some(ErrorKind::Invalid), full, None, full, full, None]);
    assert_eq!(consistent(&db), ["a", "e", "h"]);
    limit_pages(&db, 100_000);
    db.write(big("b")).await.unwrap();
    assert_eq!(consistent(&db), ["a", "e", "h", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_tried_again_one_by_one() {
    let (db, _dir) = open(options());
    // The disk takes nothing for one commit: every job of the group gets another chance.
    let jobs = vec![inserting("a"), failing("b"), failing_writes("c", 1), inserting("d")];
    let results = as_one_group(&db, jobs).await;
    let succeeded: Vec<_> = results.iter().map(|result| result.is_ok()).collect();
    assert_eq!(succeeded, [true, false, true, true], "{results:?}");
    assert_eq!(consistent(&db), ["a", "c", "d"]);
    // It takes nothing for two: the one that is alone in the second commit gets its error, its neighbours do not.
    let results = as_one_group(&db, vec![failing_writes("e", 2), inserting("f"), inserting("g")]).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [Some(ErrorKind::StorageFull), None, None]);
    assert_eq!(consistent(&db), ["a", "c", "d", "f", "g"]);
    let check = |tx: &ReadTx<'_>| tx.query_one("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(db.read_blocking(check).unwrap().as_deref(), Some("ok"));
    let epoch = db.epoch();
    db.write(inserting("h")).await.unwrap();
    assert_eq!(db.epoch(), epoch, "an I/O error is no foreign write");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_cannot_commit_or_go_on_after_a_rollback() {
    for sql in ["COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN"] {
        let (db, _dir) = open(options());
        let ending: Job = Box::new(move |tx| {
            let _ = tx.execute_batch(sql);
            let _ = insert(tx, "x", "");
            Ok(0)
        });
        let results = as_one_group(&db, vec![inserting("a"), ending, inserting("b")]).await;
        let succeeded: Vec<_> = results.iter().map(|result| result.is_ok()).collect();
        assert_eq!(succeeded, [true, false, true], "{sql}: {results:?}");
        assert_eq!(consistent(&db), ["a", "b"], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_answers_busy_and_abandoned_writes_still_happen() {
    let (db, _dir) = open(Options { write_queue: 2, ..options() });
    let (release, holder) = hold(&db);
    let mut waiting: Vec<_> = ["a", "b"].map(|id| Box::pin(db.write(inserting(id)))).into();
    for write in &mut waiting {
        assert!(write.now_or_never().is_none());
    }
    let refused = db.write(inserting("c")).await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after), (ErrorKind::Busy, Some(Duration::from_secs(1))));
    drop(waiting);
    drop(release);
    holder.await.unwrap();
    while db.write(inserting("d")).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(consistent(&db), ["a", "b", "d"]);
}

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
            // The interrupted read took nothing with it.
            insert(tx, "b", "")
        })
        .await;
    refused.unwrap();
    assert_eq!(consistent(&db), ["a", "b"]);
}

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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_write_begins_a_new_epoch() {
    let (db, dir) = open(options());
    let at = db.write(inserting("a")).await.unwrap();
    let (epoch, heard) = (db.epoch(), Arc::new(AtomicUsize::new(0)));
    let hearing = Arc::clone(&heard);
    db.on_new_epoch(move |_| drop(hearing.fetch_add(1, SeqCst)));
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

/// Grave: a WAL that never checkpoints under a stream of single writes, here with readers that always overlap.
#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_stays_small_under_a_stream_of_single_writes_and_overlapping_reads() {
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
    let (mut written, mut largest) = (0u64, 0);
    while written < 200 << 20 {
        let body = "x".repeat(40_000);
        db.write(move |tx| {
            tx.execute("INSERT OR REPLACE INTO t (id, body) VALUES (?1, ?2)", [&(written % 97).to_string(), &body])
        })
        .await
        .unwrap();
        written += 40_000;
        largest = largest.max(std::fs::metadata(dir.path().join("data.db-wal")).unwrap().len());
    }
    stop.store(1, SeqCst);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert!(largest < written / 2, "{largest} bytes after {written}");
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

/// Makes SQLite's next writes on the writer's thread fail with ENOSPC: COMMIT is where they happen.
fn failing_writes(id: &'static str, commits: u32) -> Job {
    disk::install();
    let mut armed = Some(commits);
    Box::new(move |tx| {
        if let Some(commits) = armed.take() {
            disk::FULL_FOR.set(commits);
        }
        insert(tx, id, "")
    })
}

/// A disk that is full for as many writes as the thread says.
mod disk {
    use std::{cell::Cell, ffi::c_void, sync::Once};

    use rusqlite::ffi;

    thread_local! {
        /// Writes that fail on this thread. A commit stops at its first.
        pub(super) static FULL_FOR: Cell<u32> = const { Cell::new(0) };
    }

    fn full() -> bool {
        FULL_FOR.with(|left| {
            let now = left.get();
            left.set(now.saturating_sub(1));
            now > 0
        })
    }

    unsafe extern "C" fn write(fd: i32, bytes: *const c_void, size: usize) -> isize {
        if full() {
            // SAFETY: the thread's own errno.
            unsafe { *libc::__errno_location() = libc::ENOSPC };
            return -1;
        }
        // SAFETY: SQLite's own arguments, passed on.
        unsafe { libc::write(fd, bytes, size) }
    }

    unsafe extern "C" fn pwrite(fd: i32, bytes: *const c_void, size: usize, offset: i64) -> isize {
        if full() {
            // SAFETY: the thread's own errno.
            unsafe { *libc::__errno_location() = libc::ENOSPC };
            return -1;
        }
        // SAFETY: SQLite's own arguments, passed on.
        unsafe { libc::pwrite(fd, bytes, size, offset) }
    }

    /// Puts the functions above into SQLite's table of system calls, once for the process.
    pub(super) fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the signatures are those of the calls that they replace; SQLite casts them back.
            unsafe {
                let vfs = ffi::sqlite3_vfs_find(std::ptr::null());
                let set = (*vfs).xSetSystemCall.expect("the unix VFS has it");
                let write: unsafe extern "C" fn(i32, *const c_void, usize) -> isize = write;
                let pwrite: unsafe extern "C" fn(i32, *const c_void, usize, i64) -> isize = pwrite;
                set(vfs, c"write".as_ptr(), Some(std::mem::transmute(write)));
                for name in [c"pwrite", c"pwrite64"] {
                    // A build without one of them refuses it.
                    set(vfs, name.as_ptr(), Some(std::mem::transmute(pwrite)));
                }
            }
        });
    }
}
