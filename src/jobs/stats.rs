//! How the queue stands, in numbers.

use serde::Serialize;

use super::Runner;
use crate::error::Result;

/// Milliseconds after its time from which on a job that waits is late: the runner takes a moment, and so do jobs that
/// were there before.
const LATE: i64 = 10_000;

/// Jobs of one kind in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    pub kind: String,
    pub state: String,
    pub jobs: u64,
    /// Of these, jobs that should have begun a while ago.
    pub late: u64,
}

/// How the queue stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    pub counts: Vec<Count>,
    /// Milliseconds since the one that should have begun first was due; 0 when none is late. Of kinds that somebody
    /// handles.
    pub behind: u64,
}

/// Jobs of one kind, by what has become of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OfKind {
    pub kind: String,
    pub waiting: u64,
    pub running: u64,
    /// Of those that wait.
    pub late: u64,
    pub dead: u64,
}

impl Stats {
    /// Each kind that has jobs, by name.
    pub fn by_kind(&self) -> Vec<OfKind> {
        let mut kinds: std::collections::BTreeMap<&str, OfKind> = std::collections::BTreeMap::new();
        for count in &self.counts {
            let of = kinds.entry(&count.kind).or_default();
            of.late += count.late;
            match count.state.as_str() {
                "waiting" => of.waiting += count.jobs,
                "running" => of.running += count.jobs,
                _ => of.dead += count.jobs,
            }
        }
        kinds.into_iter().map(|(kind, of)| OfKind { kind: kind.to_owned(), ..of }).collect()
    }
}

impl Runner {
    /// Counts all jobs: of each kind, a bounded number waits and is kept when dead.
    pub async fn stats(&self) -> Result<Stats> {
        let kinds: Vec<_> = self.kinds();
        let clock = self.jobs().db.clock().clone();
        let read = self.jobs().db.read(move |tx| {
            let now = clock.now();
            let sql = "SELECT kind, state, count(*), sum(state = 'waiting' AND due < ?1) FROM __conch_jobs
                       GROUP BY kind, state";
            let counts = tx.query_all(sql, [now.millis().saturating_sub(LATE)], |row| {
                let number = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
                Ok(Count { kind: row.get(0)?, state: row.get(1)?, jobs: number(2)?, late: number(3)? })
            })?;
            // Each part finds its row by an index.
            let sql = "
                SELECT min(at) FROM (SELECT min(due) AS at FROM __conch_jobs
                                     WHERE kind = ?1 AND state = 'waiting' AND priority = 2
                                     UNION ALL SELECT min(due) FROM __conch_jobs
                                     WHERE kind = ?1 AND state = 'waiting' AND priority = 1
                                     UNION ALL SELECT min(due) FROM __conch_jobs
                                     WHERE kind = ?1 AND state = 'waiting' AND priority = 0)";
            let mut behind = 0;
            for kind in &kinds {
                let due = tx.query_one(sql, [kind], |row| row.get::<_, Option<i64>>(0))?.flatten();
                behind = due.map_or(behind, |due| behind.max(now.millis().saturating_sub(due)));
            }
            Ok(Stats { counts, behind: u64::try_from(behind).unwrap_or(0) })
        });
        read.await
    }
}
