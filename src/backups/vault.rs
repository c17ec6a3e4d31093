//! A bucket that archives go to: in one request or in parts, each upload in parts noted on this disk until it has ended.
//! The parts of one that never ends are seen by nobody and paid for by somebody.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use object_store::{
    ObjectStoreExt,
    aws::AmazonS3,
    multipart::{MultipartStore, PartId},
    path::Path as Location,
};
use tokio::{fs::File, io::AsyncReadExt};

use super::{
    shelf::{fault, location},
    turn::Turns,
};
use crate::{
    error::{Error, Result},
    files::uploads::{Uploads, erase},
    outgoing::bucket::{self, Params},
    progress::{Progress, Unit},
};

/// Parts in which an archive goes to a bucket, in bytes; larger when there would be too many.
const PART: u64 = 8 << 20;
const MAX_PARTS: u64 = 9_000;

/// The bucket that the settings name.
#[derive(Debug)]
pub struct Vault {
    pub client: Arc<AmazonS3>,
    params: Params,
    uploads: Arc<Uploads>,
}

impl Vault {
    /// Nobody is asked yet. `uploads` are the notes of this data directory.
    pub async fn open(params: Params, uploads: Arc<Uploads>) -> Result<Self> {
        let asked = params.clone();
        let opened = tokio::task::spawn_blocking(move || bucket::open(&asked)).await.map_err(Error::internal)?;
        let client = opened.map_err(|error| Error::invalid(format!("The bucket of the backups: {error}.")))?;
        Ok(Self { client, params, uploads })
    }

    /// Sends a file, no more than a part of which is in memory. Nobody sees half of it. Has to be carried through: dropped
    /// before its end, its parts stay until [`Vault::tidy`].
    pub async fn send(&self, key: &str, source: &Path, turns: &Turns, progress: &Progress) -> Result<()> {
        // What an earlier process left is called off as soon as the bucket can be reached again.
        if let Err(error) = self.tidy().await {
            tracing::warn!(%error, "parts of earlier backups stay in the bucket for now");
        }
        let to = location(key)?;
        let mut file = File::open(source).await?;
        let size = file.metadata().await?.len();
        progress.begin("Sending it to the bucket", size, Unit::Bytes);
        let part = PART.max(size / MAX_PARTS);
        if size <= part {
            self.client.put(&to, read_part(&mut file, size).await?.into()).await.map_err(fault)?;
            progress.advance(size);
            return Ok(());
        }
        let upload = self.client.create_multipart(&to).await.map_err(fault)?;
        let note = match self.uploads.note(&self.params, key, &upload).await {
            Ok(note) => note,
            Err(error) => {
                let _ = self.client.abort_multipart(&to, &upload).await;
                return Err(error);
            }
        };
        let sent = self.send_parts(&to, &upload, (&mut file, size, part), turns, progress).await;
        if sent.is_err()
            && let Err(error) = self.client.abort_multipart(&to, &upload).await
            && !bucket::is_missing(&error)
        {
            tracing::warn!(%error, "parts of a backup stay in the bucket for now");
            // The note stays: somebody will call it off another time.
            return sent;
        }
        note.ended().await;
        sent
    }

    async fn send_parts(
        &self,
        to: &Location,
        upload: &String,
        (file, size, part): (&mut File, u64, u64),
        turns: &Turns,
        progress: &Progress,
    ) -> Result<()> {
        let mut parts: Vec<PartId> = Vec::new();
        let mut left = size;
        while left > 0 {
            turns.check()?;
            let bytes = read_part(file, part.min(left)).await?;
            let length = bytes.len() as u64;
            parts.push(self.client.put_part(to, upload, parts.len(), bytes.into()).await.map_err(fault)?);
            left -= length;
            progress.advance(length);
        }
        match self.client.complete_multipart(to, upload, parts).await {
            Ok(_) => Ok(()),
            // If its first answer was lost there is no such upload any more, but the archive.
            Err(error) => match self.client.head(to).await {
                Ok(found) if found.size == size && bucket::is_missing(&error) => Ok(()),
                _ => Err(fault(error)),
            },
        }
    }

    /// Calls off what earlier processes began to send here and did not end.
    pub async fn tidy(&self) -> Result<()> {
        for (path, note) in self.uploads.left_behind(&self.params).await? {
            match self.client.abort_multipart(&location(&note.key)?, &note.upload).await {
                Err(error) if !bucket::is_missing(&error) => return Err(fault(error)),
                _ => erase(&path)?,
            }
        }
        Ok(())
    }
}

async fn read_part(file: &mut File, length: u64) -> Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).map_err(Error::internal)?];
    file.read_exact(&mut bytes).await?;
    Ok(bytes.into())
}
