//! Writing an archive: one pass over each file, and the directory at the end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Seek, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use flate2::{Compression, Crc, write::DeflateEncoder};

use super::{
    CENTRAL, CENTRAL_SIZE, DEFLATED, END, END64, END64_SIZE, EXTRA64, LOCAL, LOCAL_SIZE, LOCATOR64, STORED, UTF8,
};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    trickle::Trickling,
};

/// Fast, and nearly as small as it gets: the machine has others to serve meanwhile.
const LEVEL: u32 = 4;
/// Read at once, in bytes. Whether a file is worth deflating is told from the first such piece.
const PIECE: usize = 64 << 10;
/// From this size on an entry has its sizes in 64 bits: deflated it may be a little larger than it was. Tests need not
/// write gigabytes.
const LARGE: u64 = if cfg!(test) { 1 << 20 } else { 0xf000_0000 };
const TOO_LARGE: u64 = u32::MAX as u64;
/// Made by version 4.5 on Unix: there are file modes.
const MADE_BY: u16 = 3 << 8 | 45;
const NEEDED: u16 = 20;
const NEEDED64: u16 = 45;
/// A file that only its owner may read and write.
const MODE: u32 = 0o100_600 << 16;

/// An archive that is being written. Until [`Writer::finish`] it is none.
pub struct Writer {
    out: BufWriter<Trickling>,
    /// The directory grows in a file of its own, which goes with the writer.
    directory: BufWriter<File>,
    directory_path: PathBuf,
    /// Bytes so far.
    offset: u64,
    directory_size: u64,
    entries: u64,
}

impl Writer {
    /// A new file, for its owner only. Fails where there is one.
    pub fn create(path: &Path) -> Result<Self> {
        let create = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        let mut directory_path = path.as_os_str().to_owned();
        directory_path.push(".directory");
        let directory_path = PathBuf::from(directory_path);
        Ok(Self {
            out: BufWriter::with_capacity(PIECE, Trickling::new(create(path)?)),
            directory: BufWriter::with_capacity(PIECE, create(&directory_path)?),
            directory_path,
            offset: 0,
            directory_size: 0,
            entries: 0,
        })
    }

    /// Adds `size` bytes of `source` under `name`. `pulse` hears of every piece that was read, and may break off.
    /// Returns how many bytes it takes in the archive.
    pub fn add(
        &mut self,
        name: &str,
        source: &mut impl Read,
        size: u64,
        modified: Timestamp,
        pulse: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
        let mut source = source.take(size);
        let mut first = Vec::new();
        source.by_ref().take(PIECE as u64).read_to_end(&mut first)?;
        let mut entry = Written {
            name,
            method: if is_worth_deflating(&first)? { DEFLATED } else { STORED },
            modified: dos(modified),
            size,
            compressed: 0,
            crc: 0,
            offset: self.offset,
        };
        self.put(&entry.local())?;
        let start = self.offset;
        let mut tee = Tee { source: first.as_slice().chain(source), crc: Crc::new(), read: 0 };
        if entry.method == DEFLATED {
            let mut encoder = DeflateEncoder::new(Counted { out: &mut self.out, count: 0 }, Compression::new(LEVEL));
            copy(&mut tee, &mut encoder, pulse)?;
            self.offset += encoder.finish()?.count;
        } else {
            copy(&mut tee, &mut self.out, pulse)?;
            self.offset += tee.read;
        }
        if tee.read != size {
            return Err(Error::internal(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        (entry.crc, entry.compressed) = (tee.crc.sum(), self.offset - start);
        self.out.flush()?;
        self.out.get_ref().file().write_all_at(&entry.local(), entry.offset)?;
        let central = entry.central();
        self.directory.write_all(&central)?;
        self.directory_size += central.len() as u64;
        self.entries += 1;
        Ok(entry.compressed)
    }

    /// Ends the archive; it is on the disk when this returns, though not its name. `comment`: less than 64 KiB.
    pub fn finish(mut self, comment: &str) -> Result<()> {
        self.directory.flush()?;
        let directory = self.directory.get_mut();
        directory.rewind()?;
        io::copy(directory, &mut self.out)?;
        let end = self.end(comment)?;
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok(self.out.get_ref().file().sync_all()?)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn end(&self, comment: &str) -> Result<Vec<u8>> {
        let (at, size) = (self.offset, self.directory_size);
        let mut end = Vec::with_capacity(128 + comment.len());
        if at >= TOO_LARGE || size >= TOO_LARGE || self.entries >= u64::from(u16::MAX) {
            end.extend(END64.to_le_bytes());
            end.extend((END64_SIZE as u64 - 12).to_le_bytes());
            end.extend([MADE_BY, NEEDED64].map(u16::to_le_bytes).concat());
            end.extend([0_u32; 2].map(u32::to_le_bytes).concat());
            end.extend([self.entries, self.entries, size, at].map(u64::to_le_bytes).concat());
            end.extend([LOCATOR64, 0].map(u32::to_le_bytes).concat());
            end.extend((at + size).to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        end.extend(END.to_le_bytes());
        end.extend([0, 0, entries, entries].map(u16::to_le_bytes).concat());
        end.extend([size, at].map(|number| narrow(number).to_le_bytes()).concat());
        end.extend(u16::try_from(comment.len()).map_err(Error::internal)?.to_le_bytes());
        end.extend(comment.as_bytes());
        Ok(end)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What stays is in a folder that is emptied at the next start.
        let _ = fs::remove_file(&self.directory_path);
    }
}

/// What the headers of an entry say.
struct Written<'a> {
    name: &'a str,
    method: u16,
    /// Time and date.
    modified: [u16; 2],
    size: u64,
    compressed: u64,
    crc: u32,
    offset: u64,
}

impl Written<'_> {
    fn needed(&self) -> u16 {
        if self.size >= LARGE || self.offset >= TOO_LARGE { NEEDED64 } else { NEEDED }
    }

    /// The header before the content; as long with the sizes as without.
    fn local(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(LOCAL_SIZE + self.name.len() + 20);
        header.extend(LOCAL.to_le_bytes());
        self.common(&mut header);
        let is_large = self.size >= LARGE;
        let sizes = [self.compressed, self.size].map(|size| if is_large { u32::MAX } else { narrow(size) });
        header.extend(sizes.map(u32::to_le_bytes).concat());
        header.extend([self.name_length(), if is_large { 20 } else { 0 }].map(u16::to_le_bytes).concat());
        header.extend(self.name.as_bytes());
        if is_large {
            header.extend([EXTRA64, 16].map(u16::to_le_bytes).concat());
            header.extend([self.size, self.compressed].map(u64::to_le_bytes).concat());
        }
        header
    }

    fn central(&self) -> Vec<u8> {
        let is_large = self.size >= LARGE;
        let mut extra = Vec::new();
        if is_large {
            extra.extend([self.size, self.compressed].map(u64::to_le_bytes).concat());
        }
        if self.offset >= TOO_LARGE {
            extra.extend(self.offset.to_le_bytes());
        }
        let mut header = Vec::with_capacity(CENTRAL_SIZE + self.name.len() + extra.len() + 4);
        header.extend(CENTRAL.to_le_bytes());
        header.extend(MADE_BY.to_le_bytes());
        self.common(&mut header);
        let sizes = [self.compressed, self.size].map(|size| if is_large { u32::MAX } else { narrow(size) });
        header.extend(sizes.map(u32::to_le_bytes).concat());
        let extra_length = if extra.is_empty() { 0 } else { extra.len() as u16 + 4 };
        header.extend([self.name_length(), extra_length, 0, 0, 0].map(u16::to_le_bytes).concat());
        header.extend([MODE, narrow(self.offset)].map(u32::to_le_bytes).concat());
        header.extend(self.name.as_bytes());
        if !extra.is_empty() {
            header.extend([EXTRA64, extra.len() as u16].map(u16::to_le_bytes).concat());
            header.extend(extra);
        }
        header
    }

    fn common(&self, header: &mut Vec<u8>) {
        let [time, date] = self.modified;
        header.extend([self.needed(), UTF8, self.method, time, date].map(u16::to_le_bytes).concat());
        header.extend(self.crc.to_le_bytes());
    }

    fn name_length(&self) -> u16 {
        // Names are paths below the data directory: no file system has longer ones.
        u16::try_from(self.name.len()).unwrap_or(u16::MAX)
    }
}

/// In 32 bits, or all of them set: then the extra field has it.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Pictures and films are compressed already.
fn is_worth_deflating(first: &[u8]) -> Result<bool> {
    let mut encoder = DeflateEncoder::new(Counted { out: io::sink(), count: 0 }, Compression::fast());
    encoder.write_all(first)?;
    Ok(encoder.finish()?.count < first.len() as u64 / 20 * 19)
}

/// Time and date of MS-DOS in UTC: two seconds are its smallest step, 1980 its first year.
fn dos(time: Timestamp) -> [u16; 2] {
    let text = time.to_string();
    let part = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u16>().ok()).unwrap_or(0);
    if text.len() != 24 || !(1980..=2107).contains(&part(0, 4)) {
        return [0, 1 << 5 | 1];
    }
    let clock = part(11, 13) << 11 | part(14, 16) << 5 | (part(17, 19) / 2);
    [clock, (part(0, 4) - 1980) << 9 | part(5, 7) << 5 | part(8, 10)]
}

fn copy(source: &mut impl Read, target: &mut impl Write, pulse: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        target.write_all(&piece[..length])?;
        pulse(length as u64)?;
    }
}

/// Knows what has been read through it.
struct Tee<R> {
    source: R,
    crc: Crc,
    read: u64,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.crc.update(&buffer[..length]);
        self.read += length as u64;
        Ok(length)
    }
}

/// Knows how much was written through it.
struct Counted<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.count += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
