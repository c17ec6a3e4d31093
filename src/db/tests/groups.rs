//! What a group does when jobs fail, panic, or meet a full disk.

use super::*;

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
async fn what_nobody_waits_for_lets_others_pass() {
    let (db, _dir) = open(options());
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    db.on_commit(move |commit| {
        seen.lock().push(commit.changes.iter().map(|(_, c)| c.record.clone()).collect::<Vec<_>>())
    });
    let (release, holder) = hold(&db);
    let mut writes: Vec<std::pin::Pin<Box<dyn Future<Output = Result<u64>> + Send>>> = Vec::new();
    for id in ["z1", "a", "z2", "b"] {
        let (db, job) = (db.clone(), inserting(id));
        writes.push(if id.starts_with('z') {
            Box::pin(async move { db.write_behind(job).await })
        } else {
            Box::pin(async move { db.write(job).await })
        });
    }
    for write in &mut writes {
        assert!(write.now_or_never().is_none());
    }
    drop(release);
    holder.await.unwrap();
    assert!(join_all(writes).await.into_iter().all(|result| result.is_ok()));
    // None of them is second to anybody in a group: each has its own.
    assert_eq!(*order.lock(), [vec!["a", "b"], vec!["z1"], vec!["z2"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_can_end_when_somebody_comes() {
    let (db, _dir) = open(options());
    let (seen, came) = (Arc::new(Mutex::new(Vec::new())), db.clone());
    let noted = Arc::clone(&seen);
    let long = db.write_behind(move |tx| {
        let before = tx.should_end();
        let waits = came.write(inserting("late"));
        tokio::pin!(waits);
        assert!(waits.now_or_never().is_none());
        noted.lock().push((before, tx.should_end()));
        Ok(())
    });
    long.await.unwrap();
    assert_eq!(*seen.lock(), [(false, true)]);
    // A write that somebody waits for never ends early.
    let (release, holder) = hold(&db);
    let ends = |seen: &Arc<Mutex<Vec<bool>>>| {
        let seen = Arc::clone(seen);
        move |tx: &mut WriteTx<'_>| {
            seen.lock().push(tx.should_end());
            Ok(())
        }
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let writes = [Box::pin(db.write(ends(&seen))), Box::pin(db.write(ends(&seen)))];
    let writes: Vec<_> = writes.into_iter().map(|mut write| (write.as_mut().now_or_never().is_none(), write)).collect();
    drop(release);
    holder.await.unwrap();
    for (waited, write) in writes {
        assert!(waited);
        write.await.unwrap();
    }
    assert_eq!(*seen.lock(), [false, false]);
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
            tx.after_commit(move || _ = counted.fetch_add(1, SeqCst));
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
