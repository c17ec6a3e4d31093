//! Rows to JSON: from SQLite's own row or from a stored one straight into the answer, without a tree between.

use super::{
    layout::{Cell, Cells, Layout, Step, Table},
    visibility::Emails,
};
use crate::error::Result;

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
