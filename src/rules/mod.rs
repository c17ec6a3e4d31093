//! The filter and rule language (`docs/wire/records-filter.md`): one parser, two readers (SQL, memory).
//!
//! May touch `schema`, `identity` and `db` types. Its main types are [`Expr`] (a parsed filter), [`Query`] (rules,
//! filters and sorts compiled over one collection) and [`Request`] (what a rule may know of who asks).

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::{
    db::{Row, Value},
    error::Result,
    identity::Caller,
    schema::{Catalog, CheckRule, Collection},
};

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message} at byte {position}")]
pub struct ParseError {
    pub position: usize,
    pub message: String,
}

/// Parses a filter or rule (§2).
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    todo!()
}

/// [`parse`] through a bounded cache.
pub fn parse_cached(text: &str) -> Result<Arc<Expr>, ParseError> {
    todo!()
}

/// `@request.context`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Context {
    #[default]
    Default,
    Expand,
    Realtime,
    ProtectedFile,
    Batch,
    OAuth2,
    Otp,
    Password,
}

/// What rules may know of a request (§6.5).
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub context: Context,
    /// Upper case.
    pub method: String,
    /// First value of each query parameter.
    pub query: Map<String, Json>,
    /// First value of each header, names in snake_case.
    pub headers: Map<String, Json>,
    /// Body values: normalised after modifiers for known fields (in the wire's JSON form), raw for others.
    pub body: Map<String, Json>,
    pub caller: Caller,
    /// The time that macros tell.
    pub now: crate::clock::Timestamp,
}

/// SQL text with its bound parameters, in order (`?1`, `?2`, … or plain `?`).
#[derive(Debug, Clone, PartialEq)]
pub struct Sql {
    /// Shared with the compiled plan: the same text for every request of the same shape.
    pub text: Arc<str>,
    pub params: Vec<Value>,
}

/// Rules, filters and sorts over one collection, sharing their joins (§7.5).
pub struct Query<'a> {
    catalog: &'a Catalog,
    base: &'a Collection,
    request: &'a Request,
}

impl<'a> Query<'a> {
    pub fn new(catalog: &'a Catalog, base: &'a Collection, request: &'a Request) -> Self {
        todo!()
    }

    /// Over a one-row virtual table with the would-be values of a new record (§9.2).
    pub fn over_new_row(catalog: &'a Catalog, base: &'a Collection, request: &'a Request, row: &'a Row) -> Self {
        todo!()
    }

    /// Over a plain table with a fixed list of columns (collections, logs): modifiers and dotted paths fail.
    pub fn over_table(table: &'static str, columns: &'static [&'static str], request: &'a Request) -> Self {
        todo!()
    }

    /// Only this record.
    pub fn and_id(&mut self, id: &str) {
        todo!()
    }

    /// Only records where `column` (of the base table, quoted here) is one of `values`, bound as one JSON array.
    pub fn and_in(&mut self, column: &str, values: Vec<Value>) {
        todo!()
    }

    /// Adds an API rule: sees hidden fields, ignores e-mail visibility and foreign list rules.
    pub fn and_rule(&mut self, rule: &str) -> Result<()> {
        todo!()
    }

    /// Adds a client's filter with the privileges of the request's caller (§6.3, §6.4, §10).
    pub fn and_filter(&mut self, filter: &str) -> Result<()> {
        todo!()
    }

    /// Adds a client's sort (`records-api.md` §2).
    pub fn sort(&mut self, sort: &str) -> Result<()> {
        todo!()
    }

    /// `SELECT <columns of base> …`, each record once. `columns` are names of the base table, or empty for `1`.
    pub fn select(&self, columns: &[&str], limit: Option<u64>, offset: u64) -> Sql {
        todo!()
    }

    /// How many records match.
    pub fn count(&self) -> Sql {
        todo!()
    }

    /// Ids of all collections whose rows the conditions read: the base (unless it is a new row), everything joined, and
    /// what joined views are made of. The caller's own row is not among them: it came with the request.
    pub fn reads(&self) -> Vec<Arc<str>> {
        todo!()
    }
}

/// What the in-memory reader says of a record (§11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Match,
    NoMatch,
    /// The expression reads more than the record and the request: ask SQL.
    NeedsSql,
}

/// Judges `expr`, as a rule, on one stored record in memory. `row` holds the base collection's columns in stored form.
pub fn matches(expr: &Expr, catalog: &Catalog, base: &Collection, row: &Row, request: &Request) -> Verdict {
    todo!()
}

/// [`matches`] for a rule's text, parsed once and remembered. A text that does not parse needs SQL (which refuses it).
pub fn judge(rule: &str, catalog: &Catalog, base: &Collection, row: &Row, request: &Request) -> Verdict {
    todo!()
}

/// The compile check of rules when a collection is saved.
#[derive(Debug, Default)]
pub struct Checker;

impl CheckRule for Checker {
    fn check(&self, catalog: &Catalog, base: &Collection, rule: &str) -> Result<(), String> {
        todo!()
    }
}
