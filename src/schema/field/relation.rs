//! `relation`: ids of records of another collection.

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
pub struct Relation {
    /// The id of the target collection.
    #[serde(deserialize_with = "settings::text")]
    pub collection_id: String,
    #[serde(deserialize_with = "settings::flag")]
    pub cascade_delete: bool,
    #[serde(deserialize_with = "settings::integer")]
    pub min_select: i64,
    /// 0 and 1: a single record.
    #[serde(deserialize_with = "settings::integer")]
    pub max_select: i64,
}

impl Relation {
    /// The ids of a stored value.
    pub fn ids(&self, stored: &Value) -> Vec<String> {
        list::read(stored)
    }
}

impl FieldType for Relation {
    fn name(&self) -> &'static str {
        "relation"
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
        let count = i64::try_from(list::read(value).len()).unwrap_or(i64::MAX);
        if count == 0 {
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        if count < self.min_select {
            let message = format!("Choose at least {}.", self.min_select);
            return Err(Leaf::new("validation_not_enough_values", message).param("minSelect", self.min_select));
        }
        let most = self.max_select.max(1);
        if count > most {
            let message = format!("Choose no more than {most}.");
            return Err(Leaf::new("validation_too_many_values", message).param("maxSelect", most));
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        if self.collection_id.is_empty() {
            issues.insert("collectionId", Leaf::required());
        }
        settings::check_range(&mut issues, "minSelect", self.min_select, 0, i64::MAX);
        if self.max_select == 0 && self.min_select > 0 {
            issues.insert("maxSelect", Leaf::required());
        } else if self.max_select != 0 {
            settings::check_range(&mut issues, "maxSelect", self.max_select, self.min_select.max(0), i64::MAX);
        }
        issues
    }
}
