//! Paths (`records-filter.md` §6.2): from a starting row over relations to a column, joining on the way.

use super::{
    Base, Compiler, Fault, Rights,
    frag::Frag,
    scope::{Join, Scope},
    slot::Slot,
};
use crate::{
    db::{Value, quote_ident},
    rules::{
        class::{Affinity, Class, Shape},
        parse::ident::Modifier,
    },
    schema::{Collection, Field, FieldKind, field::Relation},
};

/// Relation steps in one path (§10).
const MAX_STEPS: usize = 6;

/// A row that a path has reached.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub collection: &'a Collection,
    alias: String,
    /// The bit of its join in the scope; 0 for the base, and inside sub-queries, which always render all their joins.
    uses: u64,
    /// The path so far: what joins are shared by.
    key: String,
    is_base: bool,
    /// The path may have several values (§7.1).
    multi: bool,
    /// Its joins may yield several rows.
    many: bool,
    steps: usize,
}

impl<'a> Place<'a> {
    pub fn base(collection: &'a Collection) -> Self {
        Self { is_base: true, ..Self::joined(collection, super::BASE) }
    }

    /// A row under this alias, which paths start from.
    pub fn joined(collection: &'a Collection, alias: &str) -> Self {
        Self {
            collection,
            alias: alias.to_owned(),
            uses: 0,
            key: String::new(),
            is_base: false,
            multi: false,
            many: false,
            steps: 0,
        }
    }
}

/// Where a path ended.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub sql: Frag,
    pub class: Class,
    pub affinity: Affinity,
    /// It may have several values (§7.1).
    pub multi: bool,
    /// What has to hold besides, e.g. that an e-mail is visible.
    pub guards: Vec<Frag>,
}

/// Where the joins of a path go.
pub(super) struct Sink<'s, 'a> {
    pub scope: &'s mut Scope<'a>,
    /// When present, joins that multiply go here instead: the sub-query over all values of the path.
    pub inner: Option<Scope<'a>>,
    pub rights: Rights,
}

/// A join to be made.
struct Step<'a> {
    key: String,
    prefix: char,
    many: bool,
    collection: Option<&'a Collection>,
}

impl<'a> Compiler<'a> {
    /// Follows `segments` from `place`.
    pub(super) fn walk(
        &mut self,
        mut place: Place<'a>,
        segments: &[&str],
        sink: &mut Sink<'_, 'a>,
    ) -> Result<Target, Fault> {
        let mut rest = segments;
        loop {
            let Some((segment, after)) = rest.split_first() else {
                return Err(Fault::Unknown("a path ends in a field".to_owned()));
            };
            if after.is_empty() {
                return self.last(&place, segment, sink);
            }
            let Some(field) = place.collection.field(segment) else {
                place = self.back_relation(place, segment, sink)?;
                rest = after;
                continue;
            };
            check_visible(field, sink.rights)?;
            match (&field.kind, Shape::of(field)) {
                (_, Shape::Json | Shape::Point) => {
                    self.trail.fields.push(field);
                    return self.json_path(&place, field, after);
                }
                (FieldKind::Relation(_), Shape::One) if after == ["id"] => {
                    return Ok(self.plain(&place, field));
                }
                (FieldKind::Relation(relation), _) => place = self.relation(place, field, relation, sink)?,
                _ => return Err(Fault::Unknown(format!("{segment:?} has nothing below it"))),
            }
            rest = after;
        }
    }

    /// A column of the row at `place`.
    fn column(&mut self, place: &Place<'a>, name: &str) -> Frag {
        if place.is_base { self.base_column(name) } else { Frag::column(&place.alias, name, place.uses) }
    }

    fn plain(&mut self, place: &Place<'a>, field: &Field) -> Target {
        let sql = self.column(place, &field.name);
        let affinity = Shape::of(field).affinity();
        Target { sql, class: Class::Plain, affinity, multi: place.multi, guards: Vec::new() }
    }

    /// A last segment: a field, maybe with a modifier (§6.6).
    fn last(&mut self, place: &Place<'a>, segment: &str, sink: &mut Sink<'_, 'a>) -> Result<Target, Fault> {
        let (name, modifier) = Modifier::split(segment).map_err(Fault::Refused)?;
        let field = place.collection.field(name);
        let field = field.ok_or_else(|| Fault::Unknown(format!("{} has no field {name:?}", place.collection.name)))?;
        check_visible(field, sink.rights)?;
        self.trail.fields.push(field);
        let shape = Shape::of(field);
        let mut target = match modifier {
            Some(Modifier::Each) if shape.is_list() => self.each(place, field, shape, sink)?,
            Some(Modifier::Length) if shape.is_list() => {
                let column = self.column(place, name);
                self.computed(place, Frag::fill(LENGTH, &[&column]))
            }
            _ if shape == Shape::Json => {
                let column = self.column(place, name);
                let value = Frag::fill(JSON_VALUE, &[&column]);
                Target { class: Class::Raw, ..self.computed(place, value) }
            }
            _ => self.plain(place, field),
        };
        if modifier == Some(Modifier::Lower) {
            target.sql = Frag::fill("lower({0})", &[&target.sql]);
            target.affinity = Affinity::None;
        }
        // A client sees an e-mail only where its owner shows it (§6.3).
        if sink.rights == Rights::Client && name == "email" && place.collection.is_auth() {
            let visibility = self.column(place, "emailVisibility");
            target.guards.push(Frag::fill("{0} = 1", &[&visibility]));
        }
        Ok(target)
    }

    /// The result of an expression: no affinity.
    fn computed(&self, place: &Place<'a>, sql: Frag) -> Target {
        Target { sql, class: Class::Plain, affinity: Affinity::None, multi: place.multi, guards: Vec::new() }
    }

    /// `:each`: one row per element.
    fn each(
        &mut self,
        place: &Place<'a>,
        field: &Field,
        shape: Shape,
        sink: &mut Sink<'_, 'a>,
    ) -> Result<Target, Fault> {
        let column = self.column(place, &field.name);
        // The same elements that a relation path goes through: both see the same one (§7.5).
        let step = Step { key: format!("{}.{}[]", place.key, field.name), prefix: 'e', many: true, collection: None };
        let (alias, uses) = self.join(step, sink, |alias| explode(alias, &column))?;
        let multi = place.multi || shape == Shape::Many;
        let element = self.computed(place, Frag::column(&alias, "value", uses));
        Ok(Target { multi, affinity: Affinity::Blob, ..element })
    }

    /// The remaining segments as a JSON path: whole numbers are array indexes, colons are dropped.
    fn json_path(&mut self, place: &Place<'a>, field: &Field, segments: &[&str]) -> Result<Target, Fault> {
        let column = self.column(place, &field.name);
        Ok(Target { class: Class::Raw, ..self.computed(place, json_below(&column, segments)?) })
    }

    fn relation(
        &mut self,
        place: Place<'a>,
        field: &Field,
        relation: &Relation,
        sink: &mut Sink<'_, 'a>,
    ) -> Result<Place<'a>, Fault> {
        let target = self.find_collection(&relation.collection_id);
        let target = target.ok_or_else(|| Fault::Unknown(format!("{:?} points nowhere", field.name)))?;
        let column = self.column(&place, &field.name);
        let key = format!("{}.{}", place.key, field.name);
        let multiple = Shape::of(field) == Shape::Many;
        let element = if multiple {
            let step = Step { key: format!("{key}[]"), prefix: 'e', many: true, collection: None };
            let (alias, uses) = self.join(step, sink, |alias| explode(alias, &column))?;
            Frag::column(&alias, "value", uses)
        } else {
            column
        };
        let many = place.many || multiple;
        let on = |alias: &str| Frag::fill("{0} = {1}", &[&Frag::column(alias, "id", 0), &element]);
        self.enter(place, target, key, many, multiple, sink, on)
    }

    /// `OTHER_via_FIELD`: the rows of OTHER whose relation FIELD points at this one.
    fn back_relation(&mut self, place: Place<'a>, segment: &str, sink: &mut Sink<'_, 'a>) -> Result<Place<'a>, Fault> {
        let unknown = || Fault::Unknown(format!("{} has no relation {segment:?}", place.collection.name));
        let (other, name) = segment.split_once("_via_").ok_or_else(unknown)?;
        let other = self.find_collection(other).ok_or_else(unknown)?;
        let field = other.field(name).ok_or_else(unknown)?;
        let FieldKind::Relation(relation) = &field.kind else { return Err(unknown()) };
        if *relation.collection_id != *place.collection.id {
            return Err(unknown());
        }
        check_visible(field, sink.rights)?;
        if place.is_base && matches!(self.base, Base::Collection { new_row: true, .. }) {
            return Err(Fault::refused("nothing can point at a record that does not exist yet"));
        }
        let id = self.column(&place, "id");
        let multiple = Shape::of(field) == Shape::Many;
        let multi = multiple || !other.has_unique_index(name);
        let key = format!("{}.{}_via_{name}", place.key, other.id);
        let on = |alias: &str| {
            let column = Frag::column(alias, name, 0);
            match multiple {
                true => Frag::fill(&format!("{{1}} IN (SELECT value FROM json_each({ARRAY}))"), &[&column, &id]),
                false => Frag::fill("{0} = {1}", &[&column, &id]),
            }
        };
        let many = place.many || multi;
        self.enter(place, other, key, many, multi, sink, on)
    }

    /// Joins the rows of a collection and stands on them.
    #[allow(clippy::too_many_arguments)]
    fn enter(
        &mut self,
        place: Place<'a>,
        collection: &'a Collection,
        key: String,
        many: bool,
        multi: bool,
        sink: &mut Sink<'_, 'a>,
        on: impl FnOnce(&str) -> Frag,
    ) -> Result<Place<'a>, Fault> {
        let steps = place.steps + 1;
        if steps > MAX_STEPS {
            return Err(Fault::refused(format!("a path has at most {MAX_STEPS} relations")));
        }
        let multi = place.multi || multi;
        let (alias, uses) = self.join_rows(key.clone(), collection, many, sink, on)?;
        Ok(Place { collection, alias, uses, key, is_base: false, multi, many, steps })
    }

    /// The starting row of a path that does not begin at the base: the caller, submitted ids, another collection.
    pub(super) fn start(
        &mut self,
        key: String,
        collection: &'a Collection,
        multi: bool,
        sink: &mut Sink<'_, 'a>,
        on: impl FnOnce(&str) -> Frag,
    ) -> Result<Place<'a>, Fault> {
        let (alias, uses) = self.join_rows(key.clone(), collection, multi, sink, on)?;
        Ok(Place { uses, key, multi, many: multi, ..Place::joined(collection, &alias) })
    }

    fn join_rows(
        &mut self,
        key: String,
        collection: &'a Collection,
        many: bool,
        sink: &mut Sink<'_, 'a>,
        on: impl FnOnce(&str) -> Frag,
    ) -> Result<(String, u64), Fault> {
        let step = Step { key, prefix: 'j', many, collection: Some(collection) };
        self.join(step, sink, |alias| {
            let table = Frag::raw(quote_ident(&collection.name));
            Frag::fill("LEFT JOIN {0} AS {1} ON {2}", &[&table, &Frag::raw(alias), &on(alias)])
        })
    }

    /// The elements of a submitted list.
    pub(super) fn join_items(&mut self, key: &str, sink: &mut Sink<'_, 'a>) -> Result<Frag, Fault> {
        let step = Step { key: format!("@request.body.{key}:each"), prefix: 'e', many: true, collection: None };
        let items = Frag::slot(Slot::Items(key.into()));
        let (alias, uses) = self.join(step, sink, |alias| {
            Frag::fill("LEFT JOIN json_each({0}) AS {1} ON 1", &[&items, &Frag::raw(alias)])
        })?;
        Ok(Frag::column(&alias, "value", uses))
    }

    /// Finds or makes a join; returns its alias and the bit to refer to it by.
    fn join(
        &mut self,
        step: Step<'a>,
        sink: &mut Sink<'_, 'a>,
        sql: impl FnOnce(&str) -> Frag,
    ) -> Result<(String, u64), Fault> {
        let restricted = sink.rights == Rights::Client && step.collection.is_some() && sink.inner.is_none();
        if let Some(collection) = step.collection {
            self.note_read(collection);
        }
        let (scope, is_inner) = match &mut sink.inner {
            Some(inner) if step.many => (inner, true),
            _ => (&mut *sink.scope, false),
        };
        let found = scope.find(&step.key).map(|(index, _)| index);
        let index = match found {
            Some(index) => index,
            None => {
                let alias = self.alias(if is_inner { 'm' } else { step.prefix });
                let mut sql = sql(&alias);
                let outer_uses = sql.uses;
                if is_inner {
                    // The sub-query renders all its joins; the bits that stay are the outer scope's.
                    sql.uses = 0;
                }
                let added = scope.add(step.key, alias, sql, step.many, step.collection);
                let index = added.map_err(|_| Fault::refused("too many joins"))?;
                if is_inner && let Some(join) = scope.joins.get_mut(index) {
                    join.sql.uses = outer_uses;
                }
                index
            }
        };
        let join: &mut Join<'a> = scope.joins.get_mut(index).ok_or_else(|| Fault::refused("too many joins"))?;
        join.restricted |= restricted;
        Ok((join.alias.clone(), if is_inner { 0 } else { 1 << index }))
    }
}

/// The value below a JSON column.
pub(super) fn json_below(column: &Frag, segments: &[&str]) -> Result<Frag, Fault> {
    if segments.iter().any(|segment| segment.bytes().all(|byte| byte == b':')) {
        return Err(Fault::refused("a path has a blank segment"));
    }
    let path = Frag::slot(Slot::Const(Value::Text(json_path(segments))));
    Ok(Frag::fill("CASE WHEN json_valid({0}) THEN json_extract({0}, {1}) END", &[column, &path]))
}

/// Hidden fields do not exist for clients (§6.3).
fn check_visible(field: &Field, rights: Rights) -> Result<(), Fault> {
    match field.hidden && rights == Rights::Client {
        true => Err(Fault::refused(format!("{:?} is hidden", field.name))),
        false => Ok(()),
    }
}

/// A value that is a JSON array as it is, any other as an array of one (§6.2 "exploded").
const ARRAY: &str = "CASE WHEN iif(json_valid({0}), json_type({0}) = 'array', 0) THEN {0} ELSE json_array({0}) END";

/// The JSON value of a json column; a legacy text that is no JSON is itself.
const JSON_VALUE: &str = "CASE WHEN json_valid({0}) THEN json_extract({0}, '$') ELSE {0} END";

/// The number of elements; a blank or missing value has none.
const LENGTH: &str = "CASE WHEN iif(json_valid({0}), json_type({0}) = 'array', 0) THEN json_array_length({0}) \
                      WHEN {0} IS NULL OR {0} = '' THEN 0 ELSE 1 END";

fn explode(alias: &str, column: &Frag) -> Frag {
    let template = format!("LEFT JOIN json_each({ARRAY}) AS {{1}} ON 1");
    Frag::fill(&template, &[column, &Frag::raw(alias)])
}

/// `$."a"[0]`: the segments are words, so quoting them is safe.
pub(in crate::rules) fn json_path(segments: &[&str]) -> String {
    let mut path = "$".to_owned();
    for segment in segments {
        let key = segment.replace(':', "");
        if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{key}]"));
        } else {
            path.push_str(&format!(".\"{key}\""));
        }
    }
    path
}
