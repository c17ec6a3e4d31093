//! One write as it was asked for: what stays the same however often it is judged.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json};

use crate::{
    error::{Error, Result},
    files::Upload,
    records::{BatchAction, BatchItem, Body, Shape},
    rules::Request,
};

pub(super) struct Task {
    /// Position in the batch; 0 outside of one.
    pub item: usize,
    pub action: BatchAction,
    /// Id or name, as the request has it.
    pub collection: String,
    pub request: Arc<Request>,
    pub values: Map<String, Json>,
    pub uploads: Vec<Staged>,
    pub shape: Shape,
    /// The password was made up by the house: what a chosen one must look like does not concern it.
    pub random_password: bool,
    /// The id of a new record that brought none: the same in every attempt, as its files lie under it.
    generated_id: OnceLock<String>,
}

/// An uploaded file with all that has to be read from the disk to know it.
pub(super) struct Staged {
    pub upload: Upload,
    /// Its generated storage name.
    pub name: String,
    /// Sniffed from its content.
    pub mime: String,
}

impl Task {
    /// Names and sniffs the uploads, off the async workers.
    pub async fn new(
        action: BatchAction,
        collection: &str,
        request: Request,
        body: Body,
        shape: Shape,
    ) -> Result<Self> {
        let uploads = stage(body.uploads).await?;
        let collection = collection.to_owned();
        Ok(Self {
            item: 0,
            action,
            collection,
            request: Arc::new(request),
            values: body.values,
            uploads,
            shape,
            random_password: false,
            generated_id: OnceLock::new(),
        })
    }

    /// A write of the house itself; `item` tells it from others of the same transaction.
    pub fn of_house(
        item: usize,
        action: BatchAction,
        collection: &str,
        request: Request,
        values: Map<String, Json>,
        random_password: bool,
    ) -> Self {
        Self {
            item,
            action,
            collection: collection.to_owned(),
            request: Arc::new(request),
            values,
            uploads: Vec::new(),
            shape: Shape::default(),
            random_password,
            generated_id: OnceLock::new(),
        }
    }

    pub async fn of_batch(item: usize, entry: BatchItem) -> Result<Self> {
        let BatchItem { action, collection, body, shape, mut request } = entry;
        if matches!(action, BatchAction::Delete { .. }) {
            // Delete rules see the raw body (records-filter.md §9.1).
            request.body = body.values.clone();
        }
        Ok(Self { item, ..Self::new(action, &collection, request, body, shape).await? })
    }

    /// The id that this task gives to a new record.
    pub fn generated_id(&self, generate: impl FnOnce() -> String) -> &str {
        self.generated_id.get_or_init(generate)
    }
}

async fn stage(uploads: Vec<Upload>) -> Result<Vec<Staged>> {
    if uploads.is_empty() {
        return Ok(Vec::new());
    }
    let staging = move || {
        let staged = uploads.into_iter().map(|upload| {
            let (name, mime) = (upload.storage_name()?, upload.sniff()?);
            Ok(Staged { upload, name, mime })
        });
        staged.collect::<Result<Vec<Staged>>>()
    };
    tokio::task::spawn_blocking(staging).await.map_err(Error::internal)?
}
