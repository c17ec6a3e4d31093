//! Uploads in parts that a bucket was told to begin, noted on the local disk until they have ended.
//!
//! The parts of an upload that never ends are seen by nobody and paid for by somebody. If the process dies, the next one
//! finds the note and calls the upload off.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    outgoing::bucket::Params,
    random,
};

/// The notes of one data directory.
#[derive(Debug)]
pub struct Uploads {
    folder: PathBuf,
    /// What this process cares for. Held for look-ups only.
    running: Mutex<HashSet<PathBuf>>,
}

/// What has to be known of an upload to call it off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    endpoint: String,
    bucket: String,
    pub key: String,
    /// The bucket's name for it.
    pub upload: String,
}

impl Note {
    /// Whether it is about this bucket.
    fn is_of(&self, params: &Params) -> bool {
        self.endpoint == params.endpoint && self.bucket == params.bucket
    }
}

impl Uploads {
    /// The notes in a folder, which is created with the first.
    pub fn open(folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { folder, running: Mutex::default() })
    }

    /// Notes that an upload has begun.
    pub async fn note(self: &Arc<Self>, params: &Params, key: &str, upload: &str) -> Result<Running> {
        let path = self.folder.join(random::string(random::LOWER_ALPHANUMERIC, 20));
        let note = Note {
            endpoint: params.endpoint.clone(),
            bucket: params.bucket.clone(),
            key: key.to_owned(),
            upload: upload.to_owned(),
        };
        self.running.lock().insert(path.clone());
        let running = Running { uploads: Arc::clone(self), path };
        tokio::fs::create_dir_all(&self.folder).await?;
        tokio::fs::write(&running.path, serde_json::to_vec(&note).map_err(Error::internal)?).await?;
        Ok(running)
    }

    /// The uploads to this bucket that nobody in this process cares for.
    pub async fn left_behind(self: &Arc<Self>, params: &Params) -> Result<Vec<(PathBuf, Note)>> {
        let (uploads, params) = (Arc::clone(self), params.clone());
        let read = move || {
            let mut found = Vec::new();
            let entries = match fs::read_dir(&uploads.folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                if uploads.running.lock().contains(&path) {
                    continue;
                }
                let text = match fs::read(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    text => text?,
                };
                match serde_json::from_slice::<Note>(&text) {
                    Ok(note) if note.is_of(&params) => found.push((path, note)),
                    // Of another bucket: it will be seen to if that is the one again.
                    Ok(_) => {}
                    // Half a note: the process died before it sent a part.
                    Err(_) => erase(&path)?,
                }
            }
            Ok(found)
        };
        tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
    }
}

/// An upload that this process cares for. Dropped without having ended, it is one that was left behind.
#[derive(Debug)]
pub struct Running {
    uploads: Arc<Uploads>,
    path: PathBuf,
}

impl Running {
    /// It is complete, or was called off.
    pub async fn ended(self) {
        if let Err(error) = tokio::fs::remove_file(&self.path).await {
            tracing::warn!(path = %self.path.display(), %error, "the note of an upload stays for now");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.uploads.running.lock().remove(&self.path);
    }
}

/// Removes a note. A missing one is fine. Blocks, briefly.
pub fn erase(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[tokio::test]
    async fn what_did_not_end_is_left_behind_to_whoever_has_the_bucket() {
        let place = TempDir::new();
        let uploads = Uploads::open(place.path().join("notes"));
        let params = |bucket: &str| Params {
            endpoint: "http://x".into(),
            region: "r".into(),
            bucket: bucket.into(),
            access_key: "a".into(),
            secret: "s".into(),
            path_style: true,
        };
        let ours = params("ours");
        assert_eq!(uploads.left_behind(&ours).await.unwrap(), [], "there is no folder yet");
        uploads.note(&ours, "c/r/ended", "1").await.unwrap().ended().await;
        let running = uploads.note(&ours, "c/r/running", "2").await.unwrap();
        drop(uploads.note(&ours, "c/r/dropped", "3").await.unwrap());
        drop(uploads.note(&params("theirs"), "c/r/elsewhere", "4").await.unwrap());
        fs::write(place.path().join("notes/half"), "{\"endpo").unwrap();

        let left = uploads.left_behind(&ours).await.unwrap();
        assert!(matches!(left.as_slice(), [(_, note)] if note.key == "c/r/dropped" && note.upload == "3"), "{left:?}");
        drop(running);
        // The next process.
        let uploads = Uploads::open(place.path().join("notes"));
        for (path, _) in uploads.left_behind(&ours).await.unwrap() {
            erase(&path).unwrap();
            erase(&path).unwrap();
        }
        assert_eq!(uploads.left_behind(&ours).await.unwrap(), []);
        assert_eq!(uploads.left_behind(&params("theirs")).await.unwrap().len(), 1);
    }
}
