//! Where a listener stands besides the log: as whom it listens, and under which rules.
//!
//! A picture that a listener has of some collections is good as long as every change of it is told. The log tells what
//! happens to records; it does not tell that a rule was changed, or that the listener is somebody else now. So a position
//! names both: the epoch of the log, and a digest of all else that decides what is seen. Who comes back with another one
//! has to fetch again.

use std::collections::HashMap;

use aws_lc_rs::{digest, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::topic::{Target, Topic};
use crate::{
    identity::{Caller, SUPERUSERS_ID},
    schema::{Catalog, Collection},
};

/// Bytes of the digest that are kept: nobody gains anything by meeting another's.
const LENGTH: usize = 12;

/// Computes standpoints; remembers what all listeners to a collection have in common.
#[derive(Default)]
pub struct Standpoints {
    /// Of the catalog.
    version: u64,
    collections: HashMap<String, Basis>,
}

/// What a collection contributes.
struct Basis {
    digest: [u8; 32],
    /// Its rules look at more of the account than who it is.
    by_account: bool,
}

impl Standpoints {
    /// A digest of what decides what these topics show to `caller`, besides the records themselves: their texts in any
    /// order, and what they look at. It tells nothing of its parts, which are not all for the caller's eyes: rules, and
    /// hidden fields of the account.
    pub fn of<'t>(
        &mut self,
        catalog: &Catalog,
        caller: &Caller,
        topics: impl Iterator<Item = (&'t str, &'t Topic)>,
    ) -> String {
        if self.version != catalog.version {
            *self = Self { version: catalog.version, collections: HashMap::new() };
        }
        let secret = catalog.by_id(SUPERUSERS_ID).and_then(|superusers| superusers.auth());
        let secret = secret.map(|options| options.auth_token.secret.as_str()).unwrap_or_default();
        let mut digest = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        let mut add = |part: &[u8]| {
            digest.update(&part.len().to_le_bytes());
            digest.update(part);
        };
        if let Some(record) = caller.record() {
            add(record.collection_id.as_bytes());
            add(record.id.as_bytes());
        }
        let mut by_account = false;
        let mut topics: Vec<_> = topics.collect();
        topics.sort_unstable_by_key(|(text, _)| *text);
        for (text, topic) in topics {
            // The others tell of no record.
            let (Target::Collection(name) | Target::Record { collection: name, .. }) = &topic.target else { continue };
            add(text.as_bytes());
            // One's id may be another's name.
            for collection in [catalog.by_id(name), catalog.by_name(name)].into_iter().flatten() {
                if !self.collections.contains_key(&*collection.id) {
                    self.collections.insert(collection.id.to_string(), Basis::of(collection));
                }
                let Some(basis) = self.collections.get(&*collection.id) else { continue };
                add(&basis.digest);
                by_account |= basis.by_account;
            }
        }
        if by_account && let Some(record) = caller.record() {
            for (column, value) in record.row.columns.iter().zip(&record.row.values) {
                // Dates change with every login.
                if !matches!(&**column, "password" | "tokenKey" | "updated") {
                    add(column.as_bytes());
                    add(format!("{value:?}").as_bytes());
                }
            }
        }
        BASE64_URL_SAFE_NO_PAD.encode(&digest.sign().as_ref()[..LENGTH])
    }
}

impl Basis {
    fn of(collection: &Collection) -> Self {
        let mut digest = digest::Context::new(&digest::SHA256);
        let mut add = |part: &str| {
            digest.update(&part.len().to_le_bytes());
            digest.update(part.as_bytes());
        };
        let mut by_account = false;
        add(&collection.id);
        add(&collection.name);
        for rule in rules(collection) {
            // A locked rule is not a blank one.
            add(if rule.is_some() { "rule" } else { "none" });
            add(rule.unwrap_or_default());
            by_account |= rule.is_some_and(reads_account);
        }
        add(&collection.stored_fields());
        let digest = digest.finish();
        let digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Self { digest, by_account }
    }
}

/// What decides who sees a record, and how much of it.
fn rules(collection: &Collection) -> [Option<&str>; 3] {
    let manage = collection.auth().and_then(|options| options.manage_rule.as_deref());
    [collection.list_rule.as_deref(), collection.view_rule.as_deref(), manage]
}

/// Whether a rule looks at more of the account than who it is.
fn reads_account(rule: &str) -> bool {
    rule.split("@request.auth.").skip(1).any(|rest| {
        let name = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
        !matches!(name, "id" | "collectionId" | "collectionName")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_rules_look_at_the_account() {
        for (rule, expected) in [
            ("", false),
            ("public = true", false),
            ("owner = @request.auth.id && @request.auth.collectionName = 'users'", false),
            ("@request.auth.id = owner || @request.auth.role = 'admin'", true),
            ("@request.auth.teams.id ?= team", true),
        ] {
            assert_eq!(reads_account(rule), expected, "{rule}");
        }
    }
}
