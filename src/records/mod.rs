//! The record: values, validation, reads, writes, expand (`docs/wire/records-api.md`).
//!
//! Reading lives here and beside this file; every write passes [`write`].
//! May touch `files`, `rules`, `schema`, `identity` and `db`. Main type: [`Records`], one function per action.

mod answer;
mod cache;
mod counts;
mod expand;
mod fields;
mod files;
mod history;
mod layout;
mod list;
mod params;
mod render;
mod sheet;
#[cfg(test)]
mod tests;
mod view;
mod visibility;
mod watch;
mod write;

use std::sync::{Arc, atomic::AtomicU32};

use serde_json::{Map, Value as Json};

pub use self::{
    fields::Picker,
    files::NamedFile,
    history::Story,
    params::ListParams,
    watch::{Glance, Lens, Scope, State},
    write::{Act, Asked, BatchFailure, Bulk, MAX_BULK_ROWS, MAX_UNDELETED, Script, Trial, Tried, Undeleted},
};

pub use self::cache::Lookups;
use self::{cache::RowCache, counts::Counts, expand::Paths, layout::Tables};
use crate::{
    db::Db,
    error::Result,
    files::{Storage, Upload},
    identity::{Passwords, Throttle},
    jobs::Jobs,
    rules::Request,
    schema::Schema,
};

/// A request's body: values by key (modifiers included) and uploaded files.
#[derive(Debug, Default)]
pub struct Body {
    pub values: Map<String, Json>,
    pub uploads: Vec<Upload>,
}

/// How an answer is shaped: `expand` and `fields` (§7, §8).
#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub expand: Option<String>,
    pub fields: Option<String>,
}

impl Shape {
    /// Fails when an answer could not be shaped so; for writes, before they happen.
    pub fn check(&self) -> Result<()> {
        self.fields.as_deref().map(Picker::parse).transpose()?;
        self.expand.as_deref().map(Paths::parse).transpose()?;
        Ok(())
    }
}

/// Rows by id are remembered up to this size.
const ROW_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A rendered JSON answer.
pub type Rendered = Vec<u8>;

/// Any JSON answer cut down to what `fields` asks for (§7): for answers that are more than a record.
pub fn pick(answer: &[u8], fields: &str) -> Result<Rendered> {
    Picker::parse(fields)?.apply(answer, false)
}

/// [`pick`] for a page of a list: `fields` are those of its items.
pub fn pick_items(page: &[u8], fields: &str) -> Result<Rendered> {
    Picker::parse(fields)?.apply(page, true)
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
    Update {
        id: String,
    },
    Delete {
        id: String,
    },
    /// What no batch can do: it fails when its turn comes, so that the first bad item is the one that is told.
    Unsupported,
}

/// All actions on records. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    db: Db,
    schema: Schema,
    storage: Storage,
    passwords: Passwords,
    jobs: Jobs,
    /// Of the old passwords that changes ask for.
    throttle: Arc<Throttle>,
    /// What rendering needs of each collection.
    tables: Arc<Tables>,
    rows: Arc<RowCache>,
    counts: Arc<Counts>,
    writes: write::Desk,
    /// How many want dropped files to stay.
    keepers: Arc<AtomicU32>,
}

impl Records {
    /// Over an opened database. Listens to its commits, so it is made once per database.
    pub fn new(db: Db, schema: Schema, storage: Storage, passwords: Passwords, jobs: Jobs) -> Self {
        let rows = Arc::new(RowCache::new(ROW_CACHE_BYTES));
        let counts = Arc::new(Counts::new(*db.watch().borrow()));
        let (cached, counted) = (rows.clone(), counts.clone());
        db.on_commit(move |commit| {
            for (_, change) in &commit.changes {
                cached.forget(&change.collection, &change.record);
            }
            for (_, touched) in &commit.quiet {
                cached.forget(&touched.collection, &touched.record);
            }
            counted.note(commit);
        });
        let (cached, counted) = (rows.clone(), counts.clone());
        // Somebody else wrote, or another database took the place of ours.
        db.on_new_epoch(move |_| {
            cached.clear();
            counted.clear();
        });
        write::Desk::follow_removals(&schema, &jobs);
        let (tables, throttle, writes) = (Arc::default(), Arc::default(), write::Desk::default());
        let keepers = Arc::default();
        Self { db, schema, storage, passwords, jobs, throttle, tables, rows, counts, writes, keepers }
    }

    /// How often rows and totals of lists were asked for, and known without asking the database.
    pub fn lookups(&self) -> [(&'static str, Lookups); 2] {
        [("rows", self.rows.lookups()), ("totals", self.counts.lookups())]
    }

    /// Nobody has failed to tell an old password.
    pub fn forget_failures(&self) {
        self.throttle.forget_all();
    }

    /// Where the house itself may spool an [`Upload`].
    pub fn spool_path(&self) -> std::path::PathBuf {
        self.storage.spool_path()
    }
}
