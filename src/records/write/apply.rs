//! The one way into the tables: every record write of whatever origin passes [`Apply::write_row`], which writes one row
//! and appends one change to the log.

use std::{sync::Arc, time::Instant};

use rusqlite::params_from_iter;

use super::{
    again::Again,
    files::{Placed, remove_later},
    image,
    judge::{Allowed, Judgement, Save, is_superusers},
    plan::{Heard, Plan, Plans, text},
    unique,
};
use crate::{
    db::{Actor, Change, Kind, Row, Touched, Value, WriteTx},
    error::{Error, Result},
    files::Key,
    jobs::Jobs,
    schema::{Catalog, FieldKind},
};

/// Rows that one transaction may touch when it is alone.
pub(super) const MAX_ROWS: usize = 1_000_000;
/// Rows that one write may touch among others; more has to wait for a transaction of its own.
pub(super) const MAX_SHARED_ROWS: usize = 200;
/// The account that lets the owner in before there is any other (`auth.md` §1.4).
const INSTALLER: &str = "__pbinstaller@example.com";

/// How much one transaction may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Rows it may write.
    pub rows: usize,
    /// When it has to be done.
    pub deadline: Option<Instant>,
}

impl Bounds {
    pub const SHARED: Self = Self { rows: MAX_SHARED_ROWS, deadline: None };
    pub const ALONE: Self = Self { rows: MAX_ROWS, deadline: None };
}

/// One transaction's writes to records.
pub(super) struct Apply<'a, 'c> {
    pub tx: &'a mut WriteTx<'c>,
    pub catalog: &'a Arc<Catalog>,
    pub plans: &'a Plans,
    actor: Option<Actor>,
    bounds: Bounds,
    /// Rows so far.
    pub written: usize,
    /// Files, and folders of records, that nobody needs once this has committed.
    unneeded: Vec<Key>,
}

/// One row to be written.
enum Write<'r> {
    Insert(&'r Arc<Row>),
    /// Only if no UNIQUE index has it.
    InsertNew(&'r Arc<Row>),
    Update {
        old: &'r Arc<Row>,
        new: &'r Arc<Row>,
    },
    Delete(&'r Arc<Row>),
}

impl<'a, 'c> Apply<'a, 'c> {
    pub fn new(tx: &'a mut WriteTx<'c>, catalog: &'a Arc<Catalog>, plans: &'a Plans, bounds: Bounds) -> Self {
        Self { tx, catalog, plans, actor: None, bounds, written: 0, unneeded: Vec::new() }
    }

    /// Whom the log names for what follows.
    pub fn act_as(&mut self, actor: Option<Actor>) {
        self.actor = actor;
    }

    /// Does what was judged. Returns the row as it is stored now, `None` after a delete.
    pub fn carry_out(&mut self, judgement: &Judgement) -> Result<Option<Arc<Row>>> {
        let plan = &judgement.plan;
        match &judgement.verdict {
            Allowed::Insert(save) => self.insert(plan, save).map(Some),
            Allowed::Update { old, save } => self.update(plan, old, save).map(Some),
            Allowed::Delete { old } => self.remove(plan, vec![old.clone()]).map(|()| None),
            Allowed::Unknown => Err(Again::Facts(judgement.needs.clone()).into()),
        }
    }

    /// After the last write: what happens once it is committed.
    pub fn finish(self, jobs: &Jobs, placed: Option<&Arc<Placed>>) -> Result<()> {
        remove_later(jobs, self.tx, &self.unneeded)?;
        if let Some(placed) = placed.cloned() {
            self.tx.after_commit(move || placed.keep());
        }
        Ok(())
    }

    fn insert(&mut self, plan: &Arc<Plan>, save: &Save) -> Result<Arc<Row>> {
        let mut values = save.values.clone();
        self.stamp(plan, &mut values, |dates| dates.on_create);
        let new = Arc::new(plan.row(values));
        self.write_row(plan, Write::Insert(&new))?;
        if is_superusers(&plan.collection) {
            self.remove_installer(plan, &new)?;
        }
        Ok(new)
    }

    fn update(&mut self, plan: &Arc<Plan>, old: &Arc<Row>, save: &Save) -> Result<Arc<Row>> {
        let mut values = save.values.clone();
        let outdated = self.renew_secrets(plan, old, &mut values, save.new_password)?;
        let new = self.rewrite(plan, old, values)?;
        let record = plan.id_of(&new);
        self.clear_account_rows(&outdated, &plan.collection.id, record)?;
        let key = |name: &String| Key::file(&plan.collection.id, record, name).ok();
        self.unneeded.extend(save.removed.iter().filter_map(key));
        Ok(new)
    }

    /// An update with its dates, from a request or a cascade.
    pub fn rewrite(&mut self, plan: &Plan, old: &Arc<Row>, mut values: Vec<Value>) -> Result<Arc<Row>> {
        self.stamp(plan, &mut values, |dates| dates.on_update);
        let new = Arc::new(plan.row(values));
        self.write_row(plan, Write::Update { old, new: &new })?;
        Ok(new)
    }

    /// Takes one row away; its references are the caller's business.
    pub fn erase(&mut self, plan: &Plan, old: &Arc<Row>) -> Result<()> {
        self.write_row(plan, Write::Delete(old))?;
        if plan.has_files {
            self.unneeded.extend(Key::record(&plan.collection.id, plan.id_of(old)));
        }
        Ok(())
    }

    /// A new row of the house, as it is but for its dates. `false`: `only_new`, and a UNIQUE index has it already.
    pub fn add(&mut self, plan: &Plan, mut values: Vec<Value>, only_new: bool) -> Result<bool> {
        self.stamp(plan, &mut values, |dates| dates.on_create);
        let new = Arc::new(plan.row(values));
        self.write_row(plan, if only_new { Write::InsertNew(&new) } else { Write::Insert(&new) })
    }

    /// A row that was there before, as it was then.
    pub fn restore(&mut self, plan: &Plan, row: &Arc<Row>) -> Result<()> {
        self.write_row(plan, Write::Insert(row)).map(drop)
    }

    /// Writes one row and tells the log, or those who have to know of what the log does not keep; false if it was not
    /// new. Nothing else writes records, but for two by-ways: a deleted collection's rows in
    /// the system tables (`schema::delete`, logged there) and the upgrade of a password hash (`auth::password`, no change).
    fn write_row(&mut self, plan: &Plan, write: Write<'_>) -> Result<bool> {
        self.count()?;
        let (kind, old, new) = match write {
            Write::Insert(new) | Write::InsertNew(new) => (Kind::Create, None, Some(new)),
            Write::Update { old, new } => (Kind::Update, Some(old), Some(new)),
            Write::Delete(old) => (Kind::Delete, Some(old), None),
        };
        let touched = self.execute(plan, &write).map_err(|error| unique::explain(&plan.collection, error))?;
        if touched == 0 && matches!(write, Write::InsertNew(_)) {
            return Ok(false);
        }
        if touched != 1 {
            // The row was read in this very transaction.
            return Err(Error::internal(anyhow::anyhow!(
                "{kind:?} in {} touched {touched} rows",
                plan.collection.name
            )));
        }
        let record = old.or(new).map(|row| plan.id_of(row).to_owned()).unwrap_or_default();
        let heard = plan.heard(old.map(|row| &**row), new.map(|row| &**row));
        if heard == Heard::Nothing {
            let (collection, actor) = (plan.collection.id.clone(), self.actor.clone());
            self.tx.note_quietly(Touched { collection, record, actor });
            return Ok(true);
        }
        let image = |row: &Arc<Row>| image::of(plan, row);
        let change = Change {
            collection: plan.collection.id.clone(),
            record,
            kind,
            old: old.map(image),
            new: new.map(image),
            actor: self.actor.clone(),
            mutation: None,
        };
        if heard == Heard::Whole { self.tx.append_whole(change) } else { self.tx.append(change) }?;
        Ok(true)
    }

    /// Returns the number of rows that were written.
    fn execute(&mut self, plan: &Plan, write: &Write<'_>) -> Result<usize> {
        match write {
            Write::Insert(new) => self.tx.execute(&plan.insert, params_from_iter(&new.values)),
            Write::InsertNew(new) => self.tx.execute(&plan.insert_new, params_from_iter(&new.values)),
            Write::Update { old, new } => {
                let differs = |&column: &usize| old.values[column] != new.values[column];
                let changed: Vec<usize> = (0..plan.columns.len()).filter(differs).collect();
                if changed.is_empty() {
                    return Ok(1);
                }
                let values = changed.iter().map(|&column| &new.values[column]);
                self.tx.execute(&plan.update(&changed), params_from_iter(values.chain([&old.values[plan.id]])))
            }
            Write::Delete(old) => self.tx.execute(&plan.delete, [&old.values[plan.id]]),
        }
    }

    fn count(&mut self) -> Result<()> {
        self.written += 1;
        if self.written > self.bounds.rows {
            return Err(match self.bounds.rows {
                MAX_SHARED_ROWS => Again::Alone.into(),
                _ => Error::invalid("Too many records for one transaction."),
            });
        }
        self.check_time()
    }

    pub fn check_time(&self) -> Result<()> {
        match self.bounds.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Error::invalid("The transaction took too long.")),
            _ => Ok(()),
        }
    }

    /// Sets the dates that are the server's to set.
    fn stamp(&self, plan: &Plan, values: &mut [Value], due: impl Fn(&crate::schema::field::Autodate) -> bool) {
        for (field, value) in plan.collection.fields.iter().zip(values) {
            if let FieldKind::Autodate(dates) = &field.kind
                && due(dates)
            {
                *value = Value::Text(self.tx.now().to_string());
            }
        }
    }

    /// The door of the first start closes with the first real superuser.
    fn remove_installer(&mut self, plan: &Arc<Plan>, new: &Row) -> Result<()> {
        let Some(auth) = plan.auth.filter(|auth| text(new.values.get(auth.email)) != INSTALLER) else { return Ok(()) };
        let sql = format!("{} WHERE `{}` = ?1", plan.select, plan.columns[auth.email]);
        match self.tx.query_one(&sql, [INSTALLER], |row| Ok(plan.read(row)))? {
            Some(row) => self.remove(plan, vec![Arc::new(row)]),
            None => Ok(()),
        }
    }
}
