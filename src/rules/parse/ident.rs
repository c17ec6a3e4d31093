//! What an identifier means by its shape alone (`records-filter.md` §6.1), before any schema is asked.

use crate::rules::macros::Macro;

/// A classified identifier. Paths are segments as written; the last one may carry a modifier.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::rules) enum Ident<'t> {
    Null,
    True,
    False,
    Macro(Macro),
    /// A path from the base collection.
    Own(Vec<&'t str>),
    Context,
    Method,
    Query(Vec<&'t str>),
    Headers(Vec<&'t str>),
    Body(Vec<&'t str>),
    Auth(Vec<&'t str>),
    /// `@collection.NAME[:ALIAS].PATH`
    Collection {
        name: &'t str,
        alias: &'t str,
        path: Vec<&'t str>,
    },
}

/// What stands after the colon of a last segment (§6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Modifier {
    Isset,
    Changed,
    Length,
    Each,
    Lower,
}

impl<'t> Ident<'t> {
    pub fn parse(text: &'t str) -> Option<Self> {
        if !text.starts_with('@') {
            return Self::parse_own(text);
        }
        if let Some(found) = Macro::from_name(text) {
            return Some(Ident::Macro(found));
        }
        let (root, rest) = text.split_once('.')?;
        match (root, rest) {
            ("@request", "context") => Some(Ident::Context),
            ("@request", "method") => Some(Ident::Method),
            ("@request", rest) => {
                let (part, path) = rest.split_once('.')?;
                let path = segments(path)?;
                match part {
                    "auth" => Some(Ident::Auth(path)),
                    "body" => Some(Ident::Body(path)),
                    "query" => Some(Ident::Query(path)),
                    "headers" => Some(Ident::Headers(path)),
                    _ => None,
                }
            }
            ("@collection", rest) => {
                let (name, path) = rest.split_once('.')?;
                let (name, alias) = match name.split_once(':') {
                    Some((name, alias)) if is_word(alias) => (name, alias),
                    Some(_) => return None,
                    None => (name, ""),
                };
                is_word(name).then_some(Ident::Collection { name, alias, path: segments(path)? })
            }
            _ => None,
        }
    }

    fn parse_own(text: &'t str) -> Option<Self> {
        Some(match text {
            _ if text.eq_ignore_ascii_case("null") => Ident::Null,
            _ if text.eq_ignore_ascii_case("true") => Ident::True,
            _ if text.eq_ignore_ascii_case("false") => Ident::False,
            _ => Ident::Own(segments(text)?),
        })
    }
}

/// The parts between the dots; `None` when one holds a character that no path has.
fn segments(path: &str) -> Option<Vec<&str>> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:".contains(&byte);
    (!path.is_empty() && path.bytes().all(valid)).then(|| path.split('.').collect())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Modifier {
    /// Splits `name[:modifier]`; `Err` for an unknown modifier or a second one.
    pub fn split(segment: &str) -> Result<(&str, Option<Self>), String> {
        let Some((name, modifier)) = segment.split_once(':') else { return Ok((segment, None)) };
        let modifier = match modifier {
            "isset" => Modifier::Isset,
            "changed" => Modifier::Changed,
            "length" => Modifier::Length,
            "each" => Modifier::Each,
            "lower" => Modifier::Lower,
            _ => return Err(format!("{segment:?} has no known modifier")),
        };
        Ok((name, Some(modifier)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_told_apart_by_their_shape() {
        for (text, expected) in [
            ("NULL", Ident::Null),
            ("True", Ident::True),
            ("a.b:each", Ident::Own(vec!["a", "b:each"])),
            ("@now", Ident::Macro(Macro::Now)),
            ("@request.context", Ident::Context),
            ("@request.body.a.0", Ident::Body(vec!["a", "0"])),
            ("@request.auth.id", Ident::Auth(vec!["id"])),
            ("@collection.a:b.c", Ident::Collection { name: "a", alias: "b", path: vec!["c"] }),
            ("@collection.a.c.d", Ident::Collection { name: "a", alias: "", path: vec!["c", "d"] }),
        ] {
            assert_eq!(Ident::parse(text), Some(expected), "{text}");
        }
        for text in
            ["#x", "@x", "@request", "@request.auth", "@request.data.x", "@collection.a", "@Now", "@collection.a:.b"]
        {
            assert_eq!(Ident::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_segment_has_at_most_one_known_modifier() {
        assert_eq!(Modifier::split("a"), Ok(("a", None)));
        assert_eq!(Modifier::split("a:lower"), Ok(("a", Some(Modifier::Lower))));
        for bad in ["a:upper", "a:lower:each", "a:", "a::"] {
            assert!(Modifier::split(bad).is_err(), "{bad}");
        }
    }
}
