//! Which copies moves of files have made that did not come to their end. What is dropped between two of them has a copy that
//! nobody would look for: the next move to the same place finds it here.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use md5::{Digest as _, Md5};
use parking_lot::Mutex;

use super::Key;
use crate::{
    error::{Error, Result},
    outgoing::bucket::Params,
};

/// The notes of moves to one place. The file is there from the first copy to the end of a move that succeeds.
#[derive(Debug)]
pub struct Copies {
    path: PathBuf,
    /// Opened with the first copy.
    file: Mutex<Option<File>>,
    /// Bytes that earlier moves have written.
    earlier: u64,
}

impl Copies {
    /// The notes in `folder` of moves to this bucket, or to this disk. Blocks, briefly.
    pub fn open(folder: &Path, to: Option<&Params>) -> Result<Self> {
        let name = to.map_or_else(
            || "local".to_owned(),
            |to| {
                Md5::digest(format!("{}\n{}", to.endpoint, to.bucket))
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect()
            },
        );
        let path = folder.join(name);
        let earlier = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            found => found?.len(),
        };
        Ok(Self { path, file: Mutex::default(), earlier })
    }

    /// A copy is about to be put there. Blocks, briefly.
    pub fn note(&self, key: &Key) -> Result<()> {
        let mut file = self.file.lock();
        if file.is_none() {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            *file = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
        }
        // In one piece: a killed process leaves whole lines.
        let line = format!("{}\n", key.as_str());
        file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes())).map_err(Error::from)
    }

    /// What earlier moves copied, `each` of them once or more, some at a time. Blocks between them.
    pub fn earlier(&self) -> Result<impl Iterator<Item = Result<Key>> + use<>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            file => Some(io::Read::take(file?, self.earlier)),
        };
        let lines = file.into_iter().flat_map(|file| BufReader::new(file).lines());
        // Half a line is of a power cut.
        Ok(lines.filter_map(|line| line.map_err(Error::from).map(|line| Key::parse(&line).ok()).transpose()))
    }

    /// Whether earlier moves have left any.
    pub fn has_earlier(&self) -> bool {
        self.earlier > 0
    }

    /// The move has come to its end: these are files like others. Blocks, briefly.
    pub fn ended(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn what_a_move_copied_is_known_to_the_next_to_the_same_place() {
        let place = TempDir::new();
        let folder = place.path().join("copies");
        let key = |name: &str| Key::file("c", "r", name).unwrap();
        let known = |copies: &Copies| copies.earlier().unwrap().collect::<Result<Vec<_>>>().unwrap();
        let first = Copies::open(&folder, None).unwrap();
        assert!(!first.has_earlier() && known(&first).is_empty());
        first.note(&key("a")).unwrap();
        first.note(&key("b")).unwrap();
        assert_eq!(known(&first), [], "its own are none of an earlier one");

        let second = Copies::open(&folder, None).unwrap();
        second.note(&key("c")).unwrap();
        assert!(second.has_earlier());
        assert_eq!(known(&second), [key("a"), key("b")]);
        let bucket = |bucket: &str| Params {
            endpoint: "http://x".into(),
            region: "r".into(),
            bucket: bucket.into(),
            access_key: "a".into(),
            secret: "s".into(),
            path_style: true,
        };
        assert!(!Copies::open(&folder, Some(&bucket("b"))).unwrap().has_earlier());
        Copies::open(&folder, Some(&bucket("b"))).unwrap().note(&key("x")).unwrap();
        assert!(Copies::open(&folder, Some(&bucket("b"))).unwrap().has_earlier());
        assert!(!Copies::open(&folder, Some(&bucket("other"))).unwrap().has_earlier());
        second.ended().unwrap();
        second.ended().unwrap();
        assert!(!Copies::open(&folder, None).unwrap().has_earlier());
    }
}
