//! The wire, and nothing but the wire: parses requests, calls one function of the house, renders the answer.
//!
//! May touch every room below. Main entrance: [`server::run`]; the route table is [`routes`].

pub mod server;
