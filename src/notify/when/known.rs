//! The schedules as they were at one point of the log, and what is written back into their rows.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::definition::{Definition, SetsOff, is_active};
use crate::{
    clock::Timestamp,
    db::{Kind, ReadTx, Row, Value},
    error::{Error, Result},
    notify::collections::SCHEDULES,
    records::{Bulk, Records},
    schema::{Catalog, Collection, field::value::moment},
};

/// Schedules that are looked at; more would make each change cost too much.
const MAX_SCHEDULES: usize = 1_000;
/// Bytes of an error that are kept.
const MAX_ERROR: usize = 1_000;
/// What a definition is read from: while these are the same, so is what was found out.
const DEFINING: [&str; 13] = [
    "name",
    "active",
    "kind",
    "cron",
    "zone",
    "missed",
    "collection",
    "action",
    "condition",
    "delay",
    "unless",
    "notification",
    "id",
];
/// When one of these changes, the next time is worked out anew.
const TIMING: [&str; 4] = ["active", "kind", "cron", "zone"];

/// One schedule.
pub(super) struct Known {
    /// All columns under their names.
    row: Arc<Row>,
    parsed: Result<Arc<Definition>, String>,
    /// Why it could not be judged the last time.
    failing: Option<String>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Schedules {
    known: BTreeMap<String, Known>,
    default_zone: String,
}

/// Values to be set in the row of a schedule, if that is still the one they were worked out for.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    id: String,
    seen: Arc<Row>,
    values: Vec<(&'static str, Value)>,
}

impl Schedules {
    /// As they were after change number `seq`.
    pub fn load(
        tx: &ReadTx<'_>,
        records: &Records,
        catalog: &Arc<Catalog>,
        seq: u64,
    ) -> Result<BTreeMap<String, Arc<Row>>> {
        let collection = catalog.by_name(SCHEDULES).ok_or_else(Error::not_found)?;
        let state = |image: &Row| records.state(catalog, collection, image).row().clone();
        let mut rows: BTreeMap<String, Arc<Row>> = BTreeMap::new();
        let sql = "SELECT id FROM _schedules ORDER BY rowid LIMIT ?1";
        let limit = i64::try_from(MAX_SCHEDULES).unwrap_or(i64::MAX);
        let mut ids: Vec<String> = tx.query_all(sql, [limit], |row| row.get(0))?;
        if ids.len() == MAX_SCHEDULES {
            tracing::warn!("there are too many schedules: only the oldest {MAX_SCHEDULES} are looked at");
        }
        // Those that are gone, not yet there, or not yet what they are now: by what happened to them first.
        let sql = "SELECT record, kind, min(seq) FROM __conch_log WHERE seq > ?1 AND collection = ?2
            GROUP BY record LIMIT ?3";
        let since = i64::try_from(seq).unwrap_or(i64::MAX);
        let first = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)? == 0));
        let changed = tx.query_all(sql, (since, &*collection.id, limit), first)?;
        for (id, created) in changed {
            if created {
                ids.retain(|other| *other != id);
            } else if !ids.contains(&id) {
                ids.push(id);
            }
        }
        for id in ids {
            if let Some(image) = records.row_at(tx, collection, &id, seq)? {
                rows.insert(id, state(&image));
            }
        }
        Ok(rows)
    }

    /// Reads them all; what their rows should say of it.
    pub fn replace(&mut self, rows: BTreeMap<String, Arc<Row>>, context: &Context<'_>) -> Vec<Mark> {
        self.known.clear();
        self.default_zone = context.default_zone.to_owned();
        rows.into_iter().filter_map(|(id, row)| self.take(id, Some(row), context)).collect()
    }

    /// Reads them again, because collections have changed.
    pub fn read_again(&mut self, context: &Context<'_>) -> Vec<Mark> {
        let rows = self.known.iter().map(|(id, known)| (id.clone(), known.row.clone())).collect();
        self.replace(rows, context)
    }

    /// A change of a schedule: its row afterwards.
    pub fn take(&mut self, id: String, row: Option<Arc<Row>>, context: &Context<'_>) -> Option<Mark> {
        let before = self.known.remove(&id);
        let row = row?;
        let same = |columns: &[&str]| {
            before.as_ref().is_some_and(|before| columns.iter().all(|name| before.row.get(name) == row.get(name)))
        };
        let (parsed, failing) = match &before {
            Some(before) if same(&DEFINING) => (before.parsed.clone(), before.failing.clone()),
            _ => (Definition::read(&row, context.catalog, context.default_zone, context.now).map(Arc::new), None),
        };
        let timed = before.as_ref().is_none_or(|_| same(&TIMING));
        let moved = before.as_ref().is_some_and(|before| before.row.text("next") != row.text("next"));
        let known = Known { row, parsed, failing };
        let mark = known.mark(&id, timed || moved, context.now);
        self.known.insert(id, known);
        mark
    }

    /// Judging a schedule met an error, or none: its row says which.
    pub fn judged(&mut self, id: &str, error: Option<String>, now: Timestamp) -> Option<Mark> {
        let known = self.known.get_mut(id).filter(|known| known.failing != error)?;
        known.failing = error;
        known.mark(id, true, now)
    }

    fn active(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.known.values().filter(|known| is_active(&known.row)).filter_map(|known| known.parsed.as_ref().ok())
    }

    /// Collections (ids) whose changes count.
    pub fn watched(&self, catalog: &Catalog) -> HashSet<Arc<str>> {
        let followed =
            self.active().filter_map(|definition| definition.follow()).map(|follow| follow.collection.clone());
        followed.chain(catalog.by_name(SCHEDULES).map(|collection| collection.id.clone())).collect()
    }

    /// Those that follow such a change.
    pub fn following(&self, collection: &str, action: Kind) -> Vec<Arc<Definition>> {
        let follows = |definition: &&Arc<Definition>| {
            definition.follow().is_some_and(|follow| &*follow.collection == collection && follow.action == action)
        };
        self.active().filter(follows).cloned().collect()
    }

    /// Whether something about records of the collection may be pending.
    pub fn leaves_pending(&self, collection: &str) -> bool {
        let waits = |definition: &Arc<Definition>| {
            definition
                .follow()
                .is_some_and(|follow| &*follow.collection == collection && follow.waits(&definition.intent))
        };
        self.active().any(waits)
    }
}

/// What schedules are read in.
pub(super) struct Context<'a> {
    pub catalog: &'a Catalog,
    /// Of those that name none.
    pub default_zone: &'a str,
    pub now: Timestamp,
}

impl Known {
    /// What its row should say and does not. `keep`: its next time stands if there is one.
    fn mark(&self, id: &str, keep: bool, now: Timestamp) -> Option<Mark> {
        let text = |name| self.row.text(name).unwrap_or_default();
        let mut values = Vec::new();
        let error = self.parsed.as_ref().err().or(self.failing.as_ref()).map_or("", |message| cut(message));
        if text("error") != error {
            values.push(("error", Value::Text(error.to_owned())));
        }
        let next = match self.parsed.as_ref().map(|definition| &definition.sets_off) {
            Ok(SetsOff::Time { cron, .. }) if is_active(&self.row) => match moment::parse(text("next")) {
                Some(_) if keep => text("next").to_owned(),
                _ => cron.next_after(now).map(|next| next.to_string()).unwrap_or_default(),
            },
            _ => String::new(),
        };
        if text("next") != next {
            values.push(("next", Value::Text(next)));
        }
        (!values.is_empty()).then(|| Mark { id: id.to_owned(), seen: self.row.clone(), values })
    }
}

impl Mark {
    /// Sets the values, unless somebody has changed the schedule meanwhile: then that change is still to be taken.
    pub fn write(&self, bulk: &mut Bulk<'_, '_>) -> Result<()> {
        let Some(row) = bulk.load(SCHEDULES, &self.id)? else { return Ok(()) };
        let same = |name: &str| row.get(name) == self.seen.get(name);
        if same_definition(&row, &self.seen) && self.values.iter().all(|(name, _)| same(name)) {
            bulk.update(SCHEDULES, &self.id, &self.values)?;
        }
        Ok(())
    }

    /// Whether it sets a time at which there is something to do.
    pub fn next(&self) -> Option<Timestamp> {
        self.values.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == "next" => moment::parse(text),
            _ => None,
        })
    }
}

/// Whether two rows say the same of what is to be done.
pub(super) fn same_definition(one: &Row, other: &Row) -> bool {
    DEFINING.iter().all(|name| one.get(name) == other.get(name))
}

/// No more than is kept, on a border between characters.
pub(super) fn cut(error: &str) -> &str {
    let mut end = error.len().min(MAX_ERROR);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    &error[..end]
}

/// The row of a change as it names columns.
pub(super) fn named(
    records: &Records,
    catalog: &Arc<Catalog>,
    collection: &Arc<Collection>,
    image: Option<&Arc<Row>>,
) -> Option<Arc<Row>> {
    image.map(|image| records.state(catalog, collection, image).row().clone())
}
