//! `editor`: HTML.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Field, FieldType};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Editor {
    pub max_size: u64,
    #[serde(rename = "convertURLs")]
    pub convert_urls: bool,
}

impl FieldType for Editor {
    fn name(&self) -> &'static str {
        todo!()
    }

    fn column(&self) -> &'static str {
        todo!()
    }

    fn zero(&self) -> Value {
        todo!()
    }

    fn normalise(&self, input: &Json) -> Value {
        todo!()
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        todo!()
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        todo!()
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        todo!()
    }

    fn check_settings(&self, field: &Field) -> Issues {
        todo!()
    }
}
