//! The write path: create, update, delete, batch, truncate (`docs/wire/records-api.md` §4–§6, §9).
//!
//! A [`task`] says what is asked for. [`judge`] says whether it may happen and what it would write: first on a reader's
//! snapshot, where everything slow is found out ([`facts`]), and again on the writer if what it read has changed since.
//! [`apply`] writes: one row and one entry of the change log at a time, whatever asked for it.

mod again;
mod apply;
mod auth_form;
mod batch;
mod bulk;
mod cascade;
mod draft;
mod facts;
mod files;
mod house;
mod image;
mod judge;
mod notify;
mod plan;
mod side_effects;
mod system;
mod task;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trial;
mod undelete;
mod unique;
mod validate;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use self::{
    again::Again,
    apply::{Apply, Bounds},
    facts::{Facts, Ground, Need},
    files::{Placed, remove_later},
    judge::{Judgement, judge},
    plan::Plans,
    task::Task,
};
pub use self::{
    batch::BatchFailure,
    bulk::{Bulk, MAX_ROWS as MAX_BULK_ROWS},
    house::{Asked, Script},
    trial::{Act, Trial, Tried},
    undelete::{MAX_IDS as MAX_UNDELETED, Undeleted},
};
use super::{BatchAction, Body, Records, Rendered, Shape};
use crate::{
    db::{Asker, ReadTx, Row, WriteTx},
    error::{Error, Result},
    files::Key,
    jobs::Jobs,
    rules::Request,
    schema::{Catalog, Schema},
};

/// Times that a write is prepared before it is given up: each further one means that the schema, or an account's
/// password, changed while it was on its way.
const TRIES: usize = 8;
/// How long a judgement may hold up the writer.
const JUDGE_BUDGET: Duration = Duration::from_millis(100);

/// What the write path keeps between requests. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Desk {
    plans: Arc<Plans>,
}

impl Desk {
    /// From now on the files of removed collections go with them.
    pub(super) fn follow_removals(schema: &Schema, jobs: &Jobs) {
        let jobs = jobs.clone();
        schema.on_removed(move |tx, ids| {
            let folders: Vec<Key> = ids.iter().filter_map(|id| Key::collection(id).ok()).collect();
            remove_later(&jobs, tx, &folders)
        });
    }
}

/// How an attempt to write ended.
enum Outcome {
    /// The row as it is stored now, `None` after a delete.
    Done(Option<Arc<Row>>),
    /// The preparation is stale beyond what the writer may repair.
    PrepareAgain,
}

/// A judged write on its way to the writer.
struct Prepared {
    task: Arc<Task>,
    catalog: Arc<Catalog>,
    facts: Arc<Facts>,
    judgement: Judgement,
    /// The last change that the judgement surely knew of.
    seq: u64,
}

impl Records {
    /// Creates a record (§4.1) and answers it.
    pub async fn create(&self, request: Request, collection: &str, body: Body, shape: Shape) -> Result<Rendered> {
        self.save(Task::new(BatchAction::Create, collection, request, body, shape).await?).await
    }

    /// Changes a record (§4.2) and answers it.
    pub async fn update(
        &self,
        request: Request,
        collection: &str,
        id: &str,
        body: Body,
        shape: Shape,
    ) -> Result<Rendered> {
        let action = BatchAction::Update { id: id.to_owned() };
        self.save(Task::new(action, collection, request, body, shape).await?).await
    }

    /// Deletes a record with all that follows (§4.4).
    pub async fn delete(&self, request: Request, collection: &str, id: &str) -> Result<()> {
        let action = BatchAction::Delete { id: id.to_owned() };
        let task = Task::new(action, collection, request, Body::default(), Shape::default()).await?;
        self.run(&Arc::new(task)).await.map(drop)
    }

    /// Deletes every record with cascades and files in one transaction (`records-collections.md` §8).
    pub async fn truncate(&self, collection: &str) -> Result<()> {
        if self.schema.find(collection)?.is_view() {
            return Err(Error::invalid("Records of a view cannot be deleted."));
        }
        let (records, collection) = (self.clone(), collection.to_owned());
        let work = move |tx: &mut WriteTx<'_>| {
            let catalog = records.schema.catalog();
            let found = catalog.find(&collection).ok_or_else(Error::not_found)?;
            let plan = records.writes.plans.of(found);
            let mut apply = Apply::new(tx, &catalog, &records.writes.plans, Bounds::ALONE);
            apply.remove_all(&plan)?;
            apply.finish(&records.jobs, None)
        };
        self.db.write_alone(work).await
    }

    async fn save(&self, task: Task) -> Result<Rendered> {
        // What cannot be answered is not done either.
        task.shape.check()?;
        let task = Arc::new(task);
        let (prepared, row) = self.run(&task).await?;
        let row = row.ok_or_else(|| Error::internal(anyhow::anyhow!("a saved record has no row")))?;
        let collection = prepared.judgement.plan.collection.clone();
        self.answer(&task.request, &collection, row, &task.shape).await
    }

    /// Prepares, writes, and starts over while the ground moves.
    async fn run(&self, task: &Arc<Task>) -> Result<(Arc<Prepared>, Option<Arc<Row>>)> {
        let mut facts = Arc::new(Facts::default());
        let placed = (!task.uploads.is_empty()).then(|| Placed::new(self.storage.clone()));
        for _ in 0..TRIES {
            let prepared = self.prepare(task, &facts).await?;
            if !prepared.judgement.needs.is_empty() {
                let needs = prepared.judgement.needs.clone();
                facts = self.find_out(std::slice::from_ref(task), needs, &facts, placed.as_ref()).await?;
                continue;
            }
            let prepared = Arc::new(prepared);
            if let Outcome::Done(row) = self.write(&prepared, placed.as_ref()).await? {
                return Ok((prepared, row));
            }
        }
        Err(Error::busy(Duration::from_secs(1)))
    }

    /// Judges on a snapshot.
    async fn prepare(&self, task: &Arc<Task>, facts: &Arc<Facts>) -> Result<Prepared> {
        self.steadily(|catalog| {
            let (task, facts, plans) = (task.clone(), facts.clone(), self.writes.plans.clone());
            let (asker, db) = (task.request.asker(), self.db.clone());
            let work = move |tx: &ReadTx<'_>| {
                // Before the first SELECT. The snapshot may be newer: then the writer looks once more than it has to.
                let seq = db.announced();
                let ground = Ground { tx, catalog: &catalog, plans: &plans, facts: &facts, since: None };
                let judgement = judge(&ground, &task)?;
                Ok(Prepared { task: task.clone(), catalog: catalog.clone(), facts: facts.clone(), judgement, seq })
            };
            self.db.read_for(asker, work)
        })
        .await
    }

    /// Writes among others, or alone if it is too much for that.
    async fn write(&self, prepared: &Arc<Prepared>, placed: Option<&Arc<Placed>>) -> Result<Outcome> {
        let attempt = |bounds: Bounds| {
            let (records, prepared, placed) = (self.clone(), prepared.clone(), placed.cloned());
            move |tx: &mut WriteTx<'_>| prepared.apply(tx, &records, placed.as_ref(), bounds)
        };
        match self.db.write(attempt(Bounds::SHARED)).await {
            Err(error) if matches!(Again::of(&error), Some(Again::Alone)) => {
                self.db.write_alone(attempt(Bounds::ALONE)).await
            }
            outcome => outcome,
        }
    }

    /// Whether the password that a change asks for is right. A stolen session must not let anybody guess it, so whoever
    /// fails often has to wait (`TooMany`). The stored hash stands for the account.
    async fn is_old_password(&self, plain: &str, hash: &str, asker: Asker, address: Option<IpAddr>) -> Result<bool> {
        // Only the house itself has no address.
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let attempt = self.throttle.attempt(self.db.clock(), "", hash, address).await?;
        let right = self.passwords.verify(asker, plain.to_owned(), hash.to_owned()).await?;
        if right {
            attempt.succeeded()
        } else {
            attempt.failed()
        }
        Ok(right)
    }

    /// Finds facts that judgements miss, off the writer thread.
    async fn find_out(
        &self,
        tasks: &[Arc<Task>],
        needs: Vec<Need>,
        known: &Arc<Facts>,
        placed: Option<&Arc<Placed>>,
    ) -> Result<Arc<Facts>> {
        // All items of a batch have one caller; a script of the house has no task.
        let request = tasks.first().map(|task| &task.request);
        let asker = request.map_or(Asker::HOUSE, |request| request.asker());
        let mut facts = (**known).clone();
        for need in needs {
            match need {
                Need::Hash { item, field, plain } => {
                    let hash = self.passwords.hash(asker, plain.clone()).await?;
                    facts.learn_hash(item, field, plain, hash);
                }
                Need::Verify { hash, plain } => {
                    let address = request.and_then(|request| request.address);
                    let right = self.is_old_password(&plain, &hash, asker, address).await?;
                    facts.learn_verified(hash, plain, right);
                }
                Need::Place { item, upload, folder } => {
                    if facts.place(item, upload).is_some() {
                        // It was moved to what then had this name, and cannot be moved again.
                        return Err(Error::not_found());
                    }
                    if let (Some(placed), Some(task)) = (placed, tasks.get(item)) {
                        placed.put(task, upload, &folder).await?;
                    }
                    facts.learn_placed(item, upload, folder);
                }
            }
        }
        Ok(Arc::new(facts))
    }
}

impl Prepared {
    /// On the writer: judges again if anything that the judgement read has changed, then writes.
    fn apply(
        &self,
        tx: &mut WriteTx<'_>,
        records: &Records,
        placed: Option<&Arc<Placed>>,
        bounds: Bounds,
    ) -> Result<Outcome> {
        let catalog = records.schema.catalog();
        if catalog.version != self.catalog.version {
            return Ok(Outcome::PrepareAgain);
        }
        let plans = &*records.writes.plans;
        let again;
        let judgement = if self.still_holds(tx)? {
            &self.judgement
        } else {
            let (catalog, facts, since) = (&*catalog, &*self.facts, Some(self.seq));
            again = tx.within(JUDGE_BUDGET, |tx| judge(&Ground { tx, catalog, plans, facts, since }, &self.task))?;
            &again
        };
        if !judgement.needs.is_empty() {
            return Ok(Outcome::PrepareAgain);
        }
        let mut apply = Apply::new(tx, &catalog, plans, bounds);
        apply.act_as(self.task.request.caller.actor());
        let row = apply.carry_out(judgement)?;
        apply.finish(&records.jobs, placed)?;
        Ok(Outcome::Done(row))
    }

    /// Nothing that was read has changed: no collection that rules and relations looked into, and not the record.
    fn still_holds(&self, tx: &WriteTx<'_>) -> Result<bool> {
        if tx.changed_since(self.seq, &self.judgement.reads) {
            return Ok(false);
        }
        let plan = &self.judgement.plan;
        let Some(old) = self.judgement.old() else { return Ok(true) };
        let id = plan.id_of(old);
        Ok(!tx.record_changed_since(self.seq, &plan.collection.id, id) || plan.load(tx, id)?.as_ref() == Some(&**old))
    }
}
