//! The bytes of a file on the disk, in bounded chunks.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use futures_util::{
    Stream,
    stream::{self, BoxStream, StreamExt},
};

use crate::{
    error::{Error, Result},
    files::store::Content,
};

/// Bytes that one reader holds at most.
const CHUNK: u64 = 64 << 10;

/// An open file, which can be read even if it is removed meanwhile.
#[derive(Debug)]
pub struct OpenFile(Arc<File>);

impl OpenFile {
    pub fn new(file: File) -> Self {
        Self(Arc::new(file))
    }
}

impl Content for OpenFile {
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        chunks(Arc::clone(&self.0), range).boxed()
    }
}

fn chunks(file: Arc<File>, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold(range, move |range| {
        let file = file.clone();
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let length = usize::try_from(CHUNK.min(range.end - range.start)).expect("a chunk fits into memory");
            // What the system has in memory is read at once. A trip to another thread costs more than the copy.
            let chunk = match in_memory::read(&file, range.start, length) {
                Some(chunk) => chunk,
                None => from_disk(file, range.start, length).await?,
            };
            if chunk.is_empty() {
                return Err(Error::internal(io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
            let next = range.start + chunk.len() as u64..range.end;
            Ok(Some((Bytes::from(chunk), next)))
        }
    })
}

/// Waits for the disk where that may be waited for. Empty at the end of the file.
async fn from_disk(file: Arc<File>, offset: u64, length: usize) -> Result<Vec<u8>> {
    let read = move || {
        let mut chunk = vec![0; length];
        loop {
            match file.read_at(&mut chunk, offset) {
                Ok(read) => {
                    chunk.truncate(read);
                    return Ok(chunk);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    };
    tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod in_memory {
    use std::{fs::File, os::fd::AsRawFd};

    /// Up to `length` bytes at `offset`, if they can be had without waiting for the disk.
    pub fn read(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
        let offset = libc::off_t::try_from(offset).ok()?;
        let mut chunk = Vec::<u8>::with_capacity(length);
        let target = libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: length };
        // SAFETY: the descriptor is open as long as `file`; `target` names memory of that length which nobody else has.
        let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const target, 1, offset, libc::RWF_NOWAIT) };
        // Would wait, is not offered by this file system, or the end: the other way tells which.
        let read = usize::try_from(read).ok().filter(|&read| read > 0)?;
        // SAFETY: so many bytes were written, which is at most `length`.
        unsafe { chunk.set_len(read) };
        Some(chunk)
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod in_memory {
    use std::fs::File;

    /// Other systems do not tell whether a read would wait.
    pub fn read(_: &File, _: u64, _: usize) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures_util::TryStreamExt;

    use super::*;
    use crate::db::testing::TempDir;

    fn file(content: &[u8]) -> (TempDir, OpenFile) {
        let place = TempDir::new();
        let path = place.path().join("file");
        File::create(&path).unwrap().write_all(content).unwrap();
        (place, OpenFile::new(File::open(path).unwrap()))
    }

    #[tokio::test]
    async fn ranges_arrive_whole_and_in_bounded_chunks() {
        let content: Vec<u8> = (0..200_000u32).map(|at| at as u8).collect();
        let (_place, file) = file(&content);
        for range in [0..0, 0..1, 0..200_000, 65_535..65_537, 199_999..200_000, 70_000..150_000] {
            let chunks: Vec<Bytes> = file.read(range.clone()).try_collect().await.unwrap();
            assert!(chunks.iter().all(|chunk| chunk.len() as u64 <= CHUNK), "{range:?}");
            assert!(chunks.concat() == content[range.start as usize..range.end as usize], "{range:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_an_error() {
        let (_place, file) = file(b"short");
        let chunks: Vec<Result<Bytes>> = file.read(0..10).collect().await;
        assert_eq!(chunks.len(), 2);
        assert!(chunks[0].as_ref().is_ok_and(|chunk| chunk == "short") && chunks[1].is_err());
    }
}
