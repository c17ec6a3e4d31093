//! Operands in memory: the same resolution as `sql`, written a second time on purpose; a property test compares both.

use serde_json::Value as Json;

use super::{
    compare::differs,
    json,
    side::{Side, Source},
    value::{Uncertain, text},
};
use crate::{
    db::{Row, Value},
    rules::{
        class::{Affinity, Class, Shape},
        functions::geo_distance,
        parse::{
            expr::{Function, Operand},
            ident::{Ident, Modifier},
        },
        request::{Part, Request, RequestPath, to_sql},
    },
    schema::{Catalog, Collection, Field, FieldKind},
};

/// Resolves operands for one record and one request.
pub(super) struct Reader<'r> {
    pub catalog: &'r Catalog,
    pub base: &'r Collection,
    pub row: &'r Row,
    pub request: &'r Request,
    /// The lists that `:each` goes over, by path; an empty one has a single NULL (§11.7).
    pub lists: Vec<(String, Vec<Value>)>,
}

impl<'r> Reader<'r> {
    /// `Err` when the operand needs more than the record and the request, or SQL would refuse it.
    pub fn operand(&mut self, operand: &Operand) -> Result<Side, Uncertain> {
        match operand {
            Operand::Text(text) if text.is_empty() => Ok(Side::blank(Value::Text(String::new()))),
            Operand::Text(text) => Ok(Side::known(Value::Text(text.clone()))),
            Operand::Number(number) => Ok(Side::known(Value::Real(*number))),
            Operand::Identifier(name) => self.identifier(name),
            Operand::Function(function) => self.function(function),
        }
    }

    fn identifier(&mut self, name: &str) -> Result<Side, Uncertain> {
        Ok(match Ident::parse(name).ok_or(Uncertain)? {
            Ident::Null => Side::null(),
            Ident::True => Side::known(Value::Integer(1)),
            Ident::False => Side::known(Value::Integer(0)),
            Ident::Macro(which) => Side::known(which.value(self.request.now)),
            Ident::Own(path) => return self.own(&path),
            Ident::Context => Side::known(Value::Text(self.request.context.as_str().to_owned())),
            Ident::Method => request_text(&self.request.method),
            Ident::Query(path) => return self.request_value(Part::Query, &path),
            Ident::Headers(path) => return self.request_value(Part::Headers, &path),
            Ident::Body(path) => return self.body(&path),
            Ident::Auth(path) => return self.auth(&path),
            Ident::Collection { .. } => return Err(Uncertain),
        })
    }

    /// SQLite's own `strftime` is not rebuilt here.
    fn function(&mut self, function: &Function) -> Result<Side, Uncertain> {
        let [a, b, c, d] = function.arguments.as_slice() else { return Err(Uncertain) };
        if function.name != "geoDistance" {
            return Err(Uncertain);
        }
        let mut argument = |operand: &Operand| match operand {
            Operand::Text(_) | Operand::Function(_) => Err(Uncertain),
            operand => match self.operand(operand)?.source {
                Source::One(value) => Ok(value),
                Source::Element(_) => Err(Uncertain),
            },
        };
        let distance = geo_distance(&[argument(a)?, argument(b)?, argument(c)?, argument(d)?]);
        Ok(Side::column(distance.map_or(Value::Null, Value::Real), Class::Raw, Affinity::None))
    }

    fn own(&mut self, path: &[&str]) -> Result<Side, Uncertain> {
        let (first, rest) = path.split_first().ok_or(Uncertain)?;
        if rest.is_empty() {
            let (name, modifier) = Modifier::split(first).map_err(|_| Uncertain)?;
            return self.own_field(self.base.field(name).ok_or(Uncertain)?, modifier);
        }
        let field = self.base.field(first).ok_or(Uncertain)?;
        let stored = self.row.get(first).ok_or(Uncertain)?;
        match (Shape::of(field), rest) {
            (Shape::Json | Shape::Point, segments) => {
                if segments.iter().any(|segment| segment.bytes().all(|byte| byte == b':')) {
                    return Err(Uncertain);
                }
                let value = json::at(stored, segments)?;
                Ok(Side::column(value, Class::Raw, Affinity::None))
            }
            (Shape::One, ["id"]) if matches!(field.kind, FieldKind::Relation(_)) => {
                Ok(Side::column(stored.clone(), Class::Plain, Affinity::Text))
            }
            _ => Err(Uncertain),
        }
    }

    fn own_field(&mut self, field: &Field, modifier: Option<Modifier>) -> Result<Side, Uncertain> {
        let stored = self.row.get(&field.name).ok_or(Uncertain)?;
        let shape = Shape::of(field);
        let mut side = match modifier {
            Some(Modifier::Each) if shape.is_list() => {
                let list = json::elements(stored)?.unwrap_or_else(|| vec![stored.clone()]);
                let source = self.list(format!(".{}", field.name), list);
                let multi = shape == Shape::Many;
                Side { source, multi, affinity: Affinity::Blob, ..Side::computed(Value::Null) }
            }
            Some(Modifier::Length) if shape.is_list() => {
                let length = match json::elements(stored)? {
                    Some(list) => list.len(),
                    None => usize::from(!is_blank(stored)),
                };
                Side::computed(Value::Integer(i64::try_from(length).map_err(|_| Uncertain)?))
            }
            _ if shape == Shape::Json => Side::column(json::at(stored, &[])?, Class::Raw, Affinity::None),
            _ => Side::column(stored.clone(), Class::Plain, shape.affinity()),
        };
        if let (Some(Modifier::Lower), Source::One(value)) = (modifier, &mut side.source) {
            *value = lower(value)?;
            side.affinity = Affinity::None;
        }
        Ok(side)
    }

    fn list(&mut self, key: String, mut elements: Vec<Value>) -> Source {
        if let Some(known) = self.lists.iter().position(|(path, _)| *path == key) {
            return Source::Element(known);
        }
        if elements.is_empty() {
            elements.push(Value::Null);
        }
        self.lists.push((key, elements));
        Source::Element(self.lists.len() - 1)
    }

    fn request_value(&self, part: Part, path: &[&str]) -> Result<Side, Uncertain> {
        let (last, before) = path.split_last().ok_or(Uncertain)?;
        let (name, modifier) = Modifier::split(last).map_err(|_| Uncertain)?;
        let path = before.iter().chain([&name]).map(|segment| Box::from(*segment)).collect();
        let value = self.request.value(&RequestPath { part, path });
        let number = self.base.field(name).is_some_and(|field| matches!(field.kind, FieldKind::Number(_)));
        match (modifier, value) {
            (Some(Modifier::Isset), value) => Ok(Side::known(Value::Integer(i64::from(value.is_some())))),
            (None | Some(Modifier::Lower), None | Some(Json::Null)) => Ok(Side::null()),
            (None | Some(Modifier::Lower), Some(Json::String(text))) if text.is_empty() => Ok(request_text(text)),
            (None, value) => Ok(Side::known(to_sql(value, number))),
            (Some(Modifier::Lower), value) => match to_sql(value, number) {
                Value::Text(text) => Ok(Side::known(Value::Text(text.to_ascii_lowercase()))),
                _ => Err(Uncertain),
            },
            _ => Err(Uncertain),
        }
    }

    fn body(&mut self, path: &[&str]) -> Result<Side, Uncertain> {
        let (first, rest) = path.split_first().ok_or(Uncertain)?;
        let (name, modifier) = match rest {
            [] => Modifier::split(first).map_err(|_| Uncertain)?,
            _ => (*first, None),
        };
        let field = self.base.field(name);
        let shape = field.map(Shape::of);
        match (modifier, field) {
            (Some(Modifier::Changed), Some(field)) => self.changed(field),
            (Some(Modifier::Length), Some(_)) if shape.is_some_and(Shape::is_list) => {
                let count = self.request.items(name).len();
                Ok(Side::known(Value::Integer(i64::try_from(count).map_err(|_| Uncertain)?)))
            }
            (Some(Modifier::Each), Some(_)) if shape.is_some_and(Shape::is_list) => {
                let list = Json::from(self.request.items(name)).to_string();
                let elements = json::elements(&Value::Text(list))?.ok_or(Uncertain)?;
                let source = self.list(format!("@request.body.{name}"), elements);
                let multi = shape == Some(Shape::Many);
                Ok(Side { source, bound: false, multi, affinity: Affinity::Blob, ..Side::known(Value::Null) })
            }
            (None, Some(field)) if !rest.is_empty() && matches!(field.kind, FieldKind::Relation(_)) => {
                Modifier::split(rest.last().ok_or(Uncertain)?).map_err(|_| Uncertain)?;
                let is_id = |item: &Json| item.as_str().is_some_and(|id| !id.is_empty());
                // With ids the path goes on in another table.
                if self.request.items(name).iter().any(is_id) { Err(Uncertain) } else { Ok(Side::null()) }
            }
            _ => self.request_value(Part::Body, path),
        }
    }

    fn changed(&mut self, field: &Field) -> Result<Side, Uncertain> {
        let submitted = self.request_value(Part::Body, &[&field.name])?;
        let stored = self.own_field(field, None)?;
        let isset = self.request.body.contains_key(&field.name);
        let changed = isset && differs(&submitted, &stored)?;
        Ok(Side::column(Value::Integer(i64::from(changed)), Class::Raw, Affinity::None))
    }

    fn auth(&mut self, path: &[&str]) -> Result<Side, Uncertain> {
        Modifier::split(path.last().ok_or(Uncertain)?).map_err(|_| Uncertain)?;
        let Some(record) = self.request.caller.record() else { return Ok(Side::null()) };
        let (name, modifier) = match path {
            ["id"] => return Ok(Side::known(Value::Text(record.id.to_string()))),
            ["collectionId"] => return Ok(Side::known(Value::Text(record.collection_id.to_string()))),
            ["collectionName"] => return Ok(Side::known(Value::Text(record.collection_name.to_string()))),
            [last] => Modifier::split(last).map_err(|_| Uncertain)?,
            [relation, "id"] => (*relation, None),
            _ => return Err(Uncertain),
        };
        let Some(collection) = self.catalog.by_id(&record.collection_id) else { return Ok(Side::null()) };
        let Some(field) = collection.field(name) else { return Ok(Side::null()) };
        let shape = Shape::of(field);
        if path.len() == 2 && !(shape == Shape::One && matches!(field.kind, FieldKind::Relation(_))) {
            return Err(Uncertain);
        }
        let is_static = modifier.is_none() && matches!(name, "email" | "emailVisibility" | "verified");
        match (record.row.get(name).ok_or(Uncertain)?, shape, modifier) {
            (_, Shape::One, Some(Modifier::Each | Modifier::Length)) => Err(Uncertain),
            (Value::Text(text), Shape::Text | Shape::One, _) if text.is_empty() => Ok(request_text("")),
            (value @ Value::Text(_), Shape::Text, None) if is_static => Ok(Side::known(value.clone())),
            (value @ Value::Integer(_), Shape::Number, None) if is_static => Ok(Side::known(value.clone())),
            (value @ Value::Text(_), Shape::Text | Shape::One, Some(Modifier::Lower)) => {
                Ok(Side::computed(lower(value)?))
            }
            (value @ Value::Text(_), Shape::Text | Shape::One, _) => {
                Ok(Side::column(value.clone(), Class::Plain, Affinity::Text))
            }
            (Value::Integer(number), Shape::Number, None) => {
                Ok(Side::column(Value::Integer(*number), Class::Plain, Affinity::Numeric))
            }
            (Value::Real(number), Shape::Number, None) if number.fract() != 0.0 => {
                Ok(Side::column(Value::Real(*number), Class::Plain, Affinity::Numeric))
            }
            _ => Err(Uncertain),
        }
    }
}

fn request_text(text: &str) -> Side {
    let value = Value::Text(text.to_owned());
    if text.is_empty() { Side::blank(value) } else { Side::known(value) }
}

fn is_blank(value: &Value) -> bool {
    matches!(value, Value::Null) || matches!(value, Value::Text(text) if text.is_empty())
}

fn lower(value: &Value) -> Result<Value, Uncertain> {
    Ok(text(value)?.map_or(Value::Null, |text| Value::Text(text.to_ascii_lowercase())))
}
