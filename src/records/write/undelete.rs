//! Deletes taken back: rows written again as the change log remembers them.
//!
//! The log has the whole row of a delete but for secrets, so accounts cannot come back; and files are removed soon after
//! their record, so what had files stays deleted. What the delete changed elsewhere (references that were cleared) stays
//! as it is. The rows pass the same door as all others: the log and realtime hear of them, UNIQUE indexes hold.

use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

use serde::Serialize;

use super::{
    apply::{Apply, Bounds},
    plan::{Plan, text},
    system::ACCOUNT_COLLECTIONS,
};
use crate::{
    db::{Actor, Db, Kind, ReadTx, Row, Value, WriteTx, quote_ident},
    error::{Error, Kind as Failure, Result},
    records::{Records, history::deleted},
    schema::{Catalog, FieldKind},
};

/// Records that one request may bring back.
pub const MAX_IDS: usize = 1000;
/// Rows that a UNIQUE index refuses until the rest is given up: each has all others written once more.
const MAX_REFUSED: usize = 20;

/// Why a record stays deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub id: String,
    /// A code: see [`Records::undelete`].
    pub reason: &'static str,
    /// For people.
    pub message: &'static str,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Undeleted {
    pub restored: Vec<String>,
    pub failed: Vec<Refused>,
}

type Reason = (&'static str, &'static str);

const AUTH: Reason = ("auth_collection", "Accounts cannot come back: their passwords are not in the change log.");
const OF_ACCOUNTS: Reason = ("system_collection", "What belongs to the sign-in of an account is not brought back.");
const VIEW: Reason = ("view_collection", "Records of a view are not deleted themselves.");
const SECRETS: Reason = ("has_secrets", "The record had a password, which is not in the change log.");
const FILES: Reason = ("has_files", "The record had files, which are removed soon after it.");
const EXISTS: Reason = ("exists", "There is a record with this id.");
const UNKNOWN: Reason = ("not_in_log", "The change log does not remember this delete, or not any more.");
const RELATION: Reason = ("missing_relation", "A record that it points at is not there: bring that back first.");
const INVALID: Reason = ("invalid", "The collection has changed: the record would not be valid any more.");
const TAKEN: Reason = ("not_unique", "Another record has a value by now that may be there only once.");

impl Records {
    /// Brings deleted records back as they were, dates included, as many of at most [`MAX_IDS`] as can be; for the
    /// others it tells why not. Those that point at each other come back together.
    pub async fn undelete(&self, collection: &str, ids: Vec<String>, actor: Option<Actor>) -> Result<Undeleted> {
        self.schema.find(collection)?;
        let (records, collection) = (self.clone(), collection.to_owned());
        let work = move |tx: &mut WriteTx<'_>| {
            let catalog = records.schema.catalog();
            let found = catalog.find(&collection).ok_or_else(Error::not_found)?;
            let plan = records.writes.plans.of(found);
            let mut attempt = Attempt { plan: &plan, catalog: &catalog, rows: BTreeMap::new(), failed: Vec::new() };
            attempt.read(tx, &ids)?;
            loop {
                attempt.drop_dangling(tx)?;
                let Some(taken) = attempt.write(&records, tx, actor.clone())? else { break };
                attempt.fail(&taken, TAKEN);
                if attempt.failed.iter().filter(|refused| refused.reason == TAKEN.0).count() > MAX_REFUSED {
                    return Err(Error::invalid("Too many of the records have values that others have by now."));
                }
            }
            let restored = ids.iter().filter(|id| attempt.rows.contains_key(*id)).cloned().collect();
            Ok(Undeleted { restored, failed: attempt.failed })
        };
        self.db.write_alone(work).await
    }
}

/// One try on the writer.
struct Attempt<'a> {
    plan: &'a Arc<Plan>,
    catalog: &'a Arc<Catalog>,
    /// Those that may come back, by id.
    rows: BTreeMap<String, Arc<Row>>,
    failed: Vec<Refused>,
}

impl Attempt<'_> {
    fn fail(&mut self, id: &str, (reason, message): Reason) {
        self.rows.remove(id);
        self.failed.push(Refused { id: id.to_owned(), reason, message });
    }

    /// The rows as the log has them.
    fn read(&mut self, tx: &ReadTx<'_>, ids: &[String]) -> Result<()> {
        for id in ids {
            match self.remembered(tx, id)? {
                Ok(row) => drop(self.rows.insert(id.clone(), Arc::new(row))),
                Err(reason) => self.fail(id, reason),
            }
        }
        Ok(())
    }

    fn remembered(&self, tx: &ReadTx<'_>, id: &str) -> Result<Result<Row, Reason>> {
        let collection = &self.plan.collection;
        if collection.is_view() {
            return Ok(Err(VIEW));
        }
        if collection.is_auth() {
            return Ok(Err(AUTH));
        }
        if collection.system && ACCOUNT_COLLECTIONS.contains(&&*collection.name) {
            return Ok(Err(OF_ACCOUNTS));
        }
        if self.plan.load(tx, id)?.is_some() {
            return Ok(Err(EXISTS));
        }
        let mut image = None;
        Db::changes_of(tx, &collection.id, id, 0, |_, kind, before| {
            if kind == Kind::Delete {
                image = Some(deleted(before)?);
            }
            // What came before the newest change is of no interest.
            Ok(ControlFlow::Break(()))
        })?;
        let Some(mut image) = image else { return Ok(Err(UNKNOWN)) };
        let mut values = Vec::with_capacity(collection.fields.len());
        for field in &collection.fields {
            let behaviour = field.kind.as_type();
            let value = match image.remove(&field.id) {
                Some(value) => behaviour.normalise_stored((&value).into()),
                None => behaviour.zero(),
            };
            match &field.kind {
                FieldKind::Password(_) => return Ok(Err(SECRETS)),
                FieldKind::File(_) if value != behaviour.zero() => return Ok(Err(FILES)),
                kind if kind.as_type().check(field.required, &value).is_err() => return Ok(Err(INVALID)),
                _ => values.push(value),
            }
        }
        let row = self.plan.row(values);
        Ok(if self.plan.id_of(&row) == id { Ok(row) } else { Err(UNKNOWN) })
    }

    /// Leaves out what would point at nothing, and then what points at that.
    fn drop_dangling(&mut self, tx: &ReadTx<'_>) -> Result<()> {
        loop {
            let mut dangling = Vec::new();
            for (id, row) in &self.rows {
                if !self.points_at_something(tx, row)? {
                    dangling.push(id.clone());
                }
            }
            if dangling.is_empty() {
                return Ok(());
            }
            dangling.iter().for_each(|id| self.fail(id, RELATION));
        }
    }

    fn points_at_something(&self, tx: &ReadTx<'_>, row: &Row) -> Result<bool> {
        let collection = &self.plan.collection;
        for (field, value) in collection.fields.iter().zip(&row.values) {
            let FieldKind::Relation(relation) = &field.kind else { continue };
            let wanted = ids_of(value);
            if wanted.is_empty() {
                continue;
            }
            let Some(target) = self.catalog.by_id(&relation.collection_id) else { return Ok(false) };
            let sql = format!("SELECT 1 FROM {} WHERE `id` = ?1", quote_ident(&target.name));
            for id in &wanted {
                let comes_along = target.id == collection.id && self.rows.contains_key(id);
                if !comes_along && tx.query_one(&sql, [id], |_| Ok(()))?.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Writes all of them, or none and tells which one a UNIQUE index refuses.
    fn write(&self, records: &Records, tx: &mut WriteTx<'_>, actor: Option<Actor>) -> Result<Option<String>> {
        let mut refused = None;
        let written = tx.savepoint(|tx| {
            let mut apply = Apply::new(tx, self.catalog, &records.writes.plans, Bounds::ALONE);
            apply.act_as(actor);
            for (id, row) in &self.rows {
                if let Err(error) = apply.restore(self.plan, row) {
                    // Whatever else it is, it is nobody's fault here.
                    if error.kind == Failure::Invalid && error.sqlite().is_some() {
                        refused = Some(id.clone());
                    }
                    return Err(error);
                }
            }
            apply.finish(&records.jobs, None)
        });
        match (written, refused) {
            (_, Some(id)) => Ok(Some(id)),
            (written, None) => written.map(|()| None),
        }
    }
}

/// The ids in a relation's column.
fn ids_of(value: &Value) -> HashSet<String> {
    match text(Some(value)) {
        "" => HashSet::new(),
        list if list.starts_with('[') => serde_json::from_str(list).unwrap_or_default(),
        id => HashSet::from([id.to_owned()]),
    }
}
