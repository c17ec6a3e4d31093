//! `@request.*` operands (`records-filter.md` §6.5): bound values where that is possible, joins where paths go on.

use super::{
    Base, Compiler, Fault, compare,
    frag::Frag,
    operand::{Reading, Side, Term},
    resolve::Sink,
    slot::{Answer, Probe, Slot},
};
use crate::{
    rules::{
        class::{Affinity, Class, Shape},
        parse::{expr::Sign, ident::Modifier},
        request::{Part, RequestPath},
    },
    schema::{Collection, Field, FieldKind},
};

impl<'a> Compiler<'a> {
    pub(super) fn method(&mut self) -> Term {
        match self.ask(Probe::Method) {
            Answer::Blank => Term::blank(),
            _ => Term::bound(Slot::Method),
        }
    }

    /// A value of query, headers or body as it was sent, or `null`.
    pub(super) fn request_value(&mut self, part: Part, path: &[&str]) -> Result<Term, Fault> {
        let Some((last, before)) = path.split_last() else { return Ok(Term::null()) };
        let (name, modifier) = Modifier::split(last).map_err(Fault::Refused)?;
        let path = before.iter().chain([&name]).map(|segment| Box::from(*segment)).collect();
        let path = RequestPath { part, path };
        match modifier {
            Some(Modifier::Isset) => return Ok(Term::bound(Slot::Isset(path))),
            None | Some(Modifier::Lower) => {}
            Some(_) => return Err(Fault::refused(format!("{last:?} cannot be used on this value"))),
        }
        let field = self.base_field(name);
        self.trail.fields.extend(field);
        // A number field of this name makes numbers of texts, wherever the value comes from.
        let number = field.is_some_and(|field| matches!(field.kind, FieldKind::Number(_)));
        Ok(match self.ask(Probe::Value(path.clone())) {
            Answer::Null => Term::null(),
            Answer::Blank => Term::blank(),
            _ => {
                let slot = Slot::Request { path, number };
                Term::bound(if modifier.is_some() { Slot::Lower(Box::new(slot)) } else { slot })
            }
        })
    }

    pub(super) fn body(&mut self, path: &[&str], reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        match path {
            [only] => {
                let (name, modifier) = Modifier::split(only).map_err(Fault::Refused)?;
                let field = self.base_field(name);
                let list = field.map(Shape::of).filter(|shape| shape.is_list());
                match (modifier, field, list) {
                    (Some(Modifier::Changed), Some(field), _) => self.changed(field, reading),
                    (Some(Modifier::Length), _, Some(_)) => Ok(Term::bound(Slot::ItemCount(name.into())).into()),
                    (Some(Modifier::Each), _, Some(shape)) => self.body_each(name, shape, reading),
                    _ => Ok(self.request_value(Part::Body, path)?.into()),
                }
            }
            [first, rest @ ..] => match self.base_field(first) {
                Some(field) if matches!(field.kind, FieldKind::Relation(_)) => self.body_relation(field, rest, reading),
                _ => Ok(self.request_value(Part::Body, path)?.into()),
            },
            [] => Ok(Term::null().into()),
        }
    }

    /// `:changed`: submitted, and different from what is stored by the `!=` of §5.2.
    fn changed(&mut self, field: &Field, reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        let name = field.name.as_str();
        let submitted = self.request_value(Part::Body, &[name])?;
        let Some(root) = reading.root.cloned() else { return Ok(Term::null().into()) };
        let stored = self.path(&[name], &mut Reading { all: false, ..reborrow(reading) }, |_, _| Ok(root.clone()))?;
        let differs = compare::compare(&submitted, Sign::NotEqual, &stored.term).flat();
        let path = RequestPath { part: Part::Body, path: vec![name.into()] };
        let sql = Frag::fill("({0} AND {1})", &[&Frag::slot(Slot::Isset(path)), &differs]);
        Ok(Term::computed(sql, Class::Raw).into())
    }

    /// `:each` over the submitted list. Even a blank element counts as known (§5.1).
    fn body_each(&mut self, name: &str, shape: Shape, reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        let mut sink = Sink { scope: &mut *reading.scope, inner: None, rights: reading.rights };
        let value = self.join_items(name, &mut sink)?;
        let mut side = Side::from(Term::computed(value, Class::Known));
        if shape == Shape::Many && reading.all {
            sink.inner = Some(Default::default());
            let value = self.join_items(name, &mut sink)?;
            side.all = Some(sink.all(Term::computed(value, Class::Known), Vec::new()));
        }
        Ok(side)
    }

    /// A path over the records whose ids were submitted.
    fn body_relation(&mut self, field: &Field, path: &[&str], reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        check_modifier(path)?;
        let FieldKind::Relation(relation) = &field.kind else { return Ok(Term::null().into()) };
        let name: Box<str> = field.name.as_str().into();
        if self.ask(Probe::HasIds(name.clone())) == Answer::Flag(false) {
            return Ok(Term::null().into());
        }
        let Some(target) = self.find_collection(&relation.collection_id) else { return Ok(Term::null().into()) };
        let ids = Frag::slot(Slot::Items(name));
        let multiple = Shape::of(field) == Shape::Many;
        let key = format!("@request.body.{}", field.name);
        let side = self.path(path, reading, |compiler, sink| {
            compiler.start(key.clone(), target, multiple, sink, |alias| {
                let id = Frag::column(alias, "id", 0);
                match multiple {
                    true => Frag::fill("{0} IN (SELECT value FROM json_each({1}))", &[&id, &ids]),
                    false => Frag::fill("{0} = json_extract({1}, '$[0]')", &[&id, &ids]),
                }
            })
        });
        null_if_unknown(side)
    }

    /// The caller's record: what its row holds is bound, paths beyond it join it.
    pub(super) fn auth(&mut self, path: &[&str], reading: &mut Reading<'_, 'a>) -> Result<Side, Fault> {
        check_modifier(path)?;
        let Answer::Collection(Some(id)) = self.ask(Probe::AuthCollection) else { return Ok(Term::null().into()) };
        match path {
            ["id"] => return Ok(Term::bound(Slot::AuthId).into()),
            ["collectionId"] => return Ok(Term::bound(Slot::AuthCollectionId).into()),
            ["collectionName"] => return Ok(Term::bound(Slot::AuthCollectionName).into()),
            _ => {}
        }
        let Some(collection) = self.find_collection(&id) else { return Ok(Term::null().into()) };
        match path {
            [last] => {
                if let Some(term) = self.auth_column(collection, last) {
                    return Ok(term.into());
                }
            }
            [relation, "id"] => {
                let field = collection.field(relation);
                let single = field.is_some_and(|field| {
                    matches!(field.kind, FieldKind::Relation(_)) && Shape::of(field) == Shape::One
                });
                if single && let Some(term) = self.auth_column(collection, relation) {
                    return Ok(term.into());
                }
            }
            _ => {}
        }
        let side = self.path(path, reading, |compiler, sink| {
            let on = |alias: &str| Frag::fill("{0} = {1}", &[&Frag::column(alias, "id", 0), &Frag::slot(Slot::AuthId)]);
            compiler.start("@request.auth".to_owned(), collection, false, sink, on)
        });
        null_if_unknown(side)
    }

    /// A column of the caller's row as a parameter with the column's affinity; `None` where only a join will do.
    fn auth_column(&mut self, collection: &'a Collection, segment: &str) -> Option<Term> {
        let (name, modifier) = Modifier::split(segment).ok()?;
        let field = collection.field(name)?;
        self.trail.fields.push(field);
        let shape = Shape::of(field);
        if shape.is_list() && matches!(modifier, Some(Modifier::Each | Modifier::Length)) {
            return None;
        }
        if !matches!(shape, Shape::Text | Shape::One | Shape::Number) {
            return None;
        }
        let slot = Slot::AuthColumn(name.into());
        let answer = self.ask(Probe::AuthColumn(name.into()));
        // These come with every token: the reference binds them, too, with their class (§5.1).
        if modifier.is_none() && matches!(name, "email" | "emailVisibility" | "verified") {
            match answer {
                Answer::Text | Answer::Number => return Some(Term::bound(slot)),
                Answer::Blank => return Some(Term::blank()),
                _ => return None,
            }
        }
        let column = |sql: &str, affinity: Affinity| {
            let sql = Frag::fill(sql, &[&Frag::slot(slot.clone())]);
            Some(Term { affinity, present: true, ..Term::computed(sql, Class::Plain) })
        };
        match (answer, shape) {
            (Answer::Blank, Shape::Text | Shape::One) => Some(Term::blank()),
            (Answer::Text, Shape::Text | Shape::One) if modifier == Some(Modifier::Lower) => {
                column("lower({0})", Affinity::None)
            }
            (Answer::Text, Shape::Text | Shape::One) => column("CAST({0} AS TEXT)", Affinity::Text),
            (Answer::Number, Shape::Number) if modifier != Some(Modifier::Lower) => {
                column("CAST({0} AS NUMERIC)", Affinity::Numeric)
            }
            _ => None,
        }
    }

    fn base_field(&self, name: &str) -> Option<&'a Field> {
        match self.base {
            Base::Collection { collection, .. } => collection.field(name),
            Base::Table { .. } => None,
        }
    }
}

/// A shorter loan of the same reading.
fn reborrow<'s, 'a>(reading: &'s mut Reading<'_, 'a>) -> Reading<'s, 'a> {
    Reading { scope: &mut *reading.scope, root: reading.root, rights: reading.rights, all: reading.all }
}

/// Modifiers are checked even where the path will be `null`.
fn check_modifier(path: &[&str]) -> Result<(), Fault> {
    let last = path.last().copied().unwrap_or_default();
    Modifier::split(last).map(|_| ()).map_err(Fault::Refused)
}

/// In request paths an unknown name makes the whole operand `null` (§6.2).
fn null_if_unknown(side: Result<Side, Fault>) -> Result<Side, Fault> {
    match side {
        Err(Fault::Unknown(_)) => Ok(Term::null().into()),
        other => other,
    }
}
