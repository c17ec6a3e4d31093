//! `json`: any JSON. The column has NUMERIC affinity, so numbers become numbers (`docs/wire/records-storage.md` §3).

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    Field, FieldType, settings,
    value::{render, scalar, unique},
};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JsonField {
    /// Bytes; 0 stands for 1 MiB.
    #[serde(deserialize_with = "settings::integer")]
    pub max_size: i64,
}

impl JsonField {
    /// The effective limit in bytes.
    pub fn max_bytes(&self) -> u64 {
        u64::try_from(self.max_size).ok().filter(|&size| size > 0).unwrap_or(1 << 20)
    }
}

impl FieldType for JsonField {
    fn name(&self) -> &'static str {
        "json"
    }

    fn column(&self) -> &'static str {
        "JSON DEFAULT NULL"
    }

    fn zero(&self) -> Value {
        Value::Null
    }

    fn normalise(&self, input: &Json) -> Value {
        match input {
            Json::Null => Value::Null,
            Json::String(text) => from_text(text),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Value::Integer(integer),
                (None, float) => scalar::float_value(float.unwrap_or_default()),
            },
            other => {
                let mut json = Vec::new();
                render::write_sorted(other, &mut json);
                Value::Text(String::from_utf8(json).expect("JSON of valid strings is UTF-8"))
            }
        }
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        match raw {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => Value::Integer(integer),
            ValueRef::Real(float) => scalar::float_value(float),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => from_text(&String::from_utf8_lossy(bytes)),
        }
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        match stored {
            ValueRef::Null => out.extend_from_slice(b"null"),
            ValueRef::Integer(integer) => render::write_integer(integer, out),
            ValueRef::Real(float) => render::write_float(float, out),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if is_json_text(text) => render::write_compact(text, out),
                _ => render::write_text(bytes, out),
            },
        }
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let mut number = Vec::new();
        let text = match value {
            Value::Text(text) => text.as_str(),
            Value::Real(float) if !float.is_finite() => {
                return Err(Leaf::new("validation_invalid_json", "Must be JSON."));
            }
            other => {
                self.write_json(ValueRef::from(other), &mut number);
                std::str::from_utf8(&number).expect("null and numbers are ASCII")
            }
        };
        if text.len() as u64 > self.max_bytes() {
            let message = format!("Must not be larger than {} bytes.", self.max_bytes());
            return Err(Leaf::new("validation_json_size_limit", message).param("maxSize", self.max_bytes()));
        }
        if !render::is_json(text) || !unique::has_unique_keys(text) {
            return Err(Leaf::new("validation_invalid_json", "Must be JSON."));
        }
        if required && matches!(text.trim_ascii(), "null" | "\"\"" | "[]" | "{}") {
            return Err(Leaf::required());
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        settings::check_range(&mut issues, "maxSize", self.max_size, 0, settings::MAX_SAFE_INTEGER);
        issues
    }
}

/// A text in stored form: JSON stays as it is, everything else becomes a JSON string.
fn from_text(text: &str) -> Value {
    if !is_json_text(text) {
        let mut json = Vec::new();
        render::write_str(text, &mut json);
        return Value::Text(String::from_utf8(json).expect("JSON of a valid string is UTF-8"));
    }
    // What SQLite's NUMERIC affinity takes for a number is stored as one.
    let literal = text.trim_ascii();
    if let Ok(integer) = literal.parse::<i64>() {
        return Value::Integer(integer);
    }
    match literal.parse::<f64>() {
        Ok(float) if literal.ends_with(|c: char| c.is_ascii_digit()) => scalar::float_value(float),
        _ => Value::Text(text.to_owned()),
    }
}

/// True for a text that stands for JSON by itself.
fn is_json_text(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'-' | b'"' | b'[' | b'{') => render::is_json(text),
        _ => matches!(text, "null" | "true" | "false"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn input_is_stored_and_answered() {
        let field = JsonField::default();
        let text = |text: &str| Value::Text(text.to_owned());
        for (input, stored, answered) in [
            (json!(1), Value::Integer(1), "1"),
            (json!(1.0), Value::Integer(1), "1"),
            (json!(1.5), Value::Real(1.5), "1.5"),
            (json!("1e5"), Value::Integer(100_000), "100000"),
            (json!("1.50"), Value::Real(1.5), "1.5"),
            (json!(12345678901234567890_u64), Value::Real(12345678901234567890.0), "12345678901234567000"),
            (json!("123"), Value::Integer(123), "123"),
            (json!("\"123\""), text("\"123\""), "\"123\""),
            (json!(true), text("true"), "true"),
            (json!("true"), text("true"), "true"),
            (json!(null), Value::Null, "null"),
            (json!("null"), text("null"), "null"),
            (json!(""), text("\"\""), "\"\""),
            (json!("abc"), text("\"abc\""), "\"abc\""),
            (json!("[1, 2 ]"), text("[1, 2 ]"), "[1,2]"),
            (json!(r#"{"b":1, "a": 2}"#), text(r#"{"b":1, "a": 2}"#), r#"{"b":1,"a":2}"#),
            (json!({"b": 1.0, "a": [2]}), text(r#"{"a":[2],"b":1}"#), r#"{"a":[2],"b":1}"#),
            (json!("-"), text("\"-\""), "\"-\""),
            (json!("-1 "), Value::Integer(-1), "-1"),
            (json!("1 2"), text("\"1 2\""), "\"1 2\""),
            (json!("nan"), text("\"nan\""), "\"nan\""),
            (json!("{bad"), text("\"{bad\""), "\"{bad\""),
            (json!("a\u{1}b"), text("\"a\\u0001b\""), "\"a\\u0001b\""),
        ] {
            let value = field.normalise(&input);
            assert_eq!(value, stored, "{input}");
            let mut out = Vec::new();
            field.write_json(ValueRef::from(&value), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), answered, "{input}");
            assert_eq!(field.normalise_stored(ValueRef::from(&value)), value, "{input}");
            assert_eq!(field.check(false, &value), Ok(()), "{input}");
        }
    }

    #[test]
    fn legacy_text_is_a_string() {
        let mut out = Vec::new();
        JsonField::default().write_json(ValueRef::Text(b"not json"), &mut out);
        assert_eq!(out, b"\"not json\"");
    }

    #[test]
    fn values_are_checked() {
        let field = JsonField { max_size: 13 };
        for (input, required, code) in [
            (json!("[1,2,3,4,5,6,7]"), false, Some("validation_json_size_limit")),
            (json!(12_345_678_901_234_i64), false, Some("validation_json_size_limit")),
            (json!("1e400"), false, Some("validation_invalid_json")),
            (json!(r#"{"x":1,"x":2}"#), false, Some("validation_invalid_json")),
            (json!(null), true, Some("validation_required")),
            (json!([]), true, Some("validation_required")),
            (json!(""), true, Some("validation_required")),
            (json!(0), true, None),
            (json!(false), true, None),
        ] {
            let checked = field.check(required, &field.normalise(&input));
            assert_eq!(checked.err().map(|leaf| leaf.code.into_owned()), code.map(str::to_owned), "{input}");
        }
    }
}
