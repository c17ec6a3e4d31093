//! `date`: a moment in UTC, or blank.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::{
    Field, FieldType, settings,
    value::{moment, render, scalar},
};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Date {
    /// In stored form, blank for none.
    #[serde(deserialize_with = "moment_setting")]
    pub min: String,
    #[serde(deserialize_with = "moment_setting")]
    pub max: String,
}

impl FieldType for Date {
    fn name(&self) -> &'static str {
        "date"
    }

    fn column(&self) -> &'static str {
        "TEXT DEFAULT '' NOT NULL"
    }

    fn zero(&self) -> Value {
        Value::Text(String::new())
    }

    fn normalise(&self, input: &Json) -> Value {
        moment::normalise(input.as_str().unwrap_or_default())
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        normalise_raw(raw)
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        write_raw(stored, out);
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let date = scalar::stored_text(value);
        if date.is_empty() {
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        // Stored forms sort as they follow each other.
        if !self.min.is_empty() && date < self.min.as_str() {
            let code = "validation_min_greater_equal_than_required";
            return Err(
                Leaf::new(code, format!("Must not be before {}.", self.min)).param("threshold", rfc3339(&self.min))
            );
        }
        if !self.max.is_empty() && date > self.max.as_str() {
            let code = "validation_max_less_equal_than_required";
            return Err(
                Leaf::new(code, format!("Must not be after {}.", self.max)).param("threshold", rfc3339(&self.max))
            );
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        Issues::default()
    }
}

/// A raw column's moment in stored form; also what `autodate` does.
pub(super) fn normalise_raw(raw: ValueRef<'_>) -> Value {
    match raw {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Value::Text(String::new()), moment::normalise),
        _ => Value::Text(String::new()),
    }
}

/// A raw column's moment as the wire's JSON.
pub(super) fn write_raw(raw: ValueRef<'_>, out: &mut Vec<u8>) {
    match raw {
        ValueRef::Text(bytes) if moment::is_stored(bytes) => {
            out.push(b'"');
            out.extend_from_slice(bytes);
            out.push(b'"');
        }
        other => render::write_str(scalar::stored_text(&normalise_raw(other)), out),
    }
}

/// `2024-05-01T10:00:00Z`, fraction only where there is one.
fn rfc3339(stored: &str) -> String {
    let text = stored.replacen(' ', "T", 1);
    match text.strip_suffix('Z').and_then(|text| text.split_once('.')) {
        Some((seconds, fraction)) => match fraction.trim_end_matches('0') {
            "" => format!("{seconds}Z"),
            fraction => format!("{seconds}.{fraction}Z"),
        },
        None => text,
    }
}

fn moment_setting<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Ok(scalar::stored_text(&moment::normalise(&settings::text(input)?)).to_owned())
}
