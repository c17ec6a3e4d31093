//! The reader of backups: what an archive holds, and unpacking it (`docs/wire/services.md` §8).
//!
//! An archive may come from anybody. Before a byte is written all of its names and sizes have been looked at; nothing is
//! written but the parts of a data directory, each below the folder that was named, and never more than was said. Whoever
//! wants to know whether it is any good unpacks it and asks [`super::verify`].

use std::{
    ffi::CString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::zip::{Directory, Entry, Kind};
use crate::{
    error::{Error, Result},
    progress::{Progress, Unit},
    trickle::Trickling,
};

/// Names longer than this are refused; so are names of more folders.
const MAX_NAME: usize = 1024;
const MAX_SEGMENT: usize = 255;
const MAX_DEPTH: usize = 8;
/// Room on the disk that unpacking leaves to others, in bytes.
const RESERVE: u64 = 64 << 20;
/// Read at once, in bytes.
const PIECE: usize = 256 << 10;
/// Bytes up to which anything may be unpacked to, however small it was.
const SMALL: u64 = 1 << 30;

/// What may come out of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    pub entries: u64,
    /// How many times as large as the archive the files together may be, if that is more than a gibibyte. Deflate makes of
    /// zeros about a thousandth, so what users upload can pack as well as that.
    pub ratio: u64,
}

impl Limits {
    /// As much as there is room for where `dir` is or is going to be.
    pub fn for_room_in(dir: &Path) -> Result<Self> {
        Ok(Self { bytes: free_bytes(dir)?.saturating_sub(RESERVE), ..Self::default() })
    }
}

impl Default for Limits {
    /// No bound to the bytes: ten million entries, and more than deflate can do.
    fn default() -> Self {
        Self { bytes: u64::MAX, entries: 10_000_000, ratio: 1100 }
    }
}

/// What a backup of ours says of itself, in the archive's comment. All of it is only a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The version of the program that made it.
    pub conch: String,
    /// The wire's datetime.
    pub created: String,
    /// Of the change log: with `seq` it names the moment.
    pub epoch: String,
    pub seq: u64,
    /// How many files of records are in it.
    pub files: u64,
    /// How many the records name that were not there when it was made.
    #[serde(default)]
    pub missing: u64,
    /// Whether files of records are kept elsewhere (in a bucket) and not in the archive.
    #[serde(default)]
    pub files_elsewhere: bool,
}

/// An archive whose directory has been looked through: it has a database, and no name in it leads out of a folder.
#[derive(Debug)]
pub struct Archive {
    directory: Directory,
    about: Option<About>,
    /// Bytes of the archive itself.
    packed: u64,
    bytes: u64,
    files: u64,
    ignored: u64,
}

impl Archive {
    /// Opens an archive and looks through its directory. Fails as invalid, with a text for people, when it is none, is
    /// damaged, lies about itself, or is not of a data directory.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::not_found().because(source),
            _ => source.into(),
        })?;
        let packed = file.metadata()?.len();
        let directory = Directory::open(file)?;
        let about = serde_json::from_slice(directory.comment()).ok();
        let mut archive = Self { directory, about, packed, bytes: 0, files: 0, ignored: 0 };
        let mut has_database = false;
        for entry in archive.directory.entries()? {
            let entry = entry?;
            match target(&entry)? {
                Some(name) => {
                    has_database |= name == "data.db";
                    archive.bytes = archive.bytes.saturating_add(entry.size);
                    archive.files += 1;
                }
                None => archive.ignored += u64::from(entry.kind == Kind::File),
            }
        }
        if !has_database {
            return Err(Error::invalid("This archive is no backup: there is no data.db in it."));
        }
        Ok(archive)
    }

    /// What it says of itself; `None` when it is not one of ours.
    pub fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// Bytes that its files have when they are unpacked.
    pub fn unpacked_bytes(&self) -> u64 {
        self.bytes
    }

    /// How many files there are to be unpacked.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// How many files in it are no part of a data directory, and are passed over.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Unpacks it into a folder, which is made, or must be empty: `data.db`, `auxiliary.db`, `storage/`, and logs that lie
    /// beside the databases. Every length and checksum is looked at, and all is on the disk when this returns. Fails as
    /// invalid with a text for people; then what was unpacked stays, for the caller to remove. Blocks.
    pub fn extract_into(&self, dir: &Path, limits: &Limits, progress: &Progress) -> Result<()> {
        self.check(limits)?;
        create_folder(dir)?;
        if fs::read_dir(dir)?.next().is_some() {
            return Err(Error::invalid(format!("{} is not empty.", dir.display())));
        }
        progress.begin("Unpacking", self.bytes, Unit::Bytes);
        let mut made = PathBuf::new();
        let mut left = self.bytes;
        for entry in self.directory.entries()? {
            let entry = entry?;
            let Some(name) = target(&entry)? else { continue };
            // The file may have been exchanged since it was looked through.
            left = left.checked_sub(entry.size).ok_or_else(|| Error::invalid("The archive has been changed."))?;
            let path = dir.join(name);
            let folder = path.parent().unwrap_or(dir);
            if folder != made {
                create_folder(folder).map_err(|error| in_entry(name, error))?;
                made = folder.to_owned();
            }
            self.extract(&entry, &path, progress).map_err(|error| in_entry(name, error))?;
        }
        sync(dir)
    }

    /// Whether all of it may be unpacked.
    fn check(&self, limits: &Limits) -> Result<()> {
        if self.directory.count() > limits.entries {
            return Err(Error::invalid(format!(
                "There are {} files in this archive, more than the {} that are allowed.",
                self.directory.count(),
                limits.entries
            )));
        }
        if self.bytes > SMALL && self.bytes / self.packed.max(1) >= limits.ratio {
            return Err(Error::invalid(format!(
                "This archive of {} bytes would unpack to {} bytes: no backup is packed so well, and it is left alone.",
                self.packed, self.bytes
            )));
        }
        if self.bytes > limits.bytes {
            return Err(Error::invalid(format!(
                "This archive unpacks to {} bytes, and there is room for {}. Make room on the disk first.",
                self.bytes, limits.bytes
            )));
        }
        Ok(())
    }

    fn extract(&self, entry: &Entry, path: &Path, progress: &Progress) -> Result<()> {
        let mut content = self.directory.read(entry)?;
        // A second entry of the same name finds the first.
        let mut file = Trickling::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?);
        let mut piece = vec![0; PIECE.min(usize::try_from(entry.size).unwrap_or(PIECE).max(1))];
        loop {
            let length = match content.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            file.write_all(&piece[..length])?;
            progress.advance(length as u64);
        }
    }
}

/// Where an entry goes, below the folder that it is unpacked to; `None` for what is no part of a data directory. Fails
/// for what an honest archive has not.
fn target(entry: &Entry) -> Result<Option<&str>> {
    let name = entry.name.strip_suffix('/').unwrap_or(&entry.name);
    let is_plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.len() <= MAX_SEGMENT
            && !segment.contains(|letter: char| letter == '\\' || letter.is_control())
    };
    let segments = name.split('/').count();
    if name.len() > MAX_NAME || segments > MAX_DEPTH || !name.split('/').all(is_plain) {
        return Err(Error::invalid(format!(
            "This archive is left alone: {:?} is no name of a file in it.",
            entry.name
        )));
    }
    match entry.kind {
        Kind::File => {}
        Kind::Folder if entry.size == 0 => return Ok(None),
        Kind::Folder | Kind::Other => {
            return Err(Error::invalid(format!("This archive is left alone: {:?} is no file.", entry.name)));
        }
    }
    let is_ours = match name.split_once('/') {
        None => matches!(name, "data.db" | "data.db-wal" | "auxiliary.db" | "auxiliary.db-wal"),
        // What begins with a dot there is of a running server.
        Some(("storage", rest)) => !rest.starts_with('.'),
        Some(_) => false,
    };
    Ok(is_ours.then_some(name))
}

/// Says in which entry something went wrong.
fn in_entry(name: &str, error: Error) -> Error {
    let cause = error.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>());
    match cause.map(|cause| (cause.kind(), cause.to_string())) {
        Some((io::ErrorKind::StorageFull, _)) | None => error,
        Some((io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory, _)) => {
            Error::invalid(format!("There are two of {name:?} in this archive.")).because(error)
        }
        Some((io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof, why)) => {
            Error::invalid(format!("{name:?} in this archive is damaged: {why}.")).because(error)
        }
        Some(_) => error,
    }
}

/// Nobody else may look into it.
fn create_folder(path: &Path) -> Result<()> {
    Ok(DirBuilder::new().recursive(true).mode(0o700).create(path)?)
}

/// Has everything below `dir` reach the disk.
#[cfg(target_os = "linux")]
fn sync(dir: &Path) -> Result<()> {
    use std::os::fd::AsRawFd;

    let folder = File::open(dir)?;
    // SAFETY: the descriptor is open as long as `folder`.
    if unsafe { libc::syncfs(folder.as_raw_fd()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}

#[cfg(not(target_os = "linux"))]
fn sync(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { sync(&entry.path())? } else { File::open(entry.path())?.sync_all()? }
    }
    Ok(File::open(dir)?.sync_all()?)
}

/// Bytes that may still be written where `path` is or is going to be.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let name = CString::new(there.as_os_str().as_bytes()).map_err(Error::internal)?;
    // SAFETY: all zeroes is a valid value of this plain struct.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `name` ends with a NUL, and `found` may be written to.
    if unsafe { libc::statvfs(name.as_ptr(), &raw mut found) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
    Ok((found.f_bavail as u64).saturating_mul(found.f_frsize as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backups::zip::Writer, clock::Timestamp, db::testing::TempDir};

    /// An archive with these entries: a mode other than a file's is given to the entry, and a size other than 0 is said of
    /// it. They are what a hostile archive lies about.
    fn archive(place: &TempDir, entries: &[(&str, u32, &[u8])]) -> PathBuf {
        let path = place.path().join("a.zip");
        let _ = fs::remove_file(&path);
        let mut writer = Writer::create(&path).unwrap();
        for (name, _, content) in entries {
            writer.add(name, &mut { *content }, content.len() as u64, Timestamp(0), &mut |_| Ok(())).unwrap();
        }
        writer.finish("").unwrap();
        // Modes are in the directory, four bytes after so many of each line.
        let mut bytes = fs::read(&path).unwrap();
        let lines: Vec<usize> = memchr::memmem::find_iter(&bytes, &0x0201_4b50_u32.to_le_bytes()).collect();
        for (at, (_, mode, _)) in lines.iter().zip(entries).filter(|(_, (_, mode, _))| *mode != 0) {
            bytes[at + 38..at + 42].copy_from_slice(&(mode << 16).to_le_bytes());
        }
        fs::write(&path, bytes).unwrap();
        path
    }

    fn unpack(path: &Path, dir: &Path, limits: Limits) -> Result<Archive> {
        let archive = Archive::open(path)?;
        archive.extract_into(dir, &limits, &Progress::default())?;
        Ok(archive)
    }

    #[test]
    fn parts_of_a_data_directory_are_unpacked_and_nothing_else() {
        let place = TempDir::new();
        let path = archive(
            &place,
            &[
                ("data.db", 0, b"one"),
                ("auxiliary.db", 0, b"two"),
                ("data.db-wal", 0, b""),
                ("data.db-shm", 0, b"no"),
                ("storage/", 0o040_755, b""),
                ("storage/c/r/a.txt", 0o100_777, b"three"),
                ("storage/c/r/thumbs_a/1x1_a", 0, b"four"),
                ("storage/.placing/x", 0, b"no"),
                (".conch.lock", 0, b"no"),
                ("types.d.ts", 0, b"no"),
                ("backups/a.zip", 0, b"no"),
            ],
        );
        let dir = place.path().join("new/there");
        let found = unpack(&path, &dir, Limits::default()).unwrap();
        assert_eq!((found.files(), found.ignored(), found.unpacked_bytes()), (5, 5, 15));
        let mut names = Vec::new();
        let mut folders = vec![dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    let mode = std::os::unix::fs::MetadataExt::mode(&entry.metadata().unwrap());
                    assert_eq!(mode & 0o777, 0o600);
                    names.push(entry.strip_prefix(&dir).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        names.sort();
        let expected = ["auxiliary.db", "data.db", "data.db-wal", "storage/c/r/a.txt", "storage/c/r/thumbs_a/1x1_a"];
        assert_eq!(names, expected);
        assert_eq!(fs::read(dir.join("storage/c/r/a.txt")).unwrap(), b"three");
        assert!(unpack(&path, &dir, Limits::default()).unwrap_err().message.contains("not empty"));
    }

    #[test]
    fn hostile_archives_are_refused_before_anything_is_written() {
        let place = TempDir::new();
        let long = "x".repeat(256);
        for (name, mode, content) in [
            ("../x", 0, "x"),
            ("storage/../../x", 0, "x"),
            ("/etc/passwd", 0, "x"),
            ("storage//x", 0, "x"),
            ("storage/./x", 0, "x"),
            ("..\\x", 0, "x"),
            ("storage/a\0b", 0, "x"),
            ("storage/a\nb", 0, "x"),
            ("", 0, "x"),
            ("/", 0, "x"),
            ("storage/1/2/3/4/5/6/7/8", 0, "x"),
            (long.as_str(), 0, "x"),
            ("storage/link", 0o120_777, "/etc/passwd"),
            ("storage/pipe", 0o010_600, ""),
            ("storage/folder/", 0, "with content"),
        ] {
            let path = archive(&place, &[("data.db", 0, b"x"), (name, mode, content.as_bytes())]);
            let dir = place.path().join("out");
            let refused = unpack(&path, &dir, Limits::default()).unwrap_err();
            assert!(refused.message.contains("left alone"), "{name:?}: {refused}");
            assert!(!dir.exists(), "{name:?}");
        }
        let path = archive(&place, &[("storage/data.db", 0, b"x")]);
        assert!(Archive::open(&path).unwrap_err().message.contains("no backup"));
        assert_eq!(Archive::open(&place.path().join("none")).unwrap_err().kind, crate::error::Kind::NotFound);
    }

    #[test]
    fn two_of_a_name_clash() {
        let place = TempDir::new();
        for (first, second) in [("data.db", "data.db"), ("storage/a", "storage/a/b"), ("storage/a/b", "storage/a")] {
            let path = archive(&place, &[("data.db", 0, b"x"), (first, 0, b"x"), (second, 0, b"x")]);
            let dir = place.path().join(crate::random::record_id());
            let refused = unpack(&path, &dir, Limits::default()).unwrap_err();
            assert!(refused.message.contains("two of"), "{first} {second}: {refused}");
        }
    }

    #[test]
    fn no_more_is_unpacked_than_is_allowed() {
        let place = TempDir::new();
        let path = archive(&place, &[("data.db", 0, &[0; 100_000]), ("storage/x", 0, b"")]);
        for (limits, told) in [
            (Limits { bytes: 99_999, ..Limits::default() }, Some("room")),
            (Limits { entries: 1, ..Limits::default() }, Some("more than the 1")),
            // A small one may be packed as well as it likes.
            (Limits { ratio: 1, bytes: 100_000, entries: 2 }, None),
        ] {
            let done = unpack(&path, &place.path().join("out"), limits);
            match told {
                Some(told) => assert!(done.unwrap_err().message.contains(told), "{limits:?}"),
                None => assert_eq!(done.unwrap().unpacked_bytes(), 100_000),
            }
        }
        let mut large = Archive::open(&path).unwrap();
        large.bytes = 1200 * SMALL;
        large.packed = SMALL;
        assert!(large.check(&Limits::default()).unwrap_err().message.contains("left alone"));
        assert!(free_bytes(place.path()).unwrap() > 0 && free_bytes(Path::new("nowhere/at/all")).unwrap() > 0);
    }

    /// Sizes in the directory are a claim, and what comes out is compared with it.
    #[test]
    fn sizes_that_are_not_true_are_noticed() {
        let place = TempDir::new();
        for (claimed, told) in [(10_u32, "longer"), (200_000, "shorter")] {
            let path = archive(&place, &[("data.db", 0, &[0; 100_000])]);
            let mut bytes = fs::read(&path).unwrap();
            let at = memchr::memmem::find(&bytes, &0x0201_4b50_u32.to_le_bytes()).unwrap();
            bytes[at + 24..at + 28].copy_from_slice(&claimed.to_le_bytes());
            fs::write(&path, bytes).unwrap();
            let refused = unpack(&path, &place.path().join(told), Limits::default()).unwrap_err();
            assert!(refused.message.contains(told) && refused.message.contains("data.db"), "{refused}");
        }
    }
}
