//! The record: values, validation, reads, writes, expand (`docs/wire/records-api.md`).
//!
//! Reading lives here and beside this file; every write passes [`write`].
//! May touch `files`, `rules`, `schema`, `identity` and `db`. Main type: [`Records`], one function per action.

mod render;
mod write;

use std::sync::Arc;

use serde_json::{Map, Value as Json};
pub use write::BatchFailure;

use crate::{
    db::{Db, Row},
    error::{Error, Result},
    files::{Storage, Upload},
    identity::{AuthRecord, Passwords},
    rules::Request,
    schema::{Collection, Schema},
};

/// A request's body: values by key (modifiers included) and uploaded files.
#[derive(Debug, Default)]
pub struct Body {
    pub values: Map<String, Json>,
    pub uploads: Vec<Upload>,
}

/// `records-api.md` §2, parsed and clamped.
#[derive(Debug, Clone)]
pub struct ListParams {
    pub page: u64,
    pub per_page: u64,
    pub skip_total: bool,
    pub filter: Option<String>,
    pub sort: Option<String>,
}

/// How an answer is shaped: `expand` and `fields` (§7, §8).
#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub expand: Option<String>,
    pub fields: Option<String>,
}

/// A rendered JSON answer.
pub type Rendered = Vec<u8>;

/// Any JSON answer cut down to what `fields` asks for (§8): for answers that are more than a record.
pub fn pick(answer: &[u8], fields: &str) -> Result<Rendered> {
    todo!()
}

/// One entry of a batch (§9).
#[derive(Debug)]
pub struct BatchItem {
    pub action: BatchAction,
    pub collection: String,
    pub body: Body,
    pub shape: Shape,
    /// The item's own request: query, headers and method; the caller is the outer one.
    pub request: Request,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchAction {
    Create,
    Upsert,
    Update { id: String },
    Delete { id: String },
}

/// All actions on records. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    db: Db,
    schema: Schema,
    storage: Storage,
    passwords: Passwords,
    writes: write::Desk,
}

impl Records {
    pub fn new(db: Db, schema: Schema, storage: Storage, passwords: Passwords) -> Self {
        todo!()
    }

    pub async fn list(&self, request: Request, collection: &str, params: ListParams, shape: Shape) -> Result<Rendered> {
        todo!()
    }

    pub async fn view(&self, request: Request, collection: &str, id: &str, shape: Shape) -> Result<Rendered> {
        todo!()
    }

    /// The stored row of a record by id (row cache first), hidden columns included. No rule applies.
    pub async fn load(&self, collection: &Arc<Collection>, id: &str) -> Result<Option<Arc<Row>>> {
        todo!()
    }

    /// Drops a record from the row cache: for the one write that is no record write, the upgrade of a password hash.
    /// To be called after its COMMIT and before its acknowledgement.
    pub fn forget(&self, collection: &str, id: &str) {
        todo!()
    }

    /// True when the record satisfies the rule (`None`: superusers only).
    pub async fn satisfies(
        &self,
        request: &Request,
        collection: &Arc<Collection>,
        id: &str,
        rule: Option<&str>,
    ) -> Result<bool> {
        todo!()
    }

    /// A record as an auth answer shows it: e-mail always, hidden fields for superuser records only; `expand` as the
    /// authenticated record itself.
    pub async fn render_authenticated(&self, request: Request, record: &AuthRecord, shape: Shape) -> Result<Rendered> {
        todo!()
    }
}
