//! The wire, and nothing but the wire: parses requests, calls one function of the house, renders the answer.
//!
//! May touch every room below. Main entrance: [`server::run`]; the route table is `routes`, the way every request
//! takes through the house is `middleware::answer`.

mod api;
mod download;
mod ending;
mod error;
mod extract;
mod health;
mod left;
mod middleware;
mod reply;
mod routes;
pub mod server;
mod socket;
mod streams;
#[cfg(test)]
mod tests;
pub mod tls;

use std::cell::RefCell;

use crate::app::App;

/// What the requests of one worker share.
struct Wire {
    app: App,
    health: health::Health,
    worker: health::Worker,
    origins: middleware::cors::Origins,
    /// What the rules of the current catalog ask of a request.
    asked: RefCell<extract::rule_request::Asked>,
}

impl Wire {
    /// On the worker's own thread.
    fn new(app: App, health: health::Health, options: &server::Options) -> Self {
        let origins = middleware::cors::Origins::new(&options.origins);
        Self { app, worker: health.worker(), health, origins, asked: RefCell::default() }
    }
}
