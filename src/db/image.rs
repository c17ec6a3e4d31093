//! Before-images: rows as JSON objects by field id, each value exactly as it was stored.
//!
//! Integers, reals, texts and NULL become their JSON twins (a real always has a fraction or an exponent); a blob
//! becomes `{"$blob": base64}`, which no stored text can be mistaken for.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Row, Value};

/// The whole row.
pub(super) fn of_row(row: &Row) -> String {
    object(row.columns.iter().zip(&row.values).map(|(name, value)| (&**name, value)))
}

/// The old values of the columns that differ. A column that only the old row has counts as changed.
pub(super) fn of_changes(old: &Row, new: &Row) -> String {
    let same_columns = std::sync::Arc::ptr_eq(&old.columns, &new.columns);
    let changed = old.columns.iter().zip(&old.values).enumerate().filter_map(|(index, (name, value))| {
        let after = if same_columns { new.values.get(index) } else { new.get(name) };
        (after != Some(value)).then_some((&**name, value))
    });
    object(changed)
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut json = Vec::with_capacity(128);
    json.push(b'{');
    for (name, value) in entries {
        if json.len() > 1 {
            json.push(b',');
        }
        string(&mut json, name);
        json.push(b':');
        push(&mut json, value);
    }
    json.push(b'}');
    String::from_utf8(json).expect("every part is UTF-8")
}

fn push(json: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => json.extend_from_slice(b"null"),
        Value::Integer(whole) => number(json, whole),
        // SQLite stores no NaN; JSON readers take these as the infinities that they are.
        Value::Real(real) if real.is_infinite() => {
            json.extend_from_slice(if *real > 0.0 { b"9e999" } else { b"-9e999" });
        }
        Value::Real(real) => number(json, real),
        Value::Text(text) => string(json, text),
        Value::Blob(bytes) => {
            json.extend_from_slice(b"{\"$blob\":\"");
            json.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
            json.extend_from_slice(b"\"}");
        }
    }
}

fn string(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a vector takes every byte");
}

fn number(json: &mut Vec<u8>, number: &impl serde::Serialize) {
    serde_json::to_writer(json, number).expect("a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn row(entries: &[(&str, Value)]) -> Row {
        Row {
            columns: entries.iter().map(|(name, _)| Arc::from(*name)).collect(),
            values: entries.iter().map(|(_, value)| value.clone()).collect(),
        }
    }

    #[test]
    fn values_keep_their_storage_class() {
        for (value, json) in [
            (Value::Null, "null"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Real(1.0), "1.0"),
            (Value::Real(f64::INFINITY), "9e999"),
            (Value::Text("a\"\n\u{1}é".into()), r#""a\"\n\u0001é""#),
            (Value::Text("[1]".into()), r#""[1]""#),
            (Value::Blob(vec![0, 255]), r#"{"$blob":"AP8="}"#),
        ] {
            assert_eq!(of_row(&row(&[("f", value)])), format!("{{\"f\":{json}}}"));
        }
    }

    #[test]
    fn an_update_keeps_only_what_changed() {
        let old = row(&[("a", Value::Integer(1)), ("b", Value::Integer(2)), ("gone", Value::Null)]);
        let new = row(&[("b", Value::Integer(3)), ("a", Value::Integer(1)), ("born", Value::Integer(4))]);
        assert_eq!(of_changes(&old, &new), r#"{"b":2,"gone":null}"#);
        let after =
            Row { columns: Arc::clone(&old.columns), values: vec![Value::Real(1.0), Value::Integer(2), Value::Null] };
        assert_eq!(of_changes(&old, &after), r#"{"a":1}"#);
        assert_eq!(of_changes(&old, &old), "{}");
    }
}
