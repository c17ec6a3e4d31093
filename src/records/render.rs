//! From stored rows to the wire's bytes.

use std::sync::Arc;

use super::{Records, Rendered, Shape};
use crate::{
    db::{ReadTx, Row},
    error::Result,
    rules::Request,
    schema::{Catalog, Collection},
};

impl Records {
    /// What a write answers after its commit: `row` (all columns, in the order of `collection.fields`) as the caller of
    /// `request` may see it, shaped and expanded. No view rule applies (`records-api.md` §4.1).
    pub(super) async fn answer(
        &self,
        request: Request,
        collection: &Arc<Collection>,
        row: Arc<Row>,
        shape: Shape,
    ) -> Result<Rendered> {
        todo!()
    }
}

/// [`Records::answer`] inside a transaction, for batch items.
pub(super) fn answer_in(
    tx: &ReadTx<'_>,
    catalog: &Arc<Catalog>,
    request: &Request,
    collection: &Arc<Collection>,
    row: &Arc<Row>,
    shape: &Shape,
) -> Result<Rendered> {
    todo!()
}
