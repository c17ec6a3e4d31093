//! Accounts: tokens and login flows (`docs/wire/auth.md`).
//!
//! May touch `records`, `schema`, `settings` and `identity`. Main type: [`Auth`].

use serde_json::{Map, Value as Json};

use crate::{
    db::Db,
    error::Result,
    identity::{Caller, Passwords},
    records::{Records, Rendered, Shape},
    rules::Request,
    schema::Schema,
    settings,
};

#[derive(Clone)]
pub struct Auth {
    db: Db,
    schema: Schema,
    records: Records,
    passwords: Passwords,
    settings: settings::Store,
}

impl Auth {
    pub fn new(db: Db, schema: Schema, records: Records, passwords: Passwords, settings: settings::Store) -> Self {
        todo!()
    }

    /// Whom the value of an `Authorization` header names; anything wrong with it is a guest (§2.3).
    pub async fn caller(&self, authorization: &str) -> Result<Caller> {
        todo!()
    }

    /// `POST …/auth-with-password` (§3.3).
    pub async fn with_password(
        &self,
        request: Request,
        collection: &str,
        body: Map<String, Json>,
        shape: Shape,
        client_ip: std::net::IpAddr,
    ) -> Result<Rendered> {
        todo!()
    }

    /// `POST …/auth-refresh` (§3.4). `token` is the one that the request carried.
    pub async fn refresh(&self, request: Request, collection: &str, token: &str, shape: Shape) -> Result<Rendered> {
        todo!()
    }

    /// While nobody but the installer account is a superuser: a token of that account, which lets its bearer create the
    /// first one (`docs/wire/services.md` §3.3). `None` when there is a superuser.
    pub async fn installer(&self) -> Result<Option<String>> {
        todo!()
    }
}
