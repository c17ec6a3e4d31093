//! What a subscription means (`docs/wire/services-realtime.md` §3).

use serde_json::{Map, Value as Json};
use url::form_urlencoded;

/// The topic of the OAuth2 popup (§6).
pub const OAUTH2: &str = "@oauth2";

/// One subscription as it was submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    pub target: Target,
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Every record of a collection, by id or name.
    Collection(String),
    Record {
        collection: String,
        id: String,
    },
    /// The one-shot signal of a login popup.
    OAuth2,
    /// Nothing that this server ever tells.
    Nothing,
}

/// `?options={"query":{…},"headers":{…}}` (§3.1), values as text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    pub query: Map<String, Json>,
    /// Names in snake_case.
    pub headers: Map<String, Json>,
}

impl Topic {
    /// Never fails: any text may be subscribed to (§2).
    pub fn parse(text: &str) -> Self {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let nothing = Self { target: Target::Nothing, options: Options::default() };
        // It would break the frame that names it.
        if text.chars().any(char::is_control) {
            return nothing;
        }
        if text == OAUTH2 {
            return Self { target: Target::OAuth2, ..nothing };
        }
        let target = match name.split_once('/') {
            None if !name.is_empty() && !name.starts_with('@') => Target::Collection(name.to_owned()),
            Some((collection, "*")) if !collection.is_empty() => Target::Collection(collection.to_owned()),
            Some((collection, id)) if !collection.is_empty() && !id.is_empty() => {
                Target::Record { collection: collection.to_owned(), id: id.to_owned() }
            }
            _ => return nothing,
        };
        Self { target, options: Options::parse(query) }
    }
}

impl Options {
    /// What cannot be read counts as absent (§3.1).
    fn parse(query: &str) -> Self {
        let text = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "options");
        let parsed = text.and_then(|(_, text)| serde_json::from_str::<Map<String, Json>>(&text).ok());
        let Some(parsed) = parsed else { return Self::default() };
        let texts = |key: &str, rename: fn(&str) -> String| {
            let Some(Json::Object(values)) = parsed.get(key) else { return Map::new() };
            values.iter().map(|(name, value)| (rename(name), Json::String(as_text(value)))).collect()
        };
        let query = texts("query", str::to_owned);
        Self { query, headers: texts("headers", |name| name.replace('-', "_").to_ascii_lowercase()) }
    }

    /// A query option's text; blank counts as absent.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).and_then(Json::as_str).filter(|text| !text.is_empty())
    }
}

fn as_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn topics_name_what_is_listened_to() {
        let record = |id: &str| Target::Record { collection: "demo".into(), id: id.into() };
        let all = || Target::Collection("demo".into());
        for (text, target) in [
            ("demo/*", all()),
            ("demo", all()),
            ("demo?x=1", all()),
            ("demo/*?options=%7B%7D", all()),
            ("demo/abc", record("abc")),
            ("demo/abc?options=nonsense", record("abc")),
            ("demo/a/b", record("a/b")),
            ("@oauth2", Target::OAuth2),
            ("@oauth2?options=%7B%7D", Target::Nothing),
            ("@other", Target::Nothing),
            ("", Target::Nothing),
            ("/", Target::Nothing),
            ("/*", Target::Nothing),
            ("demo/", Target::Nothing),
            ("demo\n/*", Target::Nothing),
        ] {
            assert_eq!(Topic::parse(text).target, target, "{text:?}");
        }
    }

    #[test]
    fn options_are_texts_under_the_names_that_rules_use() {
        let options = Topic::parse(
            "demo?a=b&options=%7B%22query%22%3A%7B%22n%22%3A5%2C%22t%22%3Atrue%7D%2C%22headers%22%3A%7B%22X-Foo-Bar%22%3A%221%22%7D%2C%22other%22%3A1%7D",
        )
        .options;
        assert_eq!(Json::Object(options.query.clone()), json!({"n": "5", "t": "true"}));
        assert_eq!(Json::Object(options.headers.clone()), json!({"x_foo_bar": "1"}));
        // Unescaped is accepted, too; what is no JSON is ignored.
        assert_eq!(Topic::parse(r#"demo?options={"query":{"filter":"a=1"}}"#).options.query("filter"), Some("a=1"));
        assert_eq!(Topic::parse("demo?options=5").options, Options::default());
        assert_eq!(Topic::parse("demo?options={").options, Options::default());
    }
}
