//! Rows to JSON: from SQLite's own row or from a stored one straight into the answer, without a tree between.

use super::{
    layout::{Cell, Cells, Layout, Step, Table},
    visibility::Emails,
};

/// Writes one record that expands to nothing.
pub fn record(table: &Table, layout: &Layout, row: &impl Cells, emails: &Emails, out: &mut Vec<u8>) {
    let start = out.len();
    members(table, layout, row, emails, |_| {}, out);
    close(start, out);
}

/// The inside of a record: every member with its comma before it. `at_expand` hears where `expand` belongs.
pub fn members(
    table: &Table,
    layout: &Layout,
    row: &impl Cells,
    emails: &Emails,
    mut at_expand: impl FnMut(usize),
    out: &mut Vec<u8>,
) {
    for step in &layout.steps {
        match step {
            Step::Constant(bytes) => out.extend_from_slice(bytes),
            Step::Field { key, cell } => field(table, key, *cell, row, out),
            Step::Email { key, cell } => {
                if emails.shown(layout, row) {
                    field(table, key, *cell, row, out);
                }
            }
            Step::Expand => at_expand(out.len()),
        }
    }
}

/// Makes an object of the members from `start` on.
pub fn close(start: usize, out: &mut Vec<u8>) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

fn field(table: &Table, key: &[u8], cell: Cell, row: &impl Cells, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    table.collection.fields[cell.field].kind.as_type().write_json(row.cell(cell), out);
}
