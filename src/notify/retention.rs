//! What has ended goes after a while: deliveries first, then the notifications that have none left.
//!
//! Both tables are walked from their oldest row on, as far as rows are old enough, a page at a time off the writer; what
//! waits for a day far away is stepped over.

use std::time::{Duration, Instant};

use super::{
    Notify,
    collections::{DELIVERIES, NOTIFICATIONS},
};
use crate::{
    clock::Timestamp,
    db::ReadTx,
    error::Result,
    jobs::{Failure, Runner},
};

/// The job's name.
const JOB: &str = "__conchNotificationsCleanup__";
/// Rows that are looked at in one read.
const PAGE: i64 = 2000;
/// Rows that are deleted in one transaction, among other writes.
const BATCH: usize = 64;
/// What is not done by then is done in an hour.
const PATIENCE: Duration = Duration::from_secs(200);
const DAY: i64 = 86_400_000;

pub(super) const OLD_DELIVERIES: &str = "
    SELECT rowid, id, state IN ('scheduled', 'batched', 'sending') OR updated >= ?2, created >= ?2 FROM _deliveries
    WHERE rowid > ?1 ORDER BY rowid LIMIT ?3";

pub(super) const OLD_NOTIFICATIONS: &str = "
    SELECT rowid, id,
      state NOT IN ('done', 'cancelled', 'failed') OR updated >= ?2
        OR EXISTS (SELECT 1 FROM _deliveries WHERE notification = n.id),
      created >= ?2
    FROM _notifications n WHERE rowid > ?1 ORDER BY rowid LIMIT ?3";

/// A page of old rows.
struct Page {
    /// Where the next one begins; `None` after the last.
    next: Option<i64>,
    /// Ids of those that go.
    old: Vec<String>,
}

impl Notify {
    /// Has `runner` do it.
    pub fn clean_up_hourly(&self, runner: &Runner) {
        let notify = self.clone();
        runner.hourly(JOB, move |_| {
            let notify = notify.clone();
            async move { notify.forget_old().await.map_err(Failure::passing) }
        });
    }

    /// Deletes what ended before the days that the settings say.
    pub(super) async fn forget_old(&self) -> Result<()> {
        let days = self.rooms.settings.current().notify.retention_days;
        if days <= 0 {
            return Ok(());
        }
        let cutoff = Timestamp(self.rooms.clock.now().millis().saturating_sub(days.saturating_mul(DAY))).to_string();
        let begun = Instant::now();
        for (collection, sql) in [(DELIVERIES, OLD_DELIVERIES), (NOTIFICATIONS, OLD_NOTIFICATIONS)] {
            let mut after = i64::MIN;
            while begun.elapsed() < PATIENCE {
                let from = (after, cutoff.clone());
                let page = self.rooms.db.read(move |tx| page(tx, sql, &from)).await?;
                for ids in page.old.chunks(BATCH) {
                    self.delete(collection, ids.to_vec()).await?;
                }
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn delete(&self, collection: &'static str, ids: Vec<String>) -> Result<()> {
        let records = self.rooms.records.clone();
        let delete = self.rooms.db.write_behind(move |tx| {
            let mut bulk = records.bulk(tx);
            ids.iter().try_for_each(|id| bulk.delete(collection, id).map(drop))
        });
        delete.await
    }
}

fn page(tx: &ReadTx<'_>, sql: &str, (after, cutoff): &(i64, String)) -> Result<Page> {
    let rows: Vec<(i64, String, bool, bool)> =
        tx.query_all(sql, (after, cutoff, PAGE), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let whole = rows.len() as i64 == PAGE;
    let reached_new = rows.iter().any(|(.., is_new)| *is_new);
    let next = rows.last().map(|(rowid, ..)| *rowid).filter(|_| whole && !reached_new);
    let old = rows.into_iter().filter(|(_, _, stays, is_new)| !stays && !is_new).map(|(_, id, ..)| id).collect();
    Ok(Page { next, old })
}
