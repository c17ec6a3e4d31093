//! Conch: a whole backend in one executable.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod db;
pub mod error;
pub mod files;
pub mod http;
pub mod identity;
pub mod random;
pub mod records;
pub mod rules;
pub mod schema;
pub mod settings;
