//! How often schedules that follow changes have run, and when they did last: told in their rows.

use std::collections::BTreeMap;

use crate::{db::Value, error::Result, notify::collections::SCHEDULES, records::Bulk, schema::field::value::scalar};

/// How often each schedule (id) has run in one transaction.
#[derive(Default)]
pub(super) struct Runs<'a>(BTreeMap<&'a str, u32>);

impl<'a> Extend<&'a str> for Runs<'a> {
    fn extend<I: IntoIterator<Item = &'a str>>(&mut self, schedules: I) {
        for schedule in schedules {
            *self.0.entry(schedule).or_default() += 1;
        }
    }
}

impl Runs<'_> {
    /// One update of each row, however often it was.
    pub fn write(&self, bulk: &mut Bulk<'_, '_>) -> Result<()> {
        let now = bulk.tx().now().to_string();
        for (schedule, times) in &self.0 {
            let Some(row) = bulk.load(SCHEDULES, schedule)? else { continue };
            let runs = row.get("runs").map_or(0.0, scalar::stored_float) + f64::from(*times);
            let values = [("last", Value::Text(now.clone())), ("runs", scalar::float_value(runs))];
            bulk.update(SCHEDULES, schedule, &values)?;
        }
        Ok(())
    }
}
