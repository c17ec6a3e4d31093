//! Reading an archive that anybody may have made.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use flate2::{Crc, read::DeflateDecoder};

use super::{
    CENTRAL, CENTRAL_SIZE, DEFLATED, END, END_SIZE, END64, END64_SIZE, EXTRA64, LOCAL, LOCAL_SIZE, LOCATOR64,
    LOCATOR64_SIZE, STORED,
};
use crate::error::{Error, Result};

/// The end of an archive is looked for in so many last bytes: a comment may follow on it.
const TAIL: u64 = END_SIZE as u64 + u16::MAX as u64;
/// Flags: encrypted, its directory encrypted.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const UNIX: u8 = 3;
const KIND_OF_FILE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// An opened archive: where its directory is, and how much that claims to hold.
#[derive(Debug)]
pub struct Directory {
    file: Arc<File>,
    offset: u64,
    size: u64,
    count: u64,
    comment: Vec<u8>,
}

/// One line of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it stands there: nothing is known of it but that it is UTF-8.
    pub name: String,
    pub kind: Kind,
    /// Bytes that its content is said to have.
    pub size: u64,
    /// Bytes that it takes in the archive.
    pub compressed: u64,
    method: u16,
    crc: u32,
    offset: u64,
}

/// What an entry becomes where it is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// A link, a device or the like.
    Other,
}

impl Directory {
    /// Finds the directory. Fails as invalid, with a text for people, when this is no archive or a damaged one.
    pub fn open(file: File) -> Result<Self> {
        let length = file.metadata()?.len();
        let from = length.saturating_sub(TAIL);
        let mut tail = vec![0; usize::try_from(length - from).map_err(Error::internal)?];
        file.read_exact_at(&mut tail, from)?;
        let at = find_end(&tail).ok_or_else(|| damaged("it has no directory"))?;
        let end = &tail[at..];
        let comment = end[END_SIZE..].to_vec();
        let mut found = Self {
            file: Arc::new(file),
            offset: u64::from(u32_at(end, 16)),
            size: u64::from(u32_at(end, 12)),
            count: u64::from(u16_at(end, 10)),
            comment,
        };
        let mut directory_end = from + at as u64;
        let disks = [u16_at(end, 4), u16_at(end, 6)];
        if let Some(end64) = found.end64(directory_end)? {
            let (offset, record) = end64;
            if u32_at(&record, 16) != 0 || u32_at(&record, 20) != 0 {
                return Err(damaged("it is one part of several"));
            }
            found.count = u64_at(&record, 32);
            found.size = u64_at(&record, 40);
            found.offset = u64_at(&record, 48);
            directory_end = offset;
        } else if disks != [0, 0] {
            return Err(damaged("it is one part of several"));
        }
        if found.offset.checked_add(found.size) != Some(directory_end) {
            return Err(damaged("its directory is not where it should be"));
        }
        // Each line has so many bytes at least.
        if found.count > found.size / CENTRAL_SIZE as u64 {
            return Err(damaged("it has fewer entries than it says"));
        }
        Ok(found)
    }

    /// What was written behind the directory.
    pub fn comment(&self) -> &[u8] {
        &self.comment
    }

    /// How many entries there are said to be.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The entries in the order of the directory, read as they are asked for. That they overlap, or that there are more
    /// or fewer than were said, is an error at the end.
    pub fn entries(&self) -> Result<Entries> {
        let span = Span { file: Arc::clone(&self.file), at: self.offset, end: self.offset + self.size };
        Ok(Entries {
            input: BufReader::with_capacity(64 << 10, span),
            left: self.count,
            read: 0,
            size: self.size,
            before: self.offset,
            taken: 0,
            ended: false,
        })
    }

    /// The content of an entry: as long and with the checksum that it is said to have, or an error.
    pub fn read(&self, entry: &Entry) -> Result<impl Read + use<>> {
        let mut header = [0; LOCAL_SIZE];
        let end = entry.offset.checked_add(LOCAL_SIZE as u64).filter(|&end| end <= self.offset);
        let end = end.ok_or_else(|| lies_about(entry))?;
        self.file.read_exact_at(&mut header, entry.offset)?;
        if u32_at(&header, 0) != LOCAL {
            return Err(lies_about(entry));
        }
        let start = end + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let end = start.checked_add(entry.compressed).filter(|&end| end <= self.offset);
        let span = Span { file: Arc::clone(&self.file), at: start, end: end.ok_or_else(|| lies_about(entry))? };
        let packed = match entry.method {
            STORED => Packed::Stored(span),
            DEFLATED => Packed::Deflated(DeflateDecoder::new(span)),
            _ => return Err(damaged(format!("{:?} is packed in a way that is not known here", entry.name))),
        };
        Ok(Checked { packed, crc: Crc::new(), read: 0, size: entry.size, expected: entry.crc })
    }

    /// The larger end before the end, with its place.
    fn end64(&self, end: u64) -> Result<Option<(u64, [u8; END64_SIZE])>> {
        let Some(at) = end.checked_sub(LOCATOR64_SIZE as u64) else { return Ok(None) };
        let mut locator = [0; LOCATOR64_SIZE];
        self.file.read_exact_at(&mut locator, at)?;
        if u32_at(&locator, 0) != LOCATOR64 {
            return Ok(None);
        }
        let offset = u64_at(&locator, 8);
        if offset.checked_add(END64_SIZE as u64).is_none_or(|end| end > at) {
            return Err(damaged("its directory is not where it should be"));
        }
        let mut record = [0; END64_SIZE];
        self.file.read_exact_at(&mut record, offset)?;
        if u32_at(&record, 0) != END64 {
            return Err(damaged("its directory is not where it should be"));
        }
        Ok(Some((offset, record)))
    }
}

/// Where the end begins whose comment ends with the archive.
fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_SIZE)?;
    (0..=last)
        .rev()
        .find(|&at| u32_at(tail, at) == END && at + END_SIZE + usize::from(u16_at(tail, at + 20)) == tail.len())
}

/// The lines of a directory.
pub struct Entries {
    input: BufReader<Span>,
    left: u64,
    read: u64,
    size: u64,
    /// Where the directory begins: contents end before.
    before: u64,
    /// Bytes that the entries so far take.
    taken: u64,
    ended: bool,
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if self.ended {
            return None;
        }
        let next = match self.left {
            0 if self.read == self.size => Ok(None),
            0 => Err(damaged("its directory is longer than it says")),
            _ => self.entry().map(Some),
        };
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl Entries {
    fn entry(&mut self) -> Result<Entry> {
        let header = self.bytes(CENTRAL_SIZE)?;
        if u32_at(&header, 0) != CENTRAL {
            return Err(damaged("its directory is damaged"));
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(&header, at)));
        let name = String::from_utf8(self.bytes(name)?).map_err(|_| damaged("a name in it is not UTF-8"))?;
        let extra = self.bytes(extra)?;
        self.bytes(comment)?;
        if u16_at(&header, 8) & ENCRYPTED != 0 {
            return Err(damaged(format!("{name:?} is encrypted")));
        }
        let mut entry = Entry {
            kind: kind(&header, &name),
            name,
            size: u64::from(u32_at(&header, 24)),
            compressed: u64::from(u32_at(&header, 20)),
            method: u16_at(&header, 10),
            crc: u32_at(&header, 16),
            offset: u64::from(u32_at(&header, 42)),
        };
        let is_narrow = |number: u64| number == u64::from(u32::MAX);
        let mut wide = extra64(&extra);
        for number in [&mut entry.size, &mut entry.compressed, &mut entry.offset] {
            if is_narrow(*number)
                && let Some((first, rest)) = wide.split_first_chunk::<8>()
            {
                (*number, wide) = (u64::from_le_bytes(*first), rest);
            }
        }
        // Contents that lie over one another are how a small archive unpacks to more than any deflation allows.
        let takes = (LOCAL_SIZE + entry.name.len()) as u64;
        self.taken = self.taken.saturating_add(takes).saturating_add(entry.compressed);
        if self.taken > self.before {
            return Err(damaged("its entries lie over one another"));
        }
        self.left -= 1;
        Ok(entry)
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.input.read_exact(&mut bytes).map_err(|_| damaged("its directory is damaged"))?;
        self.read += length as u64;
        Ok(bytes)
    }
}

fn kind(header: &[u8], name: &str) -> Kind {
    let mode = u32_at(header, 38) >> 16 & KIND_OF_FILE;
    match mode {
        _ if header[5] != UNIX || mode == 0 => {}
        REGULAR => {}
        FOLDER => return Kind::Folder,
        _ => return Kind::Other,
    }
    if name.ends_with('/') { Kind::Folder } else { Kind::File }
}

/// The part of the extra fields that holds what is too large for 32 bits.
fn extra64(mut extra: &[u8]) -> &[u8] {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(field) = extra.get(4..4 + length) else { break };
        if id == EXTRA64 {
            return field;
        }
        extra = &extra[4 + length..];
    }
    &[]
}

/// A part of a file, read from front to back.
#[derive(Debug)]
struct Span {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Span {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

enum Packed {
    Stored(Span),
    Deflated(DeflateDecoder<Span>),
}

/// Content that is compared with what the directory says of it.
struct Checked {
    packed: Packed,
    crc: Crc,
    read: u64,
    size: u64,
    expected: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = match &mut self.packed {
            Packed::Stored(span) => span.read(buffer)?,
            Packed::Deflated(decoder) => decoder.read(buffer)?,
        };
        self.crc.update(&buffer[..length]);
        self.read += length as u64;
        let is_wrong = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        if self.read > self.size {
            return is_wrong("it is longer than the archive says");
        }
        if length == 0 && !buffer.is_empty() {
            if self.read < self.size {
                return is_wrong("it is shorter than the archive says");
            }
            if self.crc.sum() != self.expected {
                return is_wrong("its checksum is not the one in the archive");
            }
        }
        Ok(length)
    }
}

fn lies_about(entry: &Entry) -> Error {
    damaged(format!("{:?} is not where it should be", entry.name))
}

/// For people: what is wrong with the archive.
pub fn damaged(why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("This is no archive that can be read: {why}."))
}

/// Callers have looked that there are enough bytes.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |part| u16::from_le_bytes([part[0], part[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
