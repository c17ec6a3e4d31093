//! `GET /api/openapi.json`: the API described for programs. For superusers.

use crate::{
    error::Result,
    http::{extract::Call, reply::Reply},
};

/// The document; made once for each version of the catalog.
pub fn document(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let catalog = call.app().schema.catalog();
    let text = call.wire.openapi.borrow_mut().get(&catalog)?;
    Ok(Reply::json(text))
}
