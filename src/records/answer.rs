//! An answer: records of one snapshot as one caller may see them, expanded and picked.

use std::{borrow::Borrow, sync::Arc};

use super::{
    Records, Rendered, Shape,
    expand::{self, Expansion, Paths},
    fields::Picker,
    layout::{Audience, Cells, Layout, Table, Tables},
    render,
    sheet::Sheet,
    visibility::{self, Emails},
};
use crate::{
    db::{ReadTx, Row},
    error::Result,
    rules::Request,
    schema::{Catalog, Collection},
};

impl Records {
    /// What a write answers after its commit: `row` (all columns, in the order of `collection.fields`) as the caller of
    /// `request` may see it, shaped and expanded. No view rule applies (`records-api.md` §4.1). Reads nothing unless
    /// the expand or a manage rule asks for it.
    pub(super) async fn answer(
        &self,
        request: &Arc<Request>,
        collection: &Arc<Collection>,
        row: Arc<Row>,
        shape: &Shape,
    ) -> Result<Rendered> {
        self.steadily(async |catalog| {
            let table = self.table_now(&catalog, collection, &row);
            let asked = Asked::new(&self.tables, catalog, request.clone(), shape)?;
            asked.one(&self.db, table, row.clone()).await
        })
        .await
    }

    /// A stored row (all columns of `collection`) as JSON, as its owner sees it: with the e-mail address, without hidden
    /// fields, without expansions. For texts that are sent to its owner.
    pub fn visible(&self, collection: &Arc<Collection>, row: &Row) -> Rendered {
        let table = self.tables.of(collection);
        let mut out = Vec::with_capacity(512);
        render::record(&table, table.layout(Audience::Public), row, &Emails::all(), &mut out);
        out
    }

    /// The table of the collection as it is now, if the row still fits it; else as it was.
    fn table_now(&self, catalog: &Catalog, collection: &Arc<Collection>, row: &Row) -> Arc<Table> {
        if let Some(now) = catalog.by_id(&collection.id).filter(|now| !Arc::ptr_eq(now, collection)) {
            let table = self.tables.of(now);
            if table.columns == row.columns {
                return table;
            }
        }
        self.tables.of(collection)
    }
}

/// [`Records::answer`] inside a transaction, for batch items.
pub(super) fn answer_in(
    tables: &Arc<Tables>,
    tx: &ReadTx<'_>,
    catalog: &Arc<Catalog>,
    request: &Arc<Request>,
    collection: &Arc<Collection>,
    row: &Arc<Row>,
    shape: &Shape,
) -> Result<Rendered> {
    let asked = Asked::new(tables, catalog.clone(), request.clone(), shape)?;
    asked.one_in(tx, &tables.of(collection), row)
}

/// What is asked of a read, and by whom.
pub struct Asked {
    pub tables: Arc<Tables>,
    pub catalog: Arc<Catalog>,
    pub request: Arc<Request>,
    /// `None` when nothing of it would be seen.
    expand: Option<Paths>,
    picker: Option<Picker>,
    /// E-mail addresses are shown whatever the rules say: to the owner after signing in.
    pub all_emails: bool,
}

impl Asked {
    /// Fails when `fields` cannot be parsed.
    pub fn new(tables: &Arc<Tables>, catalog: Arc<Catalog>, request: Arc<Request>, shape: &Shape) -> Result<Self> {
        let picker = shape.fields.as_deref().map(Picker::parse).transpose()?.filter(|picker| !picker.is_empty());
        let wanted = picker.as_ref().is_none_or(|picker| picker.wants("expand"));
        let expand = shape.expand.as_deref().map(Paths::parse).transpose()?.flatten().filter(|_| wanted);
        Ok(Self { tables: tables.clone(), catalog, request, expand, picker, all_emails: false })
    }

    pub fn audience(&self) -> Audience {
        if self.request.caller.is_superuser() { Audience::Superuser } else { Audience::Public }
    }

    /// Whether a row can be written as it comes, with nothing else to be read.
    pub fn streams(&self, table: &Table) -> bool {
        self.expand.is_none() && (self.all_emails || visibility::manage_rule(table, &self.request.caller).is_none())
    }

    /// The layout to render with. When only whole keys are picked, it has only these, so that only their columns are
    /// read and nothing has to be picked afterwards.
    pub fn layout(&self, table: &Table) -> Arc<Layout> {
        match &self.picker {
            Some(picker) if picker.is_plain() => {
                Arc::new(Layout::new(&table.collection, self.audience(), |key| picker.wants(key)))
            }
            _ => table.layout(self.audience()).clone(),
        }
    }

    /// Writes one row with `layout`, picked; nothing is expanded.
    pub fn write(
        &self,
        table: &Table,
        layout: &Layout,
        row: &impl Cells,
        emails: &Emails,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.picked(out, |out| {
            render::record(table, layout, row, emails, out);
            Ok(())
        })
    }

    /// Whose e-mail addresses may be seen without asking any rule.
    pub fn plain_emails(&self, table: &Table) -> Emails {
        if self.all_emails { Emails::all() } else { Emails::of(&self.request.caller, table) }
    }

    /// One stored row (all columns in field order); reads only what expand and manage rule need.
    pub async fn one(self, db: &crate::db::Db, table: Arc<Table>, row: Arc<Row>) -> Result<Rendered> {
        if self.streams(&table) {
            return self.one_streamed(&table, &row);
        }
        db.read_for(self.request.asker(), move |tx| self.one_in(tx, &table, &row)).await
    }

    /// One stored row that needs nothing else: see [`Asked::streams`].
    pub fn one_streamed(&self, table: &Table, row: &Row) -> Result<Rendered> {
        let mut out = Vec::with_capacity(512);
        self.write(table, &self.layout(table), row, &self.plain_emails(table), &mut out)?;
        Ok(out)
    }

    /// One stored row inside a transaction.
    pub fn one_in(&self, tx: &ReadTx<'_>, table: &Arc<Table>, row: &Arc<Row>) -> Result<Rendered> {
        let mut out = Vec::with_capacity(1024);
        self.write_rows(tx, table, std::slice::from_ref(row), &mut out)?;
        Ok(out)
    }

    /// Stored rows (all columns in field order), separated by commas.
    pub fn write_rows(
        &self,
        tx: &ReadTx<'_>,
        table: &Arc<Table>,
        rows: &[impl Borrow<Row>],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let emails = match self.all_emails {
            true => Emails::all(),
            false => visibility::resolve(tx, &self.catalog, table, &self.request, rows)?,
        };
        let mut sheet = self.sheet(table);
        rows.iter().for_each(|row| sheet.push(row.borrow(), &emails));
        self.write_sheet(tx, &sheet, out)
    }

    /// An empty sheet for records of this table.
    pub fn sheet(&self, table: &Arc<Table>) -> Sheet {
        let paths = self.expand.as_ref().map(Paths::segments).unwrap_or_default();
        Sheet::new(table.clone(), self.layout(table), &expand::kept(&self.catalog, table, paths))
    }

    /// The records of a sheet, expanded, separated by commas.
    pub fn write_sheet(&self, tx: &ReadTx<'_>, sheet: &Sheet, out: &mut Vec<u8>) -> Result<()> {
        let expansion = match &self.expand {
            Some(paths) => expand::load(tx, &self.tables, &self.catalog, &self.request, sheet, paths)?,
            None => Expansion::default(),
        };
        out.reserve(sheet.bytes() + expansion.bytes());
        let mut budget = expand::MAX_BYTES;
        for number in 0..sheet.len() {
            if number > 0 {
                out.push(b',');
            }
            let expand = |out: &mut Vec<u8>| expansion.write(number, &mut budget, out);
            self.picked(out, |out| sheet.write(number, expand, out))?;
        }
        Ok(())
    }

    /// Writes one record, or what `fields` picks of it.
    fn picked(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        match &self.picker {
            Some(picker) if !picker.is_plain() => {
                let mut whole = Vec::with_capacity(1024);
                write(&mut whole)?;
                picker.write(&whole, out)
            }
            _ => write(out),
        }
    }
}
