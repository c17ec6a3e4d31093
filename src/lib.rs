//! Conch: a whole backend in one executable.
//!
//! The house has floors; a module imports only from those below its own. From the top:
//!
//! - [`cli`]: the command line, one file per subcommand.
//! - [`http`]: the wire, and nothing but the wire.
//! - [`app`]: what requests and background tasks share, built once.
//! - [`realtime`]: live readers of the change log. [`notify`]: scheduled notifications. [`backups`]: copies of everything.
//! - [`console`]: SQL that a superuser typed.
//! - [`auth`] over [`mail`] over [`records`] over [`files`] over [`jobs`] over [`rules`] over [`schema`] over
//!   [`identity`]: the domain.
//! - [`settings`] and [`logs`], over [`db`]: the settings tree; the log that superusers read; SQLite, its writer, its
//!   readers and the change log.
//! - [`outgoing`]: connections to others. [`error`], [`clock`], [`life`], [`progress`], [`measure`], [`random`], [`threads`], [`windows`],
//!   [`memory`], [`address`], [`entities`]: what everybody stands on.
//!
//! `docs/ARCHITECTURE.md` walks a request through it and says why things are as they are; `docs/wire/` is the
//! specification that comments cite.

pub mod address;
pub mod app;
pub mod auth;
pub mod backups;
pub mod cli;
pub mod clock;
pub mod console;
pub mod db;
pub mod entities;
pub mod error;
pub mod files;
pub mod http;
pub mod identity;
pub mod jobs;
pub mod life;
pub mod logs;
pub mod mail;
pub mod measure;
pub mod memory;
pub mod notify;
pub mod outgoing;
pub mod progress;
pub mod random;
pub mod realtime;
pub mod records;
pub mod rules;
pub mod schema;
pub mod settings;
pub mod snapshots;
pub mod threads;
pub mod trickle;
pub mod windows;
