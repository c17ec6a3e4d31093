//! What is done to the rows of `__conch_jobs`. A run is named by (id, attempt): whoever has outlived its lease does not
//! name the current one, and changes nothing.

use std::{cmp::Reverse, time::Duration};

use rusqlite::params;

use super::{
    NewJob, history,
    pace::{Allowance, MAX_WAITING},
    recurring,
};
use crate::{
    clock::Timestamp,
    db::{ReadTx, WriteTx},
    error::{Error, Result},
};

/// Dead jobs of one kind that are kept, the newest.
pub(super) const MAX_DEAD: i64 = 1000;
const MAX_PAYLOAD: usize = 64 << 10;
const MAX_KEY: usize = 1 << 10;

// The questions that must not walk over the whole table; `tests` holds them to it.

/// Stops counting when there are too many.
pub(super) const COUNT_WAITING: &str = "
    SELECT count(*) FROM
      (SELECT 1 FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' LIMIT ?2)";

/// Each part finds its rows by an index of its own. Of the same priority the oldest first, lest they wait for ever.
/// `?5` are the runs of this process, which nobody else takes however long they last.
pub(super) const CLAIM: &str = "
    UPDATE __conch_jobs SET state = 'running', attempts = attempts + 1, lease = ?3
    WHERE id IN (
      SELECT id FROM (SELECT id FROM __conch_jobs WHERE kind = ?1 AND state = 'running' AND lease <= ?2
                      AND id NOT IN (SELECT value FROM json_each(?5)) ORDER BY lease LIMIT ?4)
      UNION ALL
      SELECT id FROM (SELECT id FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' AND priority = 2
                      AND due <= ?2 ORDER BY due LIMIT ?4)
      UNION ALL
      SELECT id FROM (SELECT id FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' AND priority = 1
                      AND due <= ?2 ORDER BY due LIMIT ?4)
      UNION ALL
      SELECT id FROM (SELECT id FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' AND priority = 0
                      AND due <= ?2 ORDER BY due LIMIT ?4)
      LIMIT ?4)
    RETURNING id, attempts, payload, key, priority, due";

/// The earliest that is due or whose lease runs out.
pub(super) const NEXT: &str = "
    SELECT min(at) FROM
      (SELECT min(due) AS at FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' AND priority = 2
       UNION ALL
       SELECT min(due) FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' AND priority = 1
       UNION ALL
       SELECT min(due) FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' AND priority = 0
       UNION ALL
       SELECT min(lease) FROM __conch_jobs
       WHERE kind = ?1 AND state = 'running' AND id NOT IN (SELECT value FROM json_each(?2)))";

/// Runs over their lease and often enough.
pub(super) const BURY_ENDLESS: &str = "
    UPDATE __conch_jobs
    SET state = 'dead', lease = NULL, ended = ?2, error = 'its last run never ended'
    WHERE kind = ?1 AND state = 'running' AND lease <= ?2 AND attempts >= ?3
      AND id NOT IN (SELECT value FROM json_each(?4))";

/// Whether the next run of a series waits, or one runs. No key of a series lies outside these bounds.
pub(super) const HAS_SERIES: &str = "
    SELECT EXISTS (SELECT 1 FROM __conch_jobs
                   WHERE kind = ?1 AND state = 'waiting' AND key >= 'at ' AND key < 'at!')
        OR EXISTS (SELECT 1 FROM __conch_jobs
                   WHERE kind = ?1 AND state = 'running' AND key >= 'at ' AND key < 'at!')";

/// All but the newest.
pub(super) const FORGET_DEAD: &str = "
    DELETE FROM __conch_jobs WHERE kind = ?1 AND state = 'dead' AND id <=
      (SELECT id FROM __conch_jobs WHERE kind = ?1 AND state = 'dead' ORDER BY id DESC LIMIT 1 OFFSET ?2)";

/// Whether one is due or runs.
pub(super) const IS_BUSY: &str = "
    SELECT EXISTS (SELECT 1 FROM __conch_jobs
                   WHERE kind = ?1 AND state = 'waiting' AND priority IN (0, 1, 2) AND due <= ?2)
        OR EXISTS (SELECT 1 FROM __conch_jobs WHERE kind = ?1 AND state = 'running')";

/// A run that has been claimed.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub id: i64,
    pub attempt: u32,
    /// JSON, as far as we know.
    pub payload: String,
    pub key: Option<String>,
    pub began: Timestamp,
}

impl Run {
    /// For which time of its series it runs.
    pub fn scheduled(&self) -> Option<Timestamp> {
        recurring::scheduled(self.key.as_deref())
    }
}

/// When the new job is due; `None` when one under its key waits already.
pub(super) fn add(tx: &mut WriteTx<'_>, job: &NewJob, allowance: &Allowance) -> Result<Option<Timestamp>> {
    let payload = job.payload.to_string();
    let key = job.unique.as_deref();
    if payload.len() > MAX_PAYLOAD || key.is_some_and(|key| key.len() > MAX_KEY) {
        return Err(Error::invalid("There is too much to remember for later."));
    }
    let now = tx.now();
    let due = job.due.unwrap_or(now);
    let sql = "
        INSERT INTO __conch_jobs (kind, key, payload, priority, due, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (kind, key) WHERE state = 'waiting' AND key IS NOT NULL DO NOTHING";
    if tx.execute(sql, params![job.kind, key, payload, job.priority as u8, due.0, now.0])? == 0 {
        return Ok(None);
    }
    // The insert is undone with the savepoint.
    if !allowance.admits(job.kind, || waiting(tx, job.kind))? {
        return Err(Error::busy(Duration::from_secs(5)));
    }
    Ok(Some(due))
}

fn waiting(tx: &ReadTx<'_>, kind: &str) -> Result<i64> {
    let counted = tx.query_one(COUNT_WAITING, params![kind, MAX_WAITING + 1], |row| row.get(0))?;
    Ok(counted.unwrap_or(0))
}

/// Up to `limit` runs of what is due, and of what has outlived its lease, for so long from now on; the most urgent
/// first. `held` runs here already.
pub(super) fn claim(tx: &mut WriteTx<'_>, kind: &str, lease: Duration, limit: u32, held: &Held) -> Result<Vec<Run>> {
    let now = tx.now();
    let mut runs = tx.query_all(CLAIM, params![kind, now.0, now.plus(lease).0, limit, held.0], |row| {
        let run = Run { id: row.get(0)?, attempt: row.get(1)?, payload: row.get(2)?, key: row.get(3)?, began: now };
        Ok((Reverse(row.get::<_, u8>(4)?), row.get::<_, i64>(5)?, run))
    })?;
    runs.sort_by_key(|(priority, due, run)| (*priority, *due, run.id));
    Ok(runs.into_iter().map(|(.., run)| run).collect())
}

/// The ids of jobs that run in this process, as a JSON list.
#[derive(Debug, Clone)]
pub(super) struct Held(String);

impl Held {
    pub fn of(ids: impl IntoIterator<Item = i64>) -> Self {
        let ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
        Self(format!("[{}]", ids.join(",")))
    }
}

/// When there is something to claim next.
pub(super) fn next(tx: &ReadTx<'_>, kind: &str, held: &Held) -> Result<Option<Timestamp>> {
    let next = tx.query_one(NEXT, params![kind, held.0], |row| row.get::<_, Option<i64>>(0))?;
    Ok(next.flatten().map(Timestamp))
}

/// Whether the next run of a series waits, or one runs.
pub(super) fn has_series(tx: &ReadTx<'_>, kind: &str) -> Result<bool> {
    Ok(tx.query_one(HAS_SERIES, [kind], |row| row.get(0))? == Some(true))
}

/// Forgets runs of a series that are due after `now` at another time than `next` and have not been tried.
pub(super) fn forget_series_but(tx: &mut WriteTx<'_>, kind: &str, now: Timestamp, next: Timestamp) -> Result<()> {
    let sql = "
        DELETE FROM __conch_jobs
        WHERE kind = ?1 AND state = 'waiting' AND key >= 'at ' AND key < 'at!' AND attempts = 0
          AND due > ?2 AND due <> ?3";
    tx.execute(sql, params![kind, now.0, next.0])?;
    Ok(())
}

/// Forgets the series: nothing of it is due any more.
pub(super) fn forget_series(tx: &mut WriteTx<'_>, kind: &str) -> Result<()> {
    let sql = "
        DELETE FROM __conch_jobs WHERE kind = ?1 AND state = 'waiting' AND key >= 'at ' AND key < 'at!' AND attempts = 0";
    tx.execute(sql, [kind])?;
    Ok(())
}

/// Nothing runs yet in this process, which owns the directory: whatever ran has ended with another one. What has been
/// run often enough there takes the process with it and is buried; the rest waits again. Its attempts count.
pub(super) fn recover(tx: &mut WriteTx<'_>, policies: &[(&'static str, u32)]) -> Result<usize> {
    let lost = "
        INSERT INTO __conch_job_runs (job, kind, attempt, began, outcome, error)
        SELECT id, kind, attempts, coalesce(lease, due), 'lost', 'the process ended before it did'
        FROM __conch_jobs WHERE state = 'running'";
    let lost = tx.execute(lost, [])?;
    if lost == 0 {
        return Ok(0);
    }
    for &(kind, attempts) in policies {
        history::trim(tx, kind)?;
        let bury = "
            UPDATE __conch_jobs SET state = 'dead', lease = NULL, ended = ?2, error = 'its last run never ended'
            WHERE kind = ?1 AND state = 'running' AND attempts >= ?3";
        if tx.execute(bury, params![kind, tx.now().0, attempts])? > 0 {
            tracing::error!(kind, "jobs that ended with their process each time were buried");
            forget_oldest_dead(tx, kind)?;
        }
    }
    tx.execute("UPDATE OR IGNORE __conch_jobs SET state = 'waiting', lease = NULL WHERE state = 'running'", [])?;
    // Others with their keys wait: those do for both.
    tx.execute("DELETE FROM __conch_jobs WHERE state = 'running'", [])?;
    Ok(lost)
}

/// Whether none runs or is due at `now`.
pub(super) fn is_idle(tx: &ReadTx<'_>, kind: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.query_one(IS_BUSY, params![kind, now.0], |row| row.get(0))? != Some(true))
}

/// The job is done. False when the run is not the current one.
pub(super) fn finish(tx: &mut WriteTx<'_>, id: i64, attempt: u32) -> Result<bool> {
    let sql = "DELETE FROM __conch_jobs WHERE id = ?1 AND attempts = ?2 AND state = 'running'";
    Ok(tx.execute(sql, params![id, attempt])? == 1)
}

/// The job has failed and waits for its next run. False when the run is not the current one.
pub(super) fn repeat(tx: &mut WriteTx<'_>, id: i64, attempt: u32, due: Timestamp, error: &str) -> Result<bool> {
    let sql = "
        UPDATE OR IGNORE __conch_jobs SET state = 'waiting', lease = NULL, due = ?3, error = ?4
        WHERE id = ?1 AND attempts = ?2 AND state = 'running'";
    let waits = tx.execute(sql, params![id, attempt, due.0, error])? == 1;
    // Ignored: another with its key was added meanwhile and waits. That one does for both.
    Ok(waits || finish(tx, id, attempt)?)
}

/// The job has failed for good. False when the run is not the current one.
pub(super) fn bury(tx: &mut WriteTx<'_>, kind: &str, id: i64, attempt: u32, error: &str) -> Result<bool> {
    let sql = "
        UPDATE __conch_jobs SET state = 'dead', lease = NULL, ended = ?3, error = ?4
        WHERE id = ?1 AND attempts = ?2 AND state = 'running'";
    let buried = tx.execute(sql, params![id, attempt, tx.now().0, error])? == 1;
    forget_oldest_dead(tx, kind)?;
    Ok(buried)
}

/// Buries what has been run often enough and never ended: whatever it does, it takes the process with it.
pub(super) fn bury_endless(tx: &mut WriteTx<'_>, kind: &str, attempts: u32, held: &Held) -> Result<usize> {
    let buried = tx.execute(BURY_ENDLESS, params![kind, tx.now().0, attempts, held.0])?;
    if buried > 0 {
        forget_oldest_dead(tx, kind)?;
    }
    Ok(buried)
}

/// The run was broken off before it could end, by no fault of the job: it does not count.
pub(super) fn give_back(tx: &mut WriteTx<'_>, id: i64, attempt: u32) -> Result<()> {
    let sql = "
        UPDATE OR IGNORE __conch_jobs SET state = 'waiting', lease = NULL, attempts = attempts - 1
        WHERE id = ?1 AND attempts = ?2 AND state = 'running'";
    if tx.execute(sql, params![id, attempt])? == 0 {
        finish(tx, id, attempt)?;
    }
    Ok(())
}

fn forget_oldest_dead(tx: &mut WriteTx<'_>, kind: &str) -> Result<()> {
    tx.execute(FORGET_DEAD, params![kind, MAX_DEAD])?;
    Ok(())
}
