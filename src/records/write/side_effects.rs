//! What else happens when an account changes or goes (`auth.md` §9), in the same transaction.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    apply::Apply,
    plan::{Plan, text},
    system::{AUTH_ORIGINS, EXTERNAL_AUTHS, MFAS, OTPS},
};
use crate::{
    db::{Row, Value},
    error::Result,
    random,
    schema::{FieldType, Modifier, field},
};

/// Length of a token key whose field has no pattern of its own.
const TOKEN_KEY: usize = 50;

impl Apply<'_, '_> {
    /// Puts a new token key into `values` where the change asks for one, and names the collections whose rows of this
    /// account are outdated. Nothing for collections without accounts.
    pub(super) fn renew_secrets(
        &mut self,
        plan: &Plan,
        old: &Row,
        values: &mut [Value],
        new_password: bool,
    ) -> Result<Vec<&'static str>> {
        let Some(auth) = plan.auth else { return Ok(Vec::new()) };
        let was = |index: usize| text(old.values.get(index));
        let mut outdated = Vec::new();
        if new_password {
            outdated.extend([MFAS, AUTH_ORIGINS]);
        }
        let new_email = was(auth.email) != text(values.get(auth.email));
        let verified_now = values[auth.verified] == Value::Integer(1) && old.values[auth.verified] != Value::Integer(1);
        let unlinked = verified_now && self.has_links(&plan.collection.id, plan.id_of(old))?;
        if unlinked {
            outdated.push(EXTERNAL_AUTHS);
        }
        let untouched = was(auth.token_key) == text(values.get(auth.token_key));
        if untouched && (new_password || new_email || unlinked) {
            values[auth.token_key] = Value::Text(new_token_key(plan, auth.token_key));
        }
        if was(auth.token_key) != text(values.get(auth.token_key)) {
            outdated.push(OTPS);
        }
        Ok(outdated)
    }

    /// Removes an account's rows from these system collections.
    pub(super) fn clear_account_rows(&mut self, names: &[&str], collection: &str, record: &str) -> Result<()> {
        for name in names {
            let Some(found) = self.catalog.find(name) else { continue };
            let plan = self.plans.of(found);
            let rows = self.account_rows(&plan, collection, record)?;
            self.remove(&plan, rows)?;
        }
        Ok(())
    }

    /// The rows of one system collection that belong to an account.
    pub(super) fn account_rows(&self, plan: &Plan, collection: &str, record: &str) -> Result<Vec<Arc<Row>>> {
        let sql = format!("{} WHERE `collectionRef` = ?1 AND `recordRef` = ?2", plan.select);
        let mut statement = self.tx.prepare(&sql)?;
        let rows = statement.query_map([collection, record], |row| Ok(Arc::new(plan.read(row))))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn has_links(&self, collection: &str, record: &str) -> Result<bool> {
        let Some(found) = self.catalog.find(EXTERNAL_AUTHS) else { return Ok(false) };
        Ok(!self.account_rows(&self.plans.of(found), collection, record)?.is_empty())
    }
}

fn new_token_key(plan: &Plan, index: usize) -> String {
    let kind = plan.collection.fields[index].kind.as_type();
    let key = kind.apply(&field::Text::default().zero(), Modifier::Autogenerate, &Json::from(""));
    match text(key.as_ref()) {
        "" => random::string(random::ALPHANUMERIC, TOKEN_KEY),
        key => key.to_owned(),
    }
}
