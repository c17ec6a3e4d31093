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
//! | `swap` | the content of a directory exchanged by renames, under a journal: finished or undone after any crash |
//! | `restore` | an archive made ready beside the data, tried there, and only then decided for |
//! | `upgrade` | the copy of the database that is made before its tables are changed |

mod archive;
mod contents;
pub mod restore;
pub mod swap;
pub mod upgrade;
mod verify;
pub mod zip;

pub use archive::{About, Archive, Limits, free_bytes};
pub use restore::Restorer;
pub use verify::{Report, verify};
