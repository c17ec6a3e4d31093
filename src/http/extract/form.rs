//! Form bodies: what a text means, and how parts become one object (`docs/wire/records-api.md` §3).

use bytes::Bytes;
use serde_json::{Map, Number, Value as Json};

use super::json;
use crate::error::{Error, Result};

/// The part that carries JSON, which is merged over everything else.
const JSON_PAYLOAD: &str = "@jsonPayload";
/// More parts than this are refused.
pub const MAX_PARTS: usize = 1000;
/// Longer part names are refused.
pub const MAX_NAME_BYTES: usize = 1024;

/// What becomes of the parts of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Types are guessed, files are written to the disk as they arrive.
    Record,
    /// Types are guessed, files are ignored.
    Values,
    /// Texts stay texts, because their reader knows the types; files are ignored.
    Texts,
}

/// Collects the texts of a form.
#[derive(Debug)]
pub struct Parts {
    kind: Form,
    texts: Map<String, Json>,
    payloads: Vec<String>,
    parts: usize,
}

impl Parts {
    pub fn new(kind: Form) -> Self {
        Self { kind, texts: Map::new(), payloads: Vec::new(), parts: 0 }
    }

    /// Counts a part of this name, or refuses it.
    pub fn admit(&mut self, name: &str) -> Result<()> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(Error::invalid("The form has too many parts."));
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(Error::invalid("A part of the form has too long a name."));
        }
        Ok(())
    }

    /// Adds an admitted text part: a second one under the same name makes an array.
    pub fn text(&mut self, name: String, text: &str) {
        if name == JSON_PAYLOAD {
            self.payloads.push(text.to_owned());
            return;
        }
        let value = if self.kind == Form::Texts { Json::from(text) } else { guess(text) };
        match self.texts.entry(name) {
            serde_json::map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            serde_json::map::Entry::Occupied(mut entry) => match entry.get_mut() {
                // No text becomes an array, so this one holds earlier parts.
                Json::Array(array) => array.push(value),
                first => *first = Json::Array(vec![first.take(), value]),
            },
        }
    }

    /// The object, with every `@jsonPayload` merged over the plain parts in order.
    pub async fn into_object(self) -> Result<Map<String, Json>> {
        let mut object = self.texts;
        if !self.payloads.is_empty() {
            json::read_parts(self.payloads).await?.into_iter().for_each(|payload| object.extend(payload));
        }
        Ok(object)
    }
}

/// False for a broken percent escape or a raw `;`, which some take for a separator.
pub fn is_well_formed(pairs: &[u8]) -> bool {
    let is_escape = |after: &[u8]| after.iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2;
    !pairs.contains(&b';') && pairs.split(|&byte| byte == b'%').skip(1).all(is_escape)
}

/// An `application/x-www-form-urlencoded` body.
pub async fn urlencoded(bytes: Bytes, kind: Form) -> Result<Map<String, Json>> {
    let parts = json::beside(bytes.len(), move || pairs(&bytes, kind)).await?;
    parts.into_object().await
}

fn pairs(bytes: &[u8], kind: Form) -> Result<Parts> {
    if !is_well_formed(bytes) {
        return Err(Error::invalid("The form has a broken percent escape or a semicolon."));
    }
    let mut form = Parts::new(kind);
    for (name, value) in url::form_urlencoded::parse(bytes) {
        form.admit(&name)?;
        form.text(name.into_owned(), &value);
    }
    Ok(form)
}

/// `true`/`false`, numbers in their shortest decimal form, and everything else as it is.
fn guess(text: &str) -> Json {
    match text {
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        _ => number(text).map_or_else(|| Json::String(text.to_owned()), Json::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || first == b'-') || !text.bytes().all(|byte| matches!(byte, b'-' | b'.' | b'0'..=b'9'))
    {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // Rust prints a float as its shortest decimal form without an exponent.
    if value.to_string() != text {
        return None;
    }
    match text.parse::<i64>() {
        Ok(integer) if text != "-0" => Some(integer.into()),
        _ => Number::from_f64(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_they_look_like() {
        for (text, expected) in [
            ("true", "true"),
            ("false", "false"),
            ("True", r#""True""#),
            ("5", "5"),
            ("-5", "-5"),
            ("1.5", "1.5"),
            ("0.1", "0.1"),
            ("-0", "-0.0"),
            ("007", r#""007""#),
            ("1.50", r#""1.50""#),
            ("1e3", r#""1e3""#),
            (".5", r#"".5""#),
            ("5.", r#""5.""#),
            ("+5", r#""+5""#),
            ("-", r#""-""#),
            ("1-2", r#""1-2""#),
            ("1.2.3", r#""1.2.3""#),
            ("", r#""""#),
            (" 5", r#"" 5""#),
            ("9007199254740993", r#""9007199254740993""#),
            ("9007199254740992", "9007199254740992"),
            ("NaN", r#""NaN""#),
            ("null", r#""null""#),
        ] {
            assert_eq!(guess(text).to_string(), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn parts_become_one_object() {
        for (body, expected) in [
            ("", "{}"),
            ("a=1&b=x", r#"{"a":1,"b":"x"}"#),
            ("a=1&a=x&a=", r#"{"a":[1,"x",""]}"#),
            ("a=%2B+1", r#"{"a":"+ 1"}"#),
            (
                "a=1&%40jsonPayload=%7B%22a%22%3A%5B%5D%7D&b=2&%40jsonPayload=%7B%22c%22%3A%22true%22%7D",
                r#"{"a":[],"b":2,"c":"true"}"#,
            ),
        ] {
            let object = urlencoded(body.into(), Form::Values).await.unwrap();
            assert_eq!(serde_json::to_string(&object).unwrap(), expected, "{body}");
        }
        let texts = urlencoded("a=1&a=true&@jsonPayload={\"b\":1}".into(), Form::Texts).await.unwrap();
        assert_eq!(serde_json::to_string(&texts).unwrap(), r#"{"a":["1","true"],"b":1}"#);
        assert!(urlencoded("@jsonPayload=[1]".into(), Form::Values).await.is_err());
        for body in ["@jsonPayload={", "@jsonPayload={} x", "@jsonPayload=", "t=%zz", "t=%", "t=%4", "t=1;n=2"] {
            assert!(urlencoded(body.into(), Form::Values).await.is_err(), "{body}");
        }
    }

    #[tokio::test]
    async fn forms_are_bounded() {
        assert!(urlencoded("a=1&".repeat(MAX_PARTS).into(), Form::Values).await.is_ok());
        assert!(urlencoded("a=1&".repeat(MAX_PARTS + 1).into(), Form::Values).await.is_err());
        assert!(urlencoded("a".repeat(MAX_NAME_BYTES + 1).into(), Form::Values).await.is_err());
    }

    /// Those are decoded elsewhere and mean the same.
    #[tokio::test]
    async fn large_forms_are_read_too() {
        let text = "%C3%BC+x".repeat(100_000);
        let body = format!("t={text}&a=1&a=2&%40jsonPayload=%7B%22b%22%3A3%7D");
        let object = urlencoded(body.into(), Form::Values).await.unwrap();
        assert_eq!(object["t"].as_str().unwrap(), "ü x".repeat(100_000));
        assert_eq!((&object["a"], &object["b"]), (&serde_json::json!([1, 2]), &3.into()));
        assert!(urlencoded(format!("t={text}%zz").into(), Form::Values).await.is_err());
        assert!(urlencoded(format!("{}t={text}", "a=1&".repeat(MAX_PARTS)).into(), Form::Values).await.is_err());
    }
}
