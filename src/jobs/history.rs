//! What became of runs: the newest ended ones of each kind, in the table `__conch_job_runs`.

use std::time::Duration;

use rusqlite::params;

use super::store::Run;
use crate::{db::WriteTx, error::Result};

/// Ended runs of one kind that are kept.
pub(super) const KEPT: i64 = 100;

/// All but the newest.
pub(super) const TRIM: &str = "
    DELETE FROM __conch_job_runs WHERE kind = ?1 AND id <=
      (SELECT id FROM __conch_job_runs WHERE kind = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";

/// How a run ended, as the table calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// And will be repeated.
    Failed,
    /// And will not.
    Dead,
    /// It was too late for it.
    Skipped,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
        }
    }
}

/// Writes down how a run ended, and why if it failed.
pub(super) fn note(
    tx: &mut WriteTx<'_>,
    kind: &str,
    run: &Run,
    took: Duration,
    end: End,
    why: Option<&str>,
) -> Result<()> {
    let sql = "
        INSERT INTO __conch_job_runs (job, kind, attempt, began, took, outcome, error)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    tx.execute(sql, params![run.id, kind, run.attempt, run.began.0, took, end.as_str(), why])?;
    trim(tx, kind)
}

/// Forgets what is too old.
pub(super) fn trim(tx: &mut WriteTx<'_>, kind: &str) -> Result<()> {
    tx.execute(TRIM, params![kind, KEPT])?;
    Ok(())
}
