//! The way of every request: one idea per file, put in order here (`docs/wire/services.md` §2).
//!
//! It is one async function, not a stack of boxed services: each step is a call, and the order can be read.

pub mod client_address;
pub mod cors;
mod log;
mod pace;
mod panic;
mod request_id;
mod security_headers;
pub mod superuser_ips;
pub mod www;

use std::{pin::pin, rc::Rc, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{ConnectionType, Method, header::UPGRADE},
};

use self::log::Trace;
use super::{
    Wire, error,
    extract::{Call, caller, path},
    reply::Reply,
    routes,
};
use crate::{
    error::{Error, Result},
    logs::{RequestNumber, numbered},
};

/// Answers one request; never fails and never panics.
pub async fn answer(wire: Rc<Wire>, http: HttpRequest, payload: Payload) -> HttpResponse {
    let closes = switches(&http);
    let started = Instant::now();
    let counted = wire.worker.request(&http, started);
    // Before everything else: whoever asks whether the server lives has to be told, whatever else is the matter.
    let mut response = match wire.health.answer(&http).await {
        Some(reply) => reply.into_response(),
        None => answered(wire, http, payload, started).await,
    };
    response = counted.answered(response);
    if closes {
        // We switch to nothing. actix ends such a connection after the answer, so the client has to be told.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// Whether the client wants to go on in another protocol.
fn switches(http: &HttpRequest) -> bool {
    http.head().upgrade() || http.headers().contains_key(UPGRADE) || http.method() == Method::CONNECT
}

async fn answered(wire: Rc<Wire>, http: HttpRequest, payload: Payload, started: Instant) -> HttpResponse {
    let number = RequestNumber::next();
    // Before everything else, so without CORS and security headers (§1.2).
    if let Some(location) = redirected(&http) {
        let mut response = Reply::redirect(&location).into_response();
        request_id::set(number, &mut response);
        return response;
    }
    if let Some(location) = wire.shared.twins.redirected(&http) {
        let mut response = Reply::redirect(&location).into_response();
        request_id::set(number, &mut response);
        return response;
    }
    if http.method() == Method::OPTIONS {
        let mut response = Reply::no_content().into_response();
        cors::preflight(&wire.shared.origins, &http, &mut response);
        request_id::set(number, &mut response);
        return response;
    }

    let trace = Trace::start(number, wire.clone(), http.clone(), started);
    let outcome = {
        // It is large: from here on only a pointer to it moves.
        let handled = pin!(panic::caught(guarded(wire.clone(), http.clone(), payload, &trace)));
        numbered(number, handled).await
    };
    trace.finish(&outcome);
    let embeddable = matches!(&outcome, Ok(reply) if reply.embeddable);
    let mut response = match outcome {
        Ok(reply) => reply.into_response(),
        Err(failure) => error::reply(&failure).into_response(),
    };
    security_headers::set(&mut response);
    if embeddable {
        security_headers::allow_embedding(&mut response);
    }
    cors::set(&wire.shared.origins, &http, &mut response);
    request_id::set(number, &mut response);
    pace::watched(&http, response)
}

/// Who asks, whether they may ask from there, and then the route.
async fn guarded(wire: Rc<Wire>, http: HttpRequest, payload: Payload, trace: &Trace) -> Result<Reply> {
    let caller = caller::of(&wire, &http).await?;
    trace.met(&caller);
    let call = Call { wire, http, payload, caller };
    superuser_ips::check(&call)?;
    routes::dispatch(call).await
}

/// Where a request for an unclean path has to go.
fn redirected(http: &HttpRequest) -> Option<String> {
    let path = http.uri().path();
    let pages = path == "/_" && matches!(*http.method(), Method::GET | Method::HEAD);
    let clean = if pages { "/_/".to_owned() } else { path::cleaned(path)? };
    Some(match http.query_string() {
        "" => clean,
        query => format!("{clean}?{query}"),
    })
}

/// What a handler that panicked answers.
fn panicked(text: &str) -> Error {
    Error::internal(anyhow::anyhow!("a handler panicked: {text}"))
}
