//! Deep merge of a patch (`docs/wire/services.md` §4): objects are merged, everything else is replaced, `null` is the
//! zero value, unknown keys are ignored.

use serde_json::{Map, Value as Json};

use super::tree::Settings;
use crate::error::{Error, Result};

/// `current` with `patch` merged over it. A value of a wrong JSON type fails without naming a field.
pub fn merged(current: &Settings, patch: Map<String, Json>) -> Result<Settings> {
    let mut tree = current.to_stored();
    merge(&mut tree, &Settings::default().to_stored(), Json::Object(patch))?;
    serde_json::from_value(tree).map_err(|error| wrong_type().because(error))
}

fn wrong_type() -> Error {
    Error::invalid("The settings hold a value of a wrong type.")
}

fn merge(target: &mut Json, zero: &Json, patch: Json) -> Result<()> {
    match (target, patch) {
        (target, Json::Null) => *target = zero.clone(),
        (Json::Object(target), Json::Object(patch)) => {
            for (key, value) in patch {
                let Some(key) = known(target, &key) else { continue };
                let zero = zero.get(&key).unwrap_or(&Json::Null);
                if let Some(target) = target.get_mut(&key) {
                    merge(target, zero, value)?;
                }
            }
        }
        // serde would read a list as the members of a struct, in order.
        (Json::Object(_), _) => return Err(wrong_type()),
        (target, Json::Array(elements)) => {
            *target = Json::Array(elements.into_iter().map(element).collect::<Result<_>>()?);
        }
        (target, patch) => *target = patch,
    }
    Ok(())
}

/// The key of `object` that `key` means: letter case does not matter.
fn known(object: &Map<String, Json>, key: &str) -> Option<String> {
    if object.contains_key(key) {
        return Some(key.to_owned());
    }
    object.keys().find(|known| known.eq_ignore_ascii_case(key)).cloned()
}

/// A replaced list's elements start from zero: their `null` members are absent ones.
fn element(value: Json) -> Result<Json> {
    match value {
        Json::Object(members) => Ok(members.into_iter().filter(|(_, member)| !member.is_null()).collect()),
        Json::Array(_) => Err(wrong_type()),
        scalar => Ok(scalar),
    }
}

/// A form's flat object as a patch: dotted names nest, and texts take the type of the setting they name
/// (`docs/wire/services.md` §1.4). Values that do not fit are left for [`merged`] to refuse.
pub fn nest_form(form: Map<String, Json>) -> Map<String, Json> {
    let zero = Settings::default().to_stored();
    let mut patch = Map::new();
    for (name, value) in form {
        let path: Vec<&str> = name.split('.').collect();
        let pointer: String = path.iter().flat_map(|segment| ["/", segment]).collect();
        insert(&mut patch, &path, typed(zero.pointer(&pointer), value));
    }
    patch
}

fn insert(object: &mut Map<String, Json>, path: &[&str], value: Json) {
    let [first, rest @ ..] = path else { return };
    if rest.is_empty() {
        object.insert((*first).to_owned(), value);
        return;
    }
    let inner = object.entry(*first).or_insert_with(|| Json::Object(Map::new()));
    if let Json::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

/// A form's text as the type of `like`; a text that does not fit stays one.
fn typed(like: Option<&Json>, value: Json) -> Json {
    match (like, value) {
        (Some(Json::Bool(_)), Json::String(text)) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Json::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Json::Bool(false),
            _ => Json::String(text),
        },
        (Some(Json::Number(_)), Json::String(text)) => text.parse::<i64>().map_or(Json::String(text), Json::from),
        (Some(Json::Array(_)), text @ Json::String(_)) => Json::Array(vec![text]),
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn patches_are_merged_deeply() {
        for (text, pointer, expected) in [
            ("{}", "/meta/appName", r#""Acme""#),
            (r#"{"meta":{"appName":"Z"}}"#, "/meta/appName", r#""Z""#),
            (r#"{"meta":{"appName":"Z"}}"#, "/meta/appURL", r#""http://localhost:8090""#),
            (r#"{"META":{"APPname":"Z"}}"#, "/meta/appName", r#""Z""#),
            (r#"{"meta":null}"#, "/meta/appName", r#""""#),
            (r#"{"logs":{"maxDays":null}}"#, "/logs/maxDays", "0"),
            (r#"{"nope":{"x":1},"meta":{"nope":1}}"#, "/meta/appName", r#""Acme""#),
            (r#"{"superuserIPs":["a",null]}"#, "/superuserIPs", r#"["a",""]"#),
            (
                r#"{"rateLimits":{"rules":[{"label":"/x","duration":null},null]}}"#,
                "/rateLimits/rules",
                concat!(
                    r#"[{"label":"/x","audience":"","duration":0,"maxRequests":0},"#,
                    r#"{"label":"","audience":"","duration":0,"maxRequests":0}]"#
                ),
            ),
        ] {
            let tree = merged(&Settings::fresh(), patch(text)).unwrap().to_stored();
            assert_eq!(tree.pointer(pointer).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn wrong_types_fail_without_a_field() {
        for text in [
            r#"{"meta":{"appName":1}}"#,
            r#"{"meta":[]}"#,
            r#"{"meta":"x"}"#,
            r#"{"logs":{"maxDays":1.5}}"#,
            r#"{"logs":{"maxDays":"1"}}"#,
            r#"{"superuserIPs":"1.2.3.4"}"#,
            r#"{"superuserIPs":[1]}"#,
            r#"{"rateLimits":{"rules":[1]}}"#,
            r#"{"rateLimits":{"rules":[["/a","",1,1]]}}"#,
        ] {
            assert!(merged(&Settings::fresh(), patch(text)).unwrap_err().issues.is_empty(), "{text}");
        }
    }

    #[test]
    fn forms_nest_and_take_the_settings_types() {
        for (form, expected) in [
            (r#"{"meta.appName":"123"}"#, r#"{"meta":{"appName":"123"}}"#),
            (r#"{"meta.hideControls":"1"}"#, r#"{"meta":{"hideControls":true}}"#),
            (r#"{"meta.hideControls":"x"}"#, r#"{"meta":{"hideControls":"x"}}"#),
            (r#"{"superuserIPs":"1.2.3.4"}"#, r#"{"superuserIPs":["1.2.3.4"]}"#),
            (r#"{"superuserIPs":["1","b"]}"#, r#"{"superuserIPs":["1","b"]}"#),
            (r#"{"logs.maxDays":"7","logs.logIP":"false"}"#, r#"{"logs":{"maxDays":7,"logIP":false}}"#),
            (r#"{"logs.maxDays":"q"}"#, r#"{"logs":{"maxDays":"q"}}"#),
            (
                r#"{"backups.s3.bucket":"b","smtp":{"username":"u"}}"#,
                r#"{"backups":{"s3":{"bucket":"b"}},"smtp":{"username":"u"}}"#,
            ),
        ] {
            assert_eq!(Json::Object(nest_form(patch(form))).to_string(), expected, "{form}");
        }
    }
}
