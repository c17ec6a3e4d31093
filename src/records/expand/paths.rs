//! The `expand` parameter: paths of relations, merged by their common beginnings.

use crate::error::{Error, Result};

/// Each segment may cost a query.
const MAX_SEGMENTS: usize = 200;

/// Parsed paths.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Paths {
    segments: Vec<Segment>,
}

/// One step of a path, and the steps behind it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// As the client wrote it.
    pub name: String,
    pub inner: Vec<Segment>,
}

impl Paths {
    /// `None` when there is no path in it. Fails when there are too many.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let text = text.replace(' ', "");
        let paths = text.split(',').map(|path| path.trim_matches('.')).filter(|path| !path.is_empty());
        let mut parsed = Self::default();
        let mut count = 0;
        for path in paths {
            count += path.split('.').count();
            if count > MAX_SEGMENTS {
                return Err(Error::invalid("expand names too many relations."));
            }
            let mut level = &mut parsed.segments;
            for name in path.split('.') {
                let position = level.iter().position(|segment| segment.name == name).unwrap_or_else(|| {
                    level.push(Segment { name: name.to_owned(), inner: Vec::new() });
                    level.len() - 1
                });
                level = &mut level[position].inner;
            }
        }
        Ok((!parsed.segments.is_empty()).then_some(parsed))
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(segments: &[Segment]) -> String {
        let one = |segment: &Segment| match segment.inner.is_empty() {
            true => segment.name.clone(),
            false => format!("{}({})", segment.name, show(&segment.inner)),
        };
        segments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn paths_are_merged() {
        for (text, tree) in [
            ("", ""),
            (" , .,..", ""),
            ("a", "a"),
            (" a b , c ", "ab c"),
            (".a.,a", "a"),
            ("a,a.b,a.c,d", "a(b c) d"),
            ("a.b,a", "a(b)"),
            ("a..b", "a((b))"),
        ] {
            let paths = Paths::parse(text).unwrap();
            assert_eq!(paths.is_some(), !tree.is_empty(), "{text}");
            assert_eq!(show(paths.unwrap_or_default().segments()), tree, "{text}");
        }
        assert!(Paths::parse(&"a.".repeat(1000)).is_err());
        assert!(Paths::parse(&"a,".repeat(1000)).is_err());
    }
}
