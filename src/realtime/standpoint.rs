//! Where a listener stands besides the log: as whom it listens, and under which rules.
//!
//! A picture that a listener has of some collections is good as long as every change of it is told. The log tells what
//! happens to records; it does not tell that a rule was changed, or that the listener is somebody else now. So a position
//! names both: the epoch of the log, and a digest of all else that decides what is seen. Who comes back with another one
//! has to fetch again.

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::topic::{Target, Topic};
use crate::{
    identity::Caller,
    schema::{Catalog, Collection},
};

/// Bytes of the digest that are kept: nobody gains anything by meeting another's.
const LENGTH: usize = 12;

/// A digest of what decides what these topics show to `caller`, besides the records themselves.
pub fn of<'t>(catalog: &Catalog, caller: &Caller, topics: impl Iterator<Item = &'t Topic>) -> String {
    let mut digest = Context::new(&SHA256);
    let mut add = |part: &str| {
        digest.update(&part.len().to_le_bytes());
        digest.update(part.as_bytes());
    };
    if let Some(record) = caller.record() {
        add(&record.collection_id);
        add(&record.id);
    }
    let mut by_account = false;
    for topic in topics {
        let (Target::Collection(name) | Target::Record { collection: name, .. }) = &topic.target else { continue };
        add(name);
        let Some(collection) = catalog.by_id(name).or_else(|| catalog.by_name(name)) else { continue };
        for rule in rules(collection) {
            // A locked rule is not a blank one.
            add(if rule.is_some() { "rule" } else { "none" });
            add(rule.unwrap_or_default());
            by_account |= rule.is_some_and(reads_account);
        }
        add(&collection.stored_fields());
    }
    if by_account && let Some(record) = caller.record() {
        for (column, value) in record.row.columns.iter().zip(&record.row.values) {
            // Dates change with every login.
            if !matches!(&**column, "password" | "tokenKey" | "updated") {
                add(column);
                add(&format!("{value:?}"));
            }
        }
    }
    BASE64_URL_SAFE_NO_PAD.encode(&digest.finish().as_ref()[..LENGTH])
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
