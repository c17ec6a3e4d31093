//! Who may see the e-mail address of an auth record (`docs/wire/auth.md` §4.4).

use std::{borrow::Borrow, collections::HashSet, sync::Arc};

use rusqlite::types::ValueRef;

use super::layout::{Cells, Layout, Table};
use crate::{
    db::{ReadTx, Row},
    error::Result,
    identity::Caller,
    rules::{self, Query, Request, Verdict},
    schema::Catalog,
};

/// Whose addresses are shown, besides those of records that show theirs to everybody.
#[derive(Debug, Default)]
pub struct Emails {
    all: bool,
    /// The caller's own record, if it is one of this collection.
    own: Option<Arc<str>>,
    /// Records that the caller manages.
    managed: HashSet<String>,
}

impl Emails {
    /// Everybody's.
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Without asking the manage rule.
    pub fn of(caller: &Caller, table: &Table) -> Self {
        let own = caller.record().filter(|record| record.collection_id == table.collection.id);
        Self { all: caller.is_superuser(), own: own.map(|record| record.id.clone()), managed: HashSet::new() }
    }

    /// True when this row's address is shown.
    pub fn shown(&self, layout: &Layout, row: &impl Cells) -> bool {
        if self.all || layout.email_visibility.is_some_and(|cell| is_true(row.cell(cell))) {
            return true;
        }
        if self.own.is_none() && self.managed.is_empty() {
            return false;
        }
        let Some(Ok(id)) = layout.id.map(|cell| row.cell(cell).as_str()) else { return false };
        self.own.as_deref() == Some(id) || self.managed.contains(id)
    }
}

/// The manage rule that decides about addresses, where one has to be asked: a signed-in caller, no superuser.
pub fn manage_rule<'t>(table: &'t Table, caller: &Caller) -> Option<&'t str> {
    match caller {
        Caller::Record(_) => table.collection.auth()?.manage_rule.as_deref().filter(|rule| !rule.is_empty()),
        Caller::Guest | Caller::Superuser(_) => None,
    }
}

/// Asks the manage rule for all rows whose address is not shown anyway: in memory if that can decide, else with one
/// query for all of them.
pub fn resolve(
    tx: &ReadTx<'_>,
    catalog: &Catalog,
    table: &Table,
    request: &Request,
    rows: &[impl Borrow<Row>],
) -> Result<Emails> {
    let mut emails = Emails::of(&request.caller, table);
    let Some(rule) = manage_rule(table, &request.caller) else { return Ok(emails) };
    let mut undecided = Vec::new();
    for row in rows.iter().map(Borrow::<Row>::borrow) {
        let visible = table.email_visibility.and_then(|position| row.values.get(position));
        let Some(id) = table.id_of(row) else { continue };
        if visible.is_some_and(|value| is_true(value.into())) || emails.own.as_deref() == Some(id) {
            continue;
        }
        match rules::judge(rule, catalog, &table.collection, row, request) {
            Verdict::Match => _ = emails.managed.insert(id.to_owned()),
            Verdict::NoMatch => {}
            Verdict::NeedsSql => undecided.push(id),
        }
    }
    if !undecided.is_empty() {
        emails.managed.extend(managed(tx, catalog, table, request, rule, &undecided)?);
    }
    Ok(emails)
}

/// Those of `ids` that satisfy the manage rule. A rule that no longer compiles is satisfied by nobody.
fn managed(
    tx: &ReadTx<'_>,
    catalog: &Catalog,
    table: &Table,
    request: &Request,
    rule: &str,
    ids: &[&str],
) -> Result<Vec<String>> {
    let mut query = Query::new(catalog, &table.collection, request);
    query.and_in("id", ids);
    if let Err(error) = query.and_rule(rule) {
        tracing::warn!(collection = &*table.collection.name, %error, "the manage rule does not compile");
        return Ok(Vec::new());
    }
    let sql = query.select(&["id"], None, 0);
    let mut statement = tx.prepare(&sql.text)?;
    let ids = statement.query_map(rusqlite::params_from_iter(&sql.params), |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn is_true(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Integer(number) => number != 0,
        ValueRef::Real(number) => number != 0.0,
        ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => false,
    }
}
