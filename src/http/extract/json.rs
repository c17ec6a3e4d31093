//! Strict JSON: one object (or `null`), no duplicate keys on any level, bounded depth; what follows it is ignored
//! (`docs/wire/records-api.md` §3).
//!
//! What is parsed is far larger than its text (`[0,0,…]` by a factor of forty), so the number of values is bounded
//! too, and large texts are parsed beside the async workers, few at a time.

use std::{cell::Cell, fmt};

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value as Json};
use tokio::sync::Semaphore;

use crate::error::{Error, Kind, Result};

/// Values and keys that one body may have.
const MAX_VALUES: usize = 500_000;
/// Texts over this many bytes are parsed on the blocking pool.
const LARGE: usize = 256 << 10;
/// How many large texts are parsed at the same time; others wait in line with their bytes alone.
static PARSERS: Semaphore = Semaphore::const_new(2);

/// The object of a body; see [`object`].
pub async fn read(bytes: Bytes) -> Result<Map<String, Json>> {
    beside(bytes.len(), move || object(&bytes)).await
}

/// The objects of a form's parts, which share the bound of one body. None may be blank, nothing may follow them.
pub async fn read_parts(texts: Vec<String>) -> Result<Vec<Map<String, Json>>> {
    let size = texts.iter().map(String::len).sum();
    let parse = move || {
        let budget = Budget::default();
        let whole = |text: &String| {
            let mut reader = serde_json::Deserializer::from_str(text);
            let parsed = Strict(&budget).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
            taken(parsed, &budget)
        };
        texts.iter().map(whole).collect()
    };
    beside(size, parse).await
}

/// Runs `parse` on the blocking pool when the text is large.
pub(super) async fn beside<T: Send + 'static>(
    size: usize,
    parse: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if size <= LARGE {
        return parse();
    }
    let permit = PARSERS.acquire().await.expect("nobody closes the semaphore");
    let parse = move || {
        // Held by the work itself, which goes on when its client leaves.
        let _permit = permit;
        parse()
    };
    tokio::task::spawn_blocking(parse).await.map_err(Error::internal)?
}

/// The object in `bytes`; `null` and blank text are the empty one. Nesting is bounded by serde_json (128 levels).
pub fn object(bytes: &[u8]) -> Result<Map<String, Json>> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let budget = Budget::default();
    taken(Strict(&budget).deserialize(&mut serde_json::Deserializer::from_slice(bytes)), &budget)
}

fn taken(parsed: serde_json::Result<Json>, budget: &Budget) -> Result<Map<String, Json>> {
    match parsed {
        Ok(Json::Object(object)) => Ok(object),
        Ok(Json::Null) => Ok(Map::new()),
        Ok(_) => Err(Error::invalid("The request's JSON has to be an object.")),
        Err(_) if budget.is_exceeded() => {
            Err(Error::new(Kind::TooLarge, format!("The request's JSON has more than {MAX_VALUES} values.")))
        }
        // The parser's text names positions and the client's own keys, nothing of ours.
        Err(error) => Err(Error::invalid(format!("The request's JSON is broken: {error}."))),
    }
}

/// Counts the values and keys of one body.
#[derive(Default)]
struct Budget(Cell<usize>);

impl Budget {
    fn spend<E: serde::de::Error>(&self) -> Result<(), E> {
        self.0.set(self.0.get() + 1);
        if self.is_exceeded() { Err(E::custom("too many values")) } else { Ok(()) }
    }

    fn is_exceeded(&self) -> bool {
        self.0.get() > MAX_VALUES
    }
}

/// Reads a JSON value whose objects have no key twice.
#[derive(Clone, Copy)]
struct Strict<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.0.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.0.spend()?;
            let value = entries.next_value_seed(self)?;
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

    #[tokio::test]
    async fn values_are_bounded_and_large_texts_are_parsed_too() {
        let zeros = |count: usize| format!("{{\"a\":[0{}]}}", ",0".repeat(count - 1));
        let most = MAX_VALUES - 3;
        let read = async |text: String| super::read(text.into()).await.map_err(|error| error.kind);
        assert_eq!(read(zeros(most)).await.unwrap()["a"].as_array().unwrap().len(), most);
        assert_eq!(read(zeros(most + 1)).await.unwrap_err(), Kind::TooLarge);
        assert_eq!(read(format!("{{{}", " ".repeat(LARGE))).await.unwrap_err(), Kind::Invalid);

        let parts = |parts: [usize; 2]| read_parts(parts.map(zeros).into());
        assert_eq!(parts([1, MAX_VALUES - 7]).await.unwrap().len(), 2);
        assert_eq!(parts([2, MAX_VALUES - 7]).await.unwrap_err().kind, Kind::TooLarge);
    }
}
