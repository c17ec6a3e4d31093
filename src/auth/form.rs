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

/// A member of a body, keys compared without case (§0.2). Of several, the one that is spelt exactly so. `null` is as good
/// as not there.
pub(super) fn member<'a>(body: &'a Map<String, Json>, key: &str) -> Option<&'a Json> {
    let in_any_case = || body.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
    body.get(key).or_else(in_any_case).filter(|value| !value.is_null())
}

/// A [`member`] that is a text; blank when it is not there. Other types are refused without saying where.
pub(super) fn text(body: &Map<String, Json>, key: &str) -> Result<String> {
    match member(body, key) {
        None => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(Error::invalid("The body could not be read.")),
    }
}

/// A member that has to be there, with 1 to `max` bytes. True when it is.
pub(super) fn require(issues: &mut Issues, name: &str, value: &str, max: usize) -> bool {
    require_between(issues, name, value, 1, max)
}

/// [`require`] with at least `min` bytes.
pub(super) fn require_between(issues: &mut Issues, name: &str, value: &str, min: usize, max: usize) -> bool {
    if value.is_empty() {
        issues.insert(name, Leaf::required());
    } else if !(min..=max).contains(&value.len()) {
        let message = format!("The length must be between {min} and {max}.");
        let leaf = Leaf::new("validation_length_out_of_range", message);
        issues.insert(name, leaf.param("min", min).param("max", max));
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

/// The `email` of a form that has no other member.
pub(super) fn only_email(body: &Map<String, Json>) -> Result<String> {
    let email = text(body, "email")?;
    let mut issues = Issues::default();
    require_email(&mut issues, "email", &email);
    issues.into_result("The request is not valid.")?;
    Ok(email)
}

pub(super) fn is_email(text: &str) -> bool {
    field::Email::default().check(false, &Value::Text(text.to_owned())).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_found_in_any_case_and_best_in_their_own() {
        for (body, expected) in [
            (json!({"createData": 1}), Some(json!(1))),
            (json!({"CREATEDATA": 1}), Some(json!(1))),
            (json!({"CREATEDATA": 1, "createData": 2, "createdata": 3}), Some(json!(2))),
            (json!({"createData": null}), None),
            (json!({"CREATEDATA": 1, "createData": null}), None),
            (json!({"create_data": 1}), None),
            (json!({}), None),
        ] {
            assert_eq!(member(body.as_object().unwrap(), "createData"), expected.as_ref(), "{body}");
        }
    }
}
