//! Deleting a record and everything that follows from it (`records-api.md` §4.4).
//!
//! Rows go first, then what pointed at them is found, updated or deleted in turn. A deleted row is never found again, so
//! cycles end and references of a record to itself are never followed. Whether a *required* reference forbids the delete
//! is decided at the end: a record that is itself deleted on the way forbids nothing, in whatever order it was met.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{apply::Apply, judge::is_superusers, plan::Plan, system::ACCOUNT_COLLECTIONS};
use crate::{
    db::{Row, quote_ident},
    error::{Error, Result},
    schema::{Collection, FieldKind, Modifier, bootstrap::notify, field},
};

/// Rows that are looked up at a time; also ids that are looked for at a time.
const PAGE: usize = 500;

/// Deleted records of one collection whose references have still to be seen to.
struct Pending {
    collection: Arc<str>,
    ids: Vec<String>,
}

/// Records that hold a required reference to something deleted.
type Holders = Vec<(Arc<Plan>, String)>;

impl Apply<'_, '_> {
    /// Deletes rows of one collection with everything that follows.
    pub(super) fn remove(&mut self, plan: &Arc<Plan>, rows: Vec<Arc<Row>>) -> Result<()> {
        let mut holders = Holders::new();
        self.remove_with(plan, rows, &mut holders)?;
        self.refuse_if_held(&holders)
    }

    /// Deletes all rows of a collection with everything that follows.
    pub(super) fn remove_all(&mut self, plan: &Arc<Plan>) -> Result<()> {
        let sql = format!("{} ORDER BY `_rowid_` LIMIT {PAGE}", plan.select);
        let mut holders = Holders::new();
        loop {
            let rows = self.rows(plan, &sql, [])?;
            if rows.is_empty() {
                return self.refuse_if_held(&holders);
            }
            self.remove_with(plan, rows, &mut holders)?;
        }
    }

    fn remove_with(&mut self, plan: &Arc<Plan>, rows: Vec<Arc<Row>>, holders: &mut Holders) -> Result<()> {
        let mut pending = Vec::new();
        self.erase_all(plan, rows, &mut pending)?;
        while let Some(Pending { collection, ids }) = pending.pop() {
            let catalog = self.catalog.clone();
            for (referrer, index) in catalog.references_to(&collection).iter().filter(|(other, _)| !other.is_view()) {
                for ids in ids.chunks(PAGE) {
                    self.release(referrer, *index, ids, &mut pending, holders)?;
                }
            }
        }
        Ok(())
    }

    fn erase_all(&mut self, plan: &Arc<Plan>, rows: Vec<Arc<Row>>, pending: &mut Vec<Pending>) -> Result<()> {
        let mut ids = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = plan.id_of(row);
            if is_superusers(&plan.collection) {
                self.keep_last_superuser(plan, id)?;
            }
            self.erase(plan, row)?;
            if plan.collection.is_auth() {
                self.erase_account_rows(&plan.collection, id, pending)?;
            }
            ids.push(id.to_owned());
        }
        if !ids.is_empty() {
            pending.push(Pending { collection: plan.collection.id.clone(), ids });
        }
        Ok(())
    }

    /// What `_otps` and the like hold of a deleted account, and its devices, preferences and inbox.
    fn erase_account_rows(&mut self, account: &Collection, id: &str, pending: &mut Vec<Pending>) -> Result<()> {
        let catalog = self.catalog.clone();
        for found in ACCOUNT_COLLECTIONS.iter().chain(&notify::OF_ACCOUNTS).filter_map(|name| catalog.find(name)) {
            let plan = self.plans.of(found);
            let rows = self.account_rows(&plan, &account.id, id)?;
            self.erase_all(&plan, rows, pending)?;
        }
        Ok(())
    }

    /// Sees to every record of `referrer` whose relation field at `index` names one of the deleted `ids`.
    fn release(
        &mut self,
        referrer: &Arc<Collection>,
        index: usize,
        ids: &[String],
        pending: &mut Vec<Pending>,
        holders: &mut Holders,
    ) -> Result<()> {
        let plan = self.plans.of(referrer);
        let FieldKind::Relation(kind) = &referrer.fields[index].kind else { return Ok(()) };
        let sql = referring(&plan, index, referrer.fields[index].kind.as_type().is_multiple());
        let wanted = Json::from(ids.to_vec()).to_string();
        let mut after = i64::MIN;
        loop {
            let rows = self.referring_rows(&plan, &sql, &wanted, after)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = *last;
            let mut doomed = Vec::new();
            for (_, row) in rows {
                if let Some(row) = self.release_row(&plan, index, kind, ids, row, holders)? {
                    doomed.push(row);
                }
            }
            self.erase_all(&plan, doomed, pending)?;
        }
    }

    /// Takes the ids out of one row, or hands the row back to be deleted.
    fn release_row(
        &mut self,
        plan: &Arc<Plan>,
        index: usize,
        kind: &field::Relation,
        ids: &[String],
        row: Arc<Row>,
        holders: &mut Holders,
    ) -> Result<Option<Arc<Row>>> {
        let field = &plan.collection.fields[index];
        let behaviour = field.kind.as_type();
        let before = behaviour.normalise_stored((&row.values[index]).into());
        let gone = ids.iter().cloned().map(Json::from).collect();
        let after = behaviour.apply(&before, Modifier::Remove, &gone).unwrap_or_else(|| behaviour.zero());
        if after == behaviour.zero() {
            if kind.cascade_delete {
                return Ok(Some(row));
            }
            if field.required {
                holders.push((plan.clone(), plan.id_of(&row).to_owned()));
                return Ok(None);
            }
        }
        if after != before {
            let mut values = row.values.clone();
            values[index] = after;
            self.rewrite(plan, &row, values)?;
        }
        Ok(None)
    }

    fn refuse_if_held(&self, holders: &Holders) -> Result<()> {
        for (plan, id) in holders {
            if plan.load(self.tx, id)?.is_some() {
                let message = "The record is needed by another one, which would be left without a required relation.";
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }

    /// Nobody could ever sign in again without one (`auth.md` §1.4).
    fn keep_last_superuser(&self, plan: &Plan, id: &str) -> Result<()> {
        let sql = format!("SELECT 1 FROM {} WHERE `id` != ?1 LIMIT 1", quote_ident(&plan.collection.name));
        match self.tx.query_one(&sql, [id], |_| Ok(()))? {
            Some(()) => Ok(()),
            None => Err(Error::invalid("The last superuser cannot be deleted.")),
        }
    }

    fn rows(&self, plan: &Plan, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Arc<Row>>> {
        let mut statement = self.tx.prepare(sql)?;
        let rows = statement.query_map(params, |row| Ok(Arc::new(plan.read(row))))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A page of rows with their rowids.
    fn referring_rows(&self, plan: &Plan, sql: &str, ids: &str, after: i64) -> Result<Vec<(i64, Arc<Row>)>> {
        let mut statement = self.tx.prepare(sql)?;
        let rowid = plan.columns.len();
        let rows = statement
            .query_map(rusqlite::params![ids, after], |row| Ok((row.get(rowid)?, Arc::new(plan.read(row)))))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// Rows whose relation field holds one of the ids (`?1`, a JSON array), after a rowid (`?2`). A multiple field may hold
/// something else than an array: a single id from before it was one.
fn referring(plan: &Plan, index: usize, multiple: bool) -> String {
    let list: Vec<String> = plan.columns.iter().map(|column| quote_ident(column)).collect();
    let (columns, table) = (list.join(", "), quote_ident(&plan.collection.name));
    let column = &list[index];
    let holds = if multiple {
        format!(
            "EXISTS (
                SELECT 1
                FROM json_each(
                    CASE
                        WHEN NOT json_valid({column}) THEN json_array({column})
                        WHEN json_type({column}) = 'array' THEN {column}
                        ELSE json_array({column})
                    END
                ) AS element
                WHERE element.value IN (SELECT value FROM json_each(?1))
            )"
        )
    } else {
        format!("{column} IN (SELECT value FROM json_each(?1))")
    };
    format!("SELECT {columns}, `_rowid_` FROM {table} WHERE {holds} AND `_rowid_` > ?2 ORDER BY `_rowid_` LIMIT {PAGE}")
}
