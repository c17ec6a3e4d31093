//! The mail by which an owner tries settings and templates (`docs/wire/services.md` §4.4).

use serde_json::{Map, Value as Json};

use super::{Auth, form, rehearsal::rehearsal};
use crate::{
    error::{Error, Issues, Leaf, Result},
    identity::SUPERUSERS_ID,
    mail::{Template, Undelivered},
};

impl Auth {
    /// Sends a template of an auth collection, filled with an imaginary record, to the address in the body, and is done
    /// when it is on its way. For superusers: a failure says what the mail server said.
    pub async fn send_test_mail(&self, body: &Map<String, Json>) -> Result<()> {
        let (email, name) = (form::text(body, "email")?, form::text(body, "template")?);
        let collection = form::text(body, "collection")?;
        let collection = if collection.is_empty() { SUPERUSERS_ID } else { collection.as_str() };

        let mut issues = Issues::default();
        form::require_email(&mut issues, "email", &email);
        let template = Template::parse(&name);
        if template.is_none() && form::require(&mut issues, "template", &name, usize::MAX) {
            issues.insert("template", Leaf::new("validation_in_invalid", "Is not one of the possible values."));
        }
        let collection = self.auth_collection(collection).ok();
        if collection.is_none() {
            let message = "Has to be the id or name of an auth collection.";
            issues.insert("collection", Leaf::new("validation_invalid_auth_collection", message));
        }
        let (Some(template), Some(collection), true) = (template, collection, issues.is_empty()) else {
            return Err(Error::issues("The test mail cannot be sent.", issues));
        };

        let message = rehearsal(template, &collection, &email, self.now(), &self.settings.current())?;
        let sent = self.mail.send(message).await;
        sent.map_err(|error| match Undelivered::behind(&error) {
            // Who may read and write the settings may also know what came of them.
            Some(cause) => {
                let told = format!("The test mail could not be sent: {cause}");
                Error { message: told.into(), ..error }
            }
            None => error,
        })
    }
}
