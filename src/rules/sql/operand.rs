//! Operands (`records-filter.md` §5.1, §6): literals, macros, request values and paths as SQL with a class.

use super::{
    Base, Compiler, Fault, Rights,
    frag::Frag,
    resolve::{Place, Sink, Target, json_below},
    scope::Scope,
    slot::Slot,
};
use crate::{
    db::Value,
    rules::{
        class::{Affinity, Class},
        parse::{expr::Operand, ident::Ident},
        request::Part,
    },
};

/// One value in a comparison.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub sql: Frag,
    pub class: Class,
    pub affinity: Affinity,
    /// The value behind a parameter: what `~` builds its pattern from.
    pub bound: Option<Slot>,
    /// A value that is the same on every row, and neither NULL nor blank.
    pub present: bool,
}

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub term: Term,
    /// What has to hold on the joined row besides the comparison.
    pub guards: Vec<Frag>,
    /// All values of a multi-value path; `None` for `?` operators and other operands.
    pub all: Option<All>,
}

/// All values of a path, for the sub-query of §7.2.
#[derive(Debug, Clone)]
pub(super) struct All {
    pub joins: Frag,
    pub term: Term,
    pub guards: Vec<Frag>,
}

impl Sink<'_, '_> {
    /// All values of a path whose joins went to the sub-query.
    pub fn all(&self, term: Term, guards: Vec<Frag>) -> All {
        All { joins: self.inner.as_ref().map(Scope::render_all).unwrap_or_default(), term, guards }
    }
}

/// Where and how an operand is read.
pub(super) struct Reading<'r, 'a> {
    pub scope: &'r mut Scope<'a>,
    /// Where own paths start; `None` over plain tables.
    pub root: Option<&'r Place<'a>>,
    pub rights: Rights,
    /// All values of a multi-value path are needed too.
    pub all: bool,
}

impl Term {
    pub fn bound(slot: Slot) -> Self {
        let sql = Frag::slot(slot.clone());
        Self { sql, class: Class::Known, affinity: Affinity::None, bound: Some(slot), present: true }
    }

    pub fn constant(value: Value) -> Self {
        Self::bound(Slot::Const(value))
    }

    pub fn null() -> Self {
        Self::literal("NULL")
    }

    /// `''`
    pub fn blank() -> Self {
        Self::literal("''")
    }

    fn literal(sql: &str) -> Self {
        Self { class: Class::Blank, ..Self::computed(Frag::raw(sql), Class::Blank) }
    }

    /// The result of an expression: no affinity.
    pub fn computed(sql: Frag, class: Class) -> Self {
        Self { sql, class, affinity: Affinity::None, bound: None, present: false }
    }
}

impl From<Term> for Side {
    fn from(term: Term) -> Self {
        Self { term, guards: Vec::new(), all: None }
    }
}

impl From<Target> for Term {
    fn from(target: Target) -> Self {
        Self { affinity: target.affinity, ..Self::computed(target.sql, target.class) }
    }
}

impl<'a> Compiler<'a> {
    pub(super) fn operand(&mut self, operand: &Operand, reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        let (name, side) = match operand {
            Operand::Text(text) if text.is_empty() => return Ok(Term::blank().into()),
            Operand::Text(text) => return Ok(Term::constant(Value::Text(text.clone())).into()),
            Operand::Number(number) => return Ok(Term::constant(Value::Real(*number)).into()),
            Operand::Identifier(name) => (name, self.identifier(name, reading)),
            Operand::Function(function) => (&function.name, self.function(function, reading)),
        };
        if side.is_err() && self.trail.culprit.is_none() {
            self.trail.culprit = Some(name.clone());
        }
        side
    }

    pub(super) fn identifier(&mut self, name: &str, reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        let ident = Ident::parse(name).ok_or_else(|| Fault::refused(format!("{name:?} means nothing")))?;
        let term = match ident {
            Ident::Null => Term::null(),
            Ident::True => Term::constant(Value::Integer(1)),
            Ident::False => Term::constant(Value::Integer(0)),
            Ident::Macro(which) => Term::bound(Slot::Macro(which)),
            Ident::Own(path) => return self.own(&path, reading),
            _ if reading.rights == Rights::Client || reading.root.is_none() => {
                return Err(Fault::refused(format!("{name:?} may not be used here")));
            }
            Ident::Context => Term::bound(Slot::Context),
            Ident::Method => self.method(),
            Ident::Query(path) => self.request_value(Part::Query, &path)?,
            Ident::Headers(path) => self.request_value(Part::Headers, &path)?,
            Ident::Body(path) => return self.body(&path, reading),
            Ident::Auth(path) => return self.auth(&path, reading),
            Ident::Collection { name, alias, path } => return self.any_collection(name, alias, &path, reading),
        };
        Ok(term.into())
    }

    /// A path from the base.
    fn own(&mut self, path: &[&str], reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        if let Some(root) = reading.root {
            return self.path(path, reading, |_, _| Ok(root.clone()));
        }
        match (self.base, path) {
            (Base::Table { columns, .. }, [column]) if columns.contains(column) => {
                let sql = self.base_column(column);
                Ok(Term::computed(sql, Class::Plain).into())
            }
            (Base::Table { json: Some(json), .. }, [column, below @ ..]) if *column == json && !below.is_empty() => {
                let column = self.base_column(column);
                Ok(Term::computed(json_below(&column, below)?, Class::Raw).into())
            }
            _ => Err(Fault::Unknown(format!("there is no column {:?}", path.join(".")))),
        }
    }

    /// `@collection.NAME[:ALIAS].PATH`: any row of that collection (§6.7).
    fn any_collection(
        &mut self,
        name: &str,
        alias: &str,
        path: &[&str],
        reading: &mut Reading<'_, 'a>,
    ) -> Result<Side, Fault> {
        let collection = self.find_collection(name);
        let collection = collection.ok_or_else(|| Fault::Unknown(format!("there is no collection {name:?}")))?;
        let key = format!("@collection.{}:{alias}", collection.id);
        self.path(path, reading, |compiler, sink| {
            compiler.start(key.clone(), collection, true, sink, |_| Frag::raw("1"))
        })
    }

    /// A path from wherever `start` leads; once for the joined row and, if it has several values and all are needed,
    /// once more for the sub-query over them.
    pub(super) fn path(
        &mut self,
        segments: &[&str],
        reading: &mut Reading<'_, 'a>,
        start: impl Fn(&mut Self, &mut Sink<'_, 'a>) -> Result<Place<'a>, Fault>,
    ) -> Result<Side, Fault> {
        let mut sink = Sink { scope: &mut *reading.scope, inner: None, rights: reading.rights };
        let place = start(self, &mut sink)?;
        let mut target = self.walk(place, segments, &mut sink)?;
        let guards = std::mem::take(&mut target.guards);
        let mut side = Side { guards, ..Side::from(Term::computed(Frag::default(), target.class)) };
        if target.multi && reading.all {
            sink.inner = Some(Scope::default());
            let place = start(self, &mut sink)?;
            let mut target = self.walk(place, segments, &mut sink)?;
            let guards = std::mem::take(&mut target.guards);
            side.all = Some(sink.all(target.into(), guards));
        }
        side.term = target.into();
        Ok(side)
    }
}
