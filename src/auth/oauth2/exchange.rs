//! From the code to the provider's tokens (`docs/wire/auth-oauth2.md` §3.10; RFC 6749 §4.1.3, §5).

use serde_json::{Map, Value as Json};
use url::form_urlencoded;

use super::{answer::Answer, outside::Outside, provider::Provider};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
};

/// What the client got from the provider on its way back.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    pub code: String,
    pub verifier: String,
    /// Blank: not told.
    pub redirect_url: String,
}

/// The provider's answer. Blank is what it has not.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub id_token: String,
    pub expiry: Option<Timestamp>,
    /// Everything, for providers that tell more here.
    pub members: Map<String, Json>,
}

/// Gives the code for tokens. Credentials go into the header, and on an error answer once more into the form: providers
/// differ in what they take. Failures are one 400 for the client.
pub async fn tokens(outside: &Outside, provider: &Provider, grant: &Grant, now: Timestamp) -> Result<Tokens> {
    let failed = |why: String| {
        Error::invalid("The provider did not accept the code.").because(anyhow::anyhow!("{}: {why}", provider.key()))
    };
    let client = outside.client().await?;
    let form = form(provider, grant);
    let request = || client.post(&provider.token_url);
    let (id, secret) = (encode(&provider.client_id), encode(&provider.client_secret));
    let first = Answer::of(request().basic_auth(id, Some(secret)).form(&form)).await.map_err(failed)?;
    if let Ok(tokens) = read(&first, now) {
        return Ok(tokens);
    }
    let mut form = form;
    form.extend([("client_id", &*provider.client_id), ("client_secret", &*provider.client_secret)]);
    let second = Answer::of(request().form(&form)).await.map_err(failed)?;
    read(&second, now).map_err(failed)
}

fn form<'a>(provider: &Provider, grant: &'a Grant) -> Vec<(&'static str, &'a str)> {
    let mut form = vec![("grant_type", "authorization_code"), ("code", &*grant.code)];
    if !grant.redirect_url.is_empty() {
        form.push(("redirect_uri", &grant.redirect_url));
    }
    if provider.pkce {
        form.push(("code_verifier", &grant.verifier));
    }
    form
}

/// RFC 6749 §2.3.1: what stands in the header is encoded as in a form first.
fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn read(answer: &Answer, now: Timestamp) -> Result<Tokens, String> {
    let members = answer.members()?;
    let text = |name: &str| match members.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("{name} is no text")),
    };
    // Some tell errors with status 200.
    let error = text("error").unwrap_or_else(|_| "an error of another kind".to_owned());
    if !error.is_empty() {
        return Err(error);
    }
    let access = text("access_token")?;
    if access.is_empty() {
        return Err("there is no access token".to_owned());
    }
    let id_token = text("id_token").unwrap_or_default();
    Ok(Tokens { access, refresh: text("refresh_token")?, id_token, expiry: expiry(&members, now)?, members })
}

/// `expires_in`: seconds from now, as a number or a text. 0 or nothing does not say.
fn expiry(members: &Map<String, Json>, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let seconds = match members.get("expires_in") {
        None | Some(Json::Null) => None,
        Some(Json::Number(number)) => number.as_f64(),
        Some(Json::String(text)) if text.is_empty() => None,
        Some(Json::String(text)) => Some(text.parse().map_err(|_| "expires_in is no number".to_owned())?),
        Some(_) => return Err("expires_in is no number".to_owned()),
    };
    let Some(seconds) = seconds.filter(|seconds: &f64| *seconds != 0.0) else { return Ok(None) };
    // Longer than that is forever; `as` saturates.
    let seconds = seconds.clamp(-f64::from(i32::MAX), f64::from(i32::MAX)) as i64;
    Ok(Some(Timestamp(now.millis().saturating_add(seconds.saturating_mul(1000)))))
}
