//! `autodate`: a moment that the server sets; bodies cannot.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Field, FieldType, Modifier, date, settings, value::moment};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Autodate {
    #[serde(deserialize_with = "settings::flag")]
    pub on_create: bool,
    #[serde(deserialize_with = "settings::flag")]
    pub on_update: bool,
}

impl FieldType for Autodate {
    fn name(&self) -> &'static str {
        "autodate"
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
        date::normalise_raw(raw)
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        date::write_raw(stored, out);
    }

    fn apply(&self, _current: &Value, _modifier: Modifier, _input: &Json) -> Option<Value> {
        None
    }

    fn check(&self, _required: bool, _value: &Value) -> Result<(), Leaf> {
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        if !self.on_create && !self.on_update {
            for key in ["onCreate", "onUpdate"] {
                issues.insert(key, Leaf::new("validation_required", "One of onCreate and onUpdate must be set."));
            }
        }
        issues
    }
}
