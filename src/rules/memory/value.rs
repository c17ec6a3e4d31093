//! How SQLite converts and compares values, for the in-memory reader (`records-filter.md` §5.5, §11).

use std::cmp::Ordering;

use crate::{db::Value, rules::class::Affinity};

/// Applies the rules of SQLite's "Type Conversions Prior To Comparison", then orders by storage class and value.
/// `None` when either side is NULL, `Err` when a conversion is not certain to be SQLite's.
pub(in crate::rules) fn compare(
    (left, left_affinity): (&Value, Affinity),
    (right, right_affinity): (&Value, Affinity),
) -> Result<Option<Ordering>, Uncertain> {
    let (left, right) = match (left_affinity, right_affinity) {
        (Affinity::Numeric, Affinity::Numeric) => (left.clone(), right.clone()),
        (Affinity::Numeric, _) => (left.clone(), to_numeric(right)),
        (_, Affinity::Numeric) => (to_numeric(left), right.clone()),
        (Affinity::Text, Affinity::None) => (left.clone(), to_text_affinity(right)?),
        (Affinity::None, Affinity::Text) => (to_text_affinity(left)?, right.clone()),
        _ => (left.clone(), right.clone()),
    };
    Ok(order(&left, &right))
}

/// A conversion whose result is not certain to be SQLite's: the record has to be judged by SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Uncertain;

/// NULL < numbers < texts < blobs; `None` when either side is NULL.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    Some(match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return None,
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Real(left), Value::Real(right)) => left.partial_cmp(right)?,
        (Value::Integer(left), Value::Real(right)) => compare_mixed(*left, *right)?,
        (Value::Real(left), Value::Integer(right)) => compare_mixed(*right, *left)?.reverse(),
        (Value::Text(left), Value::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Blob(left), Value::Blob(right)) => left.cmp(right),
        (left, right) => class(left).cmp(&class(right)),
    })
}

fn class(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    }
}

/// An integer against a float without losing the integer's low bits.
fn compare_mixed(integer: i64, real: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if real.is_nan() {
        return None;
    }
    if real >= LIMIT {
        return Some(Ordering::Less);
    }
    if real < -LIMIT {
        return Some(Ordering::Greater);
    }
    // Within the range of i64 here.
    #[allow(clippy::cast_possible_truncation)]
    let whole = real.trunc() as i64;
    Some(integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&real.fract()).unwrap_or(Ordering::Equal)))
}

/// NUMERIC affinity: a text that looks like a number becomes one, everything else stays.
pub(in crate::rules) fn to_numeric(value: &Value) -> Value {
    let Value::Text(text) = value else { return value.clone() };
    let trimmed = text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let looks_numeric = trimmed.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if !looks_numeric {
        return value.clone();
    }
    match (trimmed.parse::<i64>(), trimmed.parse::<f64>()) {
        (Ok(integer), _) => Value::Integer(integer),
        (_, Ok(real)) => Value::Real(real),
        _ => value.clone(),
    }
}

/// TEXT affinity: a number becomes its text.
fn to_text_affinity(value: &Value) -> Result<Value, Uncertain> {
    Ok(match value {
        Value::Integer(_) | Value::Real(_) => Value::Text(text(value)?.unwrap_or_default()),
        other => other.clone(),
    })
}

/// `CAST(value AS TEXT)`; `None` for NULL.
pub(in crate::rules) fn text(value: &Value) -> Result<Option<String>, Uncertain> {
    match value {
        Value::Null => Ok(None),
        Value::Integer(integer) => Ok(Some(integer.to_string())),
        Value::Real(real) => real_text(*real).map(Some),
        Value::Text(text) => Ok(Some(text.clone())),
        Value::Blob(_) => Err(Uncertain),
    }
}

/// A float as SQLite prints it (`%!.17g`, shortened where that reads back the same). More than 15 significant digits
/// are left to SQLite itself.
fn real_text(real: f64) -> Result<String, Uncertain> {
    if !real.is_finite() || real.is_subnormal() {
        return Err(Uncertain);
    }
    let scientific = format!("{real:e}");
    let (mantissa, exponent) = scientific.split_once('e').ok_or(Uncertain)?;
    let exponent: i32 = exponent.parse().map_err(|_| Uncertain)?;
    if mantissa.bytes().filter(u8::is_ascii_digit).count() > 15 {
        return Err(Uncertain);
    }
    if (-4..=16).contains(&exponent) {
        let plain = real.to_string();
        return Ok(if plain.contains('.') { plain } else { plain + ".0" });
    }
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent < 0 { '-' } else { '+' };
    Ok(format!("{mantissa}{point}e{sign}{:02}", exponent.abs()))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn numbers_print_as_sqlite_prints_them() {
        let connection = Connection::open_in_memory().expect("memory is always there");
        for real in [
            0.0,
            1.0,
            -1.0,
            2.5,
            0.1,
            100.0,
            1e15,
            1e16,
            1e17,
            123456789012345.0,
            1e-4,
            1e-5,
            1.5e-7,
            1e100,
            -2.25e300,
            49.47,
            0.3,
            1e22,
        ] {
            let expected: String = connection.query_row("SELECT CAST(? AS TEXT)", [real], |row| row.get(0)).unwrap();
            assert_eq!(text(&Value::Real(real)), Ok(Some(expected)), "{real:e}");
        }
        assert_eq!(text(&Value::Real(0.123_456_789_012_345_67)), Err(Uncertain));
    }

    #[test]
    fn numeric_affinity_is_sqlites() {
        let connection = Connection::open_in_memory().expect("memory is always there");
        connection.execute_batch("CREATE TABLE t (n NUMERIC)").unwrap();
        for text in [
            "5",
            " 5 ",
            "5.0",
            "5.",
            ".5",
            "+5",
            "-5",
            "1e3",
            "1e",
            "e5",
            "0x10",
            "",
            " ",
            "abc",
            "5a",
            "1e400",
            "inf",
            "nan",
            "9223372036854775807",
            "9223372036854775808",
            "--5",
            "1.5.2",
            "\u{a0}5",
            "5\n",
            "Infinity",
            "-",
        ] {
            connection.execute("INSERT INTO t VALUES (?)", [text]).unwrap();
            let stored: Value = connection.query_row("DELETE FROM t RETURNING n", [], |row| row.get(0)).unwrap();
            let converted = to_numeric(&Value::Text(text.to_owned()));
            // A column stores whole floats as integers; they compare the same.
            assert!(
                stored == converted || order(&stored, &converted) == Some(Ordering::Equal),
                "{text:?}: {stored:?}, {converted:?}"
            );
        }
    }

    #[test]
    fn integers_and_floats_compare_exactly() {
        for (integer, real, expected) in [
            (1, 1.0, Ordering::Equal),
            (1, 1.5, Ordering::Less),
            (-1, -1.5, Ordering::Greater),
            (i64::MAX, 9_223_372_036_854_775_808.0, Ordering::Less),
            (i64::MIN, -9_223_372_036_854_775_808.0, Ordering::Equal),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Ordering::Greater),
        ] {
            assert_eq!(order(&Value::Integer(integer), &Value::Real(real)), Some(expected));
            assert_eq!(order(&Value::Real(real), &Value::Integer(integer)), Some(expected.reverse()));
        }
    }
}
