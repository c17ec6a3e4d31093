//! The queue over a real database: what is run, when, how often, and what a crash leaves behind.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::json;

use super::{
    cron::{Cron, Missed},
    pace::{FULL, MAX_WAITING},
    store::{Held, MAX_DEAD},
    *,
};
use crate::{
    clock::Clock,
    db::{
        self,
        testing::{self, TempDir},
    },
    error::{Error, Kind},
};

const START: Timestamp = Timestamp(1_700_000_000_000);
const KIND: &str = "test";

/// A queue whose clock stands at [`START`], and its directory.
fn queue() -> (Jobs, Clock, TempDir) {
    let clock = Clock::manual(START);
    let (db, dir) = testing::open(db::Options { clock: clock.clone(), ..testing::options() });
    (Jobs::new(db), clock, dir)
}

fn job(n: u32) -> NewJob {
    NewJob::new(KIND, json!(n))
}

fn later(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

/// Everything that is stored, in order: (payload, state, attempts).
fn stored(jobs: &Jobs) -> Vec<(String, String, u32)> {
    let sql = "SELECT payload, state, attempts FROM __conch_jobs ORDER BY id";
    jobs.db.read_blocking(|tx| tx.query_all(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))).unwrap()
}

fn states(jobs: &Jobs) -> Vec<String> {
    stored(jobs).into_iter().map(|(_, state, _)| state).collect()
}

/// Claims as the runner does, and returns (id, attempt, payload).
fn claim(jobs: &Jobs, limit: u32) -> Vec<(i64, u32, String)> {
    let lease = Duration::from_secs(60);
    let runs = jobs.db.write_blocking(move |tx| store::claim(tx, KIND, lease, limit, &Held::of([]))).unwrap();
    runs.into_iter().map(|run| (run.id, run.attempt, run.payload)).collect()
}

/// Waits for something that another task does.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A runner that notes the payloads it gets and answers each as `answer` says.
fn runner(
    jobs: &Jobs,
    policy: Policy,
    answer: impl Fn(&Claimed) -> Result<(), Failure> + Send + Sync + 'static,
) -> (Runner, Arc<Mutex<Vec<u64>>>) {
    let (runner, seen) = (Runner::new(jobs.clone()), Arc::new(Mutex::new(Vec::new())));
    let notes = Arc::clone(&seen);
    runner.on(KIND, policy, move |claimed| {
        notes.lock().push(claimed.payload.as_u64().unwrap());
        std::future::ready(answer(&claimed))
    });
    (runner, seen)
}

#[tokio::test]
async fn jobs_are_claimed_in_the_order_they_are_due_and_never_twice() {
    let (jobs, clock, _dir) = queue();
    for (n, due) in [(1, None), (2, Some(later(10))), (3, Some(later(5))), (4, Some(later(99)))] {
        jobs.enqueue(NewJob { due, ..job(n) }).await.unwrap();
    }
    let mut claimed = Vec::new();
    for (seconds, expected) in [(0, vec!["1"]), (0, vec![]), (10, vec!["2", "3"]), (59, vec![])] {
        clock.set(later(seconds));
        let mut runs = claim(&jobs, 10);
        runs.sort_by(|a, b| a.2.cmp(&b.2));
        assert_eq!(runs.iter().map(|run| &*run.2).collect::<Vec<_>>(), expected, "after {seconds} s");
        claimed.extend(runs);
    }
    // One at a time, the earliest first.
    clock.set(later(200));
    let oldest = claim(&jobs, 1);
    assert_eq!((&*oldest[0].2, oldest[0].1), ("1", 2), "its lease ran out first");
}

#[test]
fn whoever_outlives_its_lease_changes_nothing() {
    type Act = fn(&mut WriteTx<'_>, i64, u32) -> Result<bool>;
    let acts: [(&str, Act); 4] = [
        ("finish", store::finish),
        ("repeat", |tx, id, attempt| store::repeat(tx, id, attempt, START, "x")),
        ("bury", |tx, id, attempt| store::bury(tx, KIND, id, attempt, "x")),
        ("give back", |tx, id, attempt| store::give_back(tx, id, attempt).map(|()| false)),
    ];
    for (what, act) in acts {
        let (jobs, clock, _dir) = queue();
        jobs.db
            .write_blocking({
                let jobs = jobs.clone();
                move |tx| jobs.add(tx, &job(1))
            })
            .unwrap();
        let [(id, 1, _)] = claim(&jobs, 5)[..] else { panic!("{what}") };
        clock.set(later(59));
        assert_eq!(claim(&jobs, 5), [], "the lease holds");
        clock.set(later(60));
        let [(again, 2, _)] = claim(&jobs, 5)[..] else { panic!("{what}") };
        assert_eq!(id, again);
        assert!(!jobs.db.write_blocking(move |tx| act(tx, id, 1)).unwrap(), "{what}");
        assert_eq!(stored(&jobs), [("1".into(), "running".into(), 2)], "{what}");
        assert!(jobs.db.write_blocking(move |tx| store::finish(tx, id, 2)).unwrap());
        assert_eq!(stored(&jobs), []);
    }
}

#[tokio::test]
async fn an_id_is_never_given_twice() {
    let (jobs, _, _dir) = queue();
    let mut last = 0;
    for _ in 0..3 {
        jobs.enqueue(job(1)).await.unwrap();
        let (id, attempt, _) = claim(&jobs, 1).remove(0);
        assert!(id > last);
        last = id;
        jobs.db.write(move |tx| store::finish(tx, id, attempt)).await.unwrap();
    }
}

#[tokio::test]
async fn one_job_waits_under_a_key() {
    let (jobs, clock, _dir) = queue();
    let keyed = |n, key: &str| NewJob { unique: Some(key.into()), ..job(n) };
    for n in 1..4 {
        jobs.enqueue(keyed(n, "a")).await.unwrap();
    }
    jobs.enqueue(keyed(4, "b")).await.unwrap();
    jobs.enqueue(NewJob { kind: "other", ..keyed(5, "a") }).await.unwrap();
    assert_eq!(stored(&jobs).len(), 3);
    // What runs does not count: it may have read the state from before.
    let runs = claim(&jobs, 1);
    jobs.enqueue(keyed(6, "a")).await.unwrap();
    assert_eq!(stored(&jobs).len(), 4);
    // The one that has failed gives way to the one that waits.
    let (id, attempt, _) = runs[0].clone();
    assert!(jobs.db.write(move |tx| store::repeat(tx, id, attempt, START, "x")).await.unwrap());
    let waiting: Vec<_> = stored(&jobs).into_iter().map(|(payload, ..)| payload).collect();
    assert_eq!(waiting, ["4", "5", "6"]);
    // The same when it is given back; without one that waits it waits itself, as if it had never run.
    for (id, attempt, _) in claim(&jobs, 5) {
        jobs.db.write(move |tx| store::give_back(tx, id, attempt)).await.unwrap();
    }
    clock.set(later(1));
    assert_eq!(stored(&jobs).iter().map(|(_, state, n)| (&**state, *n)).collect::<Vec<_>>(), [("waiting", 0); 3]);
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let (jobs, _, _dir) = queue();
    for bad in
        [NewJob { payload: json!("x".repeat(64 << 10)), ..job(1) }, NewJob { unique: Some("x".repeat(1025)), ..job(1) }]
    {
        assert_eq!(jobs.enqueue(bad).await.unwrap_err().kind, Kind::Invalid);
    }
    let fill = "
        INSERT INTO __conch_jobs (kind, payload, due, created)
        SELECT 'test', '1', 0, 0 FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
                                       SELECT i FROM n)";
    jobs.db.write(move |tx| tx.execute(fill, [MAX_WAITING])).await.unwrap();
    let refused = jobs.enqueue(job(1)).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Busy);
    assert!(refused.retry_after.is_some());
    assert_eq!(i64::try_from(stored(&jobs).len()).unwrap(), MAX_WAITING);
    jobs.enqueue(NewJob { kind: "other", ..job(1) }).await.unwrap();
    claim(&jobs, 1);
    tokio::time::sleep(FULL).await;
    jobs.enqueue(job(1)).await.unwrap();
}

#[tokio::test]
async fn the_dead_are_bounded() {
    let (jobs, _, _dir) = queue();
    let fill = "
        INSERT INTO __conch_jobs (kind, payload, state, due, created)
        SELECT 'test', i, 'dead', 0, 0 FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
                                             SELECT i FROM n)";
    jobs.db.write(move |tx| tx.execute(fill, [MAX_DEAD])).await.unwrap();
    jobs.enqueue(job(0)).await.unwrap();
    let (id, attempt, _) = claim(&jobs, 1).remove(0);
    assert!(jobs.db.write(move |tx| store::bury(tx, KIND, id, attempt, "x")).await.unwrap());
    let left = stored(&jobs);
    assert_eq!(i64::try_from(left.len()).unwrap(), MAX_DEAD);
    assert_eq!((&*left[0].0, &*left[left.len() - 1].0), ("2", "0"), "the oldest is gone");
}

#[tokio::test]
async fn adding_wakes_the_runner_at_once_and_a_rolled_back_job_is_none() {
    let (jobs, _, _dir) = queue();
    let (runner, seen) = runner(&jobs, Policy::default(), |_| Ok(()));
    runner.start();
    jobs.enqueue(NewJob { due: Some(later(1)), ..job(1) }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let failing = jobs.clone();
    let failed = jobs.db.write(move |tx| {
        failing.add(tx, &job(2))?;
        Err::<(), _>(Error::invalid("no"))
    });
    failed.await.unwrap_err();
    let mut delays = Vec::new();
    for n in 3..23 {
        let started = Instant::now();
        jobs.enqueue(job(n)).await.unwrap();
        while seen.lock().last() != Some(&u64::from(n)) {
            tokio::task::yield_now().await;
        }
        delays.push(started.elapsed());
    }
    delays.sort();
    assert!(delays[10] < Duration::from_millis(100), "{delays:?}");
    eventually("all are done", || stored(&jobs).len() == 1).await;
    assert_eq!(*seen.lock(), (3..23).collect::<Vec<u64>>());
    runner.stop().await;
}

#[tokio::test]
async fn a_job_runs_when_the_clock_says_so() {
    let (jobs, clock, _dir) = queue();
    let (runner, seen) = runner(&jobs, Policy::default(), |_| Ok(()));
    runner.start();
    for (n, seconds) in [(1, 20), (2, 10), (3, 3600)] {
        jobs.enqueue(NewJob { due: Some(later(seconds)), ..job(n) }).await.unwrap();
    }
    let mut expected = Vec::new();
    for (seconds, n) in [(9, None), (10, Some(2)), (19, None), (20, Some(1)), (3599, None), (3600, Some(3))] {
        clock.set(later(seconds));
        expected.extend(n);
        match n {
            Some(_) => eventually("it runs", || seen.lock().len() == expected.len()).await,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        assert_eq!(*seen.lock(), expected, "after {seconds} s");
    }
    runner.stop().await;
}

#[tokio::test]
async fn failures_are_repeated_later_each_time_and_then_buried() {
    let (jobs, clock, _dir) = queue();
    let policy = Policy { attempts: 4, backoff: Duration::from_secs(10), ..Policy::default() };
    let (runner, seen) = runner(&jobs, policy, |claimed| match claimed.payload.as_u64() {
        Some(1) => Err(Failure::permanent("never")),
        Some(2) => Err(Failure { retry_after: Some(Duration::from_secs(7200)), ..Failure::passing("slow down") }),
        Some(3) => Err(Failure::passing("é".repeat(5000))),
        Some(4) => panic!("poison"),
        _ => Ok(()),
    });
    runner.start();
    for n in 1..6 {
        jobs.enqueue(job(n)).await.unwrap();
    }
    let runs = |n| seen.lock().iter().filter(|seen| **seen == n).count();
    // Nothing runs before half its backoff; everything by the whole of it.
    let mut at = 0;
    for (attempt, backoff) in [(1, 10), (2, 20), (3, 40)] {
        let all = || (runs(1), runs(2), runs(3), runs(4), runs(5)) == (1, 1, attempt, attempt, 1);
        eventually("they have failed", || all() && !states(&jobs).contains(&"running".into())).await;
        clock.set(later(at + backoff / 2 - 1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!((runs(3), runs(4)), (attempt, attempt), "not before {backoff} s");
        at += backoff;
        clock.set(later(at));
        eventually("they run again", || runs(3) + runs(4) == 2 * (attempt + 1)).await;
    }
    eventually("they are dead", || states(&jobs) == ["dead", "waiting", "dead", "dead"]).await;
    clock.set(later(7199));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(runs(2), 1, "as long as it was asked to wait");
    clock.set(later(7200 + 721));
    eventually("then it runs", || runs(2) == 2).await;
    let sql = "SELECT error FROM __conch_jobs WHERE state = 'dead' ORDER BY id";
    let reasons = jobs.db.read(move |tx| tx.query_all(sql, [], |row| row.get::<_, String>(0))).await.unwrap();
    assert_eq!((&*reasons[0], &*reasons[2]), ("never", "it panicked"));
    assert_eq!(reasons[1], "é".repeat(500));
    runner.stop().await;
}

#[tokio::test]
async fn a_run_that_takes_too_long_has_failed() {
    let (jobs, _, _dir) = queue();
    let runner = Runner::new(jobs.clone());
    let policy = Policy { attempts: 1, timeout: Duration::from_millis(20), ..Policy::default() };
    runner.on(KIND, policy, |_| std::future::pending());
    runner.start();
    jobs.enqueue(job(1)).await.unwrap();
    eventually("it is dead", || states(&jobs) == ["dead"]).await;
    runner.stop().await;
}

#[tokio::test]
async fn a_kind_at_its_limit_holds_up_nobody_and_goes_on_when_there_is_room() {
    let (jobs, _, _dir) = queue();
    let runner = Runner::new(jobs.clone());
    let (now, most, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counters = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&ended));
    runner.on(KIND, Policy { concurrency: 3, ..Policy::default() }, move |_| {
        let (now, most, ended) = counters.clone();
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            now.fetch_sub(1, SeqCst);
            ended.fetch_add(1, SeqCst);
            Ok(())
        }
    });
    let quick = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&quick);
    runner.on("quick", Policy::default(), move |_| {
        count.fetch_add(1, SeqCst);
        std::future::ready(Ok(()))
    });
    for n in 0..50 {
        jobs.enqueue(NewJob { kind: "nobody's", ..job(n) }).await.unwrap();
    }
    for n in 0..12 {
        jobs.enqueue(job(n)).await.unwrap();
    }
    runner.start();
    jobs.enqueue(NewJob { kind: "quick", ..job(1) }).await.unwrap();
    eventually("the other kind runs", || quick.load(SeqCst) == 1).await;
    assert!(ended.load(SeqCst) < 12, "meanwhile");
    eventually("all run", || ended.load(SeqCst) == 12).await;
    assert_eq!(most.load(SeqCst), 3);
    eventually("only what nobody handles is left", || states(&jobs) == vec!["waiting"; 50]).await;
    runner.stop().await;
}

#[tokio::test]
async fn what_a_crash_leaves_runs_again_at_once_in_the_next_process() {
    let (jobs, clock, dir) = queue();
    let stuck = Runner::new(jobs.clone());
    stuck.on(KIND, Policy::default(), |_| std::future::pending());
    stuck.start();
    let keyed = |n| NewJob { unique: Some("key".into()), ..job(n) };
    for n in [job(7), keyed(8)] {
        jobs.enqueue(n).await.unwrap();
    }
    eventually("they run", || states(&jobs) == ["running"; 2]).await;
    jobs.enqueue(NewJob { due: Some(later(5)), ..keyed(9) }).await.unwrap();
    // The process is gone: nobody finishes, nobody gives back.
    stuck.abandon();
    eventually("the task is gone", || Arc::strong_count(&jobs.alarm) == 2).await;
    drop(stuck);
    drop(jobs);
    let db = db::Db::open(dir.path(), db::Options { clock: clock.clone(), ..testing::options() });
    let jobs = Jobs::new(db.unwrap());
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&attempts);
    let (runner, seen) = runner(&jobs, Policy::default(), move |claimed| {
        noted.lock().push(claimed.attempt);
        Ok(())
    });
    runner.start();
    eventually("it runs again", || states(&jobs) == ["waiting"]).await;
    // The one under a key makes way for what waits under it.
    assert_eq!((&*seen.lock(), &*attempts.lock()), (&vec![7], &vec![2]), "what has begun counts");
    let outcomes: Vec<_> = history(&jobs).await;
    assert_eq!(outcomes, ["done", "lost", "lost"]);
    runner.stop().await;
}

/// The outcomes of the ended runs, the newest first.
async fn history(jobs: &Jobs) -> Vec<String> {
    let found = jobs.history(Search { limit: 500, ..Search::default() }).await.unwrap();
    found.into_iter().map(|run| run.outcome).collect()
}

#[tokio::test]
async fn what_takes_the_process_with_it_is_buried_in_the_end() {
    let (jobs, clock, _dir) = queue();
    let policy = Policy { attempts: 2, ..Policy::default() };
    jobs.enqueue(job(1)).await.unwrap();
    for crash in 1..3 {
        assert_eq!(claim(&jobs, 1).len(), 1, "crash {crash}");
        clock.set(later(60 * crash));
    }
    let (runner, seen) = runner(&jobs, policy, |_| Ok(()));
    runner.start();
    jobs.enqueue(job(2)).await.unwrap();
    eventually("the next one is done", || states(&jobs) == ["dead"]).await;
    assert_eq!(*seen.lock(), [2]);
    runner.stop().await;
}

#[tokio::test]
async fn who_runs_here_is_not_run_twice_however_far_the_clock_jumps() {
    let (jobs, clock, _dir) = queue();
    let (runner, runs, go) = (Runner::new(jobs.clone()), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (count, gate) = (Arc::clone(&runs), Arc::clone(&go));
    runner.on(KIND, Policy::default(), move |_| {
        count.fetch_add(1, SeqCst);
        let gate = Arc::clone(&gate);
        async move {
            while gate.load(SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        }
    });
    runner.start();
    jobs.enqueue(job(1)).await.unwrap();
    eventually("it runs", || runs.load(SeqCst) == 1).await;
    clock.set(later(100_000));
    tokio::time::sleep(Duration::from_millis(30)).await;
    go.store(1, SeqCst);
    eventually("it is done", || stored(&jobs).is_empty()).await;
    assert_eq!(runs.load(SeqCst), 1);
    runner.stop().await;
}

#[tokio::test]
async fn the_more_urgent_go_first_among_what_is_due() {
    let (jobs, _, _dir) = queue();
    let (runner, seen) = runner(&jobs, Policy { concurrency: 1, ..Policy::default() }, |_| Ok(()));
    for (n, priority) in [(1, Priority::Low), (2, Priority::Normal), (3, Priority::High), (4, Priority::Normal)] {
        jobs.enqueue(NewJob { priority, ..job(n) }).await.unwrap();
    }
    jobs.enqueue(NewJob { priority: Priority::High, due: Some(later(9)), ..job(5) }).await.unwrap();
    runner.start();
    eventually("they run", || seen.lock().len() == 4).await;
    assert_eq!(*seen.lock(), [3, 2, 4, 1]);
    runner.stop().await;
}

#[tokio::test]
async fn a_kind_runs_no_faster_than_it_may_even_while_the_clock_stands() {
    let (jobs, _, _dir) = queue();
    let rate = Some(Rate { runs: 5, per: Duration::from_millis(100) });
    let (runner, seen) = runner(&jobs, Policy { rate, ..Policy::default() }, |_| Ok(()));
    for n in 0..15 {
        jobs.enqueue(job(n)).await.unwrap();
    }
    let started = Instant::now();
    runner.start();
    eventually("all run", || seen.lock().len() == 15).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(195), "{took:?}");
    runner.stop().await;
}

/// Permits that come while the queue is looked at are none that anybody was told of.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_with_a_rate_goes_on_however_long_a_look_takes() {
    let (jobs, _, _dir) = queue();
    let rate = Some(Rate { runs: 1, per: Duration::from_millis(20) });
    let (runner, seen) = runner(&jobs, Policy { rate, ..Policy::default() }, |_| Ok(()));
    for n in 0..5 {
        jobs.enqueue(job(n)).await.unwrap();
    }
    let db = jobs.db.clone();
    let busy = tokio::spawn(async move {
        loop {
            let slow = |_: &mut WriteTx<'_>| {
                std::thread::sleep(Duration::from_millis(60));
                Ok(())
            };
            db.write(slow).await.unwrap();
        }
    });
    runner.start();
    eventually("all run", || seen.lock().len() == 5).await;
    busy.abort();
    runner.stop().await;
}

#[tokio::test]
async fn superusers_see_the_queue_and_set_it_right() {
    let (jobs, clock, _dir) = queue();
    let (runner, seen) = runner(&jobs, Policy { attempts: 1, ..Policy::default() }, |claimed| {
        if claimed.payload == json!(1) && claimed.attempt == 1 { Err(Failure::passing("no")) } else { Ok(()) }
    });
    runner.start();
    jobs.enqueue(job(1)).await.unwrap();
    for n in [2, 3] {
        jobs.enqueue(NewJob { due: Some(later(500)), unique: Some(n.to_string()), ..job(n) }).await.unwrap();
    }
    eventually("it is dead", || states(&jobs) == ["dead", "waiting", "waiting"]).await;
    let search = |state| Search { state, limit: 10, ..Search::default() };
    let dead = jobs.list(search(Some(State::Dead))).await.unwrap().remove(0);
    assert_eq!((&*dead.kind, &*dead.error, &dead.payload), (KIND, "no", &json!(1)));
    assert_eq!((dead.due, dead.ended.is_empty(), dead.priority), (START.to_string(), false, "normal"));
    let ids: Vec<i64> = jobs.list(search(None)).await.unwrap().iter().map(|entry| entry.id.parse().unwrap()).collect();
    let [third, second, first] = ids[..] else { panic!("{ids:?}") };
    let older = jobs.list(Search { before: Some(third), ..search(Some(State::Waiting)) }).await.unwrap();
    assert_eq!(older.len(), 1);
    assert!(jobs.list(Search { kind: Some("other".into()), ..search(None) }).await.unwrap().is_empty());
    // What does not fit its state is refused, what is not there not found.
    for refused in [jobs.replay(second).await, jobs.cancel(first).await, jobs.run_now(first).await] {
        assert_eq!(refused.unwrap_err().kind, Kind::Invalid);
    }
    for missing in [jobs.replay(999).await, jobs.cancel(999).await, jobs.run_now(999).await] {
        assert_eq!(missing.unwrap_err().kind, Kind::NotFound);
    }
    jobs.run_now(second).await.unwrap();
    jobs.cancel(third).await.unwrap();
    eventually("one has run, one is gone", || states(&jobs) == ["dead"]).await;
    // It fails again, from the beginning.
    clock.set(later(1));
    jobs.replay(first).await.unwrap();
    eventually("it has run again", || seen.lock().len() == 3 && states(&jobs) == ["dead"]).await;
    assert_eq!(*seen.lock(), [1, 2, 1]);
    assert_eq!(history(&jobs).await, ["dead", "done", "dead"]);
    assert!(runner.is_idle().await.unwrap());
    runner.stop().await;
}

#[tokio::test]
async fn the_newest_runs_are_remembered() {
    let (jobs, _, _dir) = queue();
    let (runner, _) = runner(&jobs, Policy::default(), |_| Ok(()));
    runner.start();
    for n in 0..120 {
        jobs.enqueue(job(n)).await.unwrap();
    }
    eventually("they have run", || stored(&jobs).is_empty()).await;
    assert_eq!(history(&jobs).await.len(), 100);
    runner.stop().await;
}

/// A cron at every hour whose runs take until they are let go, and the times for which they ran.
fn series(
    jobs: &Jobs,
    missed: Missed,
    overlap: Overlap,
    gate: &Arc<AtomicU32>,
) -> (Runner, Arc<Mutex<Vec<Option<i64>>>>) {
    let (runner, seen) = (Runner::new(jobs.clone()), Arc::new(Mutex::new(Vec::new())));
    let (notes, gate) = (Arc::clone(&seen), Arc::clone(gate));
    runner.cron(KIND, Cron::utc("0 * * * *"), missed, overlap, move |claimed| {
        let hour = |time: Timestamp| (time.0 - hour(0).0) / 3_600_000;
        notes.lock().push(claimed.scheduled.map(hour));
        let gate = Arc::clone(&gate);
        async move {
            while gate.load(SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        }
    });
    runner.start();
    (runner, seen)
}

fn hour(n: i64) -> Timestamp {
    Timestamp((START.0 / 3_600_000 + n) * 3_600_000)
}

#[tokio::test]
async fn a_cron_makes_up_for_what_it_missed_as_it_was_told() {
    for (missed, expected) in [
        (Missed::Skip, vec![]),
        (Missed::Once, vec![Some(1)]),
        (Missed::All(2), vec![Some(1), Some(4), Some(5)]),
        (Missed::All(50), vec![Some(1), Some(2), Some(3), Some(4), Some(5)]),
    ] {
        let (jobs, clock, _dir) = queue();
        let open = Arc::new(AtomicU32::new(1));
        let (runner, _) = series(&jobs, missed, Overlap::Skip, &open);
        eventually("the next run waits", || states(&jobs) == ["waiting"]).await;
        runner.stop().await;
        clock.set(Timestamp(hour(5).0 + 1_800_000));
        let (runner, seen) = series(&jobs, missed, Overlap::Skip, &open);
        let next = || jobs.db.read_blocking(|tx| store::next(tx, KIND, &Held::of([]))).unwrap();
        eventually("the next run waits", || states(&jobs) == ["waiting"] && next() == Some(hour(6))).await;
        assert_eq!(*seen.lock(), expected, "{missed:?}");
        assert_eq!(history(&jobs).await.len(), expected.len().max(1), "what was left out is told, too");
        // In time again.
        clock.set(hour(6));
        eventually("it runs", || seen.lock().last() == Some(&Some(6))).await;
        runner.stop().await;
    }
}

#[tokio::test]
async fn a_cron_whose_run_takes_longer_does_as_it_was_told() {
    for (overlap, meanwhile, afterwards) in [
        (Overlap::Skip, vec![1], vec![1, 4]),
        (Overlap::Wait, vec![1], vec![1, 2, 4]),
        (Overlap::Allow, vec![1, 2, 3], vec![1, 2, 3, 4]),
    ] {
        let (jobs, clock, _dir) = queue();
        let gate = Arc::new(AtomicU32::new(0));
        let (runner, seen) = series(&jobs, Missed::Once, overlap, &gate);
        let ran = || seen.lock().iter().flatten().copied().collect::<Vec<_>>();
        eventually("the next run waits", || states(&jobs) == ["waiting"]).await;
        for n in 1..4 {
            clock.set(hour(n));
            eventually("it runs", || ran().len() >= meanwhile.len().min(n as usize)).await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        assert_eq!(ran(), meanwhile, "{overlap:?}");
        gate.store(1, SeqCst);
        let next = || jobs.db.read_blocking(|tx| store::next(tx, KIND, &Held::of([]))).unwrap();
        eventually("all have ended", || states(&jobs) == ["waiting"] && next() == Some(hour(4))).await;
        clock.set(hour(4));
        eventually("it runs", || ran() == afterwards).await;
        runner.stop().await;
    }
}

#[tokio::test]
async fn crons_are_listed_run_when_called_for_and_follow_a_new_schedule() {
    let (jobs, _, _dir) = queue();
    let open = Arc::new(AtomicU32::new(1));
    let (first, seen) = series(&jobs, Missed::Once, Overlap::Skip, &open);
    eventually("the next run waits", || states(&jobs) == ["waiting"]).await;
    assert!(first.run_cron(KIND).await.unwrap() && !first.run_cron("other").await.unwrap());
    eventually("it has run, and the series goes on", || *seen.lock() == [None] && states(&jobs) == ["waiting"]).await;
    let id = jobs.list(Search { limit: 1, ..Search::default() }).await.unwrap()[0].id.parse().unwrap();
    assert_eq!(jobs.cancel(id).await.unwrap_err().kind, Kind::Invalid, "it would come again");
    first.stop().await;
    let runner = Runner::new(jobs.clone());
    for id in ["__pbZ__", "z", "__pbA__", KIND] {
        runner.cron(id, Cron::utc("@daily"), Missed::Skip, Overlap::Skip, |_| std::future::ready(Ok(())));
    }
    runner.on("no cron", Policy::default(), |_| std::future::ready(Ok(())));
    let listed: Vec<_> = runner.crons().into_iter().map(|cron| (cron.id, cron.expression)).collect();
    assert_eq!(listed, [KIND, "z", "__pbZ__", "__pbA__"].map(|id| (id, "0 0 * * *".to_owned())));
    runner.start();
    let next = || jobs.db.read_blocking(|tx| store::next(tx, KIND, &Held::of([]))).unwrap();
    let midnight = Cron::utc("@daily").next_after(START);
    eventually("it is due at midnight", || states(&jobs) == ["waiting"; 4] && next() == midnight).await;
    runner.stop().await;
}

/// Whose times change with the settings, and which may have none.
#[tokio::test]
async fn a_cron_is_given_other_times_while_it_is_there() {
    let (jobs, clock, _dir) = queue();
    let (runner, runs) = (Runner::new(jobs.clone()), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&runs);
    let times = runner.cron_later(KIND, Policy::default(), move |_| {
        count.fetch_add(1, SeqCst);
        std::future::ready(Ok(()))
    });
    runner.start();
    assert!(runner.crons().is_empty() && !runner.run_cron(KIND).await.unwrap());
    let next = || jobs.db.read_blocking(|tx| store::next(tx, KIND, &Held::of([]))).unwrap();
    for (expected, expression) in (1..).zip(["0 * * * *", "30 * * * *", "@daily"]) {
        let cron = Cron::utc(expression);
        let due = cron.next_after(clock.now());
        times.set(Some(cron));
        eventually(expression, || next() == due && states(&jobs) == ["waiting"]).await;
        clock.set(due.unwrap());
        eventually("it runs then", || runs.load(SeqCst) == expected && states(&jobs) == ["waiting"]).await;
        assert_eq!(runner.crons()[0].id, KIND);
    }
    times.set(None);
    eventually("it has no times any more", || states(&jobs).is_empty()).await;
    assert!(runner.crons().is_empty());
    times.set(Some(Cron::utc("@daily")));
    eventually("it has some again", || states(&jobs) == ["waiting"]).await;
    runner.stop().await;
    // Nobody has told the next process of any times.
    let runner = Runner::new(jobs.clone());
    runner.cron_later(KIND, Policy::default(), |_| std::future::ready(Ok(())));
    runner.start();
    eventually("it forgets those of the last", || states(&jobs).is_empty()).await;
    runner.stop().await;
}

#[tokio::test]
async fn hourly_jobs_run_once_an_hour_and_once_for_all_that_were_missed() {
    let (jobs, clock, _dir) = queue();
    let runs = Arc::new(AtomicU32::new(0));
    let begin = || {
        let (runner, count) = (Runner::new(jobs.clone()), Arc::clone(&runs));
        runner.hourly(KIND, move |claimed| {
            assert!(claimed.payload.is_null());
            let run = count.fetch_add(1, SeqCst);
            std::future::ready(if run == 1 { Err(Failure::permanent("once")) } else { Ok(()) })
        });
        runner.start();
        runner
    };
    let runner = begin();
    for (n, expected, left) in [
        (1, 1, vec!["waiting"]),
        // A failure for good does not end the series.
        (2, 2, vec!["dead", "waiting"]),
        (3, 3, vec!["dead", "waiting"]),
    ] {
        clock.set(Timestamp(hour(n).0 - 1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(runs.load(SeqCst), expected - 1, "before hour {n}");
        clock.set(hour(n));
        eventually("it has run", || runs.load(SeqCst) == expected && states(&jobs) == left).await;
    }
    runner.stop().await;
    clock.set(hour(30));
    let runner = begin();
    eventually("it has run once", || runs.load(SeqCst) == 4 && states(&jobs) == ["dead", "waiting"]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(runs.load(SeqCst), 4);
    let next = jobs.db.read(|tx| store::next(tx, KIND, &Held::of([]))).await.unwrap();
    assert_eq!(next, Some(hour(31)));
    runner.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_who_ends_soon_and_gives_back_the_rest() {
    let (jobs, _, _dir) = queue();
    let runner = Runner::new(jobs.clone());
    runner.on(KIND, Policy::default(), |claimed| async move {
        let millis = if claimed.payload == json!(1) { 50 } else { 60_000 };
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(())
    });
    runner.start();
    for n in 1..3 {
        jobs.enqueue(job(n)).await.unwrap();
    }
    eventually("both run", || states(&jobs) == ["running"; 2]).await;
    runner.stop().await;
    assert_eq!(stored(&jobs), [("2".into(), "waiting".into(), 0)]);
    jobs.enqueue(job(3)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(states(&jobs), ["waiting"; 2], "nothing is claimed any more");
    runner.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_buried() {
    let (jobs, _, _dir) = queue();
    let spoilt = "INSERT INTO __conch_jobs (kind, payload, due, created) VALUES ('test', '{', 0, 0)";
    jobs.db.write(move |tx| tx.execute(spoilt, [])).await.unwrap();
    let (runner, seen) = runner(&jobs, Policy::default(), |_| Ok(()));
    runner.start();
    eventually("it is dead", || states(&jobs) == ["dead"]).await;
    assert!(seen.lock().is_empty());
    runner.stop().await;
}

#[test]
fn no_question_walks_over_the_table() {
    let (jobs, _, _dir) = queue();
    for sql in [
        store::COUNT_WAITING,
        store::CLAIM,
        store::NEXT,
        store::BURY_ENDLESS,
        store::FORGET_DEAD,
        store::HAS_SERIES,
        store::IS_BUSY,
        history::TRIM,
    ] {
        let params = vec![db::Value::Null; (1..9).take_while(|n| sql.contains(&format!("?{n}"))).count()];
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let plan = jobs.db.read_blocking(|tx| {
            tx.query_all(&explain, rusqlite::params_from_iter(&params), |row| row.get::<_, String>(3))
        });
        for step in plan.unwrap() {
            let bad = step.contains("SCAN __conch_jobs") || step.contains("TEMP B-TREE");
            let found = !step.contains("__conch_jobs") || step.contains("(kind=?") || step.contains("(rowid=?");
            assert!(!bad && found, "{step} in {sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_goes_on_from_now_when_the_clock_was_set_back() {
    const HOUR: i64 = 3_600_000;
    let (jobs, clock, _dir) = queue();
    let runner = Runner::new(jobs.clone());
    runner.hourly(KIND, |_| async { Ok(()) });
    clock.set(Timestamp(1000 * HOUR));
    runner.start();
    let due = |jobs: &Jobs| -> Vec<i64> {
        let sql = "SELECT due FROM __conch_jobs WHERE state = 'waiting' ORDER BY id";
        jobs.db.read_blocking(|tx| tx.query_all(sql, [], |row| row.get(0))).unwrap()
    };
    eventually("the first run is planned", || due(&jobs) == [1001 * HOUR]).await;
    clock.set(Timestamp(10 * HOUR));
    // Whatever is added has the runner look.
    jobs.enqueue(job(1)).await.unwrap();
    eventually("it is planned anew", || due(&jobs) == [11 * HOUR]).await;
    runner.stop().await;
}
