//! The path: cleaning, and splitting into decoded segments (`docs/wire/services.md` §1.2).

use std::borrow::Cow;

use crate::error::{Error, Result};

/// No route is deeper.
const MAX_SEGMENTS: usize = 6;

/// The decoded segments of a path. A path of more than [`MAX_SEGMENTS`] has none: no route matches it.
#[derive(Debug, Default)]
pub struct Segments<'a>(Vec<Cow<'a, str>>);

impl<'a> Segments<'a> {
    /// Splits at `/`, then decodes each segment, so that `%2F` stays inside its segment. A segment that is not UTF-8
    /// is unknown (404), a broken escape is a bad request.
    pub fn parse(path: &'a str) -> Result<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut segments = Vec::with_capacity(MAX_SEGMENTS);
        for segment in path.split('/') {
            if segments.len() == MAX_SEGMENTS {
                return Ok(Self::default());
            }
            segments.push(decode(segment)?);
        }
        Ok(Self(segments))
    }

    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(AsRef::as_ref).collect()
    }
}

/// Percent-decodes one segment; `+` is itself.
pub fn decode(segment: &str) -> Result<Cow<'_, str>> {
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment));
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(Error::invalid("The path has a broken percent escape."));
        };
        decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are one byte"));
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Error::not_found())
}

/// The path that a client should have asked for, when `path` has empty, `.` or `..` segments; `None` when it is clean
/// and for what is no path (`OPTIONS *`, the host of a `CONNECT`). A final slash is kept.
pub fn cleaned(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/')?;
    let (inner, slash) = inner.strip_suffix('/').map_or((inner, ""), |inner| (inner, "/"));
    let dirty = |segment: &str| matches!(segment, "" | "." | "..");
    if inner.is_empty() && slash.is_empty() || !inner.split('/').any(dirty) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in inner.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let slash = if kept.is_empty() { "" } else { slash };
    // Browsers take a raw backslash in a location for a slash.
    Some(format!("/{}{slash}", kept.join("/").replace('\\', "%5C")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_split_before_they_are_decoded() {
        for (path, expected) in [
            ("/", vec![""]),
            ("/api/health", vec!["api", "health"]),
            ("/api/health/", vec!["api", "health", ""]),
            ("/api/a%2Fb/c", vec!["api", "a/b", "c"]),
            ("/api/%C3%BC+x", vec!["api", "ü+x"]),
            ("/a/b/c/d/e/f/g", vec![]),
        ] {
            assert_eq!(Segments::parse(path).unwrap().names(), expected, "{path}");
        }
        for (path, status) in [("/a/%", 400), ("/a/%zz", 400), ("/a/%f", 400), ("/%ff", 404)] {
            let error = Segments::parse(path).unwrap_err();
            assert_eq!(super::super::super::error::status(error.kind).as_u16(), status, "{path}");
        }
    }

    #[test]
    fn unclean_paths_have_a_clean_twin() {
        for (path, clean) in [
            ("/", None),
            ("", None),
            ("*", None),
            ("/api", None),
            ("/api/", None),
            ("/api/a.b/..c", None),
            ("//", Some("/")),
            ("//api", Some("/api")),
            ("/api//health", Some("/api/health")),
            ("/a/./b", Some("/a/b")),
            ("/a/../b/", Some("/b/")),
            ("/a/..", Some("/")),
            ("/..", Some("/")),
            ("/../..//x/", Some("/x/")),
            ("//evil.example/..//", Some("/")),
            ("//\\evil.example/x", Some("/%5Cevil.example/x")),
            ("/%2e%2e/x", None),
        ] {
            assert_eq!(cleaned(path).as_deref(), clean, "{path}");
        }
    }
}
