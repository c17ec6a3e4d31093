//! Every value as a text, or `null` (`docs/wire/services.md` §9).

use rusqlite::types::ValueRef;

/// Numbers of so many digits before the point are written with an exponent.
const LARGE: i32 = 6;

/// Bytes that are no text have what is wrong replaced.
pub(super) fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(float(number)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// The shortest digits that are this number; with an exponent below 0.0001 and from a million on.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !(-4..LARGE).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line as PocketBase 0.40.6 answers.
    #[test]
    fn numbers_are_texts() {
        for (number, expected) in [
            (1.5, "1.5"),
            (1e21, "1e+21"),
            (1_234_567.0, "1.234567e+06"),
            (1e-7, "1e-07"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (f64::INFINITY, "+Inf"),
            (100_000.0, "100000"),
            (12_345_678.9, "1.23456789e+07"),
            (1e6, "1e+06"),
            (123_456.0, "123456"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-5, "1.5e-05"),
            (-2.0, "-2"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(float(number), expected);
        }
        assert_eq!(text(ValueRef::Blob(&[0, 0xff, b'A'])), Some("\0\u{fffd}A".to_owned()));
        assert_eq!(text(ValueRef::Integer(123_456_789_012_345_678)), Some("123456789012345678".to_owned()));
    }
}
