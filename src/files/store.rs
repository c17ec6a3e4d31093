//! What a place for files has to offer. [`super::disk`] is one; a bucket behind HTTP ([`super::bucket`]) is another, which
//! is why everything is async, folders are only common beginnings of keys, and a file is put in one step.

use std::{fmt, ops::Range, path::Path, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};

use super::Key;
use crate::error::Result;

/// Keeps files under keys.
pub trait Store: fmt::Debug + Send + Sync {
    /// Takes the file at `source`, which is on the local disk and may be moved away, to `key`. Nobody sees a part of it,
    /// and it stays whatever happens when this returns. A `source` that is still there afterwards is the caller's.
    fn put<'a>(&'a self, key: &'a Key, source: &'a Path, about: &'a About) -> BoxFuture<'a, Result<()>>;

    /// Finds a file; `None` when there is none.
    fn open<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>>;

    /// The files in and below a folder, in any order. One that comes or goes meanwhile may be among them or not.
    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>>;

    /// Removes a file. A missing one is fine.
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>>;

    /// Takes back what earlier processes began and did not end.
    fn tidy(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What is kept beside the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Told from the bytes.
    pub content_type: String,
    /// What the client called it; nothing for what was made by the house.
    pub original_name: Option<String>,
}

/// What is known of a stored file before its bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub content_type: String,
    /// What the client called it, if that is known.
    pub original_name: Option<String>,
    /// Bytes.
    pub size: u64,
    pub modified: SystemTime,
    /// What the store says that the bytes are: their MD5 in hex, unless it has a way of its own. Equal ones mean equal bytes.
    pub tag: Option<String>,
}

/// A file that was found.
#[derive(Debug, Clone)]
pub struct Object {
    pub head: Head,
    pub(super) content: Arc<dyn Content>,
}

impl Object {
    /// For other rooms that keep files.
    pub fn new(head: Head, content: Arc<dyn Content>) -> Self {
        Self { head, content }
    }

    /// The bytes in `range`, which must lie within the file, in chunks of bounded size. The next chunk is read when the
    /// last one was taken. Ends with an error when the file has become shorter.
    pub fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        self.content.read(range)
    }
}

/// The bytes of a file that was found. They can be read, or fail to be, whatever becomes of the file.
pub trait Content: fmt::Debug + Send + Sync {
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>>;
}
