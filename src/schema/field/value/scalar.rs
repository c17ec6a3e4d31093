//! Texts, numbers and booleans out of JSON input and raw columns (`docs/wire/records-collections.md` §4.3).

use std::borrow::Cow;

use rusqlite::types::ValueRef;
use serde_json::Value as Json;

use crate::db::Value;

/// Below this every integer is one 64-bit float and the other way round.
const EXACT: i64 = 1 << 53;

/// A scalar's text: numbers in shortest decimal digits without exponent, `true`/`false`; `None` for the rest.
pub fn text_of(input: &Json) -> Option<Cow<'_, str>> {
    match input {
        Json::String(text) => Some(Cow::Borrowed(text)),
        Json::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Json::Number(number) => Some(Cow::Owned(match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        })),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// [`text_of`] in stored form, blank for what has no text.
pub fn text_value(input: &Json) -> Value {
    Value::Text(text_of(input).unwrap_or_default().into_owned())
}

/// A raw column as text; NULL is blank.
pub fn raw_text(raw: ValueRef<'_>) -> Cow<'_, str> {
    match raw {
        ValueRef::Null => Cow::Borrowed(""),
        ValueRef::Integer(integer) => Cow::Owned(integer.to_string()),
        ValueRef::Real(float) => Cow::Owned(float.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
    }
}

/// The text of a stored value; blank when it is none.
pub fn stored_text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

/// The float that JSON input means, 0 when it means none; numeric texts may be `Infinity` or `NaN`.
pub fn float_of(input: &Json) -> f64 {
    match input {
        Json::Number(number) => number.as_f64().unwrap_or(0.0),
        Json::Bool(flag) => f64::from(u8::from(*flag)),
        Json::String(text) => parse_float(text),
        Json::Null | Json::Array(_) | Json::Object(_) => 0.0,
    }
}

/// A float in stored form: an integer wherever SQLite's NUMERIC affinity would make one.
pub fn float_value(float: f64) -> Value {
    // 2^63 itself does not fit, -2^63 is left alone by SQLite too.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.fract() == 0.0 && float.abs() < LIMIT { Value::Integer(float as i64) } else { Value::Real(float) }
}

/// The number of a stored number value.
pub fn stored_float(value: &Value) -> f64 {
    match value {
        Value::Integer(integer) => *integer as f64,
        Value::Real(float) => *float,
        _ => 0.0,
    }
}

/// A raw column's number.
pub fn raw_float(raw: ValueRef<'_>) -> f64 {
    match raw {
        ValueRef::Null => 0.0,
        ValueRef::Integer(integer) => integer as f64,
        ValueRef::Real(float) => float,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => std::str::from_utf8(bytes).map_or(0.0, parse_float),
    }
}

/// A decimal or hexadecimal float literal, underscores between digits allowed; 0 for anything else and for what overflows. Surrounding blanks are not
/// forgiven; `inf`, `infinity` and `nan` are numbers here, which validation rejects.
pub fn parse_float(text: &str) -> f64 {
    if let Some(float) = parse_hex_float(text) {
        return float;
    }
    let Some(digits) = without_separators(text) else { return 0.0 };
    match digits.parse::<f64>() {
        // An overflow is no number, a spelled-out infinity is.
        Ok(float) if float.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) => 0.0,
        // Only an infinity has a sign.
        Ok(float) if float.is_nan() && text.starts_with(['+', '-']) => 0.0,
        Ok(float) => float,
        Err(_) => 0.0,
    }
}

/// `1_000` without its underscores; `None` unless each stands between two digits.
fn without_separators(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let is_between_digits = text.bytes().enumerate().filter(|(_, byte)| *byte == b'_').all(|(at, _)| {
        let is_digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
        is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1))
    });
    is_between_digits.then(|| Cow::Owned(text.replace('_', "")))
}

/// `0x1.8p4`: hexadecimal digits, a binary exponent, single underscores between digits.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))?;
    let (mantissa, exponent) = digits.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() < 10_000)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.ends_with('_') || mantissa.contains("__") || mantissa.len() > 64 {
        return None;
    }
    let mut float = 0.0f64;
    let mut seen = false;
    for digit in whole.chars().chain(fraction.chars()).filter(|&digit| digit != '_') {
        float = float * 16.0 + f64::from(digit.to_digit(16)?);
        seen = true;
    }
    let scale = exponent - 4 * i32::try_from(fraction.chars().filter(|&digit| digit != '_').count()).ok()?;
    let float = float * 2f64.powi(scale);
    (seen && float.is_finite()).then_some(if negative { -float } else { float })
}

/// The boolean that JSON input means.
pub fn bool_of(input: &Json) -> bool {
    match input {
        Json::Bool(flag) => *flag,
        Json::Number(number) => number.as_f64().is_some_and(|float| float != 0.0),
        Json::String(text) => parse_bool(text),
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}

/// A raw column's boolean: of all numbers only 1 is true, as `= true` in SQL has it.
pub fn raw_bool(raw: ValueRef<'_>) -> bool {
    match raw {
        ValueRef::Null => false,
        ValueRef::Integer(integer) => integer == 1,
        ValueRef::Real(float) => float == 1.0,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => std::str::from_utf8(bytes).is_ok_and(parse_bool),
    }
}

fn parse_bool(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// True when an integer column's value prints the same as the float that it stands for.
pub fn is_exact(integer: i64) -> bool {
    (-EXACT..=EXACT).contains(&integer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_json() {
        for (input, text) in [
            (json!(1), "1"),
            (json!(1.0), "1"),
            (json!(1.5), "1.5"),
            (json!(1e21), "1000000000000000000000"),
            (json!(1e-7), "0.0000001"),
            (json!(-0.0), "-0"),
            (json!(true), "true"),
            (json!(false), "false"),
            (json!(" x "), " x "),
            (json!(null), ""),
            (json!(["a"]), ""),
            (json!({"a": 1}), ""),
        ] {
            assert_eq!(text_value(&input), Value::Text(text.into()), "{input}");
        }
    }

    #[test]
    fn numbers_of_json() {
        for (input, stored) in [
            (json!("1.5"), Value::Real(1.5)),
            (json!("1e3"), Value::Integer(1000)),
            (json!("1e400"), Value::Integer(0)),
            (json!(true), Value::Integer(1)),
            (json!("abc"), Value::Integer(0)),
            (json!(" 1 "), Value::Integer(0)),
            (json!("0x10"), Value::Integer(0)),
            (json!("0x1p4"), Value::Integer(16)),
            (json!("-0x1.8p1"), Value::Integer(-3)),
            (json!("0x_1p4"), Value::Integer(16)),
            (json!([1]), Value::Integer(0)),
            (json!(null), Value::Integer(0)),
            (json!("+1"), Value::Integer(1)),
            (json!(".5"), Value::Real(0.5)),
            (json!("5."), Value::Integer(5)),
            (json!("1_000.5"), Value::Real(1000.5)),
            (json!("1__0"), Value::Integer(0)),
            (json!("_1"), Value::Integer(0)),
            (json!("1_"), Value::Integer(0)),
            (json!("1_.5"), Value::Integer(0)),
            (json!("true"), Value::Integer(0)),
            (json!("١"), Value::Integer(0)),
            (json!(-0.0), Value::Integer(0)),
            (json!(1e15), Value::Integer(1_000_000_000_000_000)),
            (json!(9_223_372_036_854_775_808_u64), Value::Real(9_223_372_036_854_775_808.0)),
            (json!("Infinity"), Value::Real(f64::INFINITY)),
            (json!("-nan"), Value::Integer(0)),
            (json!(489.26578275772124), Value::Real(489.26578275772124)),
            (json!("-inf"), Value::Real(f64::NEG_INFINITY)),
        ] {
            assert_eq!(float_value(float_of(&input)), stored, "{input}");
        }
        assert!(float_of(&json!("NaN")).is_nan());
    }

    #[test]
    fn only_one_is_true_in_a_column() {
        for (raw, flag) in [
            (ValueRef::Integer(1), true),
            (ValueRef::Integer(2), false),
            (ValueRef::Integer(-1), false),
            (ValueRef::Real(1.0), true),
            (ValueRef::Real(0.5), false),
            (ValueRef::Text(b"TRUE"), true),
            (ValueRef::Text(b"yes"), false),
            (ValueRef::Blob(b"1"), true),
            (ValueRef::Null, false),
        ] {
            assert_eq!(raw_bool(raw), flag, "{raw:?}");
        }
    }

    #[test]
    fn booleans_of_json() {
        for input in [json!(true), json!(1), json!(0.5), json!(-1), json!("1"), json!("t"), json!("True")] {
            assert!(bool_of(&input), "{input}");
        }
        for input in
            [json!(0), json!("tRue"), json!("yes"), json!("on"), json!("2"), json!(" 1"), json!([1]), json!({})]
        {
            assert!(!bool_of(&input), "{input}");
        }
    }
}
