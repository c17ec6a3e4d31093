//! `relation`: ids of records of another collection.

use serde::{Deserialize, Serialize};

use super::{Field, FieldType, settings, value::list};
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

    fn max_select(&self) -> Option<i64> {
        Some(self.max_select)
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
