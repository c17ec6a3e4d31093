//! `select`: one or some of a fixed list of values.

use serde::{Deserialize, Serialize};

use super::{Field, FieldType, settings, value::list};
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

    fn max_select(&self) -> Option<i64> {
        Some(self.max_select)
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
