//! `url`: a URL, maybe of certain domains only.

use serde::{Deserialize, Serialize};

use super::{Field, FieldType, settings, value::scalar};
use crate::{
    address,
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Url {
    #[serde(deserialize_with = "settings::texts")]
    pub except_domains: Vec<String>,
    #[serde(deserialize_with = "settings::texts")]
    pub only_domains: Vec<String>,
}

impl FieldType for Url {
    fn name(&self) -> &'static str {
        "url"
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let text = scalar::stored_text(value);
        if text.is_empty() {
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        if !address::is_url(text) {
            return Err(Leaf::new("validation_invalid_url", "Must be a URL."));
        }
        let listed = !self.only_domains.is_empty() || !self.except_domains.is_empty();
        if listed && !settings::allows_domain(&address::url_host(text), &self.only_domains, &self.except_domains) {
            return Err(Leaf::new("validation_url_domain_not_allowed", "This domain is not allowed."));
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        settings::check_domains(&self.only_domains, &self.except_domains)
    }
}
