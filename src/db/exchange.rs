//! The whole database copied out, and put back later, while everybody goes on using it: for temporary servers, whose
//! tests begin again and again from the same data.
//!
//! Both happen on the writer's thread between two groups, so no write is half in them. SQLite copies pages, in one
//! transaction of the target: readers see the database before or the one after. Afterwards the log goes on where it would
//! have gone on anyway, in a new epoch, so nothing that was remembered of the other database is taken for this one's.

use std::path::{Path, PathBuf};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use tokio::sync::oneshot;

use super::{Db, WriteTx, log, stopped, writer::Writer};
use crate::{
    error::{Error, Result},
    random,
};

/// Something that only the writer can do, and not within a transaction.
pub(super) type Order = Box<dyn FnOnce(&mut Writer) + Send>;

impl Db {
    /// Copies everything that is committed into a new file, and then runs `with` before anything else is written. Writes
    /// wait meanwhile: some milliseconds for each 10 MiB.
    pub async fn copy_out<T: Send + 'static>(
        &self,
        to: PathBuf,
        with: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.between_groups(move |writer| {
            copy_out(&writer.connection, &to)?;
            with()
        })
        .await
    }

    /// Puts what [`Db::copy_out`] has copied in the place of everything. `with` runs after that and before anything else
    /// is written, in a transaction: it reads anew what rooms remember of the database. A new epoch of the log begins.
    ///
    /// Nothing is synchronised between the two, so this is for directories that do not outlive the process.
    pub async fn put_back<T: Send + 'static>(
        &self,
        from: PathBuf,
        with: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.between_groups(move |writer| writer.put_back(&from, with)).await
    }

    async fn between_groups<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let order: Order = Box::new(move |writer| {
            // Nobody waits for it: it was refused, or given up.
            if !reply.is_closed() {
                drop(reply.send(work(writer)));
            }
        });
        self.inner.shared.between.lock().push_back(order);
        // For it to wake up.
        self.write(|_| Ok(())).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Writer {
    /// Does what was asked for between two groups.
    pub(super) fn exchange(&mut self) {
        loop {
            let order = self.shared.between.lock().pop_front();
            let Some(order) = order else { return };
            super::writer::contain("an exchange of the database", || order(self));
            self.checkpointer.after_commit(&self.connection);
        }
    }

    fn put_back<T>(&mut self, from: &Path, with: impl FnOnce(&mut WriteTx<'_>) -> Result<T>) -> Result<T> {
        let (newest, used) = (self.ledger.last(), last_job(&self.connection)?);
        let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let copied = copy(&source, &mut self.connection);
        // A page of ours is not somebody else's, however it came.
        self.rebase();
        copied?;
        self.statistics.follow_schema(&self.connection);
        let mut done = None;
        let told = self.own_transaction(|tx| {
            // One more, so that no snapshot of before and none of after have the same number.
            log::go_on_after(tx, newest + 1)?;
            go_on_with_jobs_after(tx, used)?;
            tx.new_epoch()?;
            done = Some(with(tx)?);
            Ok(())
        });
        if told.is_err() {
            // The pages are others: whatever was remembered is void all the same.
            self.begin_epoch(random::string(random::LOWER_ALPHANUMERIC, 20).into());
        }
        told.and_then(|()| done.ok_or_else(stopped))
    }
}

fn copy_out(from: &Connection, to: &Path) -> Result<()> {
    let mut target = Connection::open(to)?;
    target.execute_batch("PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;")?;
    copy(from, &mut target)?;
    // The copy says of itself that it has a write-ahead log: it is one file, which is only read.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn copy(from: &Connection, to: &mut Connection) -> Result<()> {
    match Backup::new(from, to)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(Error::internal(anyhow::anyhow!("the database could not be copied: somebody else holds it"))),
    }
}

/// The newest number of a job that was ever given.
fn last_job(connection: &Connection) -> Result<i64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '__conch_jobs'";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Numbers of jobs are not used again either: somebody may still be doing an old one.
fn go_on_with_jobs_after(tx: &mut WriteTx<'_>, used: i64) -> Result<()> {
    let raised = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = '__conch_jobs'";
    if tx.execute(raised, [used])? == 0 {
        tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('__conch_jobs', ?1)", [used])?;
    }
    Ok(())
}
