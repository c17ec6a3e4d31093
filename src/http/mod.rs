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
mod limits;
mod middleware;
mod openapi;
mod public;
mod reply;
mod routes;
pub mod server;
mod socket;
mod streams;
#[cfg(test)]
mod tests;
pub mod tls;

use std::{cell::RefCell, sync::Arc};

use crate::app::App;

/// What the requests of one worker share.
struct Wire {
    app: App,
    health: health::Health,
    worker: health::Worker,
    shared: Arc<Shared>,
    /// What the rules of the current catalog ask of a request.
    asked: RefCell<extract::rule_request::Asked>,
    openapi: RefCell<openapi::Cache>,
}

impl Wire {
    /// On the worker's own thread.
    fn new(app: App, health: health::Health, shared: Arc<Shared>) -> Self {
        Self { app, worker: health.worker(), health, shared, asked: RefCell::default(), openapi: RefCell::default() }
    }
}

/// What the requests of all workers share.
struct Shared {
    origins: middleware::cors::Origins,
    twins: middleware::www::Twins,
    limits: Arc<limits::Limits>,
    public: public::Public,
    given: Vec<server::Given>,
}

impl Shared {
    /// Once per server, before its runner of jobs starts.
    fn new(app: &App, options: &server::Options) -> Arc<Self> {
        Arc::new(Self {
            origins: middleware::cors::Origins::new(&options.origins),
            twins: middleware::www::Twins::new(&options.hosts),
            limits: limits::Limits::follow(app),
            public: public::Public::new(options.public_dir.clone(), options.index_fallback),
            given: options.given.clone(),
        })
    }
}
