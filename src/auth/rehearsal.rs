//! The mail by which an owner tries settings and templates (`docs/wire/services.md` §4.4): a template filled with a record
//! that does not exist.

use std::sync::Arc;

use serde_json::json;

use super::token::{self, Grant};
use crate::{
    clock::Timestamp,
    db::{Row, Value},
    error::{Error, Result},
    mail::{Fill, Message, Template, compose},
    random,
    schema::{Collection, FieldKind},
    settings::Settings,
};

const RECORD_ID: &str = "__pb_test_id__";
/// What the wire fills in for a one-time password.
const CODE: (&str, &str) = ("123456", "_PB_TEST_OTP_ID_");

/// The mail of `template` as an imaginary record of `collection` with the address `to` would get it. Its link has a token
/// that was never valid.
pub fn rehearsal(
    template: Template,
    collection: &Collection,
    to: &str,
    now: Timestamp,
    settings: &Settings,
) -> Result<Message> {
    let row = imaginary(collection, to);
    let alert = format!("{now} - TEST_IP TEST_USER_AGENT");
    let token = |grant| imaginary_token(grant, collection, now);
    let linked;
    let fill = match template {
        Template::Otp => Fill::Otp { code: CODE.0, id: CODE.1 },
        Template::LoginAlert => Fill::Alert(&alert),
        Template::Verification => {
            linked = token(Grant::Verification { email: to })?;
            Fill::Token(&linked)
        }
        Template::PasswordReset => {
            linked = token(Grant::PasswordReset { email: to })?;
            Fill::Token(&linked)
        }
        Template::EmailChange => {
            linked = token(Grant::EmailChange { email: to, new_email: to })?;
            Fill::Token(&linked)
        }
    };
    Ok(compose(template, collection, &row, to, fill, settings))
}

/// Texts name their field, everything else is zero.
fn imaginary(collection: &Collection, to: &str) -> Row {
    let text = |name: &str| Value::Text(format!("__pb_test_{name}__"));
    let values = collection.fields.iter().map(|field| match &field.kind {
        _ if field.name == "id" => Value::Text(RECORD_ID.to_owned()),
        FieldKind::Email(_) if field.name == "email" => Value::Text(to.to_owned()),
        FieldKind::Number(_) | FieldKind::Bool(_) | FieldKind::Date(_) | FieldKind::Autodate(_) => {
            field.kind.as_type().zero()
        }
        FieldKind::GeoPoint(_) | FieldKind::Password(_) => field.kind.as_type().zero(),
        FieldKind::Json(_) => Value::Text(json!(format!("__pb_test_{}__", field.name)).to_string()),
        kind if kind.as_type().is_multiple() => kind.as_type().zero(),
        _ => text(&field.name),
    });
    let values: Vec<Value> = values.collect();
    let columns: Arc<[Arc<str>]> = collection.fields.iter().map(|field| Arc::from(field.name.as_str())).collect();
    Row { columns, values }
}

/// A token like those of real mails, signed with a key that nobody has.
fn imaginary_token(grant: Grant<'_>, collection: &Collection, now: Timestamp) -> Result<String> {
    let options = collection.auth().ok_or_else(Error::not_found)?;
    let key = random::string(random::ALPHANUMERIC, 50);
    let lifetime = grant.purpose().options(options).duration;
    token::issue(grant, &collection.id, RECORD_ID, key.as_bytes(), now, lifetime)
}
