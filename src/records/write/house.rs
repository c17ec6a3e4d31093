//! Writes of the house itself: several in one transaction, decided on the writer.
//!
//! The flows of accounts change records that no client may change so, and only if nothing has moved since a token or a
//! code was checked. Such a flow is a *script*: it loads, compares and writes in one savepoint, so two of the same kind
//! follow each other and the second sees what the first did.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{
    JUDGE_BUDGET, TRIES,
    again::Again,
    apply::{Apply, Bounds},
    facts::{Facts, Ground, Need},
    files::Placed,
    judge::{Allowed, Judgement, judge},
    task::Task,
};
use crate::{
    clock::Timestamp,
    db::{Row, WriteTx},
    error::{Error, Result},
    identity::Caller,
    records::{BatchAction, Body, Records, Shape},
    rules::Request,
    schema::Catalog,
};

/// A create that somebody asked for, as part of a script: their rules, their context, their uploads.
pub struct Asked {
    task: Arc<Task>,
}

impl Asked {
    /// Names and sniffs the uploads.
    pub async fn create(request: Request, collection: &str, body: Body) -> Result<Self> {
        let task = Task::new(BatchAction::Create, collection, request, body, Shape::default()).await?;
        Ok(Self { task: Arc::new(task) })
    }

    /// The same, with a password that nobody chose: what a chosen one must look like does not concern it.
    pub async fn create_with_random_password(
        request: Request,
        collection: &str,
        mut body: Body,
        password: &str,
    ) -> Result<Self> {
        set_password(&mut body.values, password);
        let mut task = Task::new(BatchAction::Create, collection, request, body, Shape::default()).await?;
        task.random_password = true;
        Ok(Self { task: Arc::new(task) })
    }
}

impl Records {
    /// Runs `script` in one savepoint of the writer; its error undoes everything. It may run several times (facts such
    /// as password hashes are found out in between, off the writer thread), so it touches only what it is given and is
    /// quick. `asked` is a client's own write that it may carry out.
    pub async fn transact<T, F>(&self, asked: Option<Asked>, script: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Script<'_, '_>) -> Result<T> + Send + Sync + 'static,
    {
        let script = Arc::new(script);
        let asked = asked.map(|asked| asked.task);
        let uploads = asked.as_ref().is_some_and(|task| !task.uploads.is_empty());
        let placed = uploads.then(|| Placed::new(self.storage.clone()));
        let mut facts = Arc::new(Facts::default());
        for _ in 0..TRIES {
            let attempt = |bounds: Bounds| {
                let (records, script, asked) = (self.clone(), script.clone(), asked.clone());
                let (facts, placed) = (facts.clone(), placed.clone());
                move |tx: &mut WriteTx<'_>| {
                    let run = Run { asked: asked.as_deref(), facts: &facts, placed: placed.as_ref(), bounds };
                    run.on(&records, tx, &*script)
                }
            };
            let outcome = match self.db.write(attempt(Bounds::SHARED)).await {
                Err(error) if matches!(Again::of(&error), Some(Again::Alone)) => {
                    self.db.write_alone(attempt(Bounds::ALONE)).await
                }
                outcome => outcome,
            };
            let Err(error) = outcome else { return outcome };
            let Some(Again::Facts(needs)) = Again::of(&error) else { return Err(error) };
            facts = self.find_out(asked.as_slice(), needs.clone(), &facts, placed.as_ref()).await?;
        }
        Err(Error::busy(std::time::Duration::from_secs(1)))
    }
}

/// One run on the writer.
struct Run<'a> {
    asked: Option<&'a Task>,
    facts: &'a Facts,
    placed: Option<&'a Arc<Placed>>,
    bounds: Bounds,
}

impl Run<'_> {
    fn on<T>(
        self,
        records: &Records,
        tx: &mut WriteTx<'_>,
        script: &impl Fn(&mut Script<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let catalog = records.schema.catalog();
        let apply = Apply::new(tx, &catalog, &records.writes.plans, self.bounds);
        let mut running = Script { apply, asked: self.asked, facts: self.facts, needs: Vec::new(), position: 0 };
        let done = script(&mut running)?;
        let Script { apply, needs, .. } = running;
        if !needs.is_empty() {
            return Err(Again::Facts(needs).into());
        }
        apply.finish(&records.jobs, self.placed)?;
        Ok(done)
    }
}

/// What a script may do.
pub struct Script<'a, 'c> {
    apply: Apply<'a, 'c>,
    asked: Option<&'a Task>,
    facts: &'a Facts,
    needs: Vec<Need>,
    /// Number of the house's own writes so far: facts are known by it, and 0 is what was asked for.
    position: usize,
}

impl<'c> Script<'_, 'c> {
    /// The time of this transaction.
    pub fn now(&self) -> Timestamp {
        self.apply.tx.now()
    }

    /// The transaction, for reads of its own and for jobs that are to be added with it.
    pub fn tx(&mut self) -> &mut WriteTx<'c> {
        self.apply.tx
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        self.apply.catalog
    }

    /// The record as it is stored now, by the collection's id or name.
    pub fn load(&mut self, collection: &str, id: &str) -> Result<Option<Arc<Row>>> {
        let found = self.apply.catalog.find(collection).ok_or_else(Error::not_found)?;
        let plan = self.apply.plans.of(found);
        Ok(plan.load(self.apply.tx, id)?.map(Arc::new))
    }

    /// A new record. No rule applies; validation does. A password is hashed and needs no confirmation.
    pub fn create(&mut self, collection: &str, values: Map<String, Json>) -> Result<Arc<Row>> {
        self.save(BatchAction::Create, collection, values, false)
    }

    /// Changes a record with all that follows (`docs/wire/auth.md` §9). No rule applies; validation does. Without values
    /// only its date of change is set.
    pub fn update(&mut self, collection: &str, id: &str, values: Map<String, Json>) -> Result<Arc<Row>> {
        self.save(BatchAction::Update { id: id.to_owned() }, collection, values, false)
    }

    /// [`Script::update`] with a password that nobody chose: what a chosen one must look like does not concern it. It is
    /// made outside, because a script may run again.
    pub fn update_with_random_password(
        &mut self,
        collection: &str,
        id: &str,
        mut values: Map<String, Json>,
        password: &str,
    ) -> Result<Arc<Row>> {
        set_password(&mut values, password);
        self.save(BatchAction::Update { id: id.to_owned() }, collection, values, true)
    }

    /// Deletes a record with all that follows; `NotFound` if there is none.
    pub fn delete(&mut self, collection: &str, id: &str) -> Result<()> {
        self.do_for_house(BatchAction::Delete { id: id.to_owned() }, collection, Map::new(), false).map(drop)
    }

    /// Does what was asked for, under its own rules; fails with what the wire answers.
    pub fn carry_out_asked(&mut self) -> Result<Arc<Row>> {
        let task = self.asked.ok_or_else(|| Error::internal(anyhow::anyhow!("nothing was asked for")))?;
        self.do_task(task)?.ok_or_else(no_row)
    }

    fn save(
        &mut self,
        action: BatchAction,
        collection: &str,
        mut values: Map<String, Json>,
        random_password: bool,
    ) -> Result<Arc<Row>> {
        if let Some(password) = values.get("password").cloned() {
            values.insert("passwordConfirm".to_owned(), password);
        }
        self.do_for_house(action, collection, values, random_password)?.ok_or_else(no_row)
    }

    fn do_for_house(
        &mut self,
        action: BatchAction,
        collection: &str,
        values: Map<String, Json>,
        random_password: bool,
    ) -> Result<Option<Arc<Row>>> {
        self.position += 1;
        let request = Request { caller: Caller::system(), now: self.now(), ..Request::default() };
        let task = Task::of_house(self.position, action, collection, request, values, random_password);
        self.do_task(&task)
    }

    /// What is missing is noted and believed: this run will be undone.
    fn do_task(&mut self, task: &Task) -> Result<Option<Arc<Row>>> {
        self.apply.check_time()?;
        let (catalog, plans, facts) = (self.apply.catalog.clone(), self.apply.plans, self.facts);
        let judged: Result<Judgement> = self
            .apply
            .tx
            .within(JUDGE_BUDGET, |tx| judge(&Ground { tx, catalog: &catalog, plans, facts, since: None }, task));
        let judgement = judged?;
        self.needs.extend(judgement.needs.iter().cloned());
        if matches!(judgement.verdict, Allowed::Unknown) {
            return Err(Again::Facts(judgement.needs).into());
        }
        self.apply.act_as(task.request.caller.actor());
        self.apply.carry_out(&judgement)
    }
}

fn set_password(values: &mut Map<String, Json>, password: &str) {
    for key in ["password", "passwordConfirm"] {
        values.insert(key.to_owned(), password.into());
    }
}

fn no_row() -> Error {
    Error::internal(anyhow::anyhow!("a saved record has no row"))
}
