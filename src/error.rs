//! The one domain error of the house: a kind, a message for people and per-field codes.
//!
//! Nothing in here knows HTTP; `http::error` maps a [`Kind`] to a status in exactly one place.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value as Json};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller has to tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input is wrong; `issues` says where, if that may be told.
    Invalid,
    /// Nobody is signed in where somebody has to be.
    Unauthorized,
    /// The caller may never do this.
    Forbidden,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// The body or a part of it is over its limit.
    TooLarge,
    /// The caller has to slow down.
    TooMany,
    /// The server has to be left alone for `retry_after`.
    Busy,
    /// The disk is full.
    StorageFull,
    /// Our fault. The message for the client stays generic; the source goes to the log.
    Internal,
}

/// A failed operation.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// For people; never holds internal details.
    pub message: Cow<'static, str>,
    /// Per-field codes, empty unless validation failed.
    pub issues: Issues,
    /// How long to wait before trying again ([`Kind::Busy`], [`Kind::TooMany`]).
    pub retry_after: Option<Duration>,
    /// What really happened, for the log only.
    pub source: Option<anyhow::Error>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), issues: Issues::default(), retry_after: None, source: None }
    }

    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// A validation failure with its per-field codes.
    pub fn issues(message: impl Into<Cow<'static, str>>, issues: Issues) -> Self {
        Self { issues, ..Self::invalid(message) }
    }

    /// A validation failure of one field.
    pub fn field(name: &str, issue: impl Into<Issue>) -> Self {
        let mut issues = Issues::default();
        issues.insert(name, issue);
        Self::issues("Something in the request is not valid.", issues)
    }

    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unauthorized, message)
    }

    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "The requested resource was not found.")
    }

    pub fn busy(retry_after: Duration) -> Self {
        let mut error = Self::new(Kind::Busy, "The server is busy, try again in a moment.");
        error.retry_after = Some(retry_after);
        error
    }

    /// The caller has to slow down for so long.
    pub fn too_many(message: &'static str, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Kind::TooMany, message) }
    }

    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(Kind::Internal, "Something went wrong on our side.");
        error.source = Some(source.into());
        error
    }

    /// Adds where or why, for the log.
    pub fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The SQLite error behind this one, if that is what it was.
    pub fn sqlite(&self) -> Option<&rusqlite::Error> {
        self.source.as_ref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (name, code) in self.issues.leaves() {
            write!(f, " {name}: {code};")?;
        }
        if let Some(source) = &self.source {
            write!(f, " ({source:#})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OperationInterrupted, TooBig};
        match source.sqlite_error_code() {
            Some(DiskFull) => Self::new(Kind::StorageFull, "The disk is full.").because(source),
            // Only another program can hold a lock for so long that we meet it.
            Some(DatabaseBusy | DatabaseLocked) => Self::busy(Duration::from_secs(1)).because(source),
            Some(OperationInterrupted) => Self::invalid("The query took too long.").because(source),
            Some(TooBig) => Self::invalid("A value or a record is too large.").because(source),
            _ => Self::internal(source),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::StorageFull => Self::new(Kind::StorageFull, "The disk is full.").because(source),
            _ => Self::internal(source),
        }
    }
}

/// Failed fields by name; nests as the input does (`docs/wire/records.md` §1.2).
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Issues(BTreeMap<String, Issue>);

impl Issues {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn insert(&mut self, name: &str, issue: impl Into<Issue>) {
        self.0.insert(name.to_owned(), issue.into());
    }

    /// Adds a group under `name` unless it is empty.
    pub fn nest(&mut self, name: &str, group: Issues) {
        if !group.is_empty() {
            self.0.insert(name.to_owned(), Issue::Group(group));
        }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn get(&self, name: &str) -> Option<&Issue> {
        self.0.get(name)
    }

    pub fn merge(&mut self, other: Issues) {
        self.0.extend(other.0);
    }

    /// `Ok` when nothing failed.
    pub fn into_result(self, message: &'static str) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(Error::issues(message, self)) }
    }

    /// Every leaf as (dotted path, code).
    pub fn leaves(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        for (name, issue) in &self.0 {
            match issue {
                Issue::Leaf(leaf) => found.push((name.clone(), leaf.code.as_ref())),
                Issue::Group(group) => {
                    found.extend(group.leaves().into_iter().map(|(path, code)| (format!("{name}.{path}"), code)));
                }
            }
        }
        found
    }
}

/// One failed field, or a group of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Issue {
    Leaf(Leaf),
    Group(Issues),
}

/// A machine code with a text for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leaf {
    pub code: Cow<'static, str>,
    pub message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Json>,
    /// The inner answer of a failed batch item (`docs/wire/records-api.md` §9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Json>,
}

impl Leaf {
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), message: message.into(), params: Map::new(), response: None }
    }

    pub fn param(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    pub fn required() -> Self {
        Self::new("validation_required", "Cannot be blank.")
    }
}

impl From<Leaf> for Issue {
    fn from(leaf: Leaf) -> Self {
        Issue::Leaf(leaf)
    }
}

impl From<Issues> for Issue {
    fn from(group: Issues) -> Self {
        Issue::Group(group)
    }
}
