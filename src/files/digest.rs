//! What the bytes of a file are, in the forms in which stores say it: their MD5, or that of the MD5s of their parts.

use futures_util::TryStreamExt;
use md5::{Digest as _, Md5};

use super::{bucket::part_size, store::Object};
use crate::error::Result;

/// Bytes of each part of a large upload but the last: stores want 5 MiB at least and all of one size.
pub const PART: u64 = 8 << 20;

/// Both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// In hex.
    pub md5: String,
    /// Of the parts in which we upload it.
    parts: String,
}

impl Digest {
    /// Reads the whole file.
    pub async fn of(object: &Object) -> Result<Self> {
        let size = object.head.size;
        let part = part_size(size);
        let (mut whole, mut in_part, mut ended) = (Md5::new(), Md5::new(), Md5::new());
        let (mut left, mut count) = (part, 0u64);
        let mut chunks = object.read(0..size);
        while let Some(chunk) = chunks.try_next().await? {
            whole.update(&chunk);
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                in_part.update(&rest[..take]);
                rest = &rest[take..];
                left -= take as u64;
                if left == 0 {
                    ended.update(std::mem::take(&mut in_part).finalize());
                    (left, count) = (part, count + 1);
                }
            }
        }
        if left < part {
            ended.update(in_part.finalize());
            count += 1;
        }
        Ok(Self { md5: hex(&whole.finalize()), parts: format!("{}-{count}", hex(&ended.finalize())) })
    }

    /// Whether a store that says this means the same bytes. If not, they may be the same nevertheless: not all stores say
    /// what the bytes are.
    pub fn is(&self, tag: &str) -> bool {
        tag == self.md5 || tag == self.parts
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::testing::TempDir,
        files::{Key, Storage},
    };

    #[tokio::test]
    async fn both_forms_are_those_of_the_stores() {
        let place = TempDir::new();
        let storage = Storage::open(place.path(), false).unwrap();
        for (size, md5, parts) in [
            (0, "d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-0"),
            // md5 of 20 MiB of zeros; md5(md5(8 MiB) + md5(8 MiB) + md5(4 MiB)).
            (20 << 20, "8f4e33f3dc3e414ff94e5fb6905cba8c", "5452e5568d20a60209babc69a7b95911-3"),
        ] {
            let key = Key::file("c", "r", "a.bin").unwrap();
            storage.put_made(&key, vec![0; size], "x/y").await.unwrap();
            let object = storage.find(&key).await.unwrap().unwrap();
            let digest = Digest::of(&object).await.unwrap();
            assert_eq!((digest.md5.as_str(), digest.parts.as_str()), (md5, parts));
            assert!(digest.is(md5) && digest.is(parts) && !digest.is("other"));
            assert_eq!(object.head.tag.as_deref(), Some(md5));
        }
    }
}
