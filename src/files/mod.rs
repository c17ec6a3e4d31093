//! Uploaded files: names, and storage on the disk (`docs/wire/records-storage.md` §8).
//!
//! May touch the data directory's `storage/` folder; knows nothing of records but their ids. Main type: [`Storage`].

use std::path::PathBuf;

use crate::error::Result;

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
    /// The type sniffed from the content, `application/octet-stream` when unknown.
    pub fn sniff(&self) -> Result<String> {
        todo!()
    }

    /// A generated storage name (`records-storage.md` §8).
    pub fn storage_name(&self) -> Result<String> {
        todo!()
    }
}

/// `storage/` of one data directory. All methods block: call them off the async workers.
#[derive(Debug, Clone)]
pub struct Storage {
    root: PathBuf,
}

impl Storage {
    pub fn open(data_dir: &std::path::Path, durable: bool) -> Result<Self> {
        todo!()
    }

    /// A fresh path for spooling an upload, on the same file system.
    pub fn spool_path(&self) -> PathBuf {
        todo!()
    }

    /// Moves the upload to its place and writes its sidecar; both are on the disk when this returns.
    pub fn put(&self, collection: &str, record: &str, name: &str, upload: &Upload) -> Result<()> {
        todo!()
    }

    /// Removes a file, its sidecar and its thumbnails. A missing file is fine.
    pub fn remove(&self, collection: &str, record: &str, name: &str) -> Result<()> {
        todo!()
    }

    pub fn remove_record(&self, collection: &str, record: &str) -> Result<()> {
        todo!()
    }

    pub fn remove_collection(&self, collection: &str) -> Result<()> {
        todo!()
    }
}
