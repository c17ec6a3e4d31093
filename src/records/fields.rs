//! The `fields` parameter: which keys of an answer the client wants (`docs/wire/records-api.md` §7).

mod excerpt;

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use self::excerpt::Excerpt;
use crate::error::{Error, Result};

/// A path that goes deeper than any JSON that the house writes.
const MAX_DEPTH: usize = 128;

/// A parsed `fields` parameter. Works on rendered JSON: what is kept is copied as it stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picker {
    root: Level,
}

/// What is picked from an object.
#[derive(Debug, Clone, Default, PartialEq)]
struct Level {
    keys: BTreeMap<String, Pick>,
    /// `*`: every key that is not mentioned.
    rest: Option<Whole>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Pick {
    /// The path ends here; it wins over paths that go on.
    whole: Option<Whole>,
    inner: Level,
}

/// A value that is kept whole, its text maybe shortened.
type Whole = Option<Excerpt>;

impl Picker {
    pub fn parse(text: &str) -> Result<Self> {
        let mut root = Level::default();
        for item in split(text, ',')? {
            let item = item.trim();
            if item.is_empty() {
                continue;
            }
            let (path, whole) = match item.split_once(':') {
                Some((path, modifier)) => (path.trim(), Some(parse_modifier(modifier)?)),
                None => (item, None),
            };
            root.add(path, whole)?;
        }
        Ok(Self { root })
    }

    /// True when everything is kept as it is.
    pub fn is_empty(&self) -> bool {
        let untouched = self.root.keys.values().all(|pick| pick.whole == Some(None));
        untouched && (self.root.rest == Some(None) || (self.root.rest.is_none() && self.root.keys.is_empty()))
    }

    /// True when only whole keys of the top level are wanted.
    pub fn is_plain(&self) -> bool {
        self.root.rest.is_none() && self.root.keys.values().all(|pick| pick.whole == Some(None))
    }

    /// True when something of this key of the top level is wanted.
    pub fn wants(&self, key: &str) -> bool {
        self.root.rest.is_some() || self.root.keys.contains_key(key)
    }

    /// Picks from a rendered JSON text. The paths of a `paginated` one start at each of its `items`; its other keys
    /// stay.
    pub fn apply(&self, json: &[u8], paginated: bool) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(json.len());
        if !paginated {
            self.write(json, &mut out)?;
            return Ok(out);
        }
        let page = Level {
            keys: BTreeMap::from([("items".to_owned(), Pick { whole: None, inner: self.root.clone() })]),
            rest: Some(None),
        };
        page.write(raw(json)?, &mut out)?;
        Ok(out)
    }

    /// Picks from a rendered JSON text.
    pub fn write(&self, json: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.is_empty() {
            out.extend_from_slice(json);
            return Ok(());
        }
        self.root.write(raw(json)?, out)
    }
}

impl Level {
    fn add(&mut self, path: &str, whole: Whole) -> Result<()> {
        let mut segments: Vec<&str> = path.split('.').collect();
        if segments.len() > MAX_DEPTH {
            return Err(Error::invalid("A path in fields is too deep."));
        }
        let last = segments.pop().unwrap_or_default();
        let mut level = self;
        for segment in segments {
            level = &mut level.keys.entry(segment.to_owned()).or_default().inner;
        }
        match last {
            "*" => level.rest = Some(whole),
            key => level.keys.entry(key.to_owned()).or_default().whole = Some(whole),
        }
        Ok(())
    }

    fn write(&self, value: &RawValue, out: &mut Vec<u8>) -> Result<()> {
        match value.get().as_bytes().first() {
            Some(b'{') => self.write_object(value, out),
            Some(b'[') => self.write_array(value, out),
            _ => {
                out.extend_from_slice(value.get().as_bytes());
                Ok(())
            }
        }
    }

    fn write_object(&self, object: &RawValue, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let pairs: Pairs = serde_json::from_str(object.get()).map_err(Error::internal)?;
        for (key, value) in pairs.0 {
            let pick = self.keys.get(&*key);
            let Some(whole) = pick.map_or(self.rest.as_ref().map(Some), |pick| Some(pick.whole.as_ref())) else {
                continue;
            };
            out.push(b',');
            serde_json::to_writer(&mut *out, &key).map_err(Error::internal)?;
            out.push(b':');
            match (whole, pick) {
                (Some(Some(excerpt)), _) => write_excerpt(excerpt, value, out)?,
                (None, Some(pick)) => pick.inner.write(value, out)?,
                _ => out.extend_from_slice(value.get().as_bytes()),
            }
        }
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
        Ok(())
    }

    /// A path goes on in every object of a list of objects; other lists are kept whole.
    fn write_array(&self, array: &RawValue, out: &mut Vec<u8>) -> Result<()> {
        let items: Vec<&RawValue> = serde_json::from_str(array.get()).map_err(Error::internal)?;
        if !items.first().is_some_and(|item| is_object(item)) {
            out.extend_from_slice(array.get().as_bytes());
            return Ok(());
        }
        for (position, item) in items.into_iter().enumerate() {
            out.push(if position == 0 { b'[' } else { b',' });
            match is_object(item) {
                true => self.write_object(item, out)?,
                false => out.extend_from_slice(item.get().as_bytes()),
            }
        }
        out.push(b']');
        Ok(())
    }
}

fn write_excerpt(excerpt: &Excerpt, value: &RawValue, out: &mut Vec<u8>) -> Result<()> {
    if !value.get().starts_with('"') {
        out.extend_from_slice(value.get().as_bytes());
        return Ok(());
    }
    let text: Cow<'_, str> = serde_json::from_str(value.get()).map_err(Error::internal)?;
    serde_json::to_writer(out, &excerpt::shorten(&text, *excerpt)).map_err(Error::internal)
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn raw(json: &[u8]) -> Result<&RawValue> {
    serde_json::from_slice(json).map_err(Error::internal)
}

/// `excerpt(max[,withEllipsis])`
fn parse_modifier(text: &str) -> Result<Excerpt> {
    let unknown = || Error::invalid("fields has an unknown or malformed modifier.");
    let arguments = text.trim().strip_prefix("excerpt").ok_or_else(unknown)?;
    let arguments = arguments.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(unknown)?;
    let (max, ellipsis) = arguments.split_once(',').unwrap_or((arguments, ""));
    let max = max.trim().parse::<f64>().ok().filter(|max| max.is_finite()).ok_or_else(unknown)?;
    if !(1.0..=f64::from(i32::MAX)).contains(&max) || ellipsis.contains([',', '(', ')']) {
        return Err(unknown());
    }
    let ellipsis = matches!(ellipsis.trim(), "1" | "t" | "T" | "true" | "TRUE" | "True");
    Ok(Excerpt { max: max as usize, ellipsis })
}

/// Splits at a separator outside of parentheses and quotes.
fn split(text: &str, separator: char) -> Result<Vec<&str>> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0usize, None);
    for (position, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1).ok_or_else(unbalanced)?,
            (None, c) if c == separator && depth == 0 => {
                parts.push(&text[start..position]);
                start = position + c.len_utf8();
            }
            (None, _) => {}
        }
    }
    if depth > 0 || quote.is_some() {
        return Err(unbalanced());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn unbalanced() -> Error {
    Error::invalid("fields has unbalanced quotes or parentheses.")
}

/// The keys of an object with their values, untouched and in order.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Borrows a key unless it has escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Objects;
        impl<'de> Visitor<'de> for Objects {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"html":"<p>Hello <b>bold</b> world</p>","id":"x","j":{"a":{"b":1,"c":[{"d":1,"e":2},{"d":3}],"n":[1,2,[{"d":5}]]},"z":"<b>x</b>"},"list":["a","b"],"mixed":[{"d":1,"e":1},2],"none":[],"nul":null,"title":"a1"}"#;

    fn pick(fields: &str) -> String {
        let picked = Picker::parse(fields).unwrap().apply(RECORD.as_bytes(), false).unwrap();
        String::from_utf8(picked).unwrap()
    }

    /// Every line was answered alike by PocketBase 0.40.6.
    #[test]
    fn paths_pick_what_they_name() {
        for (fields, expected) in [
            ("", RECORD),
            ("  ,  ", RECORD),
            ("*", RECORD),
            ("*,title", RECORD),
            ("title , id,nope", r#"{"id":"x","title":"a1"}"#),
            ("nope", "{}"),
            ("TITLE", "{}"),
            ("\"title\"", "{}"),
            (".title", "{}"),
            ("title.", r#"{"title":"a1"}"#),
            ("title.x", r#"{"title":"a1"}"#),
            ("list.x", r#"{"list":["a","b"]}"#),
            ("none.x,nul.x", r#"{"none":[],"nul":null}"#),
            ("j..a", r#"{"j":{}}"#),
            ("j.a.b", r#"{"j":{"a":{"b":1}}}"#),
            ("j.a.b.x", r#"{"j":{"a":{"b":1}}}"#),
            ("j.a.c.d", r#"{"j":{"a":{"c":[{"d":1},{"d":3}]}}}"#),
            ("j.a.n.d", r#"{"j":{"a":{"n":[1,2,[{"d":5}]]}}}"#),
            ("j.z,j.a.b,j.a", r#"{"j":{"a":{"b":1,"c":[{"d":1,"e":2},{"d":3}],"n":[1,2,[{"d":5}]]},"z":"<b>x</b>"}}"#),
            ("j.*,j.a.b", r#"{"j":{"a":{"b":1},"z":"<b>x</b>"}}"#),
            ("j.a.*,j.a.c.d", r#"{"j":{"a":{"b":1,"c":[{"d":1},{"d":3}],"n":[1,2,[{"d":5}]]}}}"#),
            ("*.b", "{}"),
            ("*.*", "{}"),
            ("j.*:excerpt(2),j.a.b", r#"{"j":{"a":{"b":1},"z":"x"}}"#),
            (
                "j:excerpt(2),j.a",
                r#"{"j":{"a":{"b":1,"c":[{"d":1,"e":2},{"d":3}],"n":[1,2,[{"d":5}]]},"z":"<b>x</b>"}}"#,
            ),
            ("html:excerpt(7,true)", r#"{"html":"Hello b..."}"#),
            ("html:excerpt( 7 , TRUE )", r#"{"html":"Hello b..."}"#),
            ("html:excerpt(7,yes)", r#"{"html":"Hello b"}"#),
            ("html:excerpt(7.5)", r#"{"html":"Hello b"}"#),
            ("html:excerpt(100,1)", r#"{"html":"Hello bold world"}"#),
            ("title:excerpt(1),title", r#"{"title":"a1"}"#),
            ("title,title:excerpt(1)", r#"{"title":"a"}"#),
            (":excerpt(7)", "{}"),
            ("mixed.d", r#"{"mixed":[{"d":1},2]}"#),
        ] {
            assert_eq!(pick(fields), expected, "{fields}");
        }
        assert!(pick("*:excerpt(1),title").contains(r#""html":"H","id":"x""#));
    }

    #[test]
    fn malformed_fields_are_refused() {
        for fields in [
            "html:excerpt(0)",
            "html:excerpt(-1)",
            "html:excerpt()",
            "html:excerpt",
            "html:excerpt(1,true,2)",
            "html:excerpt(5):excerpt(2)",
            "html:excerpt(99999999999999999999)",
            "html:excerpt(\"7\")",
            "html:excerpt(7",
            "html:Excerpt(7)",
            "html:foo(1)",
            "html:",
            "title\"",
            "(title",
            "title,)",
        ] {
            assert_eq!(Picker::parse(fields).unwrap_err().kind, crate::error::Kind::Invalid, "{fields}");
        }
        assert!(Picker::parse(&"a.".repeat(100_000)).is_err());
    }

    #[test]
    fn a_page_keeps_its_frame() {
        let page = br#"{"items":[{"a":1,"b":2},{"a":3}],"page":1,"perPage":30}"#;
        let picked = Picker::parse("a,page").unwrap().apply(page, true).unwrap();
        assert_eq!(String::from_utf8(picked).unwrap(), r#"{"items":[{"a":1},{"a":3}],"page":1,"perPage":30}"#);
    }

    #[test]
    fn plain_pickers_are_known() {
        for (fields, plain) in [("a,b", true), ("a,b.c", false), ("*", false), ("a:excerpt(3)", false), ("a.b,a", true)]
        {
            assert_eq!(Picker::parse(fields).unwrap().is_plain(), plain, "{fields}");
        }
    }
}
