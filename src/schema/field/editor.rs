//! `editor`: HTML, kept as it came.

use serde::{Deserialize, Serialize};

use super::{Field, FieldType, settings, value::scalar};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Editor {
    /// Bytes; 0 stands for 5 MiB.
    #[serde(deserialize_with = "settings::integer")]
    pub max_size: i64,
    /// For the admin UI.
    #[serde(rename = "convertURLs", deserialize_with = "settings::flag")]
    pub convert_urls: bool,
}

impl Editor {
    /// The effective limit in bytes.
    pub fn max_bytes(&self) -> u64 {
        u64::try_from(self.max_size).ok().filter(|&size| size > 0).unwrap_or(5 << 20)
    }
}

impl FieldType for Editor {
    fn name(&self) -> &'static str {
        "editor"
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let html = scalar::stored_text(value);
        if required && html.is_empty() {
            return Err(Leaf::required());
        }
        if html.len() as u64 > self.max_bytes() {
            let message = format!("Must not be larger than {} bytes.", self.max_bytes());
            return Err(Leaf::new("validation_content_size_limit", message).param("maxSize", self.max_bytes()));
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        settings::check_range(&mut issues, "maxSize", self.max_size, 0, settings::MAX_SAFE_INTEGER);
        issues
    }
}
