//! `password`: write-only; its column holds a hash.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Field, FieldType, settings, value::scalar};
use crate::{
    db::Value,
    error::{Issues, Leaf},
    schema::pattern,
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Password {
    /// Characters; 0 for no limit.
    #[serde(deserialize_with = "settings::integer")]
    pub min: i64,
    /// Characters; 0 stands for 71.
    #[serde(deserialize_with = "settings::integer")]
    pub max: i64,
    #[serde(deserialize_with = "settings::text")]
    pub pattern: String,
    /// Kept for the wire: new hashes are not bcrypt.
    #[serde(deserialize_with = "settings::integer")]
    pub cost: i64,
}

/// More bytes than this were cut by bcrypt, so the wire refuses them.
const MAX_BYTES: usize = 72;

impl Password {
    /// The checks of a plain password before it is hashed (`docs/wire/records-collections.md` §4.4).
    pub fn check_plain(&self, plain: &str) -> Result<(), Leaf> {
        let length = i64::try_from(plain.chars().count()).unwrap_or(i64::MAX);
        if plain.len() > MAX_BYTES {
            // No code of its own, and before all others.
            return Err(Leaf::new("validation_invalid_value", "Must not be longer than 72 bytes."));
        }
        if length < self.min {
            let message = format!("Must have at least {} characters.", self.min);
            return Err(Leaf::new("validation_min_text_constraint", message));
        }
        let max = if self.max > 0 { self.max } else { 71 };
        if length > max {
            let message = format!("Must have no more than {max} characters.");
            return Err(Leaf::new("validation_max_text_constraint", message));
        }
        if !self.pattern.is_empty() && !pattern::compile(&self.pattern).is_ok_and(|regex| regex.is_match(plain)) {
            return Err(Leaf::new("validation_invalid_format", "Must have the field's format."));
        }
        Ok(())
    }
}

impl FieldType for Password {
    fn name(&self) -> &'static str {
        "password"
    }

    fn column(&self) -> &'static str {
        "TEXT DEFAULT '' NOT NULL"
    }

    fn zero(&self) -> Value {
        Value::Text(String::new())
    }

    /// The plain text: whoever writes it hashes it first.
    fn normalise(&self, input: &Json) -> Value {
        scalar::text_value(input)
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        Value::Text(scalar::raw_text(raw).into_owned())
    }

    fn write_json(&self, _stored: ValueRef<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"\"");
    }

    /// Whether there is a hash; see [`Password::check_plain`].
    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        if required && scalar::stored_text(value).is_empty() { Err(Leaf::required()) } else { Ok(()) }
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        if self.min != 0 {
            settings::check_range(&mut issues, "min", self.min, 1, 71);
        }
        if self.max != 0 {
            settings::check_range(&mut issues, "max", self.max, self.min.max(0), 71);
        }
        if self.cost != 0 {
            settings::check_range(&mut issues, "cost", self.cost, 4, 31);
        }
        if !self.pattern.is_empty() {
            settings::check_pattern(&mut issues, "pattern", &self.pattern);
        }
        issues
    }
}
