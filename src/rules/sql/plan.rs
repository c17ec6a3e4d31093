//! A compiled query: SQL texts whose parameters are bound anew for every request.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{
    BASE, Base, Compiler, Fault,
    frag::{Cond, Frag},
    scope::Scope,
    slot::{Answer, Binding, Probe, Slot},
    sort::Order,
};
use crate::{
    db::{Value, quote_ident},
    rules::request::Request,
};

/// SQL of one query; only a hostile combination of texts has more.
const MAX_SQL_BYTES: usize = 900_000;
/// Rendered variants (column lists) that a plan remembers.
const MAX_RENDERED: usize = 8;

/// One shape of query over one base.
#[derive(Debug)]
pub(in crate::rules) struct Plan {
    guards: Vec<(Probe, Answer)>,
    source: Source,
    /// LEFT JOINs of single rows that the condition needs.
    joins: Frag,
    /// The condition, multiplying joins inside `EXISTS`; `None` when every row matches.
    condition: Option<Frag>,
    order: Vec<Order>,
    /// What the select with this order needs instead, because the order goes through a join.
    ordered: Ordered,
    reads: Vec<Arc<str>>,
    rendered: RwLock<Vec<(Shape, Arc<Rendered>)>>,
}

/// Where rows come from.
#[derive(Debug)]
enum Source {
    /// A quoted table.
    Table(String),
    View(String),
    /// One row of parameters, with these columns.
    NewRow(Vec<Box<str>>),
}

#[derive(Debug)]
enum Ordered {
    /// The order needs nothing beyond `joins`.
    Same,
    /// More single-row joins.
    Joined(Frag),
    /// The order goes through joins that multiply rows: all joins flat, each record once (§8).
    Distinct { joins: Frag, condition: Frag },
}

/// What a rendered text depends on besides the plan.
#[derive(Debug, PartialEq)]
struct Shape {
    columns: Vec<Box<str>>,
    limited: bool,
    count: bool,
}

/// A finished text with its slots.
#[derive(Debug)]
pub(in crate::rules) struct Rendered {
    pub text: Arc<str>,
    slots: Vec<Slot>,
}

impl Rendered {
    pub fn bind(&self, from: &Binding<'_>) -> Vec<Value> {
        self.slots.iter().map(|slot| slot.bind(from)).collect()
    }
}

impl From<Frag> for Rendered {
    fn from(frag: Frag) -> Self {
        Self { text: frag.text.into(), slots: frag.slots }
    }
}

impl Plan {
    pub fn new(compiler: Compiler<'_>) -> Self {
        let Compiler { base, scope, guards, row_columns, conditions, order, reads, .. } = compiler;
        let source = match base {
            Base::Collection { new_row: true, .. } => Source::NewRow(row_columns),
            Base::Collection { collection, .. } if collection.is_view() => Source::View(quote_ident(&collection.name)),
            Base::Collection { collection, .. } => Source::Table(quote_ident(&collection.name)),
            Base::Table { table, .. } => Source::Table(quote_ident(table)),
        };
        let cond = Cond::all(conditions);
        let existential = scope.existential(&cond);
        let joins = scope.render(scope.closure(existential.uses));
        let ordered = Ordered::new(&scope, &cond, &existential, &order);
        let condition = (cond != Cond::True).then_some(existential);
        Self { guards, source, joins, condition, order, ordered, reads, rendered: RwLock::default() }
    }

    /// `SELECT <value> …` of every joined row, all joins flat.
    pub fn values(compiler: Compiler<'_>, value: &Frag) -> Rendered {
        let joins = compiler.scope.render_all();
        let plan = Self::new(compiler);
        let mut sql = Frag::fill("SELECT {0}", &[value]);
        plan.push_body(&mut sql, &[], &joins, plan.condition.as_ref());
        sql.push(&Frag::fill(" LIMIT {0}", &[&Frag::slot(Slot::Limit)]));
        sql.into()
    }

    /// True when the plan was made for a request like this one.
    pub fn serves(&self, request: &Request) -> bool {
        self.guards.iter().all(|(probe, answer)| probe.answer(request) == *answer)
    }

    /// Roughly, in bytes.
    pub fn weight(&self) -> usize {
        let condition = self.condition.as_ref().map_or(0, |condition| condition.text.len());
        1024 + 4 * (self.joins.text.len() + condition)
    }

    /// Refuses what SQLite would not take.
    pub fn check_weight(&self) -> Result<(), Fault> {
        match self.weight() > MAX_SQL_BYTES * 4 {
            true => Err(Fault::refused("the query is too complex")),
            false => Ok(()),
        }
    }

    pub fn reads(&self) -> &[Arc<str>] {
        &self.reads
    }

    /// `SELECT <columns> …`; no columns select `1` in no order.
    pub fn select(&self, columns: &[&str], limited: bool) -> Arc<Rendered> {
        self.remembered(columns, limited, false, || self.render_select(columns, limited))
    }

    pub fn count(&self) -> Arc<Rendered> {
        self.remembered(&[], false, true, || {
            let what = if matches!(self.source, Source::View(_)) { "COUNT(DISTINCT b.`id`)" } else { "COUNT(*)" };
            let mut sql = Frag::raw(format!("SELECT {what}"));
            self.push_body(&mut sql, &[], &self.joins, self.condition.as_ref());
            sql
        })
    }

    fn remembered(&self, columns: &[&str], limited: bool, count: bool, make: impl FnOnce() -> Frag) -> Arc<Rendered> {
        let same = |shape: &Shape| {
            shape.limited == limited
                && shape.count == count
                && shape.columns.len() == columns.len()
                && shape.columns.iter().zip(columns).all(|(known, asked)| **known == **asked)
        };
        let found = self.rendered.read().iter().find(|(shape, _)| same(shape)).map(|(_, rendered)| rendered.clone());
        if let Some(rendered) = found {
            return rendered;
        }
        let rendered = Arc::new(Rendered::from(make()));
        let mut remembered = self.rendered.write();
        if remembered.len() >= MAX_RENDERED {
            remembered.remove(0);
        }
        let columns = columns.iter().map(|column| Box::from(*column)).collect();
        remembered.push((Shape { columns, limited, count }, rendered.clone()));
        rendered
    }

    fn render_select(&self, columns: &[&str], limited: bool) -> Frag {
        let mut columns: Vec<&str> = columns.to_vec();
        let mut sql = Frag::raw("SELECT ");
        let (joins, condition) = match &self.ordered {
            _ if columns.is_empty() => (&self.joins, self.condition.as_ref()),
            Ordered::Same => (&self.joins, self.condition.as_ref()),
            Ordered::Joined(joins) => (joins, self.condition.as_ref()),
            Ordered::Distinct { joins, condition } => {
                // Two records may agree in all columns that were asked for, but not in their ids.
                if !columns.contains(&"id") {
                    columns.push("id");
                }
                sql.push_str("DISTINCT ");
                (joins, Some(condition))
            }
        };
        if columns.is_empty() {
            sql.push_str("1");
        }
        let list: Vec<Frag> = columns.iter().map(|column| Frag::column(BASE, column, 0)).collect();
        sql.push(&Frag::join(&list, ", "));
        self.push_body(&mut sql, &columns, joins, condition);
        for (index, order) in self.order.iter().enumerate().filter(|_| !columns.is_empty()) {
            sql.push_str(if index == 0 { " ORDER BY " } else { ", " });
            sql.push(&order.sql);
            sql.push_str(if order.descending { " DESC" } else { "" });
        }
        if limited {
            sql.push(&Frag::fill(" LIMIT {0} OFFSET {1}", &[&Frag::slot(Slot::Limit), &Frag::slot(Slot::Offset)]));
        }
        sql
    }

    /// `FROM … WHERE …`
    fn push_body(&self, sql: &mut Frag, columns: &[&str], joins: &Frag, condition: Option<&Frag>) {
        sql.push_str(" FROM ");
        match &self.source {
            Source::Table(name) | Source::View(name) => sql.push_str(name),
            Source::NewRow(read) => sql.push(&new_row(read, columns)),
        }
        sql.push_str(" AS b");
        sql.push(joins);
        if let Some(condition) = condition {
            sql.push_str(" WHERE ");
            sql.push(condition);
        }
    }
}

/// A one-row table of parameters. They have no affinity, as §9.2 wants it.
fn new_row(read: &[Box<str>], selected: &[&str]) -> Frag {
    let mut columns: Vec<&str> = read.iter().map(|column| &**column).collect();
    columns.extend(selected.iter().filter(|column| !read.iter().any(|known| **column == &**known)));
    let values: Vec<Frag> = columns
        .iter()
        .map(|column| {
            let value = Frag::slot(Slot::NewRow((*column).into()));
            Frag::fill("{0} AS {1}", &[&value, &Frag::raw(quote_ident(column))])
        })
        .collect();
    let values = if values.is_empty() { Frag::raw("1") } else { Frag::join(&values, ", ") };
    Frag::fill("(SELECT {0})", &[&values])
}

impl Ordered {
    fn new(scope: &Scope<'_>, cond: &Cond, existential: &Frag, order: &[Order]) -> Self {
        let uses = order.iter().fold(0, |uses, order| uses | order.sql.uses);
        if scope.closure(uses) & scope.many() != 0 {
            let condition = cond.flat();
            let joins = scope.render(scope.closure(uses | condition.uses));
            return Ordered::Distinct { joins, condition };
        }
        if uses == 0 {
            return Ordered::Same;
        }
        Ordered::Joined(scope.render(scope.closure(uses | existential.uses)))
    }
}
