//! Related records inside an answer (`docs/wire/records-api.md` §8).
//!
//! One query per segment of a path over all records that reach it; then everything is written in one pass. A path
//! with an error yields nothing and says nothing.

mod paths;
mod related;

use std::sync::Arc;

pub use self::paths::{Paths, Segment};
use self::related::Relation;
use super::{
    layout::{Audience, Table, Tables},
    sheet::Sheet,
};
use crate::{
    db::ReadTx,
    error::{Error, Result},
    rules::{Context, Query, Request},
    schema::{Catalog, Collection},
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
    sheet: Sheet,
    /// For each parent the numbers of its related records.
    links: Vec<Vec<usize>>,
    inner: Expansion,
}

/// The fields (positions) of a table's records that lead to what the segments name.
pub fn kept(catalog: &Catalog, table: &Table, segments: &[Segment]) -> Vec<usize> {
    let relations = segments.iter().filter_map(|segment| Relation::find(catalog, table, &segment.name));
    let mut kept = Vec::new();
    for field in relations.map(|relation| relation.field(table)) {
        if !kept.contains(&field) {
            kept.push(field);
        }
    }
    kept
}

/// Reads everything that `paths` lead to from the records of a sheet, which keeps what [`kept`] tells.
pub fn load(
    tx: &ReadTx<'_>,
    tables: &Tables,
    catalog: &Catalog,
    request: &Request,
    records: &Sheet,
    paths: &Paths,
) -> Result<Expansion> {
    if records.is_empty() {
        return Ok(Expansion::default());
    }
    let request = Request { context: Context::Expand, ..request.clone() };
    let mut loader = Loader { tx, tables, catalog, request: &request, budget: MAX_BYTES };
    Ok(loader.expand(records, paths.segments(), 1)?.unwrap_or_default())
}

struct Loader<'a> {
    tx: &'a ReadTx<'a>,
    tables: &'a Tables,
    catalog: &'a Catalog,
    request: &'a Request,
    /// Bytes that may still be loaded.
    budget: usize,
}

impl<'a> Loader<'a> {
    /// `None` when every path failed.
    fn expand(&mut self, parents: &Sheet, segments: &[Segment], level: usize) -> Result<Option<Expansion>> {
        if segments.is_empty() || level > MAX_LEVEL {
            return Ok(Some(Expansion::default()));
        }
        let mut branches = Vec::new();
        for segment in segments {
            branches.extend(self.follow(parents, segment, level)?);
        }
        branches.sort_by(|a, b| a.key.cmp(&b.key));
        Ok((!branches.is_empty()).then_some(Expansion { present: true, branches }))
    }

    /// `None` when every path through this segment failed.
    fn follow(&mut self, parents: &Sheet, segment: &Segment, level: usize) -> Result<Option<Branch>> {
        let Some(relation) = Relation::find(self.catalog, &parents.table, &segment.name) else { return Ok(None) };
        let ids = relation.ids(self.tx, parents)?;
        let Some(sheet) = self.load(relation.target(), &ids, &segment.inner)? else { return Ok(None) };
        let inner = match sheet.is_empty() {
            true => Expansion::default(),
            false => match self.expand(&sheet, &segment.inner, level + 1)? {
                Some(inner) => inner,
                None => return Ok(None),
            },
        };
        let mut numbers: Vec<(&str, usize)> =
            sheet.ids().enumerate().filter_map(|(number, id)| Some((id?, number))).collect();
        numbers.sort_unstable();
        let number = |id: &String| {
            let at = numbers.binary_search_by_key(&id.as_str(), |(id, _)| id).ok()?;
            Some(numbers[at].1)
        };
        Ok(Some(Branch {
            key: [&serde_json::to_vec(&segment.name).map_err(Error::internal)?, &b":"[..]].concat(),
            single: relation.is_single(),
            links: ids.iter().map(|ids| ids.iter().filter_map(number).collect()).collect(),
            sheet,
            inner,
        }))
    }

    /// The related records that the view rule lets the caller see; `None` when it locks them or does not compile.
    fn load(&mut self, target: &Arc<Collection>, ids: &[Vec<String>], segments: &[Segment]) -> Result<Option<Sheet>> {
        let mut distinct: Vec<&str> = ids.iter().flatten().map(String::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut query = Query::new(self.catalog, target, self.request);
        query.and_in("id", &distinct);
        let superuser = self.request.caller.is_superuser();
        if !superuser {
            let Some(rule) = &target.view_rule else { return Ok(None) };
            if query.and_rule(rule).is_err() {
                return Ok(None);
            }
        }
        let table = self.tables.of(target);
        let layout = table.layout(if superuser { Audience::Superuser } else { Audience::Public }).clone();
        let mut keep = kept(self.catalog, &table, segments);
        // By their ids they are given to those who refer to them.
        keep.push(table.id);
        let mut sheet = Sheet::new(table, layout, &keep);
        let sql = query.select(&sheet.columns(self.request), None, 0);
        let admit = |bytes: usize| if bytes <= self.budget { Ok(()) } else { Err(too_large()) };
        sheet.fill(self.tx, self.catalog, self.request, &sql, admit)?;
        self.budget -= sheet.bytes();
        Ok(Some(sheet))
    }
}

impl Expansion {
    /// The size of everything in it, if it is written once.
    pub fn bytes(&self) -> usize {
        self.branches.iter().map(|branch| branch.sheet.bytes() + branch.inner.bytes()).sum()
    }

    /// Writes `,"expand":{…}` of the record at `position`, or nothing when it shows none. `budget` is what may still
    /// be written, in bytes.
    pub fn write(&self, position: usize, budget: &mut usize, out: &mut Vec<u8>) -> Result<()> {
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
            branch.write(links, budget, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

impl Branch {
    fn write(&self, links: &[usize], budget: &mut usize, out: &mut Vec<u8>) -> Result<()> {
        if let ([only], true) = (links, self.single) {
            return self.write_record(*only, budget, out);
        }
        for (position, &number) in links.iter().enumerate() {
            out.push(if position == 0 { b'[' } else { b',' });
            self.write_record(number, budget, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn write_record(&self, number: usize, budget: &mut usize, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let before = *budget;
        self.sheet.write(number, |out| self.inner.write(number, budget, out), out)?;
        // What was written inside has been counted there.
        let inside = before - *budget;
        *budget = budget.checked_sub((out.len() - start).saturating_sub(inside)).ok_or_else(too_large)?;
        Ok(())
    }
}

fn too_large() -> Error {
    Error::invalid("The expanded records are too many for one answer.")
}
