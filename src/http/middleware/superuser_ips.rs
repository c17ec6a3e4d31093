//! `settings.superuserIPs`: superusers are let in from listed addresses only (`docs/wire/services.md` §2).

use crate::{
    error::{Error, Result},
    http::extract::Call,
    settings::network,
};

/// 403 for a superuser from an unlisted address, on every route. An empty list admits all.
pub fn check(call: &Call) -> Result<()> {
    if !call.caller.is_superuser() {
        return Ok(());
    }
    let settings = call.app().settings.current();
    if settings.superuser_ips.is_empty() {
        return Ok(());
    }
    let address = call.client_ip();
    if settings.superuser_ips.iter().any(|listed| network::contains(listed, address)) {
        return Ok(());
    }
    Err(Error::forbidden("Superusers are not admitted from this address."))
}
