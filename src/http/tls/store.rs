//! What authorities gave us, in the folder `.autocert_cache` of the data directory (`docs/wire/services.md` §10).
//!
//! A certificate is one PEM file under its domain's name, private key first, as PocketBase has it: each finds what the
//! other left. Lines before it say which authority it comes from. Only the server's user can read them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The largest file that is read.
const LARGEST: u64 = 1 << 20;
const DIRECTORY: &str = "Directory: ";
/// Ends the names of files that are being written. No domain has such a name.
const UNFINISHED: &str = "+new";

/// A certificate as it was stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// Key and chain.
    pub pem: Vec<u8>,
    /// The authority's directory, if that was noted.
    pub directory: Option<String>,
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Makes the folder if it is missing.
    pub fn open(folder: PathBuf) -> anyhow::Result<Self> {
        let unmade = || format!("cannot make {}", folder.display());
        // A new data directory is as public as its owner has it.
        folder.parent().map_or(Ok(()), fs::create_dir_all).with_context(unmade)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(unmade)?;
        Ok(Self { folder })
    }

    /// The certificate of a domain, if there is one.
    pub fn certificate(&self, domain: &str) -> anyhow::Result<Option<Stored>> {
        let Some(pem) = self.read(domain)? else { return Ok(None) };
        let lines = pem.split(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"-----BEGIN"));
        let directory = lines.filter_map(|line| str::from_utf8(line).ok()?.strip_prefix(DIRECTORY)).next();
        let directory = directory.map(|directory| directory.trim().to_owned());
        Ok(Some(Stored { pem, directory }))
    }

    /// Replaces the certificate of a domain. After a crash it is the old one or the new one.
    pub fn keep_certificate(&self, domain: &str, directory: &str, key: &str, chain: &str) -> anyhow::Result<()> {
        self.write(domain, format!("{DIRECTORY}{directory}\n{}\n{}", key.trim_end(), chain.trim_start()).as_bytes())
    }

    /// The account at an authority.
    pub fn account(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        self.read(name)
    }

    pub fn keep_account(&self, name: &str, account: &[u8]) -> anyhow::Result<()> {
        self.write(name, account)
    }

    fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.folder.join(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(bytes.len() as u64 <= LARGEST, "{} has more than {LARGEST} bytes", path.display());
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let unfinished = self.folder.join(format!("{name}{UNFINISHED}"));
        write_new(&unfinished, bytes)
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Nobody else may ever have been able to read it, so what stands there goes first.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_found_again_and_is_ours_alone() {
        let place = std::env::temp_dir().join(format!("conch-store-{}", crate::random::record_id()));
        let folder = place.join("cache");
        let store = Store::open(folder.clone()).unwrap();
        assert_eq!(store.certificate("a.example").unwrap(), None);
        let begin = "-----BEGIN X-----\n";
        store.keep_certificate("a.example", "https://ca.example/dir", begin, begin).unwrap();
        let stored = store.certificate("a.example").unwrap().unwrap();
        assert_eq!(stored.directory.as_deref(), Some("https://ca.example/dir"));
        // As PocketBase leaves it, and with something in its place that was never finished.
        fs::write(folder.join("a.example+new"), "half").unwrap();
        fs::write(folder.join("b.example"), "-----BEGIN X-----\nDirectory: no\n").unwrap();
        assert_eq!(store.certificate("b.example").unwrap().unwrap().directory, None);
        store.keep_certificate("a.example", "https://other.example", begin, begin).unwrap();
        assert_eq!(store.certificate("a.example").unwrap().unwrap().directory.unwrap(), "https://other.example");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("a.example"))), (0o700, 0o600));
        fs::write(folder.join("large"), vec![b'x'; 2 << 20]).unwrap();
        assert!(store.certificate("large").is_err());
        fs::remove_dir_all(place).unwrap();
    }
}
