//! Several writes in one transaction (`docs/wire/records-api.md` §9).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    TRIES,
    again::Again,
    apply::{Apply, Bounds},
    facts::{Facts, Ground, Need},
    files::Placed,
    judge::{Allowed, judge},
    task::Task,
};
use crate::{
    db::WriteTx,
    error::{Error, Result},
    records::{BatchItem, Records, Rendered, answer::answer_in},
    rules::Context,
};

/// Why a batch failed; nothing of it was written.
#[derive(Debug)]
pub struct BatchFailure {
    /// The first bad item; `None` when the batch failed as a whole (time, disk, load).
    pub index: Option<usize>,
    pub error: Error,
}

impl From<Error> for BatchFailure {
    fn from(error: Error) -> Self {
        Self { index: None, error }
    }
}

/// No batch runs longer, whatever the settings say: the clock cannot count to every number that they may hold.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// No item is being worked on.
const NO_ITEM: usize = usize::MAX;

impl Records {
    /// All or nothing in one transaction: the body of each item (`None` for a delete), or the first bad item.
    pub async fn batch(&self, items: Vec<BatchItem>, timeout: Duration) -> Result<Vec<Option<Rendered>>, BatchFailure> {
        let timeout = timeout.min(MAX_TIMEOUT);
        let mut tasks = Vec::with_capacity(items.len());
        for (index, mut item) in items.into_iter().enumerate() {
            item.request.context = Context::Batch;
            tasks.push(Arc::new(Task::of_batch(index, item).await?));
        }
        let tasks: Arc<[Arc<Task>]> = tasks.into();
        let mut facts = Arc::new(Facts::default());
        let placed = Placed::new(self.storage.clone());
        // Every failed attempt finds out at least one thing, and there are few: more attempts than for a single write.
        for _ in 0..TRIES + tasks.len() {
            let attempt = Attempt {
                records: self.clone(),
                tasks: tasks.clone(),
                facts: facts.clone(),
                placed: placed.clone(),
                timeout,
                current: Arc::new(AtomicUsize::new(NO_ITEM)),
            };
            let current = attempt.current.clone();
            let error = match self.db.write_alone(move |tx| attempt.run(tx)).await {
                Ok(bodies) => return Ok(bodies),
                Err(error) => error,
            };
            let Some(Again::Facts(needs)) = Again::of(&error) else {
                let index = current.load(Ordering::Acquire);
                return Err(BatchFailure { index: (index != NO_ITEM).then_some(index), error });
            };
            facts = self.find_out(&tasks, needs.clone(), &facts, Some(&placed)).await?;
        }
        Err(Error::busy(Duration::from_secs(1)).into())
    }
}

/// One run of the whole batch in one transaction.
///
/// A run that misses facts goes on as if they were favourable, to learn of all of them, and is then undone: so files and
/// hashes are made only for a batch that has nothing else against it, and never on the writer thread.
struct Attempt {
    records: Records,
    tasks: Arc<[Arc<Task>]>,
    facts: Arc<Facts>,
    placed: Arc<Placed>,
    timeout: Duration,
    /// The item being worked on, for whoever has to name the one that failed.
    current: Arc<AtomicUsize>,
}

impl Attempt {
    fn run(&self, tx: &mut WriteTx<'_>) -> Result<Vec<Option<Rendered>>> {
        let deadline = Instant::now() + self.timeout;
        let catalog = self.records.schema.catalog();
        let plans = &*self.records.writes.plans;
        let bounds = Bounds { deadline: Some(deadline), ..Bounds::ALONE };
        let mut apply = Apply::new(tx, &catalog, plans, bounds);
        let mut needs = Vec::new();
        let mut bodies = Vec::with_capacity(self.tasks.len());
        for (index, task) in self.tasks.iter().enumerate() {
            self.current.store(index, Ordering::Release);
            match self.item(&mut apply, task, deadline, &mut needs) {
                Ok(body) => bodies.push(body),
                Err(error) => return Err(self.doubtful(error, needs)),
            }
        }
        // What fails from here on is no item's fault.
        self.current.store(NO_ITEM, Ordering::Release);
        if !needs.is_empty() {
            return Err(Again::Facts(needs).into());
        }
        let placed = (self.tasks.iter().any(|task| !task.uploads.is_empty())).then_some(&self.placed);
        apply.finish(&self.records.jobs, placed)?;
        Ok(bodies)
    }

    fn item(
        &self,
        apply: &mut Apply<'_, '_>,
        task: &Task,
        deadline: Instant,
        needs: &mut Vec<Need>,
    ) -> Result<Option<Rendered>> {
        apply.check_time()?;
        let catalog = apply.catalog.clone();
        let facts = &self.facts;
        let left = deadline.saturating_duration_since(Instant::now());
        let plans = apply.plans;
        let judgement =
            apply.tx.within(left, |tx| judge(&Ground { tx, catalog: &catalog, plans, facts, since: None }, task))?;
        needs.extend(judgement.needs.iter().cloned());
        if matches!(judgement.verdict, Allowed::Unknown) {
            return Err(Again::Facts(judgement.needs).into());
        }
        apply.act_as(task.request.caller.actor());
        let Some(row) = apply.carry_out(&judgement)? else { return Ok(None) };
        if !needs.is_empty() {
            // This run will be undone.
            return Ok(None);
        }
        let (collection, tables) = (&judgement.plan.collection, &self.records.tables);
        let left = deadline.saturating_duration_since(Instant::now());
        let render = |tx: &_| answer_in(tables, tx, &catalog, &task.request, collection, &row, &task.shape);
        apply.tx.within(left, render).map(Some)
    }

    /// A failure after an old password was believed may be the wrong one to tell: that one is looked at first.
    fn doubtful(&self, error: Error, mut needs: Vec<Need>) -> Error {
        needs.retain(|need| matches!(need, Need::Verify { .. }));
        if needs.is_empty() { error } else { Again::Facts(needs).into() }
    }
}
