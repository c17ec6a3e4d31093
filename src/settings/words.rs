//! Settings as words of a command line: dotted names, and texts that become what the setting is.

use serde_json::{Map, Value as Json};

use super::tree::Settings;
use crate::error::{Error, Result};

/// One setting for people: secrets are only said to be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Dotted, such as `smtp.host`.
    pub name: String,
    pub value: Json,
    /// Whether it differs from what a new directory has.
    pub changed: bool,
}

/// What stands for a secret that there is.
const SECRET: &str = "(secret)";

/// Every setting, in the order of the wire.
pub fn shown(settings: &Settings) -> Vec<Shown> {
    let (fresh, redacted) = (Settings::fresh().to_stored(), settings.redacted());
    let mut all = Vec::new();
    each_leaf(&settings.to_stored(), "", "", &mut |name, pointer, value| {
        let hidden = redacted.pointer(pointer).is_none() && value.as_str() != Some("");
        let changed = fresh.pointer(pointer) != Some(value);
        let value = if hidden { Json::from(SECRET) } else { value.clone() };
        all.push(Shown { name: name.to_owned(), value, changed });
    });
    all
}

fn each_leaf(value: &Json, name: &str, pointer: &str, visit: &mut impl FnMut(&str, &str, &Json)) {
    let Json::Object(members) = value else { return visit(name, pointer, value) };
    for (key, member) in members {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        each_leaf(member, &name, &format!("{pointer}/{key}"), visit);
    }
}

/// The patch that `words` mean: names and texts. A name that there is not, or a text that cannot be what the setting is,
/// fails with a sentence about it.
pub fn patch(words: &[(String, String)]) -> Result<Map<String, Json>> {
    let zero = Settings::default().to_stored();
    let mut patch = Map::new();
    for (name, text) in words {
        let path: Vec<&str> = name.split('.').collect();
        let pointer: String = path.iter().flat_map(|segment| ["/", segment]).collect();
        let like = zero.pointer(&pointer).ok_or_else(|| unknown(name, &zero))?;
        put(&mut patch, &path, typed(name, like, text)?);
    }
    Ok(patch)
}

fn unknown(name: &str, zero: &Json) -> Error {
    let mut known = Vec::new();
    each_leaf(zero, "", "", &mut |known_name, _, _| known.push(known_name.to_owned()));
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let (wanted, whole) = (last(name), name.to_ascii_lowercase());
    let near = known.iter().filter(|known| last(known) == wanted || known.to_ascii_lowercase().starts_with(&whole));
    let near: Vec<_> = near.take(5).map(String::as_str).collect();
    Error::invalid(match near.as_slice() {
        [] => format!("There is no setting {name}: see conch config show."),
        near => format!("There is no setting {name}. Is one of these meant: {}?", near.join(", ")),
    })
}

fn typed(name: &str, like: &Json, text: &str) -> Result<Json> {
    let wrong = |what: &str| Error::invalid(format!("{name} has to be {what}."));
    match like {
        Json::Bool(_) => match text {
            "true" | "1" | "yes" | "on" => Ok(Json::Bool(true)),
            "false" | "0" | "no" | "off" => Ok(Json::Bool(false)),
            _ => Err(wrong("true or false")),
        },
        Json::Number(_) => text.parse::<i64>().map(Json::from).map_err(|_| wrong("a whole number")),
        Json::Array(_) if text.trim_start().starts_with('[') => {
            let list: Option<Json> = serde_json::from_str(text).ok().filter(Json::is_array);
            list.ok_or_else(|| wrong("a list: words with commas between them, or a list in JSON"))
        }
        Json::Array(_) => Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Json::from).collect()),
        Json::Object(_) => {
            let members: Option<Json> = serde_json::from_str(text).ok().filter(Json::is_object);
            members.ok_or_else(|| wrong("an object in JSON, or name one of its settings"))
        }
        _ => Ok(Json::from(text)),
    }
}

fn put(object: &mut Map<String, Json>, path: &[&str], value: Json) {
    let [first, rest @ ..] = path else { return };
    if rest.is_empty() {
        object.insert((*first).to_owned(), value);
    } else if let Json::Object(inner) = object.entry(*first).or_insert_with(|| Json::Object(Map::new())) {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_what_the_setting_is() {
        for (words, expected) in [
            (vec![("meta.appName", "Z")], r#"{"meta":{"appName":"Z"}}"#),
            (vec![("meta.appName", "12")], r#"{"meta":{"appName":"12"}}"#),
            (vec![("smtp.enabled", "yes"), ("smtp.port", "25")], r#"{"smtp":{"enabled":true,"port":25}}"#),
            (vec![("logs.minLevel", "-4")], r#"{"logs":{"minLevel":-4}}"#),
            (vec![("superuserIPs", "10.0.0.0/8, ::1")], r#"{"superuserIPs":["10.0.0.0/8","::1"]}"#),
            (vec![("superuserIPs", "")], r#"{"superuserIPs":[]}"#),
            (vec![("rateLimits.rules", "[]")], r#"{"rateLimits":{"rules":[]}}"#),
            (vec![("backups.cron", "@daily")], r#"{"backups":{"cron":"@daily"}}"#),
            (vec![("logs", r#"{"maxDays":1}"#)], r#"{"logs":{"maxDays":1}}"#),
        ] {
            let words: Vec<_> = words.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
            assert_eq!(Json::Object(patch(&words).unwrap()).to_string(), expected);
        }
        for (name, text, told) in [
            ("smtp.enabled", "maybe", "smtp.enabled has to be true or false."),
            ("smtp.port", "x", "smtp.port has to be a whole number."),
            ("logs", "1", "logs has to be an object in JSON, or name one of its settings."),
            ("rateLimits.rules", "[1", "rateLimits.rules has to be a list"),
            ("meta.name", "x", "There is no setting meta.name: see conch config show."),
            ("appname", "x", "There is no setting appname. Is one of these meant: meta.appName?"),
            ("batch.max", "1", "batch.maxRequests, batch.maxBodySize"),
        ] {
            let error = patch(&[(name.to_owned(), text.to_owned())]).unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
    }

    #[test]
    fn secrets_are_only_said_to_be_there() {
        let mut settings = Settings::fresh();
        settings.smtp.password = "hush".to_owned();
        settings.s3.secret = "hush".to_owned();
        settings.meta.app_name = "Mine".to_owned();
        let all = shown(&settings);
        let of = |name: &str| all.iter().find(|shown| shown.name == name).unwrap();
        assert_eq!((&of("smtp.password").value, of("smtp.password").changed), (&Json::from(SECRET), true));
        assert_eq!(of("backups.s3.secret").value, Json::from(""));
        assert_eq!((&of("meta.appName").value, of("meta.appName").changed), (&Json::from("Mine"), true));
        assert_eq!((&of("smtp.port").value, of("smtp.port").changed), (&Json::from(587), false));
        assert!(!format!("{all:?}").contains("hush"));
    }
}
