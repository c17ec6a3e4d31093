//! Signing in and staying so (`docs/wire/auth.md` §3): one file per group of routes.

mod login;
mod password;
mod refresh;

pub use self::{password::with_password, refresh::refresh};
