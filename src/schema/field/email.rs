//! `email`: an address, maybe of certain domains only.

use serde::{Deserialize, Serialize};

use super::{Field, FieldType, settings, value::scalar};
use crate::{
    address,
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Email {
    #[serde(deserialize_with = "settings::texts")]
    pub except_domains: Vec<String>,
    #[serde(deserialize_with = "settings::texts")]
    pub only_domains: Vec<String>,
}

impl FieldType for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let text = scalar::stored_text(value);
        if text.is_empty() {
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        if !address::is_email(text) {
            return Err(Leaf::new("validation_is_email", "Must be an e-mail address."));
        }
        if !settings::allows_domain(address::email_domain(text), &self.only_domains, &self.except_domains) {
            return Err(Leaf::new("validation_email_domain_not_allowed", "This domain is not allowed."));
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        settings::check_domains(&self.only_domains, &self.except_domains)
    }
}
