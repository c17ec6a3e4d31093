//! Zip archives, as far as backups need them (APPNOTE 6.3): deflated or stored entries, ZIP64, no encryption, one disk.
//!
//! The directory of an archive is written and read as a stream: a backup may have millions of files, and an archive that
//! somebody uploads may claim to. What is read is believed only as far as it was checked.

mod read;
mod write;

pub use read::{Directory, Entry, Kind};
pub use write::Writer;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;

const LOCAL_SIZE: usize = 30;
const CENTRAL_SIZE: usize = 46;
const END_SIZE: usize = 22;
const END64_SIZE: usize = 56;
const LOCATOR64_SIZE: usize = 20;
/// The extra field that holds what is too large for 32 bits.
const EXTRA64: u16 = 1;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Flag: names are UTF-8.
const UTF8: u16 = 1 << 11;

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::{self, Cursor, Read, Write},
        path::Path,
    };

    use super::*;
    use crate::{clock::Timestamp, db::testing::TempDir, error::Result};

    const TIME: Timestamp = Timestamp(1_700_000_000_000);

    fn write(path: &Path, entries: &[(&str, Vec<u8>)], comment: &str) {
        let mut writer = Writer::create(path).unwrap();
        for (name, content) in entries {
            let mut told = 0;
            let stored = writer.add(name, &mut content.as_slice(), content.len() as u64, TIME, &mut |read| {
                told += read;
                Ok(())
            });
            stored.unwrap();
            assert_eq!(told, content.len() as u64);
        }
        writer.finish(comment).unwrap();
    }

    /// Everything in an archive: names and contents.
    fn read(path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        let directory = Directory::open(File::open(path).unwrap())?;
        let mut found = Vec::new();
        for entry in directory.entries()? {
            let entry = entry?;
            let mut content = Vec::new();
            directory.read(&entry)?.read_to_end(&mut content)?;
            found.push((entry.name, content));
        }
        Ok(found)
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        crate::random::fill(&mut bytes);
        bytes
    }

    #[test]
    fn what_was_written_is_read_by_us_and_by_others() {
        let place = TempDir::new();
        let path = place.path().join("a.zip");
        let entries = [
            ("data.db", vec![7; 300_000]),
            ("empty", Vec::new()),
            ("storage/c/r/ü.txt", b"hello".to_vec()),
            ("noise", noise(200_000)),
        ];
        write(&path, &entries, r#"{"a":1}"#);
        let expected = entries.map(|(name, content)| (name.to_owned(), content)).to_vec();
        assert_eq!(read(&path).unwrap(), expected);
        assert_eq!(Directory::open(File::open(&path).unwrap()).unwrap().comment(), br#"{"a":1}"#);

        let mut theirs = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        let mut found = Vec::new();
        for index in 0..theirs.len() {
            let mut entry = theirs.by_index(index).unwrap();
            assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o600);
            let name = entry.name().unwrap().into_owned();
            let stores = ["noise", "empty", "storage/c/r/ü.txt"].contains(&name.as_str());
            assert_eq!(entry.compression() == zip::CompressionMethod::Stored, stores, "{name}");
            let time = entry.last_modified().unwrap();
            assert_eq!((time.year(), time.month(), time.day(), time.hour(), time.minute()), (2023, 11, 14, 22, 13));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.push((name, content));
        }
        assert_eq!(found, expected);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_others_have_written_is_read() {
        let place = TempDir::new();
        let path = place.path().join("a.zip");
        let mut theirs = zip::ZipWriter::new(File::create(&path).unwrap());
        let large = zip::write::SimpleFileOptions::default().large_file(true);
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let content = [vec![1; 100_000], noise(1000)];
        for (name, options, content) in [("a", large, &content[0]), ("b", stored, &content[1])] {
            theirs.start_file(name, options).unwrap();
            theirs.write_all(content).unwrap();
        }
        theirs.add_directory("folder", stored).unwrap();
        theirs.finish().unwrap();
        let [a, b] = content;
        assert_eq!(read(&path).unwrap(), [("a".into(), a), ("b".into(), b), ("folder/".into(), Vec::new())]);
    }

    /// More entries, and larger ones, than the first format had numbers for.
    #[test]
    fn large_archives_have_larger_numbers() {
        let place = TempDir::new();
        let path = place.path().join("a.zip");
        let large = [vec![3; 3 << 20], noise(2 << 20)];
        let many = 70_000;
        let mut writer = Writer::create(&path).unwrap();
        for (name, content) in ["a", "b"].iter().zip(&large) {
            writer.add(name, &mut content.as_slice(), content.len() as u64, TIME, &mut |_| Ok(())).unwrap();
        }
        for number in 0..many {
            writer.add(&format!("{number}"), &mut io::empty(), 0, TIME, &mut |_| Ok(())).unwrap();
        }
        writer.finish("").unwrap();
        let directory = Directory::open(File::open(&path).unwrap()).unwrap();
        assert_eq!(directory.count(), many + 2);
        let mut theirs = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(theirs.len() as u64, many + 2);
        let mut entries = directory.entries().unwrap();
        for (index, expected) in large.iter().enumerate() {
            let (mut ours, mut others) = (Vec::new(), Vec::new());
            let entry = entries.next().unwrap().unwrap();
            directory.read(&entry).unwrap().read_to_end(&mut ours).unwrap();
            theirs.by_index(index).unwrap().read_to_end(&mut others).unwrap();
            assert!(ours == *expected && others == *expected, "{index}");
        }
        assert!(entries.all(|entry| entry.unwrap().size == 0));
    }

    /// Bit by bit: no change of an archive makes us panic, and none is passed over in what we read.
    #[test]
    fn damage_is_noticed() {
        let place = TempDir::new();
        let path = place.path().join("a.zip");
        let entries = [("data.db", vec![7; 900]), ("storage/x", noise(60))];
        write(&path, &entries, "c");
        let whole = fs::read(&path).unwrap();
        let good = read(&path).unwrap();
        let mut noticed = 0;
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                fs::write(&path, &bytes).unwrap();
                match read(&path) {
                    Err(_) => noticed += 1,
                    Ok(found) => {
                        // A name that became another name is one that its reader has to judge.
                        let contents =
                            |all: &[(String, Vec<u8>)]| all.iter().map(|(_, c)| c.clone()).collect::<Vec<_>>();
                        assert_eq!(contents(&found), contents(&good), "byte {at}");
                    }
                }
            }
        }
        assert!(noticed > whole.len(), "{noticed}");
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "cut off at {length}");
        }
    }

    #[test]
    fn a_source_that_is_not_as_long_as_it_says_is_refused() {
        let place = TempDir::new();
        for (said, there) in [(5_u64, 4_usize), (4, 5)] {
            let mut writer = Writer::create(&place.path().join(format!("{said}.zip"))).unwrap();
            let added = writer.add("x", &mut Cursor::new(vec![1; there]), said, TIME, &mut |_| Ok(()));
            // One that grows is cut where it said that it ends.
            assert_eq!(added.is_ok(), there > 4, "{said} {there}");
        }
    }
}
