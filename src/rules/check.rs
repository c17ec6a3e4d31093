//! The compile check of rules when a collection is saved (`records-collections.md` §2).

use super::{query::Query, request::Request};
use crate::schema::{Catalog, CheckRule, Collection};

/// Compiles with an empty request and hidden fields allowed: unknown names under `@request.*` pass.
#[derive(Debug, Default)]
pub struct Checker;

impl CheckRule for Checker {
    fn check(&self, catalog: &Catalog, base: &Collection, rule: &str) -> Result<(), String> {
        let request = Request::default();
        let mut query = Query::new(catalog, base, &request).forgetful();
        // Of what kind the text is, which the cause begins with, is known to whoever asks.
        let reason = |source: anyhow::Error| source.to_string().trim_start_matches("rule: ").to_owned();
        query.and_rule(rule).map_err(|error| error.source.map_or_else(String::new, reason))
    }
}
