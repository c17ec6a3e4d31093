//! JSON bytes straight from SQLite values: no tree, and no allocation for what is well formed.

use std::io::Write;

use rusqlite::types::ValueRef;
use serde_json::Value as Json;

use super::scalar;

/// Deeper JSON is refused on input, and answered `null` when a database brings it along.
pub const MAX_DEPTH: usize = 127;

/// `bytes` as a JSON string; invalid UTF-8 is replaced.
pub fn write_text(bytes: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => write_str(text, out),
        Err(_) => write_str(&String::from_utf8_lossy(bytes), out),
    }
}

/// `text` as a JSON string.
pub fn write_str(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let clean = clean_length(rest);
        out.extend_from_slice(&rest[..clean]);
        let Some(&byte) = rest.get(clean) else { break };
        write_escaped(byte, out);
        rest = &rest[clean + 1..];
    }
    out.push(b'"');
}

/// How many of the first bytes may stand in a JSON string as they are.
fn clean_length(bytes: &[u8]) -> usize {
    let long = clean_strides::<32>(bytes);
    let looked = long + clean_strides::<8>(&bytes[long..]);
    bytes[looked..].iter().position(|&byte| is_special(byte)).map_or(bytes.len(), |at| looked + at)
}

/// How many bytes there are before the first stride of `N` that has a special one. A look at all of a stride, without an
/// early end, becomes a few vector instructions.
fn clean_strides<const N: usize>(bytes: &[u8]) -> usize {
    let (strides, _) = bytes.as_chunks::<N>();
    let is_clean = |stride: &&[u8; N]| !stride.iter().fold(false, |any, &byte| any | is_special(byte));
    N * strides.iter().take_while(is_clean).count()
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escaped(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// A raw column as a JSON string: what text-like types answer.
pub fn write_raw_text(raw: ValueRef<'_>, out: &mut Vec<u8>) {
    match raw {
        ValueRef::Text(bytes) => write_text(bytes, out),
        other => write_str(&scalar::raw_text(other), out),
    }
}

pub fn write_integer(integer: i64, out: &mut Vec<u8>) {
    write!(out, "{integer}").expect("writing to memory does not fail");
}

/// The shortest digits that read back as `float`; an exponent below 1e-6 and from 1e21 on. What JSON cannot say is 0.
pub fn write_float(float: f64, out: &mut Vec<u8>) {
    let size = float.abs();
    let written = if !float.is_finite() {
        out.write_all(b"0")
    } else if float.fract() == 0.0 && size < 1e15 {
        // Also turns -0 into 0, which is what SQLite makes of it.
        write!(out, "{}", float as i64)
    } else if (1e-6..1e21).contains(&size) {
        write!(out, "{float}")
    } else if size < 1.0 {
        write!(out, "{float:e}")
    } else {
        let text = format!("{float:e}");
        out.write_all(text.replace('e', "e+").as_bytes())
    };
    written.expect("writing to memory does not fail");
}

/// `input` re-serialised as the storage has it: object keys sorted, numbers in shortest form.
pub fn write_sorted(input: &Json, out: &mut Vec<u8>) {
    match input {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), _, _) => write_integer(integer, out),
            (None, Some(integer), _) => write!(out, "{integer}").expect("writing to memory does not fail"),
            (None, None, float) => write_float(float.unwrap_or_default(), out),
        },
        Json::String(text) => write_str(text, out),
        Json::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_sorted(item, out);
            }
            out.push(b']');
        }
        Json::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_bytes());
            out.push(b'{');
            for (at, (key, item)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_str(key, out);
                out.push(b':');
                write_sorted(item, out);
            }
            out.push(b'}');
        }
    }
}

/// True when `text` is one JSON value, not nested deeper than [`MAX_DEPTH`].
pub fn is_json(text: &str) -> bool {
    depth(text.as_bytes()) <= MAX_DEPTH && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Valid JSON without the blanks between its tokens.
pub fn write_compact(json: &str, out: &mut Vec<u8>) {
    let bytes = json.as_bytes();
    out.reserve(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'"' => string_end(bytes, at),
            b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            _ => bytes[at..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b' ' | b'\n' | b'\r' | b'\t'))
                .map_or(bytes.len(), |length| at + length),
        };
        out.extend_from_slice(&bytes[at..end]);
        at = end;
    }
}

/// The deepest nesting of arrays and objects.
fn depth(bytes: &[u8]) -> usize {
    let (mut at, mut open, mut deepest) = (0, 0usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    deepest
}

/// The index after the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("utf-8")
    }

    #[test]
    fn strings_are_escaped_as_json_needs_it() {
        for (text, json) in [
            ("", r#""""#),
            ("plain é", r#""plain é""#),
            ("<a href=\"x\">&\\", r#""<a href=\"x\">&\\""#),
            ("a\nb\r\t\u{8}\u{c}\u{1}\u{1f}", r#""a\nb\r\t\b\f\u0001\u001f""#),
        ] {
            assert_eq!(written(|out| write_str(text, out)), json);
            // Wherever in a long text it stands.
            for before in [7, 8, 31, 32, 33, 97] {
                let (before, after) = ("x".repeat(before), "é".repeat(32));
                let json = format!("\"{before}{}{after}\"", &json[1..json.len() - 1]);
                assert_eq!(written(|out| write_str(&format!("{before}{text}{after}"), out)), json);
            }
        }
        assert_eq!(written(|out| write_text(b"a\xffb", out)), "\"a\u{fffd}b\"");
    }

    #[test]
    fn numbers_are_shortest() {
        for (float, json) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (-2.0, "-2"),
            (1e15, "1000000000000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"),
            (5e-324, "5e-324"),
            (123456789.12345679, "123456789.12345679"),
            (9_223_372_036_854_775_808.0, "9223372036854776000"),
            (12345678901234567890.0, "12345678901234567000"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(written(|out| write_float(float, out)), json, "{float}");
        }
    }

    #[test]
    fn json_is_sorted_and_compacted() {
        let input = json!({"b": 1.0, "a": [2, {"z": 1, "y": 1e30}], "B": null});
        assert_eq!(written(|out| write_sorted(&input, out)), r#"{"B":null,"a":[2,{"y":1e+30,"z":1}],"b":1}"#);
        assert_eq!(written(|out| write_compact("{ \"a b\" : [1,\t\"x \\\" y\" ] }\n", out)), r#"{"a b":[1,"x \" y"]}"#);
    }

    #[test]
    fn json_is_told_from_text() {
        for text in ["1", " 1 ", "null", "[1, 2]", "{\"a\":{}}", "\"x\""] {
            assert!(is_json(text), "{text}");
        }
        for text in ["", "abc", "1 2", "01", "{bad", "\"a", "+1", "nan"] {
            assert!(!is_json(text), "{text}");
        }
        assert!(is_json(&format!("{}{}", "[".repeat(127), "]".repeat(127))));
        assert!(!is_json(&format!("{}{}", "[".repeat(128), "]".repeat(128))));
    }
}
