//! What a handler needs to know of a request: who asks, the path, the query, the body.

pub mod body;
pub mod caller;
pub mod form;
pub mod json;
mod limited;
pub mod multipart;
pub mod path;
pub mod query;
pub mod rule_request;

use std::{net::IpAddr, rc::Rc};

use actix_web::{HttpRequest, dev::Payload};

use super::{Wire, middleware::client_address};
use crate::{
    app::App,
    error::{Error, Result},
    identity::Caller,
};

/// One request on its way to its handler.
pub struct Call {
    pub wire: Rc<Wire>,
    pub http: HttpRequest,
    pub payload: Payload,
    pub caller: Caller,
}

impl Call {
    pub fn app(&self) -> &App {
        &self.wire.app
    }

    /// Who asks, found out again: an account may change while a long body comes in.
    pub async fn caller_now(&self) -> Result<Caller> {
        caller::of(&self.wire, &self.http).await
    }

    /// 401 for guests, 403 for everybody else who is no superuser (`docs/wire/services.md` §1.3).
    pub fn require_superuser(&self) -> Result<()> {
        match &self.caller {
            Caller::Superuser(_) => Ok(()),
            Caller::Record(_) => Err(Error::forbidden("Only superusers may do this.")),
            Caller::Guest => Err(Error::unauthorized("Sign in as a superuser to do this.")),
        }
    }

    pub fn query(&self) -> Result<query::Params> {
        query::Params::parse(self.http.query_string())
    }

    /// A header's text; one that is not ASCII counts as absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.http.headers().get(name)?.to_str().ok()
    }

    /// Who really asks, behind trusted proxies (§2.6).
    pub fn client_ip(&self) -> IpAddr {
        client_address::of(&self.http, &self.app().settings.current().trusted_proxy)
    }
}
