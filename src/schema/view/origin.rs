//! Where a view's column comes from, through views of views (`docs/wire/services-files.md` §3).

use std::sync::Arc;

use super::{computed, query::ViewQuery, source};
use crate::schema::{Catalog, Collection};

/// Views that are looked through.
const MAX_DEPTH: usize = 5;

impl Catalog {
    /// The collection with a table of its own that holds the values of a view's field, and the position of the field
    /// there. `None` for what is computed, and behind more than five views.
    pub fn origin(&self, view: &Collection, field: &str) -> Option<(&Arc<Collection>, usize)> {
        let (mut query, mut name) = (view.view_query()?, field);
        for _ in 0..MAX_DEPTH {
            let parsed = ViewQuery::parse(super::query::trim(query)).ok()?;
            let column = parsed.columns.iter().find(|column| column.alias == name)?;
            if computed(&column.original.to_ascii_lowercase()).is_some() {
                return None;
            }
            let (collection, wanted) = source(self, &parsed, column)?;
            let position = collection.fields.iter().position(|field| field.name.eq_ignore_ascii_case(wanted))?;
            match collection.view_query() {
                None => return Some((collection, position)),
                Some(next) => (query, name) = (next, &collection.fields[position].name),
            }
        }
        None
    }
}
