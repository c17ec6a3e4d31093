//! Related records inside an answer (`docs/wire/records-api.md` §8).
//!
//! One query per segment of a path over all records that reach it; then everything is written in one pass. A path
//! with an error yields nothing and says nothing.

mod paths;
mod related;

use std::{borrow::Borrow, collections::HashMap, sync::Arc};

pub use self::paths::Paths;
use self::{paths::Segment, related::Relation};
use super::{
    cache,
    layout::{Audience, Table, Tables},
    render,
    visibility::{self, Emails},
};
use crate::{
    db::{ReadTx, Row, Value},
    error::{Error, Result},
    rules::{Context, Query, Request, Sql},
    schema::Catalog,
};

/// Related records of one answer may take this much, in bytes: loaded, and again when written. A few paths that lead
/// forth and back can multiply without end.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Segments of a path that are followed; deeper ones are ignored.
const MAX_LEVEL: usize = 6;

/// What was found for a list of records, by their position.
#[derive(Default)]
pub struct Expansion {
    /// The records show `expand`, even when nothing is in it.
    present: bool,
    /// In the order of their keys.
    branches: Vec<Branch>,
}

/// The records at the end of one segment.
struct Branch {
    /// `"name":`
    key: Vec<u8>,
    /// One object instead of a list.
    single: bool,
    table: Arc<Table>,
    emails: Emails,
    rows: Vec<Row>,
    /// For each parent the positions of its related rows.
    links: Vec<Vec<usize>>,
    inner: Expansion,
}

/// Reads everything that `paths` lead to from these rows.
pub fn load(
    tx: &ReadTx<'_>,
    tables: &Tables,
    catalog: &Catalog,
    request: &Request,
    table: &Arc<Table>,
    rows: &[impl Borrow<Row>],
    paths: &Paths,
) -> Result<Expansion> {
    if rows.is_empty() {
        return Ok(Expansion::default());
    }
    let request = Request { context: Context::Expand, ..request.clone() };
    let rows: Vec<&Row> = rows.iter().map(Borrow::borrow).collect();
    let mut loader = Loader { tx, tables, catalog, request, budget: MAX_BYTES };
    Ok(loader.expand(table, &rows, paths.segments(), 1)?.unwrap_or_default())
}

struct Loader<'a> {
    tx: &'a ReadTx<'a>,
    tables: &'a Tables,
    catalog: &'a Catalog,
    request: Request,
    /// Bytes that may still be loaded.
    budget: usize,
}

impl Loader<'_> {
    /// `None` when every path failed.
    fn expand(
        &mut self,
        table: &Arc<Table>,
        parents: &[&Row],
        segments: &[Segment],
        level: usize,
    ) -> Result<Option<Expansion>> {
        if segments.is_empty() || level > MAX_LEVEL {
            return Ok(Some(Expansion::default()));
        }
        let mut branches = Vec::new();
        for segment in segments {
            branches.extend(self.follow(table, parents, segment, level)?);
        }
        branches.sort_by(|a, b| a.key.cmp(&b.key));
        Ok((!branches.is_empty()).then_some(Expansion { present: true, branches }))
    }

    /// `None` when every path through this segment failed.
    fn follow(
        &mut self,
        table: &Arc<Table>,
        parents: &[&Row],
        segment: &Segment,
        level: usize,
    ) -> Result<Option<Branch>> {
        let Some(relation) = Relation::find(self.catalog, table, &segment.name) else { return Ok(None) };
        let ids = relation.ids(self.tx, table, parents)?;
        let target = self.tables.of(relation.target());
        let Some(sql) = self.select(&target, &ids) else { return Ok(None) };
        let rows = self.load(&target, &sql)?;
        let inner = match rows.is_empty() {
            true => Expansion::default(),
            false => match self.expand(&target, &rows.iter().collect::<Vec<_>>(), &segment.inner, level + 1)? {
                Some(inner) => inner,
                None => return Ok(None),
            },
        };
        let positions: HashMap<&str, usize> =
            rows.iter().enumerate().filter_map(|(position, row)| Some((target.id_of(row)?, position))).collect();
        let links = ids.iter().map(|ids| ids.iter().filter_map(|id| positions.get(id.as_str()).copied()).collect());
        Ok(Some(Branch {
            key: [&serde_json::to_vec(&segment.name).map_err(Error::internal)?, &b":"[..]].concat(),
            single: relation.is_single(),
            links: links.collect(),
            emails: visibility::resolve(self.tx, self.catalog, &target, &self.request, &rows)?,
            table: target,
            rows,
            inner,
        }))
    }

    /// The related records that the view rule lets the caller see; `None` when it locks them or does not compile.
    fn select(&self, target: &Table, ids: &[Vec<String>]) -> Option<Sql> {
        let mut distinct: Vec<&String> = ids.iter().flatten().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut query = Query::new(self.catalog, &target.collection, &self.request);
        query.and_in("id", distinct.into_iter().map(|id| Value::Text(id.clone())).collect());
        if !self.request.caller.is_superuser() {
            match target.collection.view_rule.as_deref()? {
                "" => {}
                rule => query.and_rule(rule).ok()?,
            }
        }
        Some(query.select(&target.column_names(), None, 0))
    }

    fn load(&mut self, target: &Table, sql: &Sql) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        target.each(self.tx, sql, |row| {
            self.budget = self.budget.checked_sub(cache::weight(&row)).ok_or_else(too_large)?;
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }
}

impl Expansion {
    /// Writes `,"expand":{…}` of the record at `position`, or nothing when it shows none. `budget` is what may still
    /// be written, in bytes.
    pub fn write(&self, position: usize, audience: Audience, budget: &mut usize, out: &mut Vec<u8>) -> Result<()> {
        if !self.present {
            return Ok(());
        }
        out.extend_from_slice(b",\"expand\":{");
        let start = out.len();
        for branch in &self.branches {
            let Some(links) = branch.links.get(position).filter(|links| !links.is_empty()) else { continue };
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(&branch.key);
            branch.write(links, audience, budget, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

impl Branch {
    fn write(&self, links: &[usize], audience: Audience, budget: &mut usize, out: &mut Vec<u8>) -> Result<()> {
        if let ([only], true) = (links, self.single) {
            return self.write_record(*only, audience, budget, out);
        }
        for (position, &row) in links.iter().enumerate() {
            out.push(if position == 0 { b'[' } else { b',' });
            self.write_record(row, audience, budget, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn write_record(&self, row: usize, audience: Audience, budget: &mut usize, out: &mut Vec<u8>) -> Result<()> {
        let Some(values) = self.rows.get(row) else { return Ok(()) };
        let start = out.len();
        let before = *budget;
        let expand = |out: &mut Vec<u8>| self.inner.write(row, audience, budget, out);
        render::record(&self.table, self.table.layout(audience), values, &self.emails, expand, out)?;
        // What was written inside has been counted there.
        let inside = before - *budget;
        *budget = budget.checked_sub((out.len() - start).saturating_sub(inside)).ok_or_else(too_large)?;
        Ok(())
    }
}

fn too_large() -> Error {
    Error::invalid("The expanded records are too many for one answer.")
}
