//! Backups: archives of the whole data directory, made while it is served (`docs/wire/services.md` §8).
//!
//! May touch the data directory, the folder `backups/` in it or a bucket, and through their rooms the database, settings,
//! jobs and mails. Main types: [`Archive`], which reads what anybody may have made, and [`verify`], which judges it.
//!
//! | file | idea |
//! | --- | --- |
//! | `zip` | the format, and no more of it than is needed |
//! | `archive` | what an archive holds; unpacking it, whoever made it |
//! | `contents` | which files belong to a database |
//! | `verify` | whether what was unpacked can be served |

mod archive;
mod contents;
mod verify;
pub mod zip;

pub use archive::{About, Archive, Limits, free_bytes};
pub use verify::{Report, verify};
