//! Files in a bucket of S3, under the keys and with the metadata that PocketBase gives them
//! (`docs/wire/services-files.md` §2): both can serve the same bucket.
//!
//! A file goes in one request, or in parts if it is large, each of which is read when it is its turn. What is in memory is
//! bounded for all uploads together. The bucket is first asked when it is first needed, so one that is down is in nobody's
//! way but theirs who want a file.

mod escape;

use std::{
    fs::File,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt, TryFutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    aws::AmazonS3,
    multipart::{MultipartStore, PartId},
    path::Path as Location,
};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::{
    Key,
    digest::PART,
    store::{About, Content, Head, Object, Store},
    uploads::{Uploads, erase},
};
use crate::{
    error::{Error, Kind, Result},
    outgoing::bucket::{self, Params},
};

/// Parts of one file that are on their way at the same time.
const PARTS_AT_ONCE: usize = 3;
/// MiB of all uploads together that are in memory.
const MEMORY: u32 = 64;
/// A file has no more parts than this anywhere; a very large one has larger parts.
const MAX_PARTS: u64 = 10_000;
/// Under this name the metadata say what the client called the file.
const ORIGINAL_NAME: &str = "original-filename";
/// Bytes of a client's name that are kept.
const MAX_ORIGINAL: usize = 255;
/// The type of an object that says nothing of it.
const UNKNOWN_TYPE: &str = "application/octet-stream";
/// Clients are asked to wait so long when nobody answers.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    params: Params,
    client: OnceCell<Arc<AmazonS3>>,
    uploads: Arc<Uploads>,
    /// One permit for each MiB.
    memory: Semaphore,
}

impl Bucket {
    /// Nobody is asked yet.
    pub fn new(params: Params, uploads: Arc<Uploads>) -> Self {
        let memory = Semaphore::new(MEMORY as usize);
        Self { inner: Arc::new(Inner { params, client: OnceCell::new(), uploads, memory }) }
    }
}

impl Inner {
    async fn client(&self) -> Result<&Arc<AmazonS3>> {
        let make = || async {
            let params = self.params.clone();
            let made = tokio::task::spawn_blocking(move || bucket::open(&params)).await.map_err(Error::internal)?;
            made.map_err(Error::internal)
        };
        self.client.get_or_try_init(make).await
    }

    async fn put(&self, key: &Key, source: &Path, about: &About) -> Result<()> {
        let path = source.to_owned();
        let open = move || File::open(path).and_then(|file| file.metadata().map(|found| (Arc::new(file), found.len())));
        let (file, size) = tokio::task::spawn_blocking(open).await.map_err(Error::internal)??;
        let (client, location) = (self.client().await?, location(key)?);
        if size > PART {
            return self.put_in_parts(client, &location, (file, size), attributes(about)).await;
        }
        let _room = self.room(size).await?;
        let bytes = read(file, 0..size).await?;
        let options = PutOptions { attributes: attributes(about), ..PutOptions::default() };
        client.put_opts(&location, bytes.into(), options).await.map_err(fault)?;
        Ok(())
    }

    async fn put_in_parts(
        &self,
        client: &Arc<AmazonS3>,
        location: &Location,
        (file, size): (Arc<File>, u64),
        attributes: Attributes,
    ) -> Result<()> {
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let upload = client.create_multipart_opts(location, options).await.map_err(fault)?;
        let note = match self.uploads.note(&self.params, location.as_ref(), &upload).await {
            Ok(note) => note,
            Err(error) => {
                let _ = client.abort_multipart(location, &upload).await;
                return Err(error);
            }
        };
        let parts = ranges(size).enumerate().map(|(number, range)| {
            let (file, upload) = (Arc::clone(&file), &upload);
            async move {
                let _room = self.room(range.end - range.start).await?;
                let bytes = read(file, range).await?;
                client.put_part(location, upload, number, bytes.into()).await.map_err(fault)
            }
        });
        let parts = stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect::<Vec<PartId>>();
        let done = match parts.await {
            Ok(parts) => self.complete(client, location, &upload, (parts, size)).await,
            Err(error) => Err(error),
        };
        if done.is_err()
            && client.abort_multipart(location, &upload).await.is_err_and(|error| !bucket::is_missing(&error))
        {
            // The note stays: somebody will call it off another time.
            return done;
        }
        note.ended().await;
        done
    }

    async fn complete(
        &self,
        client: &Arc<AmazonS3>,
        location: &Location,
        upload: &String,
        (parts, size): (Vec<PartId>, u64),
    ) -> Result<()> {
        match client.complete_multipart(location, upload, parts).await {
            Ok(_) => Ok(()),
            // If its first answer was lost there is no such upload any more, but the file.
            Err(error) => match client.head(location).await {
                Ok(found) if found.size == size && bucket::is_missing(&error) => Ok(()),
                _ => Err(fault(error)),
            },
        }
    }

    /// Waits until so many bytes may be in memory.
    async fn room(&self, bytes: u64) -> Result<SemaphorePermit<'_>> {
        let mebibytes = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(MEMORY).clamp(1, MEMORY);
        self.memory.acquire_many(mebibytes).await.map_err(Error::internal)
    }

    async fn open(&self, key: &Key) -> Result<Option<Object>> {
        let (client, location) = (self.client().await?, location(key)?);
        let asked = client.get_opts(&location, GetOptions { head: true, ..GetOptions::default() }).await;
        let found = match asked {
            Err(error) if bucket::is_missing(&error) => return Ok(None),
            asked => asked.map_err(fault)?,
        };
        let told = |attribute: Attribute| found.attributes.get(&attribute).map(|value| value.to_string());
        let content_type = told(Attribute::ContentType).filter(|told| !told.is_empty());
        let tag = found.meta.e_tag.as_deref().map(|tag| tag.trim_matches('"').to_owned());
        let head = Head {
            content_type: content_type.unwrap_or_else(|| UNKNOWN_TYPE.to_owned()),
            original_name: told(Attribute::Metadata(ORIGINAL_NAME.into())).map(|name| escape::undo(&name)),
            size: found.meta.size,
            modified: SystemTime::from(found.meta.last_modified),
            tag,
        };
        let content = Stored { client: Arc::clone(client), location, size: head.size, version: found.meta.e_tag };
        Ok(Some(Object { head, content: Arc::new(content) }))
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        match self.client().await?.delete(&location(key)?).await {
            Err(error) if !bucket::is_missing(&error) => Err(fault(error)),
            _ => Ok(()),
        }
    }

    async fn tidy(&self) -> Result<()> {
        for (path, note) in self.uploads.left_behind(&self.params).await? {
            let location = Location::parse(&note.key).map_err(Error::internal)?;
            match self.client().await?.abort_multipart(&location, &note.upload).await {
                Err(error) if !bucket::is_missing(&error) => return Err(fault(error)),
                _ => erase(&path)?,
            }
        }
        Ok(())
    }
}

impl Store for Bucket {
    fn put<'a>(&'a self, key: &'a Key, source: &'a Path, about: &'a About) -> BoxFuture<'a, Result<()>> {
        self.inner.put(key, source, about).boxed()
    }

    fn open<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        self.inner.open(key).boxed()
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let (inner, folder) = (Arc::clone(&self.inner), folder.clone());
        let listed = async move {
            let found = inner.client().await?.list(Some(&location(&folder)?));
            Ok(found.map_err(fault).try_filter_map(|found| async move {
                let key = Key::parse(found.location.as_ref());
                if key.is_err() {
                    tracing::warn!(object = %found.location, "this is not ours and stays");
                }
                Ok(key.ok())
            }))
        };
        listed.try_flatten_stream().boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.inner.delete(key).boxed()
    }

    fn tidy(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.tidy().boxed()
    }
}

/// An object that was found.
#[derive(Debug)]
struct Stored {
    client: Arc<AmazonS3>,
    location: Location,
    size: u64,
    /// Only these bytes are the ones that were found.
    version: Option<String>,
}

impl Content for Stored {
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let wanted = range.end - range.start;
        let part = (wanted < self.size).then_some(GetRange::Bounded(range));
        let options = GetOptions { range: part, if_match: self.version.clone(), ..GetOptions::default() };
        let (client, location) = (Arc::clone(&self.client), self.location.clone());
        let got =
            async move { Ok(client.get_opts(&location, options).await.map_err(fault)?.into_stream().map_err(fault)) };
        exactly(wanted, got.try_flatten_stream().boxed()).boxed()
    }
}

/// So many bytes of `chunks`: fewer are an error, and what follows is not looked at.
fn exactly(bytes: u64, chunks: BoxStream<'static, Result<Bytes>>) -> impl futures_util::Stream<Item = Result<Bytes>> {
    stream::try_unfold((bytes, chunks), |(left, mut chunks)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(mut chunk) = chunks.try_next().await? else {
            return Err(Error::internal(anyhow::anyhow!("the bucket sent {left} bytes too few")));
        };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.len() as u64;
        Ok(Some((chunk, (left, chunks))))
    })
}

/// The parts of a file of this size.
pub(super) fn ranges(size: u64) -> impl Iterator<Item = Range<u64>> {
    let part = part_size(size);
    (0..size.div_ceil(part)).map(move |number| number * part..size.min((number + 1) * part))
}

/// Bytes of each part but the last.
pub(super) fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MAX_PARTS).next_multiple_of(1 << 20))
}

/// These bytes of a file, read where that may be waited for.
async fn read(file: Arc<File>, range: Range<u64>) -> Result<Vec<u8>> {
    let read = move || {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(Error::internal)?];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    };
    tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
}

fn attributes(about: &About) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, about.content_type.clone().into());
    if let Some(name) = &about.original_name {
        let name = escape::escaped(&name[..name.floor_char_boundary(MAX_ORIGINAL)]);
        attributes.insert(Attribute::Metadata(ORIGINAL_NAME.into()), name.into());
    }
    attributes
}

fn location(key: &Key) -> Result<Location> {
    Location::parse(key.as_str()).map_err(|error| Error::invalid("A file has an impossible name.").because(error))
}

/// What a client hears of it: that it has to wait, or that something is wrong with us. The log hears more.
fn fault(error: object_store::Error) -> Error {
    let why = anyhow::anyhow!("S3: {}", bucket::why(&error));
    if !bucket::may_pass(&error) {
        return Error::internal(why);
    }
    let mut fault = Error::new(Kind::Busy, "The storage of files cannot be reached, try again in a moment.");
    fault.retry_after = Some(RETRY_AFTER);
    fault.because(why)
}

#[cfg(test)]
mod tests;
