//! A page of a collection (`docs/wire/records-api.md` §2).

use std::{io::Write, sync::Arc};

use rusqlite::params_from_iter;

use super::{
    ListParams, Records, Rendered, Shape,
    answer::Asked,
    counts::{Count, Counts},
    layout::{Layout, Table},
    sheet::Sheet,
    view,
};
use crate::{
    db::ReadTx,
    error::{Error, Result},
    rules::{Query, Request, Sql},
    schema::Catalog,
};

/// One answer may take this much, in bytes; what is loaded for it, too.
const MAX_BYTES: usize = if cfg!(test) { 4 << 20 } else { 128 << 20 };

impl Records {
    /// One page as the caller may see it: list rule and filter decide what is in it.
    pub async fn list(&self, request: Request, collection: &str, params: ListParams, shape: Shape) -> Result<Rendered> {
        let request = Arc::new(request);
        self.steadily(|catalog| self.list_once(request.clone(), catalog, collection, &params, &shape)).await
    }

    async fn list_once(
        &self,
        request: Arc<Request>,
        catalog: Arc<Catalog>,
        collection: &str,
        params: &ListParams,
        shape: &Shape,
    ) -> Result<Rendered> {
        let collection = catalog.find(collection).ok_or_else(Error::not_found)?.clone();
        view::refuse_locked(&request, collection.list_rule.as_deref())?;
        refuse_special_fields(&request, params)?;
        params.check()?;
        let table = self.tables.of(&collection);
        let asked = Asked::new(&self.tables, catalog, request, shape)?;
        let page = Page::new(asked, table, params, self.counts.clone())?;
        self.db.read_for(page.asked.request.asker(), move |tx| page.read(tx)).await
    }
}

/// Only superusers may say `@request.` and `@collection.`, wherever it stands (`docs/wire/records-filter.md` §6.3).
fn refuse_special_fields(request: &Request, params: &ListParams) -> Result<()> {
    let is_special = |text: &str| text.contains("@request.") || text.contains("@collection.");
    let special = [&params.filter, &params.sort].into_iter().flatten().any(|text| is_special(text));
    if special && !request.caller.is_superuser() {
        return Err(Error::forbidden("Only superusers may filter and sort by @request and @collection fields."));
    }
    Ok(())
}

fn bounded(bytes: usize) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::invalid(
        "The records of this page are too large for one answer: ask for fewer with perPage, or for smaller fields with fields.",
    ))
}

/// A list, compiled.
struct Page {
    asked: Asked,
    table: Arc<Table>,
    way: Way,
    rows: Sql,
    count: Option<Count>,
    counts: Arc<Counts>,
    number: u64,
    size: u64,
    offset: u64,
}

/// How rows come into the answer.
enum Way {
    /// Written as SQLite hands them out.
    Streamed(Arc<Layout>),
    /// Onto a copy of this empty sheet first.
    Sheet(Sheet),
}

impl Page {
    fn new(asked: Asked, table: Arc<Table>, params: &ListParams, counts: Arc<Counts>) -> Result<Self> {
        let way = match asked.streams(&table) {
            true => Way::Streamed(asked.layout(&table)),
            false => Way::Sheet(asked.sheet(&table)),
        };
        let columns = match &way {
            Way::Streamed(layout) => table.selected_names(layout),
            Way::Sheet(sheet) => sheet.columns(&asked.request),
        };
        let mut query = Query::new(&asked.catalog, &table.collection, &asked.request);
        if !asked.request.caller.is_superuser()
            && let Some(rule) = table.collection.list_rule.as_deref().filter(|rule| !rule.is_empty())
        {
            query.and_rule(rule)?;
        }
        if let Some(filter) = &params.filter {
            query.and_filter(filter)?;
        }
        if let Some(sort) = &params.sort {
            query.sort(sort)?;
        }
        let rows = query.select(&columns, Some(params.per_page), params.offset());
        let count = (!params.skip_total).then(|| counts.prepare(&asked.catalog, query.count(), query.reads()));
        let (number, size, offset) = (params.page, params.per_page, params.offset());
        Ok(Self { way, rows, count, counts, number, size, offset, asked, table })
    }

    /// Items and total of one snapshot.
    fn read(&self, tx: &ReadTx<'_>) -> Result<Rendered> {
        let mut out = Vec::with_capacity(16 * 1024);
        out.extend_from_slice(b"{\"items\":[");
        let found = match &self.way {
            Way::Streamed(layout) => self.stream(tx, layout, &mut out)?,
            Way::Sheet(empty) => {
                let mut sheet = empty.clone();
                sheet.fill(tx, &self.asked.catalog, &self.asked.request, &self.rows, bounded)?;
                self.asked.write_sheet(tx, &sheet, &mut out)?;
                sheet.len() as u64
            }
        };
        bounded(out.len())?;
        let total = self.total(tx, found)?;
        let pages = total.map(|total| total.div_ceil(self.size));
        let (total, pages) = (total.map_or(-1, u64::cast_signed), pages.map_or(-1, u64::cast_signed));
        let (number, size) = (self.number, self.size);
        write!(out, r#"],"page":{number},"perPage":{size},"totalItems":{total},"totalPages":{pages}}}"#)?;
        Ok(out)
    }

    /// Writes rows as SQLite hands them out; returns how many.
    fn stream(&self, tx: &ReadTx<'_>, layout: &Layout, out: &mut Vec<u8>) -> Result<u64> {
        let emails = self.asked.plain_emails(&self.table);
        let mut statement = tx.prepare(&self.rows.text)?;
        let mut rows = statement.query(params_from_iter(&self.rows.params))?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            if found > 0 {
                out.push(b',');
            }
            self.asked.write(&self.table, layout, row, &emails, out)?;
            bounded(out.len())?;
            found += 1;
        }
        Ok(found)
    }

    /// `None` when nobody asked. A page that is not full tells the total by itself.
    fn total(&self, tx: &ReadTx<'_>, found: u64) -> Result<Option<u64>> {
        let Some(count) = &self.count else { return Ok(None) };
        if found < self.size && (found > 0 || self.offset == 0) {
            return Ok(Some(self.offset + found));
        }
        self.counts.total(tx, count).map(Some)
    }
}
