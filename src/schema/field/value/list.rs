//! Values of select, file and relation fields: a list of unique, non-blank texts, of which a single field keeps the
//! last (`docs/wire/records-collections.md` §4.3, `records-api.md` §6).

use std::collections::HashSet;

use rusqlite::types::ValueRef;
use serde_json::Value as Json;

use super::{render, scalar};
use crate::{db::Value, schema::field::Modifier};

/// The definition of a column that holds one value.
pub const SINGLE_COLUMN: &str = "TEXT DEFAULT '' NOT NULL";
/// The definition of a column that holds a JSON array.
pub const MULTIPLE_COLUMN: &str = "JSON DEFAULT '[]' NOT NULL";

/// The values that JSON input means.
pub fn from_json(input: &Json) -> Vec<String> {
    match input {
        Json::String(text) => from_text(text),
        Json::Array(items) if items.iter().any(|item| item.is_array() || item.is_object()) => Vec::new(),
        Json::Array(items) => unique(items.iter().filter_map(scalar::text_of).map(|text| text.into_owned()).collect()),
        other => unique(scalar::text_of(other).map(|text| text.into_owned()).into_iter().collect()),
    }
}

/// The values that a text means: a JSON array of strings, else the text itself.
pub fn from_text(text: &str) -> Vec<String> {
    if !text.contains('[') {
        return if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
    }
    let Ok(items) = serde_json::from_str::<Vec<Json>>(text) else {
        return vec![text.to_owned()];
    };
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Json::String(value) => values.push(value),
            Json::Null => {}
            // The strings up to here count, and so does the whole text.
            _ => {
                values.push(text.to_owned());
                break;
            }
        }
    }
    unique(values)
}

/// The values of a stored single or multiple value.
pub fn read(stored: &Value) -> Vec<String> {
    match stored {
        Value::Text(text) => from_text(text),
        Value::Null => Vec::new(),
        other => from_text(&scalar::raw_text(ValueRef::from(other))),
    }
}

/// Values in stored form.
pub fn write(multiple: bool, values: Vec<String>) -> Value {
    if !multiple {
        return Value::Text(last(values));
    }
    let mut text = Vec::with_capacity(values.iter().map(|value| value.len() + 3).sum::<usize>() + 2);
    write_array(&values, &mut text);
    Value::Text(String::from_utf8(text).expect("JSON of valid strings is UTF-8"))
}

/// JSON input in stored form.
pub fn normalise(multiple: bool, input: &Json) -> Value {
    write(multiple, from_json(input))
}

/// A raw column in stored form: a legacy non-array is a one-element list (`records-storage.md` §9.7).
pub fn normalise_raw(multiple: bool, raw: ValueRef<'_>) -> Value {
    write(multiple, from_text(&scalar::raw_text(raw)))
}

/// A raw column as the wire's JSON.
pub fn write_json(multiple: bool, raw: ValueRef<'_>, out: &mut Vec<u8>) {
    if let ValueRef::Text(bytes) = raw {
        if multiple && is_plain_array(bytes) {
            return out.extend_from_slice(bytes);
        }
        if !multiple && !bytes.contains(&b'[') {
            return render::write_text(bytes, out);
        }
    }
    let values = from_text(&scalar::raw_text(raw));
    if multiple { write_array(&values, out) } else { render::write_str(&last(values), out) }
}

/// `current` after a body key with a modifier.
pub fn apply(multiple: bool, current: &Value, modifier: Modifier, input: &Json) -> Option<Value> {
    let given = from_json(input);
    let values = match modifier {
        Modifier::Set => given,
        Modifier::Append => unique([read(current), given].concat()),
        Modifier::Prepend => unique([given, read(current)].concat()),
        Modifier::Remove => {
            let gone: HashSet<String> = given.into_iter().collect();
            read(current).into_iter().filter(|value| !gone.contains(value)).collect()
        }
        Modifier::Autogenerate => return None,
    };
    Some(write(multiple, values))
}

/// A stored value of a field whose `maxSelect` crossed the border between single and multiple
/// (`docs/wire/records-collections.md` §6): becoming multiple wraps, becoming single keeps the last.
pub fn convert(to_multiple: bool, raw: ValueRef<'_>) -> Value {
    normalise_raw(to_multiple, raw)
}

/// A single field keeps the last value; one that is itself an array stands for its own last.
fn last(mut values: Vec<String>) -> String {
    let value = values.pop().unwrap_or_default();
    if !value.contains('[') {
        return value;
    }
    from_text(&value).pop().unwrap_or_default()
}

fn write_array(values: &[String], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        render::write_str(value, out);
    }
    out.push(b']');
}

/// Blanks and repetitions removed, the first kept.
fn unique(values: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(values.len());
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        if !value.is_empty() && seen.insert(value.clone()) {
            kept.push(value);
        }
    }
    kept
}

/// True for `["a","b"]` as this house and its predecessor write it: no blanks, no escapes, no blank element.
/// Repetitions are not looked for: nobody stores them.
fn is_plain_array(bytes: &[u8]) -> bool {
    let Some(inner) = bytes.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) else {
        return false;
    };
    if inner.is_empty() {
        return true;
    }
    let mut rest = inner;
    loop {
        let Some(after) = rest.strip_prefix(b"\"") else { return false };
        let Some(end) = after.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20) else {
            return false;
        };
        if end == 0 || after[end] != b'"' {
            return false;
        }
        match &after[end + 1..] {
            [] => return std::str::from_utf8(inner).is_ok(),
            [b',', tail @ ..] => rest = tail,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn input_is_normalised() {
        for (input, multiple, single) in [
            (json!("a"), r#"["a"]"#, "a"),
            (json!(["a", "b"]), r#"["a","b"]"#, "b"),
            (json!(r#"["a","b","a"]"#), r#"["a","b"]"#, "b"),
            (json!(1), r#"["1"]"#, "1"),
            (json!(1.5), r#"["1.5"]"#, "1.5"),
            (json!(true), r#"["true"]"#, "true"),
            (json!(null), "[]", ""),
            (json!([]), "[]", ""),
            (json!([["a"], "b"]), "[]", ""),
            (json!({"a": 1}), "[]", ""),
            (json!([{}]), "[]", ""),
            (json!(["a", null, "", "b"]), r#"["a","b"]"#, "b"),
            (json!([1, true, 1]), r#"["1","true"]"#, "true"),
            (json!("[1]"), r#"["[1]"]"#, "[1]"),
            (json!(r#"["a",1,"b"]"#), r#"["a","[\"a\",1,\"b\"]"]"#, r#"["a",1,"b"]"#),
            (json!("["), r#"["["]"#, "["),
            (json!(" "), r#"[" "]"#, " "),
            (json!("a b"), r#"["a b"]"#, "a b"),
            (json!("null"), r#"["null"]"#, "null"),
            (json!(r#"["a",null]"#), r#"["a"]"#, "a"),
            (json!(r#" ["a"]"#), r#"["a"]"#, "a"),
            (json!([r#"["a","b"]"#]), r#"["[\"a\",\"b\"]"]"#, "b"),
            (json!(1e21), r#"["1000000000000000000000"]"#, "1000000000000000000000"),
        ] {
            assert_eq!(normalise(true, &input), text(multiple), "{input}");
            assert_eq!(normalise(false, &input), text(single), "{input}");
        }
    }

    #[test]
    fn raw_columns_are_read_and_rendered() {
        for (raw, multiple, single) in [
            (ValueRef::Null, "[]", "\"\""),
            (ValueRef::Text(b""), "[]", "\"\""),
            (ValueRef::Text(b"[]"), "[]", "\"\""),
            (ValueRef::Text(b"x"), r#"["x"]"#, r#""x""#),
            (ValueRef::Integer(5), r#"["5"]"#, r#""5""#),
            (ValueRef::Text(br#"["a","b"]"#), r#"["a","b"]"#, r#""b""#),
            (ValueRef::Text(br#"["a", "a", "", "b"]"#), r#"["a","b"]"#, r#""b""#),
            (ValueRef::Text(br#"["a","\u00e9"]"#), r#"["a","é"]"#, r#""é""#),
            (ValueRef::Text(br#"["a""]"#), r#"["[\"a\"\"]"]"#, r#""[\"a\"\"]""#),
        ] {
            let mut out = Vec::new();
            write_json(true, raw, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), multiple);
            out.clear();
            write_json(false, raw, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), single);
        }
    }

    #[test]
    fn modifiers_change_lists() {
        use Modifier::{Append, Autogenerate, Prepend, Remove, Set};
        for (current, modifier, input, result) in [
            (r#"["a"]"#, Append, json!(["c", "a"]), Some(r#"["a","c"]"#)),
            (r#"["a","c"]"#, Prepend, json!(["b"]), Some(r#"["b","a","c"]"#)),
            (r#"["b","a","c"]"#, Remove, json!(["a", "zz"]), Some(r#"["b","c"]"#)),
            (r#"["a"]"#, Set, json!("x"), Some(r#"["x"]"#)),
            (r#"["a"]"#, Autogenerate, json!("x"), None),
        ] {
            assert_eq!(apply(true, &text(current), modifier, &input), result.map(text), "{modifier:?}");
        }
        for (current, modifier, input, result) in [
            ("X", Append, json!("Y"), "Y"),
            ("X", Prepend, json!("Y"), "X"),
            ("", Prepend, json!("Y"), "Y"),
            ("X", Append, json!(""), "X"),
            ("X", Remove, json!("X"), ""),
            ("X", Remove, json!("Y"), "X"),
        ] {
            assert_eq!(apply(false, &text(current), modifier, &input), Some(text(result)), "{modifier:?}");
        }
    }

    #[test]
    fn stored_values_change_between_single_and_multiple() {
        for (raw, to_multiple, result) in [
            ("", true, "[]"),
            ("a", true, r#"["a"]"#),
            (r#"["a","b"]"#, true, r#"["a","b"]"#),
            (r#"["a","b"]"#, false, "b"),
            ("[]", false, ""),
        ] {
            assert_eq!(convert(to_multiple, ValueRef::Text(raw.as_bytes())), text(result), "{raw}");
        }
    }
}
