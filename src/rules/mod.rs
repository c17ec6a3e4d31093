//! The filter and rule language (`docs/wire/records-filter.md`): one parser, two readers (SQL, memory).
//!
//! May touch `schema`, `identity` and `db` types. Its main types are [`Expr`] (a parsed filter), [`Query`] (rules,
//! filters and sorts compiled over one collection) and [`Request`] (what a rule may know of who asks).

mod cache;
mod check;
mod class;
mod explain;
mod functions;
mod like;
mod locate;
mod macros;
mod memory;
mod parse;
mod query;
mod request;
mod sql;
#[cfg(test)]
mod tests;

pub use self::{
    check::Checker,
    explain::{Part, Stored, Subject, explain},
    functions::register,
    locate::{Located, Purpose, locate},
    memory::{Verdict, judge, matches},
    parse::{ParseError, expr::Expr, parse, parse_cached},
    query::{Query, Sql},
    request::{Context, Request},
};
