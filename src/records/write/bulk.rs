//! Writes of the house to its own collections, many of them in one transaction: no rule, no validation, values as they
//! are stored. They pass the same door as all others, so caches stay coherent and the log hears what it keeps.

use std::sync::Arc;

use super::{
    apply::{Apply, Bounds},
    plan::Plan,
};
use crate::{
    db::{Row, Value, WriteTx},
    error::{Error, Result},
    random,
    records::Records,
    schema::Catalog,
};

/// Rows that one [`Bulk`] may write: the writer is not held up for longer than that takes.
pub const MAX_ROWS: usize = 1000;

/// Writes within one transaction. Not for collections with accounts: those have side effects that it knows nothing of.
pub struct Bulk<'a, 'c> {
    records: &'a Records,
    tx: &'a mut WriteTx<'c>,
    catalog: Arc<Catalog>,
    written: usize,
}

impl Records {
    /// At most [`MAX_ROWS`] writes of the house, in the transaction of a [`crate::db::Db::write`].
    pub fn bulk<'a, 'c>(&'a self, tx: &'a mut WriteTx<'c>) -> Bulk<'a, 'c> {
        Bulk { records: self, tx, catalog: self.schema.catalog(), written: 0 }
    }
}

impl<'c> Bulk<'_, 'c> {
    /// The transaction, for reads and jobs.
    pub fn tx(&mut self) -> &mut WriteTx<'c> {
        self.tx
    }

    /// Collections as they are in this transaction.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// How many more rows it may write.
    pub fn left(&self) -> usize {
        MAX_ROWS.saturating_sub(self.written)
    }

    /// The row as it is stored now.
    pub fn load(&mut self, collection: &str, id: &str) -> Result<Option<Row>> {
        self.plan(collection)?.load(self.tx, id)
    }

    /// A new row with these values; the rest are zero values, dates are set. An id is made unless one is given. Returns
    /// the id.
    pub fn insert(&mut self, collection: &str, values: &[(&str, Value)]) -> Result<String> {
        self.add(collection, values, false)?
            .ok_or_else(|| Error::internal(anyhow::anyhow!("a row was neither written nor refused")))
    }

    /// [`Bulk::insert`], or nothing and `None` if a UNIQUE index has it already.
    pub fn insert_new(&mut self, collection: &str, values: &[(&str, Value)]) -> Result<Option<String>> {
        self.add(collection, values, true)
    }

    /// Sets these values, and the date of change. False if there is no such row.
    pub fn update(&mut self, collection: &str, id: &str, values: &[(&str, Value)]) -> Result<bool> {
        let plan = self.plan(collection)?;
        let Some(old) = plan.load(self.tx, id)? else { return Ok(false) };
        let mut new = old.values.clone();
        set(&plan, &mut new, values)?;
        self.apply(|apply| apply.rewrite(&plan, &Arc::new(old), new).map(drop))?;
        Ok(true)
    }

    /// Deletes a row with all that follows. False if there is none.
    pub fn delete(&mut self, collection: &str, id: &str) -> Result<bool> {
        let plan = self.plan(collection)?;
        let Some(old) = plan.load(self.tx, id)? else { return Ok(false) };
        self.apply(|apply| apply.remove(&plan, vec![Arc::new(old)]))?;
        Ok(true)
    }

    fn add(&mut self, collection: &str, values: &[(&str, Value)], only_new: bool) -> Result<Option<String>> {
        let plan = self.plan(collection)?;
        let mut row: Vec<Value> = plan.collection.fields.iter().map(|field| field.kind.as_type().zero()).collect();
        set(&plan, &mut row, values)?;
        if !matches!(row.get(plan.id), Some(Value::Text(id)) if !id.is_empty()) {
            row[plan.id] = Value::Text(random::ordered_id(self.tx.now()));
        }
        let Value::Text(id) = row[plan.id].clone() else { return Err(unknown(&plan, "id")) };
        Ok(self.apply(|apply| apply.add(&plan, row, only_new))?.then_some(id))
    }

    fn plan(&self, collection: &str) -> Result<Arc<Plan>> {
        let found = self.catalog.find(collection).ok_or_else(Error::not_found)?;
        if found.is_auth() || found.is_view() {
            return Err(Error::internal(anyhow::anyhow!("{collection} is not for writes in bulk")));
        }
        Ok(self.records.writes.plans.of(found))
    }

    fn apply<T>(&mut self, write: impl FnOnce(&mut Apply<'_, 'c>) -> Result<T>) -> Result<T> {
        let bounds = Bounds { rows: MAX_ROWS, deadline: None };
        let mut apply = Apply::new(self.tx, &self.catalog, &self.records.writes.plans, bounds);
        apply.written = self.written;
        let done = write(&mut apply)?;
        self.written = apply.written;
        apply.finish(&self.records.jobs, None)?;
        Ok(done)
    }
}

fn set(plan: &Plan, row: &mut [Value], values: &[(&str, Value)]) -> Result<()> {
    for (name, value) in values {
        let index = plan.columns.iter().position(|column| &**column == *name).ok_or_else(|| unknown(plan, name))?;
        row[index] = value.clone();
    }
    Ok(())
}

fn unknown(plan: &Plan, name: &str) -> Error {
    Error::internal(anyhow::anyhow!("{} has no column {name}", plan.collection.name))
}
