//! Strict JSON: one object (or `null`), no duplicate keys on any level, bounded depth; what follows it is ignored
//! (`docs/wire/records-api.md` §3).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};

/// The object in `bytes`; `null` and blank text are the empty one. Nesting is bounded by serde_json (128 levels).
pub fn object(bytes: &[u8]) -> Result<Map<String, Json>> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    taken(Strict::deserialize(&mut serde_json::Deserializer::from_slice(bytes)))
}

/// The same for a part of a form: not blank, and nothing follows.
pub fn whole_object(bytes: &[u8]) -> Result<Map<String, Json>> {
    taken(serde_json::from_slice(bytes))
}

fn taken(parsed: serde_json::Result<Strict>) -> Result<Map<String, Json>> {
    match parsed {
        Ok(Strict(Json::Object(object))) => Ok(object),
        Ok(Strict(Json::Null)) => Ok(Map::new()),
        Ok(_) => Err(Error::invalid("The request's JSON has to be an object.")),
        // The parser's text names positions and the client's own keys, nothing of ours.
        Err(error) => Err(Error::invalid(format!("The request's JSON is broken: {error}."))),
    }
}

/// A JSON value whose objects have no key twice.
struct Strict(Json);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Strict(value) = entries.next_value()?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` stands twice in one object")));
            }
            object.insert(key, value);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_without_duplicates_are_taken() {
        for (text, expected) in [
            ("", "{}"),
            (" \n", "{}"),
            ("null", "{}"),
            ("{}", "{}"),
            (
                r#"{"b":1,"a":[{"x":null}],"c":1.5,"d":-2,"e":"ü","f":18446744073709551615}"#,
                r#"{"b":1,"a":[{"x":null}],"c":1.5,"d":-2,"e":"ü","f":18446744073709551615}"#,
            ),
            (r#"{"a":1} trailing {"#, r#"{"a":1}"#),
            (r#"{"a":{"x":1},"b":{"x":1}}"#, r#"{"a":{"x":1},"b":{"x":1}}"#),
        ] {
            assert_eq!(serde_json::to_string(&object(text.as_bytes()).unwrap()).unwrap(), expected, "{text}");
        }
        for text in [
            "[]",
            "1",
            r#""a""#,
            "{",
            r#"{"a":1"#,
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            "nope",
            "{\"a\":\"\u{1}\"}",
        ] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(100).as_bytes()).is_ok());
        assert!(object(nested(100_000).as_bytes()).is_err());
    }
}
