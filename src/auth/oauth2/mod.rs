//! Signing in with another site's account (`docs/wire/auth-oauth2.md`).
//!
//! A sign-in is three things in a row. [`exchange`] gives the provider its code for tokens, [`ask`] finds out who they
//! speak for, and [`link`] decides in one transaction which record that is. [`login`] is where they meet; [`provider`]
//! says how one site is talked to and [`user`] how its answers are read.
//!
//! Nothing that a provider or its user says is believed beyond §6.2: addresses count only if the provider vouches for
//! them, pictures are fetched from the internet only, answers are bounded in size and time.

mod answer;
mod apple;
mod ask;
mod exchange;
pub(super) mod id_token;
mod keys;
mod link;
mod login;
mod names;
mod outside;
mod picture;
pub mod provider;
pub mod returned;
mod user;

pub(super) use outside::Outside;
