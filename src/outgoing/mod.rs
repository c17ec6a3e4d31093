//! Connections that we make to others over HTTP: who we say we are, whom we trust, where we may not be sent, how long we
//! wait and how much we read.
//!
//! May touch nothing of the house but the time. Main types: [`Outgoing`] for addresses that strangers name (guarded,
//! bounded, no redirects), [`Lazy`] and [`Guard`] for those who need a client of their own, [`bucket`] for S3.

mod answer;
pub mod bucket;
mod client;
mod failure;
mod guard;
mod guarded;

pub use self::{
    answer::{Answer, bounded, retry_after},
    client::{Lazy, USER_AGENT, describe},
    failure::{Failure, Hop},
    guard::{Allows, Guard, admit, is_near_or_public, is_public},
    guarded::Outgoing,
};
