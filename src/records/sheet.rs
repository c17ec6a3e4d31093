//! Records written before it is known what they expand to: each with a gap in its JSON, and with the few values at hand
//! that lead to related records. No row is kept in between.

use std::sync::Arc;

use rusqlite::params_from_iter;

use super::{
    layout::{Cell, Cells, Layout, Table, owned},
    render,
    visibility::{self, Emails},
};
use crate::{
    db::{ReadTx, Value},
    error::Result,
    rules::{Request, Sql},
    schema::Catalog,
};

/// Room for the JSON of a usual page, in bytes.
const PAGE: usize = 16 * 1024;

/// Records of one table, written with one layout.
#[derive(Clone)]
pub struct Sheet {
    pub table: Arc<Table>,
    layout: Arc<Layout>,
    /// What is kept of each record besides its JSON.
    kept: Vec<Cell>,
    json: Vec<u8>,
    pieces: Vec<Piece>,
    /// `kept` of each record, one after the other.
    values: Vec<Value>,
}

/// Where the members of a record stand in the JSON of all.
#[derive(Clone)]
struct Piece {
    start: usize,
    /// Where `,"expand":{…}` belongs, if the layout has a place for it.
    gap: Option<usize>,
    end: usize,
}

impl Sheet {
    /// Keeps the values of these fields (positions in the collection).
    pub fn new(table: Arc<Table>, layout: Arc<Layout>, keep: &[usize]) -> Self {
        let (layout, kept) = layout.also(keep);
        Self { table, layout, kept, json: Vec::new(), pieces: Vec::new(), values: Vec::new() }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How much JSON there is.
    pub fn bytes(&self) -> usize {
        self.json.len()
    }

    /// The columns that a query for [`Sheet::fill`] selects.
    pub fn columns(&self, request: &Request) -> Vec<&str> {
        match self.shows_every_row_alike(request) {
            true => self.table.selected_names(&self.layout),
            false => self.table.column_names(),
        }
    }

    /// Writes the rows of a query. `admit` refuses when there are too many bytes.
    pub fn fill(
        &mut self,
        tx: &ReadTx<'_>,
        catalog: &Catalog,
        request: &Request,
        query: &Sql,
        admit: impl Fn(usize) -> Result<()>,
    ) -> Result<()> {
        if self.shows_every_row_alike(request) {
            let emails = Emails::of(&request.caller, &self.table);
            self.json.reserve(PAGE);
            let mut statement = tx.prepare(&query.text)?;
            let mut rows = statement.query(params_from_iter(&query.params))?;
            while let Some(row) = rows.next()? {
                self.push(row, &emails);
                admit(self.json.len())?;
            }
            return Ok(());
        }
        // Whose address is shown is found out for all of them together.
        let (mut rows, mut bytes) = (Vec::new(), 0);
        self.table.each(tx, query, |row| {
            bytes += row.weight();
            rows.push(row);
            admit(bytes)
        })?;
        let emails = visibility::resolve(tx, catalog, &self.table, request, &rows)?;
        rows.iter().try_for_each(|row| {
            self.push(row, &emails);
            admit(self.json.len())
        })
    }

    /// No rule has to be asked which records show their e-mail address.
    fn shows_every_row_alike(&self, request: &Request) -> bool {
        visibility::manage_rule(&self.table, &request.caller).is_none()
    }

    /// Writes one row.
    pub fn push(&mut self, row: &impl Cells, emails: &Emails) {
        let start = self.json.len();
        let mut gap = None;
        render::members(&self.table, &self.layout, row, emails, |at| gap = Some(at), &mut self.json);
        let end = self.json.len();
        self.pieces.push(Piece { start, gap, end });
        self.values.extend(self.kept.iter().map(|&cell| owned(row.cell(cell))));
    }

    /// A kept value of each record.
    pub fn values(&self, field: usize) -> impl Iterator<Item = &Value> {
        let place = self.kept.iter().position(|cell| cell.field == field);
        place.into_iter().flat_map(|place| self.values.iter().skip(place).step_by(self.kept.len()))
    }

    /// The ids, which have to be among the kept values. `None` for what is no text.
    pub fn ids(&self) -> impl Iterator<Item = Option<&str>> {
        self.values(self.table.id).map(|value| match value {
            Value::Text(id) => Some(id.as_str()),
            _ => None,
        })
    }

    /// Writes one record; `expand` fills the gap. Nothing for a number that is out of range.
    pub fn write(
        &self,
        number: usize,
        expand: impl FnOnce(&mut Vec<u8>) -> Result<()>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(piece) = self.pieces.get(number) else { return Ok(()) };
        let start = out.len();
        let before = piece.gap.unwrap_or(piece.end);
        out.extend_from_slice(&self.json[piece.start..before]);
        if piece.gap.is_some() {
            expand(out)?;
        }
        out.extend_from_slice(&self.json[before..piece.end]);
        render::close(start, out);
        Ok(())
    }
}
