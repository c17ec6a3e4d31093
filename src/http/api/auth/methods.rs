//! `auth-methods` (`docs/wire/auth.md` §3.2).

use crate::{
    error::Result,
    http::{api::picked_value, extract::Call, reply::Reply},
};

/// `GET /api/collections/{collection}/auth-methods`
pub fn methods(call: Call, collection: &str) -> Result<Reply> {
    let params = call.query()?;
    picked_value(&call.app().auth.methods(collection)?, &params)
}
