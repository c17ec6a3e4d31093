//! Rows to JSON: from SQLite's own row or from a stored one straight into the answer, without a tree between.

use rusqlite::types::ValueRef;

use super::{
    layout::{Cell, Layout, Step, Table},
    visibility::Emails,
};
use crate::{db::Row, error::Result};

/// A row that a layout can be filled from.
pub trait Cells {
    fn cell(&self, cell: Cell) -> ValueRef<'_>;
}

/// A row of a statement that selects [`Layout::selected`].
impl Cells for rusqlite::Row<'_> {
    fn cell(&self, cell: Cell) -> ValueRef<'_> {
        self.get_ref(cell.selected).unwrap_or(ValueRef::Null)
    }
}

/// A stored row: all columns in field order.
impl Cells for Row {
    fn cell(&self, cell: Cell) -> ValueRef<'_> {
        self.values.get(cell.field).map_or(ValueRef::Null, ValueRef::from)
    }
}

/// Writes one record. `expand` writes `,"expand":{…}` or nothing when the layout gets there.
pub fn record(
    table: &Table,
    layout: &Layout,
    row: &impl Cells,
    emails: &Emails,
    expand: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let start = out.len();
    let mut expand = Some(expand);
    for step in &layout.steps {
        match step {
            Step::Constant(bytes) => out.extend_from_slice(bytes),
            Step::Field { key, cell } => field(table, key, *cell, row, out),
            Step::Email { key, cell } => {
                if emails.shown(layout, row) {
                    field(table, key, *cell, row, out);
                }
            }
            Step::Expand => {
                if let Some(expand) = expand.take() {
                    expand(out)?;
                }
            }
        }
    }
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    Ok(())
}

fn field(table: &Table, key: &[u8], cell: Cell, row: &impl Cells, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    table.collection.fields[cell.field].kind.as_type().write_json(row.cell(cell), out);
}
