//! Signing in and staying so (`docs/wire/auth.md` §3): one file per group of routes.

mod impersonate;
mod login;
mod methods;
mod password;
mod refresh;

pub use self::{impersonate::impersonate, methods::methods, password::with_password, refresh::refresh};
