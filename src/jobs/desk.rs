//! What a superuser sees of the queue, and may do to it (`docs/jobs.md`).

use rusqlite::{Row, params};
use serde::Serialize;
use serde_json::Value as Json;

use super::Jobs;
use crate::{
    clock::Timestamp,
    db::{ReadTx, WriteTx},
    error::{Error, Result},
};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Waiting,
    Running,
    Dead,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Running, Self::Dead];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

/// Which jobs, or ended runs, to list: the newest first.
#[derive(Debug, Clone, Default)]
pub struct Search {
    pub kind: Option<String>,
    /// Of jobs.
    pub state: Option<State>,
    /// Only older ones than this.
    pub before: Option<i64>,
    /// So many at most.
    pub limit: u16,
}

/// A job as superusers see it. Times are the wire's datetimes, blank where there is none.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub id: String,
    pub kind: String,
    pub state: String,
    pub key: String,
    /// `low`, `normal` or `high`.
    pub priority: &'static str,
    pub payload: Json,
    pub created: String,
    pub due: String,
    /// Runs that have begun.
    pub attempts: u32,
    /// While it runs: until when nobody else may run it.
    pub lease: String,
    /// When it died.
    pub ended: String,
    /// Why the last run failed.
    pub error: String,
}

/// A run that has ended.
#[derive(Debug, Serialize)]
pub struct PastRun {
    pub id: String,
    pub job: String,
    pub kind: String,
    pub attempt: u32,
    pub started: String,
    /// In milliseconds; null when nobody saw the end.
    pub duration: Option<i64>,
    /// `done`, `failed` (and repeated), `dead` (and not), `lost` (with its process) or `skipped` (too late for it).
    pub outcome: String,
    pub error: String,
}

impl Jobs {
    /// What is in the queue, the newest first.
    pub async fn list(&self, search: Search) -> Result<Vec<Entry>> {
        let sql = "
            SELECT id, kind, state, coalesce(key, ''), priority, payload, created, due, attempts, lease, ended,
                   coalesce(error, '')
            FROM __conch_jobs
            WHERE id < ?1 AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR state = ?3)
            ORDER BY id DESC LIMIT ?4";
        let read = self.db.read(move |tx| {
            let Search { kind, state, before, limit } = &search;
            let state = state.map(State::as_str);
            tx.query_all(sql, params![before.unwrap_or(i64::MAX), kind, state, limit], entry)
        });
        read.await
    }

    /// The newest ended runs; about a hundred of each kind are kept.
    pub async fn history(&self, search: Search) -> Result<Vec<PastRun>> {
        let sql = "
            SELECT id, job, kind, attempt, began, took, outcome, coalesce(error, '') FROM __conch_job_runs
            WHERE id < ?1 AND (?2 IS NULL OR kind = ?2) ORDER BY id DESC LIMIT ?3";
        let read = self.db.read(move |tx| {
            let Search { kind, before, limit, .. } = &search;
            tx.query_all(sql, params![before.unwrap_or(i64::MAX), kind, limit], past_run)
        });
        read.await
    }

    /// Has a dead job run again from the beginning.
    pub async fn replay(&self, id: i64) -> Result<()> {
        let jobs = self.clone();
        let write = self.db.write(move |tx| {
            must_be(tx, id, State::Dead, "Only a dead job can be replayed.")?;
            let sql = "
                UPDATE OR IGNORE __conch_jobs SET state = 'waiting', attempts = 0, due = ?2, ended = NULL
                WHERE id = ?1";
            if tx.execute(sql, params![id, tx.now().0])? == 0 {
                return Err(Error::invalid("Another job with the same key waits already."));
            }
            let now = tx.now();
            jobs.wake_at(tx, now);
            Ok(())
        });
        write.await
    }

    /// Forgets a job that waits.
    pub async fn cancel(&self, id: i64) -> Result<()> {
        let write = self.db.write(move |tx| {
            must_be(tx, id, State::Waiting, "Only a job that waits can be cancelled.")?;
            let sql = "DELETE FROM __conch_jobs WHERE id = ?1 AND (key IS NULL OR key NOT GLOB 'at *')";
            if tx.execute(sql, [id])? == 0 {
                return Err(Error::invalid(
                    "The next run of a cron cannot be cancelled: it would only be added again.",
                ));
            }
            Ok(())
        });
        write.await
    }

    /// Has a job that waits run now.
    pub async fn run_now(&self, id: i64) -> Result<()> {
        let jobs = self.clone();
        let write = self.db.write(move |tx| {
            must_be(tx, id, State::Waiting, "Only a job that waits can be run now.")?;
            let now = tx.now();
            tx.execute("UPDATE __conch_jobs SET due = min(due, ?2) WHERE id = ?1", params![id, now.0])?;
            jobs.wake_at(tx, now);
            Ok(())
        });
        write.await
    }
}

/// Not found, or in another state.
fn must_be(tx: &WriteTx<'_>, id: i64, state: State, otherwise: &'static str) -> Result<()> {
    let tx: &ReadTx<'_> = tx;
    let sql = "SELECT state FROM __conch_jobs WHERE id = ?1";
    let found: String = tx.query_one(sql, [id], |row| row.get(0))?.ok_or_else(Error::not_found)?;
    if found == state.as_str() { Ok(()) } else { Err(Error::invalid(otherwise)) }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    // What another program has spoilt is shown as the text that it is.
    let payload: String = row.get(5)?;
    let payload = serde_json::from_str(&payload).unwrap_or(Json::String(payload));
    Ok(Entry {
        id: row.get::<_, i64>(0)?.to_string(),
        kind: row.get(1)?,
        state: row.get(2)?,
        key: row.get(3)?,
        priority: match row.get(4)? {
            0 => "low",
            1 => "normal",
            _ => "high",
        },
        payload,
        created: time(row, 6)?,
        due: time(row, 7)?,
        attempts: row.get(8)?,
        lease: time(row, 9)?,
        ended: time(row, 10)?,
        error: row.get(11)?,
    })
}

fn past_run(row: &Row<'_>) -> rusqlite::Result<PastRun> {
    Ok(PastRun {
        id: row.get::<_, i64>(0)?.to_string(),
        job: row.get::<_, i64>(1)?.to_string(),
        kind: row.get(2)?,
        attempt: row.get(3)?,
        started: time(row, 4)?,
        duration: row.get(5)?,
        outcome: row.get(6)?,
        error: row.get(7)?,
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let time: Option<i64> = row.get(column)?;
    Ok(time.map(|time| Timestamp(time).to_string()).unwrap_or_default())
}
