//! Codes and first factors that nobody has used go once an hour (`docs/wire/auth.md` §3.6, §3.8).

use std::sync::Arc;

use super::{Auth, mfa::MFAS, otp::OTPS};
use crate::{
    clock::Timestamp,
    db::quote_ident,
    error::Result,
    jobs::{Failure, Runner},
    records::Script,
    schema::{Collection, auth_options::AuthOptions},
};

/// Rows that are deleted in one transaction, among other writes.
const BATCH: usize = 100;

impl Auth {
    /// Has `runner` do it, under the wire's ids (`docs/wire/services.md` §7).
    pub fn clean_up_hourly(&self, runner: &Runner) {
        for (id, table) in [("__pbMFACleanup__", MFAS), ("__pbOTPCleanup__", OTPS)] {
            let auth = self.clone();
            runner.hourly(id, move |_| {
                let auth = auth.clone();
                async move { auth.clean_up(table).await.map_err(Failure::passing) }
            });
        }
    }

    /// Deletes what is older than its collection lets it be.
    pub(super) async fn clean_up(&self, table: &'static str) -> Result<()> {
        let catalog = self.schema.catalog();
        let collections = catalog.all().iter().filter_map(|collection| Some((collection, collection.auth()?)));
        for (collection, AuthOptions { otp, mfa, .. }) in collections {
            let seconds = if table == OTPS { otp.duration } else { mfa.duration };
            self.delete_older(table, collection, seconds).await?;
        }
        Ok(())
    }

    async fn delete_older(&self, table: &'static str, collection: &Collection, seconds: i64) -> Result<()> {
        let sql =
            format!("SELECT id FROM {} WHERE collectionRef = ?1 AND created < ?2 LIMIT {BATCH}", quote_ident(table));
        let oldest = Timestamp(self.now().millis().saturating_sub(seconds.saturating_mul(1000))).to_string();
        loop {
            let (sql, bounds) = (sql.clone(), [collection.id.to_string(), oldest.clone()]);
            let ids: Vec<String> =
                self.db.read(move |tx| tx.query_all(&sql, [&bounds[0], &bounds[1]], |row| row.get(0))).await?;
            if ids.is_empty() {
                return Ok(());
            }
            let is_last = ids.len() < BATCH;
            let ids = Arc::new(ids);
            let delete = move |script: &mut Script<'_, '_>| {
                for id in ids.iter() {
                    // Used meanwhile.
                    if script.load(table, id)?.is_some() {
                        script.delete(table, id)?;
                    }
                }
                Ok(())
            };
            self.records.transact(None, delete).await?;
            if is_last {
                return Ok(());
            }
        }
    }
}
