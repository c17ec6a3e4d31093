//! Why a rule holds or does not: every part of it asked on its own, with the values that it compares.
//!
//! Everything is asked of SQL, in one snapshot: the rule as it is asked of records, and each part of it as if it were a
//! rule. There is no negation, so a member that does not hold decides an AND, and one that holds an OR. Members may hold
//! each for itself and not together, as they have to see the same related record (`records-filter.md` §7.5).

use std::ops::Range;

use rusqlite::params_from_iter;
use serde::Serialize;
use serde_json::Value as Json;

use super::{
    class::Shape,
    locate::units,
    parse::{
        expr::{Expr, Operand},
        ident::Ident,
        outline::{Outline, Parts},
        parse_outlined,
    },
    query::Query,
    request::Request,
    sql::{
        Base, Compiler,
        frag::Frag,
        plan::Plan,
        slot::{Binding, Slot},
    },
};
use crate::{
    db::{ReadTx, Row, Value},
    error::{Error, Result},
    schema::{Catalog, Collection, Field, FieldKind},
};

/// Joined rows that are looked at for the values of an operand.
const MAX_ROWS: i64 = 200;
/// Different values of an operand that are told.
const MAX_VALUES: usize = 20;
/// Characters of a text that are told.
const MAX_TEXT: usize = 500;
/// In the place of a value that nobody may see.
const MASK: &str = "******";

/// What a rule is asked about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub catalog: &'a Catalog,
    pub collection: &'a Collection,
    pub request: &'a Request,
    pub record: Stored<'a>,
}

/// The record.
#[derive(Clone, Copy)]
pub enum Stored<'a> {
    /// In its table, by its id.
    Row(&'a str),
    /// Not yet: its would-be values (§9.2).
    WouldBe(&'a Row),
}

/// A comparison or a group of a rule. Places are in UTF-16 units of the rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    pub from: usize,
    pub to: usize,
    pub text: String,
    /// `and`, `or` or `compare`
    pub op: &'static str,
    /// The sign of a comparison, such as `?=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<String>,
    /// Whether it holds on its own.
    pub result: Option<bool>,
    /// The values of a comparison; a list where there are several, secrets masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<Json>,
    pub children: Vec<Part>,
}

impl Part {
    /// The smallest part whose value decided that of the whole: the first that does not hold of an AND, the first that
    /// holds of an OR, and all of it where no member decided alone.
    pub fn decisive(&self) -> &Part {
        let decided = match self.op {
            "and" => self.children.iter().find(|child| self.result == Some(false) && child.result == Some(false)),
            "or" => self.children.iter().find(|child| self.result == Some(true) && child.result == Some(true)),
            _ => None,
        };
        decided.map_or(self, Part::decisive)
    }
}

/// Asks the rule, which has to be one that compiles, part by part.
pub fn explain(tx: &ReadTx<'_>, subject: &Subject<'_>, rule: &str) -> Result<Part> {
    let (expr, outline) =
        parse_outlined(rule).map_err(|error| Error::invalid("The rule is not valid.").because(error))?;
    part(tx, subject, rule, &expr, &outline)
}

fn part(tx: &ReadTx<'_>, subject: &Subject<'_>, rule: &str, expr: &Expr, outline: &Outline) -> Result<Part> {
    let Range { start: from, end: to } = units(rule, &outline.place);
    let text = rule.get(outline.place.clone()).unwrap_or_default().to_owned();
    let mut part =
        Part { from, to, text, op: "compare", sign: None, result: None, left: None, right: None, children: Vec::new() };
    let (members, outlines, op) = match (expr, &outline.parts) {
        (Expr::And(members), Parts::Members(outlines)) => (members, outlines, "and"),
        (Expr::Or(members), Parts::Members(outlines)) => (members, outlines, "or"),
        (Expr::Compare(comparison), _) => {
            part.result = Some(holds(tx, subject, &part.text)?);
            part.sign = Some(comparison.operator.to_string());
            part.left = Some(values(tx, subject, &comparison.left)?);
            part.right = Some(values(tx, subject, &comparison.right)?);
            return Ok(part);
        }
        _ => return Ok(part),
    };
    part.op = op;
    let children = members.iter().zip(outlines).map(|(member, outline)| self::part(tx, subject, rule, member, outline));
    part.children = children.collect::<Result<_>>()?;
    let any = |result: bool| part.children.iter().any(|child| child.result == Some(result));
    part.result = Some(match op {
        "or" => any(true),
        // Together they may have no record that they all see.
        _ => !any(false) && holds(tx, subject, &part.text)?,
    });
    Ok(part)
}

/// Whether a text holds as a rule.
fn holds(tx: &ReadTx<'_>, subject: &Subject<'_>, text: &str) -> Result<bool> {
    let Subject { catalog, collection, request, record } = *subject;
    let mut query = match record {
        Stored::Row(id) => {
            let mut query = Query::new(catalog, collection, request).forgetful();
            query.and_id(id);
            query
        }
        Stored::WouldBe(row) => Query::over_new_row(catalog, collection, request, row).forgetful(),
    };
    query.and_rule(text)?;
    let sql = query.select(&[], Some(1), 0);
    // Not among the remembered statements: nobody will ask this again.
    Ok(tx.connection().prepare(&sql.text)?.exists(params_from_iter(&sql.params))?)
}

/// What an operand is: one value, or a list of those that the joined rows have.
fn values(tx: &ReadTx<'_>, subject: &Subject<'_>, operand: &Operand) -> Result<Json> {
    match operand {
        Operand::Text(text) => return Ok(shortened(text)),
        Operand::Number(number) => return Ok(number_of(*number)),
        Operand::Identifier(name) => match Ident::parse(name) {
            Some(Ident::Null) => return Ok(Json::Null),
            Some(Ident::True) => return Ok(true.into()),
            Some(Ident::False) => return Ok(false.into()),
            Some(ident) if tells_secret(&ident) => return Ok(MASK.into()),
            _ => {}
        },
        Operand::Function(_) => {}
    }
    let Subject { catalog, collection, request, record } = *subject;
    let new_row = match record {
        Stored::WouldBe(row) => Some(row),
        Stored::Row(_) => None,
    };
    let mut compiler = Compiler::new(Base::Collection { catalog, collection, new_row: new_row.is_some() }, request);
    // What does not compile alone does not compile in its comparison.
    let Ok(value) = compiler.value(operand) else { return Ok(Json::Null) };
    let fields = compiler.trail().fields.clone();
    if fields.iter().any(|field| is_secret(field)) {
        return Ok(MASK.into());
    }
    let mut extras = Vec::new();
    if let Stored::Row(id) = record {
        extras.push(Value::Text(id.to_owned()));
        compiler.column_condition("{0} = {1}", "id", &Frag::slot(Slot::Extra(0)));
    }
    let rendered = Plan::values(compiler, &value);
    let params = rendered.bind(&Binding { request, new_row, extras: &extras, limit: MAX_ROWS, offset: 0 });
    let mut statement = tx.connection().prepare(&rendered.text)?;
    let mut rows = statement.query(params_from_iter(&params))?;
    let mut found: Vec<Json> = Vec::new();
    while let Some(row) = rows.next()? {
        let value = told(row.get(0)?, operand, &fields);
        if !found.contains(&value) && found.len() < MAX_VALUES {
            found.push(value);
        }
    }
    Ok(match found.len() {
        0 => Json::Null,
        1 => found.swap_remove(0),
        _ => found.into(),
    })
}

/// As whoever wrote the rule would write it.
fn told(value: Value, operand: &Operand, fields: &[&Field]) -> Json {
    let kind = match fields {
        [field] => Some(&field.kind),
        _ => None,
    };
    let is_flag =
        matches!(operand, Operand::Identifier(name) if name.ends_with(":isset") || name.ends_with(":changed"));
    let shape = fields.first().filter(|_| fields.len() == 1).map(|field| Shape::of(field));
    match value {
        Value::Null => Json::Null,
        Value::Integer(flag @ 0..=1) if is_flag || matches!(kind, Some(FieldKind::Bool(_))) => Json::Bool(flag == 1),
        Value::Integer(number) => number.into(),
        Value::Real(number) => number_of(number),
        Value::Text(text) if matches!(shape, Some(Shape::Json | Shape::Point | Shape::Many)) => {
            let parsed = serde_json::from_str(&text).ok().filter(|value: &Json| value.is_array() || value.is_object());
            parsed.filter(|_| text.len() <= MAX_TEXT).unwrap_or_else(|| shortened(&text))
        }
        Value::Text(text) => shortened(&text),
        Value::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}

/// A whole number without a fraction.
fn number_of(number: f64) -> Json {
    #[allow(clippy::cast_possible_truncation)]
    match number.fract() == 0.0 && number.abs() < 9e15 {
        true => Json::from(number as i64),
        false => Json::from(number),
    }
}

fn shortened(text: &str) -> Json {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

/// Values that are not told even to superusers, and those that their owner has hidden.
fn is_secret(field: &Field) -> bool {
    field.hidden || matches!(field.kind, FieldKind::Password(_)) || field.name == "tokenKey"
}

/// What a request may carry in no field of the collection.
fn tells_secret(ident: &Ident<'_>) -> bool {
    let (path, secrets): (&[&str], &[&str]) = match ident {
        Ident::Body(path) => (path, &["password", "passwordConfirm", "oldPassword", "token"]),
        Ident::Headers(path) => (path, &["authorization", "cookie"]),
        Ident::Query(path) => (path, &["token"]),
        _ => return false,
    };
    let name = path.first().map_or("", |first| first.split(':').next().unwrap_or_default());
    // Whether it is there is no secret.
    let is_asked_for = path.last().is_some_and(|last| last.ends_with(":isset"));
    secrets.contains(&name) && !is_asked_for
}
