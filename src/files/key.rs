//! Where a file is kept: a path below the storage of which every segment was checked.

use std::fmt;

use crate::error::{Error, Result};

/// Precedes the file's name in the name of the folder of its thumbnails.
const THUMBS: &str = "thumbs_";
/// Bytes that file systems allow in one name.
const MAX_SEGMENT: usize = 255;

/// The place of a stored file or folder (`docs/wire/services-files.md` §2). Segments come from records, and each stays one
/// name in one folder.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The file that a record names.
    pub fn file(collection: &str, record: &str, name: &str) -> Result<Self> {
        Self::of(&[collection, record, name])
    }

    /// The folder of a record.
    pub fn record(collection: &str, record: &str) -> Result<Self> {
        Self::of(&[collection, record])
    }

    /// The folder of a collection.
    pub fn collection(id: &str) -> Result<Self> {
        Self::of(&[id])
    }

    /// The folder of the file's thumbnails.
    pub fn thumbs(&self) -> Result<Self> {
        let (folder, name) = self.0.rsplit_once('/').unwrap_or_default();
        Self::join(folder, &format!("{THUMBS}{name}"))
    }

    /// The file's thumbnail of this size.
    pub fn thumb(&self, size: &str) -> Result<Self> {
        let (_, name) = self.0.rsplit_once('/').unwrap_or_default();
        Self::join(&self.thumbs()?.0, &format!("{size}_{name}"))
    }

    /// What [`Key::as_str`] told once.
    pub fn parse(path: &str) -> Result<Self> {
        Self::of(&path.split('/').collect::<Vec<_>>())
    }

    /// What is called `name` in this folder.
    pub fn below(&self, name: &str) -> Result<Self> {
        Self::join(&self.0, name)
    }

    /// The collection's id, the record's id and the name of the file that this one is, or was made of. `None` for
    /// folders.
    pub fn parts(&self) -> Option<(&str, &str, &str)> {
        let mut segments = self.0.split('/');
        let (collection, record, name) = (segments.next()?, segments.next()?, segments.next()?);
        let of = if segments.next().is_some() { name.strip_prefix(THUMBS).unwrap_or(name) } else { name };
        Some((collection, record, of))
    }

    /// The relative path, with slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(segments: &[&str]) -> Result<Self> {
        segments.iter().try_fold(Self(String::new()), |key, segment| Self::join(&key.0, segment))
    }

    fn join(folder: &str, segment: &str) -> Result<Self> {
        // What begins with a dot in the storage itself is the house's own.
        let reserved = folder.is_empty() && segment.starts_with('.');
        let is_path = segment.contains(['/', '\\', '\0']) || matches!(segment, "" | "." | "..");
        if reserved || is_path || segment.len() > MAX_SEGMENT {
            return Err(Error::invalid("A file has an impossible name.").because(anyhow::anyhow!("{segment:?}")));
        }
        Ok(Self(if folder.is_empty() { segment.to_owned() } else { format!("{folder}/{segment}") }))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_laid_out_as_the_wire_says() {
        let file = Key::file("c", "r", "a.png").unwrap();
        assert_eq!(file.as_str(), "c/r/a.png");
        assert_eq!(file.thumbs().unwrap().as_str(), "c/r/thumbs_a.png");
        assert_eq!(file.thumb("10x0").unwrap().as_str(), "c/r/thumbs_a.png/10x0_a.png");
        assert_eq!(Key::record("c", "r").unwrap().as_str(), "c/r");
        assert!(Key::file("c", "r", ".env").is_ok());
        assert_eq!(Key::parse("c/r/a.png").unwrap(), file);
        assert!(Key::parse("c//a.png").is_err() && Key::parse("").is_err());
        for (key, parts) in [
            ("c/r/a.png", Some(("c", "r", "a.png"))),
            ("c/r/thumbs_a.png", Some(("c", "r", "thumbs_a.png"))),
            ("c/r/thumbs_a.png/10x0_a.png", Some(("c", "r", "a.png"))),
            ("c/r/odd/x/y", Some(("c", "r", "odd"))),
            ("c/r", None),
            ("c", None),
        ] {
            assert_eq!(Key::parse(key).unwrap().parts(), parts, "{key}");
        }
    }

    #[test]
    fn every_segment_stays_one_name() {
        let long = "x".repeat(256);
        for name in ["..", ".", "", "../data.db", "a/b", "a\\b", "a\0b", &long] {
            assert!(Key::file("c", "r", name).is_err(), "{name:?}");
            assert!(Key::file("c", name, "a").is_err(), "{name:?}");
            assert!(Key::file(name, "r", "a").is_err(), "{name:?}");
            assert!(Key::record("c", name).is_err() && Key::collection(name).is_err(), "{name:?}");
            assert!(
                Key::file("c", "r", "a").unwrap().thumb(&format!("1x1{name}")).is_err()
                    || name == ".."
                    || name == "."
                    || name.is_empty()
            );
        }
        assert!(Key::file("c", "r", &"x".repeat(250)).unwrap().thumbs().is_err());
        assert!(Key::collection(".spool").is_err());
    }
}
