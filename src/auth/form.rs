//! The forms of auth endpoints: reading their members and the codes that they share (`docs/wire/auth.md` §0.2, §0.3).

use serde_json::{Map, Value as Json};

use crate::{
    db::Value,
    error::{Error, Issues, Leaf, Result},
    schema::{
        FieldType,
        field::{self},
    },
};

/// The most bytes of an ordinary member.
pub(super) const MAX: usize = 255;

/// A body value, keys compared without case (§0.2). `null` is blank; other types are refused without saying where.
pub(super) fn text(body: &Map<String, Json>, key: &str) -> Result<String> {
    let value = body.get(key).or_else(|| {
        let same = body.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        same.map(|(_, value)| value)
    });
    match value {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(Error::invalid("The body could not be read.")),
    }
}

/// A member that has to be there, with 1 to `max` bytes. True when it is.
pub(super) fn require(issues: &mut Issues, name: &str, value: &str, max: usize) -> bool {
    if value.is_empty() {
        issues.insert(name, Leaf::required());
    } else if value.len() > max {
        let leaf = Leaf::new("validation_length_out_of_range", format!("The length must be between 1 and {max}."));
        issues.insert(name, leaf.param("min", 1).param("max", max));
    }
    !issues.contains(name)
}

/// A required member that is an e-mail address. True when it is.
pub(super) fn require_email(issues: &mut Issues, name: &str, value: &str) -> bool {
    if require(issues, name, value, MAX) && !is_email(value) {
        issues.insert(name, Leaf::new("validation_is_email", "Must be an e-mail address."));
    }
    !issues.contains(name)
}

pub(super) fn is_email(text: &str) -> bool {
    field::Email::default().check(false, &Value::Text(text.to_owned())).is_ok()
}
