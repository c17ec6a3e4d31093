//! Certificates from an authority that speaks ACME (RFC 8555): each domain has a keeper that obtains one and renews it in
//! time.
//!
//! A domain has a certificate of its own, so one that does not lead here (yet) keeps none from another. Where an
//! authority is down, refuses or is slow, what is in use stays in use, and the keeper comes back later.

mod account;
mod authority;
mod challenges;
mod failure;
mod information;
mod keeper;
mod order;
mod renewal;
mod web;

pub use self::{
    authority::{Authority, Binding, LETS_ENCRYPT},
    challenges::Challenges,
    keeper::Keepers,
};
