//! `/api/settings` (`docs/wire/services.md` §4).

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::picked_value;
use crate::{
    error::{Error, Issues, Leaf, Result},
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
        server::Given,
    },
    outgoing::bucket,
    settings::{self, nest_form},
};

/// The whole tree without its secrets.
pub fn get(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    picked_value(&call.app().settings.current().redacted(), &call.query()?)
}

#[derive(Serialize)]
struct Origins {
    items: Vec<Given>,
}

/// `GET /api/settings/origins` (`docs/admin.md`): where every setting and every option came from, without their values.
pub fn origins(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let shown = settings::shown(&call.app().settings.current());
    let settings = shown.into_iter().map(|shown| Given {
        key: shown.name,
        origin: if shown.changed { "settings" } else { "default" },
        name: None,
    });
    let items = settings.chain(call.wire.shared.given.iter().cloned()).collect();
    picked_value(&Origins { items }, &call.query()?)
}

/// Merges a partial tree over the stored one.
pub async fn patch(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Texts).await?;
    let patch = if received.is_form { nest_form(received.body.values) } else { received.body.values };
    let settings = call.app().settings.patch(patch).await?;
    picked_value(&settings.redacted(), &params)
}

/// `POST /api/settings/test/s3` (§4.4): 204 when files can be kept in the bucket of the stored settings.
pub async fn test_s3(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Texts).await?;
    let settings = call.app().settings.current();
    let s3 = match received.body.values.get("filesystem") {
        None | Some(Json::Null) => Err(Leaf::required()),
        Some(Json::String(name)) => match name.as_str() {
            "" => Err(Leaf::required()),
            "storage" => Ok(&settings.s3),
            "backups" => Ok(&settings.backups.s3),
            _ => Err(Leaf::new("validation_in_invalid", "Is not one of the possible values.")),
        },
        Some(_) => return Err(Error::invalid("The body could not be read.")),
    };
    let s3 = s3.map_err(|leaf| {
        let mut issues = Issues::default();
        issues.insert("filesystem", leaf);
        Error::issues("The bucket cannot be tested.", issues)
    })?;
    if !s3.enabled {
        return Err(Error::invalid("The bucket cannot be tested: S3 is not enabled in the settings."));
    }
    // Whoever may read and write the settings may also know what came of them.
    let tested = bucket::test(&s3.params()).await;
    tested.map_err(|why| Error::invalid(format!("The bucket cannot be used: {why}")))?;
    Ok(Reply::no_content())
}

/// `POST /api/settings/test/email` (§4.4): 204 when the mail is on its way.
pub async fn test_email(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Texts).await?;
    call.app().auth.send_test_mail(&received.body.values).await?;
    Ok(Reply::no_content())
}

/// `POST /api/settings/apple/generate-client-secret` (`docs/wire/auth-oauth2.md` §6.5)
pub async fn apple_client_secret(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Values).await?;
    let secret = call.app().auth.apple_client_secret(&received.body.values)?;
    picked_value(&json!({ "secret": secret }), &params)
}
