//! Signing in and staying so (`docs/wire/auth.md` §3): one file per group of routes.

mod impersonate;
mod login;
mod password;
mod refresh;

pub use self::{impersonate::impersonate, password::with_password, refresh::refresh};
