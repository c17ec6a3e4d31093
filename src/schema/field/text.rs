//! `text`: plain text, with length, pattern and generated values; also the primary key.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Field, FieldType, Modifier, settings, value::scalar};
use crate::{
    db::Value,
    error::{Error, Issues, Leaf},
    schema::pattern,
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Text {
    /// Characters.
    #[serde(deserialize_with = "settings::integer")]
    pub min: i64,
    /// Characters; 0 stands for 5000.
    #[serde(deserialize_with = "settings::integer")]
    pub max: i64,
    #[serde(deserialize_with = "settings::text")]
    pub pattern: String,
    #[serde(deserialize_with = "settings::text")]
    pub autogenerate_pattern: String,
    #[serde(deserialize_with = "settings::flag")]
    pub primary_key: bool,
}

/// The pattern of a primary key that needs no further checks.
pub const DEFAULT_KEY_PATTERN: &str = "^[a-z0-9]+$";
/// What may not be in a primary key, because it names a folder.
const FORBIDDEN_IN_KEYS: &str = "./\\|\"'`<>:?*%$\0\t\n\r ";
/// Names of devices, which no folder can have everywhere.
const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];

impl Text {
    /// The effective limit in characters.
    pub fn max_chars(&self) -> i64 {
        if self.max > 0 { self.max } else { 5000 }
    }

    /// A value by `autogeneratePattern`, if there is one.
    pub fn generate(&self) -> Result<Option<String>, Error> {
        if self.autogenerate_pattern.is_empty() {
            return Ok(None);
        }
        pattern::generate(&self.autogenerate_pattern).map(Some)
    }

    /// The checks of a new record's primary key that need no database (`docs/wire/records-collections.md` §4.4):
    /// characters and names that a folder must not have.
    pub fn check_key(&self, key: &str) -> Result<(), Leaf> {
        if self.pattern == DEFAULT_KEY_PATTERN {
            return Ok(());
        }
        if let Some(character) = key.chars().find(|&character| FORBIDDEN_IN_KEYS.contains(character)) {
            let message = format!("Must not contain {character:?}.");
            return Err(Leaf::new("validation_forbidden_pk_character", message).param("ch", character.to_string()));
        }
        let upper = key.to_uppercase();
        let port = upper.strip_prefix("COM").or_else(|| upper.strip_prefix("LPT"));
        if DEVICES.contains(&upper.as_str()) || port.is_some_and(|port| matches!(port.as_bytes(), [b'1'..=b'9'])) {
            let message = "This id is reserved.";
            return Err(Leaf::new("validation_reserved_pk", message).param("reserved", upper));
        }
        Ok(())
    }

    fn check_text(&self, text: &str) -> Result<(), Leaf> {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if length < self.min {
            let message = format!("Must have at least {} characters.", self.min);
            return Err(Leaf::new("validation_min_text_constraint", message).param("min", self.min));
        }
        if length > self.max_chars() {
            let message = format!("Must have no more than {} characters.", self.max_chars());
            return Err(Leaf::new("validation_max_text_constraint", message).param("max", self.max_chars()));
        }
        if !self.pattern.is_empty() && !pattern::compile(&self.pattern).is_ok_and(|regex| regex.is_match(text)) {
            return Err(Leaf::new("validation_invalid_format", "Must have the field's format."));
        }
        Ok(())
    }

    /// Ten samples of the generator have to pass the field's own checks.
    fn check_generator(&self) -> Option<Leaf> {
        if let Err(reason) = pattern::compile(&self.autogenerate_pattern) {
            return Some(Leaf::new("validation_invalid_regex", reason));
        }
        for _ in 0..10 {
            match pattern::generate(&self.autogenerate_pattern) {
                Err(error) => return Some(Leaf::new("validation_invalid_autogenerate_pattern", error.message)),
                Ok(sample) if self.check_text(&sample).is_err() => {
                    let message = "The pattern can generate values that the field itself refuses.";
                    return Some(Leaf::new("validation_invalid_autogenerate_pattern_value", message));
                }
                Ok(_) => {}
            }
        }
        None
    }
}

impl FieldType for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn column(&self) -> &'static str {
        if self.primary_key {
            "TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL"
        } else {
            "TEXT DEFAULT '' NOT NULL"
        }
    }

    fn apply(&self, _current: &Value, modifier: Modifier, input: &Json) -> Option<Value> {
        match modifier {
            Modifier::Set => Some(self.normalise(input)),
            Modifier::Autogenerate => {
                let mut text = scalar::text_of(input).unwrap_or_default().into_owned();
                // A pattern that cannot generate is refused with the settings; an old one adds nothing.
                text.push_str(&self.generate().ok().flatten().unwrap_or_default());
                Some(Value::Text(text))
            }
            Modifier::Append | Modifier::Prepend | Modifier::Remove => None,
        }
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let text = scalar::stored_text(value);
        if text.is_empty() {
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        self.check_text(text)
    }

    fn check_settings(&self, field: &Field) -> Issues {
        let mut issues = Issues::default();
        settings::check_range(&mut issues, "min", self.min, 0, settings::MAX_SAFE_INTEGER);
        if self.max != 0 {
            settings::check_range(&mut issues, "max", self.max, self.min.max(0), settings::MAX_SAFE_INTEGER);
        }
        if !self.pattern.is_empty() {
            settings::check_pattern(&mut issues, "pattern", &self.pattern);
        } else if self.primary_key {
            issues.insert("pattern", Leaf::required());
        }
        if !self.autogenerate_pattern.is_empty()
            && let Some(leaf) = self.check_generator()
        {
            issues.insert("autogeneratePattern", leaf);
        }
        if self.primary_key && field.hidden {
            issues.insert("hidden", Leaf::new("validation_empty", "The primary key cannot be hidden."));
        }
        if self.primary_key && !field.required {
            issues.insert("required", Leaf::required());
        }
        issues
    }
}
