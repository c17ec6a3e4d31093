//! Signing in with another site's account (`docs/wire/auth-oauth2.md`).
//!
//! [`provider`] says how one site is asked.

pub mod provider;
