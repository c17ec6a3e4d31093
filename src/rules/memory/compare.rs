//! The comparison of two values in memory (`records-filter.md` §5), in three-valued logic: `None` is NULL.

use std::cmp::Ordering;

use super::{
    side::{Side, Source},
    value::{self, Uncertain},
};
use crate::{
    db::Value,
    rules::{
        class::{Affinity, Class},
        like::{self, Pattern},
        parse::expr::Sign,
        request::pattern_text,
    },
};

/// Compares one value of each side.
pub(super) fn compare(
    (left, left_value): (&Side, &Value),
    sign: Sign,
    (right, right_value): (&Side, &Value),
) -> Result<Option<bool>, Uncertain> {
    let ordered = || value::compare((left_value, left.affinity), (right_value, right.affinity));
    let ordering = |accepts: fn(Ordering) -> bool| Ok(ordered()?.map(accepts));
    match sign {
        Sign::Equal => equal((left, left_value), (right, right_value), true),
        Sign::NotEqual => equal((left, left_value), (right, right_value), false),
        Sign::Greater => ordering(Ordering::is_gt),
        Sign::GreaterOrEqual => ordering(Ordering::is_ge),
        Sign::Less => ordering(Ordering::is_lt),
        Sign::LessOrEqual => ordering(Ordering::is_le),
        Sign::Like => like(left_value, right, right_value),
        Sign::NotLike => Ok(like(left_value, right, right_value)?.map(|matches| !matches)),
    }
}

/// `!=` between single values, as `:changed` wants it.
pub(super) fn differs(left: &Side, right: &Side) -> Result<bool, Uncertain> {
    match (&left.source, &right.source) {
        (Source::One(left_value), Source::One(right_value)) => {
            Ok(equal((left, left_value), (right, right_value), false)? == Some(true))
        }
        _ => Err(Uncertain),
    }
}

/// The table of §5.2; `wanted` is false for `!=`.
fn equal(
    (left, left_value): (&Side, &Value),
    (right, right_value): (&Side, &Value),
    wanted: bool,
) -> Result<Option<bool>, Uncertain> {
    use Class::{Blank, Known, Plain, Raw};
    let sides = (left.affinity, right.affinity);
    let empty = Value::Text(String::new());
    let or_empty = |side: &Side, value: &Value| if side.class == Blank { empty.clone() } else { value.clone() };
    match (left.class, right.class) {
        (Raw, _) | (_, Raw) => Ok(Some(is(left_value, right_value, sides)? == wanted)),
        (Blank, Blank) => Ok(Some(wanted)),
        (Known, _) | (_, Known) => {
            let (left_value, right_value) = (or_empty(left, left_value), or_empty(right, right_value));
            match wanted {
                true => Ok(value::compare((&left_value, sides.0), (&right_value, sides.1))?.map(Ordering::is_eq)),
                false => Ok(Some(!is(&left_value, &right_value, sides)?)),
            }
        }
        (Plain, Blank) => Ok(Some(is_blank(left_value) == wanted)),
        (Blank, Plain) => Ok(Some(is_blank(right_value) == wanted)),
        (Plain, Plain) => {
            let coalesce = |value: &Value| if *value == Value::Null { empty.clone() } else { value.clone() };
            let same = is(&coalesce(left_value), &coalesce(right_value), (Affinity::None, Affinity::None))?;
            Ok(Some(same == wanted))
        }
    }
}

/// SQL's `IS`: NULL equals NULL.
fn is(left: &Value, right: &Value, (left_affinity, right_affinity): (Affinity, Affinity)) -> Result<bool, Uncertain> {
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        _ => value::compare((left, left_affinity), (right, right_affinity))? == Some(Ordering::Equal),
    })
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// §5.4
fn like(left: &Value, right: &Side, right_value: &Value) -> Result<Option<bool>, Uncertain> {
    let pattern = match right.bound {
        true => pattern_text(right_value).map(|text| like::pattern(&text)),
        false => value::text(right_value)?.map(|text| format!("%{text}%")),
    };
    Ok(value::text(left)?.zip(pattern).map(|(text, pattern)| Pattern::new(&pattern).matches(&text)))
}
