//! The SQL reader of filters: resolves paths against the catalog and writes one parameterised query.
//!
//! [`Compiler`] walks the parsed texts; what it learns of the request goes through [`Compiler::ask`], so that the
//! finished [`plan::Plan`] knows which other requests it serves.

mod ask;
mod compare;
pub(super) mod frag;
mod function;
mod operand;
pub(super) mod plan;
mod resolve;
mod scope;
pub(super) mod slot;
mod sort;

use std::sync::Arc;

use self::{
    frag::{Cond, Frag},
    operand::Reading,
    resolve::Place,
    scope::Scope,
    slot::{Answer, Probe},
};
use super::{
    parse::{
        expr::{Comparison, Expr, Operand},
        parse_cached,
    },
    request::Request,
};
use crate::schema::{Catalog, Collection, Field};

/// The alias of the base table in every query.
pub(super) const BASE: &str = "b";

/// What a query is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base<'a> {
    Collection {
        catalog: &'a Catalog,
        collection: &'a Collection,
        /// A one-row table with the would-be values of a new record (§9.2).
        new_row: bool,
    },
    Table {
        table: &'static str,
        columns: &'static [&'static str],
        /// The column whose values are JSON.
        json: Option<&'static str>,
    },
}

/// Who wrote a text, and so what it may reach (§6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// An API rule, or a superuser's filter: everything.
    All,
    /// Anybody else's filter or sort.
    Client,
}

/// Why a text does not compile.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// A name that leads nowhere: in `@request.*` paths this is no error but `null` (§6.2).
    #[error("{0}")]
    Unknown(String),
    #[error("{0}")]
    Refused(String),
}

impl Fault {
    fn refused(reason: impl Into<String>) -> Self {
        Fault::Refused(reason.into())
    }
}

/// Turns texts into conditions and orders over one base, sharing joins between them (§7.5).
pub(super) struct Compiler<'a> {
    base: Base<'a>,
    request: &'a Request,
    scope: Scope<'a>,
    /// What has been asked of the request so far.
    guards: Vec<(Probe, Answer)>,
    /// Aliases given so far, over all scopes.
    aliases: usize,
    /// Columns of the new row that the conditions read.
    row_columns: Vec<Box<str>>,
    conditions: Vec<Cond>,
    order: Vec<sort::Order>,
    reads: Vec<Arc<str>>,
    trail: Trail<'a>,
}

/// How far the compiler has come: what went wrong went wrong there.
#[derive(Debug, Default)]
pub(super) struct Trail<'a> {
    /// Comparisons that were begun.
    pub comparisons: usize,
    /// The innermost operand that did not compile: an identifier, or a function's name.
    pub culprit: Option<String>,
    /// Fields whose values operands were made of.
    pub fields: Vec<&'a Field>,
}

impl<'a> Compiler<'a> {
    pub fn new(base: Base<'a>, request: &'a Request) -> Self {
        let mut compiler = Self {
            base,
            request,
            scope: Scope::default(),
            guards: Vec::new(),
            aliases: 0,
            row_columns: Vec::new(),
            conditions: Vec::new(),
            order: Vec::new(),
            reads: Vec::new(),
            trail: Trail::default(),
        };
        if let Base::Collection { collection, new_row: false, .. } = base {
            compiler.note_read(collection);
        }
        compiler
    }

    /// Adds a filter as one more condition, and the list rules of what it joined (§6.4).
    pub fn filter(&mut self, text: &str, rights: Rights) -> Result<(), Fault> {
        let expr = parse_cached(text).map_err(|error| Fault::refused(error.to_string()))?;
        let root = self.root();
        let mut scope = std::mem::take(&mut self.scope);
        let compiled = self.expr(&expr, &mut Reading { scope: &mut scope, root: root.as_ref(), rights, all: true });
        self.scope = scope;
        self.conditions.push(compiled?);
        self.restrict()
    }

    /// An operand of a rule on the joined rows.
    pub fn value(&mut self, operand: &Operand) -> Result<Frag, Fault> {
        let root = self.root();
        let mut scope = std::mem::take(&mut self.scope);
        let mut reading = Reading { scope: &mut scope, root: root.as_ref(), rights: Rights::All, all: false };
        let side = self.operand(operand, &mut reading);
        self.scope = scope;
        Ok(side?.term.sql)
    }

    /// How far it came, whether or not the last text compiled.
    pub fn trail(&self) -> &Trail<'a> {
        &self.trail
    }

    /// Adds a condition on a column of the base.
    pub fn column_condition(&mut self, template: &str, column: &str, value: &Frag) {
        let column = self.base_column(column);
        self.conditions.push(Cond::leaf(template, &[&column, value]));
    }

    /// Asks the request something that shapes the SQL, and remembers the answer.
    fn ask(&mut self, probe: Probe) -> Answer {
        if let Some((_, answer)) = self.guards.iter().find(|(asked, _)| *asked == probe) {
            return answer.clone();
        }
        let answer = probe.answer(self.request);
        self.guards.push((probe, answer.clone()));
        answer
    }

    /// A fresh table alias.
    fn alias(&mut self, prefix: char) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    fn base_column(&mut self, name: &str) -> Frag {
        if matches!(self.base, Base::Collection { new_row: true, .. }) && !self.row_columns.iter().any(|n| &**n == name)
        {
            self.row_columns.push(name.into());
        }
        Frag::column(BASE, name, 0)
    }

    /// Where paths start: nowhere for plain tables, which have columns only.
    fn root(&self) -> Option<Place<'a>> {
        match self.base {
            Base::Collection { collection, .. } => Some(Place::base(collection)),
            Base::Table { .. } => None,
        }
    }

    /// The collection of this id or name; the base itself before what the catalog says of it, because a rule is
    /// checked before its collection is saved.
    fn find_collection(&self, id_or_name: &str) -> Option<&'a Collection> {
        let Base::Collection { catalog, collection, .. } = self.base else { return None };
        if *collection.id == *id_or_name || collection.name.eq_ignore_ascii_case(id_or_name) {
            return Some(collection);
        }
        catalog.find(id_or_name).map(|found| &**found)
    }

    /// Remembers that the query depends on the rows of this collection.
    fn note_read(&mut self, collection: &Collection) {
        let Base::Collection { catalog, .. } = self.base else { return };
        for id in catalog.sources_of(collection) {
            if !self.reads.contains(&id) {
                self.reads.push(id);
            }
        }
    }

    fn expr(&mut self, expr: &Expr, reading: &mut Reading<'_, 'a>) -> Result<Cond, Fault> {
        let mut members = |members: &[Expr]| -> Result<Vec<Cond>, Fault> {
            members.iter().map(|member| self.expr(member, reading)).collect()
        };
        match expr {
            Expr::And(parts) => Ok(Cond::all(members(parts)?)),
            Expr::Or(parts) => Ok(Cond::any(members(parts)?)),
            Expr::Compare(comparison) => self.comparison(comparison, reading),
        }
    }

    /// §5 and §7: the comparison on the joined row, no counter-example among all values unless `?`, and the
    /// visibility of the e-mails it reads.
    fn comparison(&mut self, comparison: &Comparison, reading: &mut Reading<'_, 'a>) -> Result<Cond, Fault> {
        self.trail.comparisons += 1;
        reading.all = !comparison.operator.any;
        let sign = comparison.operator.sign;
        let left = self.operand(&comparison.left, reading)?;
        let right = self.operand(&comparison.right, reading)?;
        let mut conds = vec![compare::compare(&left.term, sign, &right.term)];
        if left.all.is_some() || right.all.is_some() {
            conds.push(compare::no_counter_example(&left, sign, &right));
        }
        conds.extend(left.guards.into_iter().chain(right.guards).map(Cond::Leaf));
        Ok(Cond::all(conds))
    }

    /// Requires of every joined row that a client's text uses: it is missing, or its list rule holds (§6.4).
    fn restrict(&mut self) -> Result<(), Fault> {
        for index in 0..self.scope.joins.len() {
            let Some(join) = self.scope.joins.get_mut(index) else { continue };
            let (true, Some(collection)) = (std::mem::take(&mut join.restricted), join.collection) else { continue };
            let rule = collection.list_rule.clone();
            let rule = rule.ok_or_else(|| Fault::refused(format!("{} may not be listed", collection.name)))?;
            if rule.is_empty() {
                continue;
            }
            let (alias, uses) = (join.alias.clone(), 1 << index);
            let expr = parse_cached(&rule).map_err(|error| Fault::refused(error.to_string()))?;
            // A scope of its own: the rule is about this row alone, whatever else the query joins.
            let mut scope = Scope::default();
            let root = Place::joined(collection, &alias);
            let mut reading = Reading { scope: &mut scope, root: Some(&root), rights: Rights::All, all: true };
            let cond = self.expr(&expr, &mut reading)?;
            let id = Frag::column(&alias, "id", uses);
            let holds = holds(&scope, &cond);
            self.conditions.push(Cond::leaf("({0} IS NULL OR {0} = '' OR {1})", &[&id, &holds]));
        }
        Ok(())
    }
}

/// A condition with a FROM clause of its own.
fn holds(scope: &Scope<'_>, cond: &Cond) -> Frag {
    let condition = scope.existential(cond);
    let joins = scope.render(scope.closure(condition.uses));
    let mut holds = match joins.text.is_empty() {
        true => condition,
        false => Frag::fill("EXISTS (SELECT 1 FROM (SELECT 1){0} WHERE {1})", &[&joins, &condition]),
    };
    // These bits are the inner scope's.
    holds.uses = 0;
    holds
}
