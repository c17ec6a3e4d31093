//! `select`: one or some of a fixed list of values.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Field, FieldType, Modifier, settings, value::list};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Select {
    #[serde(deserialize_with = "settings::texts")]
    pub values: Vec<String>,
    /// 0 and 1: a single value.
    #[serde(deserialize_with = "settings::integer")]
    pub max_select: i64,
}

impl FieldType for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn column(&self) -> &'static str {
        if self.is_multiple() { list::MULTIPLE_COLUMN } else { list::SINGLE_COLUMN }
    }

    fn is_multiple(&self) -> bool {
        self.max_select > 1
    }

    fn zero(&self) -> Value {
        list::write(self.is_multiple(), Vec::new())
    }

    fn normalise(&self, input: &Json) -> Value {
        list::normalise(self.is_multiple(), input)
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        list::normalise_raw(self.is_multiple(), raw)
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        list::write_json(self.is_multiple(), stored, out);
    }

    fn apply(&self, current: &Value, modifier: Modifier, input: &Json) -> Option<Value> {
        list::apply(self.is_multiple(), current, modifier, input)
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let chosen = list::read(value);
        if chosen.is_empty() {
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        let most = self.max_select.max(1);
        if chosen.len() as u64 > most.unsigned_abs() {
            let message = format!("Choose no more than {most}.");
            return Err(Leaf::new("validation_too_many_values", message).param("maxSelect", most));
        }
        match chosen.into_iter().find(|value| !self.values.contains(value)) {
            Some(value) => {
                Err(Leaf::new("validation_invalid_value", "Not one of the possible values.").param("value", value))
            }
            None => Ok(()),
        }
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        if self.values.is_empty() {
            issues.insert("values", Leaf::required());
        }
        let most = i64::try_from(self.values.len()).unwrap_or(i64::MAX).max(1);
        settings::check_range(&mut issues, "maxSelect", self.max_select, 0, most);
        issues
    }
}
