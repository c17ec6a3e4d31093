//! The write path: create, update, delete, batch, truncate (`docs/wire/records-api.md` §4–§6, §9).

use std::time::Duration;

use super::{BatchItem, Body, Records, Rendered, Shape};
use crate::{
    error::{Error, Result},
    rules::Request,
};

/// What the write path keeps between requests. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Desk {}

/// Why a batch failed; nothing of it was written.
#[derive(Debug)]
pub struct BatchFailure {
    /// The first bad item; `None` when the batch failed as a whole (time, disk, load).
    pub index: Option<usize>,
    pub error: Error,
}

impl Records {
    pub async fn create(&self, request: Request, collection: &str, body: Body, shape: Shape) -> Result<Rendered> {
        todo!()
    }

    pub async fn update(
        &self,
        request: Request,
        collection: &str,
        id: &str,
        body: Body,
        shape: Shape,
    ) -> Result<Rendered> {
        todo!()
    }

    pub async fn delete(&self, request: Request, collection: &str, id: &str) -> Result<()> {
        todo!()
    }

    /// All or nothing in one transaction: the body of each item (`None` for a delete), or the first bad item.
    pub async fn batch(&self, items: Vec<BatchItem>, timeout: Duration) -> Result<Vec<Option<Rendered>>, BatchFailure> {
        todo!()
    }

    /// Deletes every record with cascades and files in one transaction.
    pub async fn truncate(&self, collection: &str) -> Result<()> {
        todo!()
    }
}
