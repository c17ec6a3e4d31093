//! The OAuth2 providers that collections may name (`docs/wire/auth-oauth2.md` §6).

use serde::Serialize;

use crate::{auth::oauth2::provider::logo, schema::providers::PROVIDERS};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    name: &'static str,
    display_name: &'static str,
    logo: String,
}

/// All of them in the wire's order.
pub fn all() -> Vec<Provider> {
    let providers = PROVIDERS.iter();
    providers.map(|known| Provider { name: known.key, display_name: known.display_name, logo: logo(known) }).collect()
}
