//! The settings tree, its store, masking and encryption (`docs/wire/services.md` §4).
//!
//! May touch `db`. Main types: [`Settings`] (a snapshot) and [`Store`].

mod cipher;
mod cron;
mod format;
mod merge;
pub mod network;
mod store;
mod tree;
mod validate;
mod words;

pub use cipher::Cipher;
pub use merge::nest_form;
pub use store::{CREATE_TABLE, Store, stored_in_bucket};
pub use tree::{
    Backups, Batch, Fcm, Logs, Meta, Notify, RateLimitRule, RateLimits, Rates, S3, Settings, Smtp, TrustedProxy,
    WebPush,
};
pub use words::{Shown, patch as from_words, shown};
