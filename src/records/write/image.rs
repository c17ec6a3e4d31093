//! What the change log is told of a row: values under field ids, without secrets (`docs/ARCHITECTURE.md`).

use std::sync::Arc;

use super::plan::Plan;
use crate::db::Row;

/// The image of a row. Password hashes and token keys stay out: the log outlives them.
pub(super) fn of(plan: &Plan, row: &Row) -> Arc<Row> {
    let values = plan.logged.iter().map(|&index| row.values[index].clone()).collect();
    Arc::new(Row { columns: plan.logged_ids.clone(), values })
}
