//! `bool`: 0 or 1 in storage.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Field, FieldType, value::scalar};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bool {}

impl FieldType for Bool {
    fn name(&self) -> &'static str {
        "bool"
    }

    fn column(&self) -> &'static str {
        "BOOLEAN DEFAULT FALSE NOT NULL"
    }

    fn zero(&self) -> Value {
        Value::Integer(0)
    }

    fn normalise(&self, input: &Json) -> Value {
        Value::Integer(i64::from(scalar::bool_of(input)))
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        Value::Integer(i64::from(scalar::raw_bool(raw)))
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(if scalar::raw_bool(stored) { b"true" } else { b"false" });
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        if required && *value != Value::Integer(1) { Err(Leaf::required()) } else { Ok(()) }
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        Issues::default()
    }
}
