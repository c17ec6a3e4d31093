//! What a judgement stands on; and what it needs but may not find out itself, because it is slow: hashes, password
//! checks, files in place.
//!
//! A judgement notes what it misses and goes on as if it were favourable; whoever runs it then finds the facts off the
//! writer thread and has it judged again. So nothing is hashed or stored for a request that fails anyway.

use std::collections::HashMap;

use super::{files::Folder, plan::Plans};
use crate::{db::ReadTx, schema::Catalog};

/// What a judgement stands on.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub tx: &'a ReadTx<'a>,
    pub catalog: &'a Catalog,
    pub plans: &'a Plans,
    pub facts: &'a Facts,
    /// An earlier judgement of the same task stood on this sequence number: what it found then need not be looked for
    /// in all the table again.
    pub since: Option<u64>,
}

/// Known facts of one request (all items of a batch).
#[derive(Default, Clone)]
pub(super) struct Facts {
    /// By item and field id: the plain text and its hash.
    hashes: HashMap<(usize, String), (String, String)>,
    /// By hash and plain text.
    verified: HashMap<(String, String), bool>,
    /// By item and position of the upload.
    placed: HashMap<(usize, usize), Folder>,
}

/// A missing fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// The hash of a new password.
    Hash { item: usize, field: String, plain: String },
    /// Whether an old password is right.
    Verify { hash: String, plain: String },
    /// An upload at its place.
    Place { item: usize, upload: usize, folder: Folder },
}

/// Stands for a hash that is not known yet; nothing is ever written with it.
pub(super) const PENDING_HASH: &str = "$pending";

impl Facts {
    pub fn hash(&self, item: usize, field: &str, plain: &str) -> Option<&str> {
        // The key is small and the map has a handful of entries at most. An item may be another one in the next
        // attempt: then this is not its hash.
        let (of, hash) = self.hashes.get(&(item, field.to_owned()))?;
        (of == plain).then_some(hash)
    }

    pub fn verified(&self, hash: &str, plain: &str) -> Option<bool> {
        self.verified.get(&(hash.to_owned(), plain.to_owned())).copied()
    }

    /// Where an upload was put.
    pub fn place(&self, item: usize, upload: usize) -> Option<&Folder> {
        self.placed.get(&(item, upload))
    }

    pub fn learn_hash(&mut self, item: usize, field: String, plain: String, hash: String) {
        self.hashes.insert((item, field), (plain, hash));
    }

    pub fn learn_verified(&mut self, hash: String, plain: String, right: bool) {
        self.verified.insert((hash, plain), right);
    }

    pub fn learn_placed(&mut self, item: usize, upload: usize, folder: Folder) {
        self.placed.insert((item, upload), folder);
    }
}
