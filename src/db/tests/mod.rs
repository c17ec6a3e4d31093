//! The room as a whole: what a group does when a job fails, when the disk is full, when readers are slow.

mod disk;
mod exchange;
mod groups;
mod logging;
mod opening;
mod planning;
mod reading;

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
