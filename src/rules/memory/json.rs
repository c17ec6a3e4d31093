//! JSON values as SQLite's `json_extract` and `json_each` yield them (`records-filter.md` §11.5).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::value::Uncertain;
use crate::db::Value;

/// Brackets that a text may have before its depth could pass what our parser allows and SQLite's does not mind.
const MAX_BRACKETS: usize = 120;

/// The value at `segments` of a json column; without segments a legacy text that is no JSON is itself.
pub(super) fn at(column: &Value, segments: &[&str]) -> Result<Value, Uncertain> {
    let Value::Text(text) = column else {
        // A number is valid JSON: itself, with nothing below it.
        return Ok(if segments.is_empty() { column.clone() } else { Value::Null });
    };
    let Some(mut raw) = parse(text)? else {
        return Ok(if segments.is_empty() { column.clone() } else { Value::Null });
    };
    for segment in segments {
        let key = segment.replace(':', "");
        let Some(below) = child(raw, &key)? else { return Ok(Value::Null) };
        raw = below;
    }
    scalar(raw)
}

/// The elements of a column that holds an array; `None` when it holds anything else.
pub(super) fn elements(column: &Value) -> Result<Option<Vec<Value>>, Uncertain> {
    let Value::Text(text) = column else { return Ok(None) };
    match parse(text)? {
        Some(raw) if raw.get().starts_with('[') => {
            array(raw)?.into_iter().map(scalar).collect::<Result<_, _>>().map(Some)
        }
        _ => Ok(None),
    }
}

/// `None` when the text is no JSON.
fn parse(text: &str) -> Result<Option<&RawValue>, Uncertain> {
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MAX_BRACKETS {
        return Err(Uncertain);
    }
    // SQLite trims by its own rules; only leading blanks would shift what we look at.
    Ok(serde_json::from_str::<&RawValue>(text.trim_start_matches([' ', '\t', '\n', '\r'])).ok())
}

fn child<'j>(raw: &'j RawValue, key: &str) -> Result<Option<&'j RawValue>, Uncertain> {
    let is_index = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    match (raw.get().as_bytes().first(), is_index) {
        (Some(b'['), true) => {
            let index: usize = if key.len() < 9 { key.parse().map_err(|_| Uncertain)? } else { return Err(Uncertain) };
            Ok(array(raw)?.get(index).copied())
        }
        (Some(b'{'), false) => {
            let mut deserializer = serde_json::Deserializer::from_str(raw.get());
            deserializer.deserialize_map(FirstOf(key)).map_err(|_| Uncertain)
        }
        _ => Ok(None),
    }
}

fn array(raw: &RawValue) -> Result<Vec<&RawValue>, Uncertain> {
    struct Items;
    impl<'de> Visitor<'de> for Items {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Items).map_err(|_| Uncertain)
}

/// The first value under a key: SQLite takes the first of several.
struct FirstOf<'k>(&'k str);

impl<'de> Visitor<'de> for FirstOf<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if found.is_none() && key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Scalars are their SQL value, composites their text without blanks.
fn scalar(raw: &RawValue) -> Result<Value, Uncertain> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'"') => {
            Value::Text(String::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|_| Uncertain)?)
        }
        Some(b't') => Value::Integer(1),
        Some(b'f') => Value::Integer(0),
        Some(b'n') | None => Value::Null,
        Some(b'[' | b'{') => Value::Text(minify(text)),
        Some(_) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(integer), _) => Value::Integer(integer),
            (_, Ok(real)) if real.is_finite() => Value::Real(real),
            _ => return Err(Uncertain),
        },
    })
}

fn minify(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    text.chars()
        .filter(|&char| {
            if quoted {
                quoted = escaped || char != '"';
                escaped = !escaped && char == '\\';
                return true;
            }
            quoted = char == '"';
            !matches!(char, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}
