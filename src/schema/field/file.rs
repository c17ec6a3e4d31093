//! `file`: names of stored files.

use serde::{Deserialize, Serialize};

use super::{Field, FieldType, settings, value::list};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct File {
    /// 0 and 1: a single file.
    #[serde(deserialize_with = "settings::integer")]
    pub max_select: i64,
    /// Bytes of one file; 0 stands for 5 MiB.
    #[serde(deserialize_with = "settings::integer")]
    pub max_size: i64,
    #[serde(deserialize_with = "settings::texts")]
    pub mime_types: Vec<String>,
    #[serde(deserialize_with = "settings::texts")]
    pub thumbs: Vec<String>,
    #[serde(deserialize_with = "settings::flag")]
    pub protected: bool,
}

impl File {
    /// The effective limit of one file in bytes.
    pub fn max_bytes(&self) -> u64 {
        u64::try_from(self.max_size).ok().filter(|&size| size > 0).unwrap_or(5 << 20)
    }

    /// The effective limit of files in one value.
    pub fn max_files(&self) -> u64 {
        u64::try_from(self.max_select).unwrap_or(0).max(1)
    }
}

impl FieldType for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn max_select(&self) -> Option<i64> {
        Some(self.max_select)
    }

    /// What belongs to the stored record and what was uploaded is checked by `records`.
    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let names = list::read(value);
        if names.is_empty() {
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        if names.len() as u64 > self.max_files() {
            let message = format!("No more than {} files.", self.max_files());
            return Err(Leaf::new("validation_too_many_files", message).param("maxSelect", self.max_files()));
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        settings::check_range(&mut issues, "maxSelect", self.max_select, 0, settings::MAX_SAFE_INTEGER);
        settings::check_range(&mut issues, "maxSize", self.max_size, 0, settings::MAX_SAFE_INTEGER);
        let mut thumbs = Issues::default();
        for (index, thumb) in self.thumbs.iter().enumerate().filter(|(_, thumb)| !thumb.is_empty()) {
            if matches!(thumb.as_str(), "0x0" | "0x0t" | "0x0b" | "0x0f") {
                thumbs.insert(&index.to_string(), Leaf::new("validation_not_in_invalid", "One side must be given."));
            } else if !is_thumb_size(thumb) {
                thumbs.insert(
                    &index.to_string(),
                    Leaf::new("validation_match_invalid", "Must be like 100x50 or 100x50f."),
                );
            }
        }
        issues.nest("thumbs", thumbs);
        issues
    }
}

/// `WxH` with an optional `t`, `b` or `f`.
fn is_thumb_size(thumb: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    thumb.split_once('x').is_some_and(|(width, height)| {
        is_number(width) && is_number(height.strip_suffix(['t', 'b', 'f']).unwrap_or(height))
    })
}
