//! What preferences may say.

use serde_json::{Map, Value as Json};

use crate::{
    db::Value,
    error::{Error, Issue, Issues, Leaf, Result},
    notify::{
        Channel,
        what::is_locale,
        when::{wall, zone},
        whether::{Profile, Stored, profile::ANY},
    },
};

const MESSAGE: &str = "The preferences are not valid.";
/// Categories with an answer.
const MAX_CATEGORIES: usize = 100;
/// Bytes of a category.
const MAX_CATEGORY: usize = 255;

/// A row of `_preferences` as it is stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Preferences {
    pub zone: String,
    pub locale: String,
    pub quiet_from: String,
    pub quiet_to: String,
    pub quiet_mode: String,
    /// Answers by category and channel.
    pub channels: Map<String, Json>,
}

impl Preferences {
    pub fn to_json(&self) -> Map<String, Json> {
        let texts = self.texts().into_iter().map(|(name, text)| (name.to_owned(), Json::from(text)));
        let channels = ("channels".to_owned(), Json::Object(self.channels.clone()));
        texts.chain([channels]).collect()
    }

    pub fn columns(&self) -> Vec<(&'static str, Value)> {
        let texts = self.texts().into_iter().map(|(name, text)| (name, Value::Text(text.to_owned())));
        let channels = ("channels", Value::Text(Json::Object(self.channels.clone()).to_string()));
        texts.chain([channels]).collect()
    }

    pub fn profile(&self) -> Profile {
        Profile::parse(&Stored {
            zone: &self.zone,
            locale: &self.locale,
            quiet_from: &self.quiet_from,
            quiet_to: &self.quiet_to,
            quiet_mode: &self.quiet_mode,
            channels: &Json::Object(self.channels.clone()).to_string(),
        })
    }

    /// As changed by `patch`. Fails where only both together are wrong.
    pub fn with(&self, patch: &Patch) -> Result<Self> {
        let mut next = self.clone();
        let texts = [
            (&mut next.zone, &patch.zone),
            (&mut next.locale, &patch.locale),
            (&mut next.quiet_from, &patch.quiet_from),
            (&mut next.quiet_to, &patch.quiet_to),
            (&mut next.quiet_mode, &patch.quiet_mode),
        ];
        for (text, new) in texts {
            if let Some(new) = new {
                text.clone_from(new);
            }
        }
        for (category, answers) in patch.channels.iter().flatten() {
            merge(&mut next.channels, category, answers);
        }
        if next.channels.len() > MAX_CATEGORIES {
            let message = format!("{MAX_CATEGORIES} categories at most.");
            return Err(Error::field("channels", Leaf::new("validation_too_many_values", message)));
        }
        let half = match (next.quiet_from.is_empty(), next.quiet_to.is_empty()) {
            (true, false) => Some("quietFrom"),
            (false, true) => Some("quietTo"),
            _ => None,
        };
        match half {
            Some(field) => Err(Error::field(field, Leaf::new("validation_required", "Quiet hours have two ends."))),
            None => Ok(next),
        }
    }

    fn texts(&self) -> [(&'static str, &str); 5] {
        [
            ("zone", &self.zone),
            ("locale", &self.locale),
            ("quietFrom", &self.quiet_from),
            ("quietTo", &self.quiet_to),
            ("quietMode", &self.quiet_mode),
        ]
    }
}

/// One category of a patch over what is stored; nothing is kept of a category without answers.
fn merge(channels: &mut Map<String, Json>, category: &str, answers: &Answers) {
    let Some(answers) = answers else {
        channels.shift_remove(category);
        return;
    };
    let entry = channels.entry(category).or_insert_with(|| Json::Object(Map::new()));
    let Json::Object(known) = entry else {
        *entry = Json::Object(Map::new());
        return merge(channels, category, &Some(answers.clone()));
    };
    for (channel, wanted) in answers {
        match wanted {
            Some(wanted) => _ = known.insert(channel.clone(), Json::Bool(*wanted)),
            None => _ = known.shift_remove(channel),
        }
    }
    if known.is_empty() {
        channels.shift_remove(category);
    }
}

/// Answers of one category by channel; `None` takes one back, or all.
type Answers = Option<Vec<(String, Option<bool>)>>;

/// A change; `None` leaves what there is.
#[derive(Debug, Default)]
pub(super) struct Patch {
    zone: Option<String>,
    locale: Option<String>,
    quiet_from: Option<String>,
    quiet_to: Option<String>,
    quiet_mode: Option<String>,
    channels: Option<Vec<(String, Answers)>>,
}

impl Patch {
    pub fn parse(body: &Map<String, Json>) -> Result<Self> {
        let (mut patch, mut issues) = (Self::default(), Issues::default());
        for (name, value) in body {
            let read = match name.as_str() {
                "zone" => text(value, known_zone).map(|text| patch.zone = Some(text)),
                "locale" => text(value, known_locale).map(|text| patch.locale = Some(text)),
                "quietFrom" => text(value, clock_time).map(|text| patch.quiet_from = Some(text)),
                "quietTo" => text(value, clock_time).map(|text| patch.quiet_to = Some(text)),
                "quietMode" => text(value, mode).map(|text| patch.quiet_mode = Some(text)),
                "channels" => channels(value).map(|channels| patch.channels = Some(channels)),
                _ => Err(Leaf::new("validation_unknown_field", "There is no such preference.").into()),
            };
            if let Err(issue) = read {
                let name: String = name.chars().take(MAX_CATEGORY).collect();
                issues.insert(&name, issue);
            }
        }
        issues.into_result(MESSAGE)?;
        Ok(patch)
    }
}

/// A text that `normal` takes, as it makes it; blank and `null` take back what was said.
fn text(value: &Json, normal: impl FnOnce(&str) -> Result<String, Leaf>) -> Result<String, Issue> {
    match value {
        Json::Null => Ok(String::new()),
        Json::String(text) if text.is_empty() => Ok(String::new()),
        Json::String(text) => normal(text).map_err(Issue::from),
        _ => Err(Leaf::new("validation_invalid_value", "Must be a text.").into()),
    }
}

/// In the spelling of the database.
fn known_zone(name: &str) -> Result<String, Leaf> {
    let zone = zone::find(name)?;
    Ok(zone.iana_name().unwrap_or(name).to_owned())
}

fn known_locale(text: &str) -> Result<String, Leaf> {
    match is_locale(text) {
        true => Ok(text.replace('_', "-")),
        false => Err(Leaf::new("validation_invalid_locale", "Must be a language like de or de-AT.")),
    }
}

fn clock_time(text: &str) -> Result<String, Leaf> {
    wall::parse_time(text).map(|_| text.to_owned())
}

fn mode(text: &str) -> Result<String, Leaf> {
    match text {
        "defer" | "skip" => Ok(text.to_owned()),
        _ => Err(Leaf::new("validation_invalid_value", "Must be defer or skip.")),
    }
}

fn channels(value: &Json) -> Result<Vec<(String, Answers)>, Issue> {
    let wrong = |message: &'static str| Issue::from(Leaf::new("validation_invalid_value", message));
    let Json::Object(categories) = value else {
        return Err(wrong("Must be an object of categories, each an object of channels with true or false."));
    };
    if categories.len() > 2 * MAX_CATEGORIES {
        return Err(Leaf::new("validation_too_many_values", "These are too many categories.").into());
    }
    let (mut found, mut issues) = (Vec::new(), Issues::default());
    for (category, answers) in categories {
        let read = match (category.as_str(), answers) {
            ("", _) => Err(wrong("A category has a name; * stands for all.")),
            (long, _) if long.len() > MAX_CATEGORY => Err(wrong("The name is too long.")),
            (_, Json::Null) => Ok(None),
            (_, Json::Object(answers)) => self::answers(answers).map(Some),
            _ => Err(wrong("Must be an object of channels with true or false.")),
        };
        match read {
            Ok(answers) => found.push((category.clone(), answers)),
            Err(issue) => issues.insert(&category.chars().take(60).collect::<String>(), issue),
        }
    }
    if issues.is_empty() { Ok(found) } else { Err(issues.into()) }
}

fn answers(answers: &Map<String, Json>) -> Result<Vec<(String, Option<bool>)>, Issue> {
    let (mut found, mut issues) = (Vec::new(), Issues::default());
    for (channel, wanted) in answers.iter().take(50) {
        let known = channel == ANY || Channel::parse(channel).is_some();
        let wanted = match wanted {
            Json::Bool(wanted) => Some(Some(*wanted)),
            Json::Null => Some(None),
            _ => None,
        };
        match wanted.filter(|_| known) {
            Some(wanted) => found.push((channel.clone(), wanted)),
            None => {
                let message = "Must be true, false or null, of one of inbox, email, push, webhook and *.";
                let name: String = channel.chars().take(60).collect();
                issues.insert(&name, Leaf::new("validation_invalid_value", message));
            }
        }
    }
    if issues.is_empty() { Ok(found) } else { Err(issues.into()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(stored: &Preferences, patch: &Json) -> Result<Preferences> {
        stored.with(&Patch::parse(patch.as_object().unwrap())?)
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut stored = Preferences::default();
        for (patch, expected) in [
            (json!({"zone": "europe/berlin", "locale": "de_AT"}), json!({"zone": "Europe/Berlin", "locale": "de-AT"})),
            (
                json!({"quietFrom": "22:00", "quietTo": "07:00", "quietMode": "skip"}),
                json!({"zone": "Europe/Berlin", "quietFrom": "22:00", "quietTo": "07:00", "quietMode": "skip"}),
            ),
            (json!({"quietFrom": "", "quietTo": null}), json!({"quietFrom": "", "quietTo": "", "quietMode": "skip"})),
            (
                json!({"channels": {"*": {"email": false}, "news": {"*": false, "push": true}}}),
                json!({"channels": {"*": {"email": false}, "news": {"*": false, "push": true}}}),
            ),
            (
                json!({"channels": {"news": {"push": null, "inbox": true}}}),
                json!({"channels": {"*": {"email": false}, "news": {"*": false, "inbox": true}}}),
            ),
            (json!({"channels": {"*": null, "news": {"*": null, "inbox": null}}}), json!({"channels": {}})),
            (json!({"zone": null}), json!({"zone": "", "locale": "de-AT"})),
            (json!({}), json!({"zone": "", "locale": "de-AT"})),
        ] {
            stored = patched(&stored, &patch).unwrap();
            let told = stored.to_json();
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&told[name], value, "{patch}: {name}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many: Map<String, Json> = (0..=MAX_CATEGORIES).map(|n| (format!("c{n}"), json!({"*": false}))).collect();
        for (patch, field) in [
            (json!({"zone": "Mars/Olympus"}), "zone"),
            (json!({"zone": 5}), "zone"),
            (json!({"zone": "x".repeat(10_000)}), "zone"),
            (json!({"locale": "german please"}), "locale"),
            (json!({"quietFrom": "25:00", "quietTo": "07:00"}), "quietFrom"),
            (json!({"quietFrom": "22:00"}), "quietTo"),
            (json!({"quietTo": "07:00"}), "quietFrom"),
            (json!({"quietMode": "never"}), "quietMode"),
            (json!({"channels": []}), "channels"),
            (json!({"channels": {"news": false}}), "channels.news"),
            (json!({"channels": {"": {"*": false}}}), "channels."),
            (json!({"channels": {"news": {"pigeon": false}}}), "channels.news.pigeon"),
            (json!({"channels": {"news": {"push": "no"}}}), "channels.news.push"),
            (json!({ "channels": many }), "channels"),
            (json!({"recordRef": "other"}), "recordRef"),
        ] {
            let error = patched(&Preferences::default(), &patch).unwrap_err();
            let fields: Vec<String> = error.issues.leaves().into_iter().map(|(path, _)| path).collect();
            assert_eq!(fields, [field], "{patch}");
        }
    }
}
