//! Uploaded files: names, types, and storage on the disk or in a bucket of S3 (`docs/wire/records-storage.md` §8).
//!
//! May touch the data directory's `storage/` folder and, if the settings say so, a bucket; knows nothing of records but their
//! ids. Main type: [`Storage`].
//! What is not async blocks: call it off the async workers.

mod bucket;
mod copies;
mod digest;
mod disk;
mod key;
mod moving;
mod name;
mod placement;
mod relocate;
pub mod shelf;
mod sniff;
mod storage;
mod store;
mod thumbs;
pub mod uploads;

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

pub use disk::OpenFile;
pub use key::Key;
pub use placement::{Mark, Placement};
pub use relocate::{Destination, Moved, NamedBy};
pub use sniff::mime_matches;
pub use storage::Storage;
pub use store::{Content, Head, Object};
pub use thumbs::{Effort, Thumbs};

use tokio::io::BufWriter;

use crate::error::{Error, Result};

/// Types are told from this many first bytes.
pub const HEAD: u64 = 16 << 10;
/// An upload's bytes are gathered to this size before they are written: each write is a trip to the blocking pool.
const WRITE_BUFFER: usize = 256 << 10;

/// The type of a file that begins so: its first [`HEAD`] bytes, or all of it. Text has a charset.
pub fn sniffed(head: &[u8]) -> String {
    sniff::detect(head, head.len() as u64 == HEAD).mime.into_owned()
}

/// A received file part, spooled to a temporary file that is removed on drop unless it was stored.
#[derive(Debug)]
pub struct Upload {
    /// The body key it came under, affixes included (`docs/f`, `f+`, `+f`).
    pub key: String,
    /// What the client called it; never becomes a path.
    pub client_name: String,
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

impl Upload {
    /// Makes its file, empty and new, for writing; flush what was written. The upload goes along: it removes its file when
    /// it is dropped, so whoever loses interest before the file is there leaves none either.
    pub async fn create(self) -> Result<(Self, BufWriter<tokio::fs::File>)> {
        let create = move || File::create_new(&self.path).map(|file| (self, file));
        let (upload, file) = tokio::task::spawn_blocking(create).await.map_err(Error::internal)??;
        Ok((upload, BufWriter::with_capacity(WRITE_BUFFER, tokio::fs::File::from_std(file))))
    }

    /// The type sniffed from the content, with a charset for text; `application/octet-stream` when unknown.
    pub fn sniff(&self) -> Result<String> {
        Ok(self.detect()?.mime.into_owned())
    }

    /// A generated storage name (`docs/wire/records-storage.md` §8): readable, unguessable and safe as a path segment.
    pub fn storage_name(&self) -> Result<String> {
        name::generate(&self.client_name, || Ok(self.detect()?.extension))
    }

    fn detect(&self) -> Result<sniff::Detected> {
        let mut head = Vec::new();
        let read = File::open(&self.path)?.take(HEAD).read_to_end(&mut head)?;
        Ok(sniff::detect(&head, read as u64 == HEAD))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // The spool is emptied at the next start.
                tracing::warn!(path = %self.path.display(), %error, "cannot remove a spooled upload");
            }
            _ => {}
        }
    }
}
