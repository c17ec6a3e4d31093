//! Whether a collection may be stored as it is (`docs/wire/records-collections.md` §2, §4.5, §5, §7).

use serde_json::json;

mod auth;
mod fields;
mod indexes;

pub(super) use self::{fields::bad_name, indexes::at as index_issue};
use super::{Catalog, CheckRule, Collection, Rule, collection::Options};
use crate::{
    db::ReadTx,
    error::{Issues, Leaf, Result},
};

/// A rule or query longer than this many bytes is refused.
pub const MAX_EXPRESSION: usize = 65_536;
/// More collections than this are refused.
pub(super) const MAX_COLLECTIONS: usize = 2000;

/// One collection under validation.
pub(super) struct Check<'a> {
    /// As stored; `None` for a new one.
    pub original: Option<&'a Collection>,
    pub new: &'a Collection,
    /// With `new` in its place.
    pub catalog: &'a Catalog,
    pub rules: &'a dyn CheckRule,
    /// Its row and table are already written (import): it may point at itself.
    pub saved: bool,
    /// Why the view's query is unusable.
    pub view_issue: Option<Leaf>,
}

impl Check<'_> {
    /// Every issue of the collection, base part and options together.
    pub fn run(&self, tx: &ReadTx<'_>) -> Result<Issues> {
        let mut issues = Issues::default();
        let mut note = |key: &str, outcome: Result<(), Leaf>| {
            if let Err(leaf) = outcome {
                issues.insert(key, leaf);
            }
        };
        note("id", self.id());
        note("name", self.name());
        note("system", self.system_flag());
        for (key, rule) in self.new.rules() {
            note(key, self.api_rule(key, rule));
        }
        let listed = fields::check(self);
        let bad_fields = listed.is_err();
        match listed {
            Ok(()) => {}
            Err(issue) => issues.insert("fields", issue),
        }
        if let Err(issue) = indexes::check(self, tx)? {
            issues.insert("indexes", issue);
        }
        match &self.new.options {
            Options::Base => {}
            Options::Auth(options) => issues.merge(auth::check(self, options)),
            Options::View { query } => {
                if let Some(leaf) = self.query(query, bad_fields) {
                    issues.insert("viewQuery", leaf);
                }
            }
        }
        Ok(issues)
    }

    /// All collections but this one.
    pub fn others(&self) -> impl Iterator<Item = &Collection> {
        // By place, not by id: a new collection may carry the id of another.
        let this = self.new as *const Collection;
        self.catalog.all().iter().map(|other| &**other).filter(move |other| !std::ptr::eq(*other, this))
    }

    fn id(&self) -> Result<(), Leaf> {
        let id = &*self.new.id;
        if self.original.is_some() {
            return Ok(());
        }
        length(id, 1, 100)?;
        word(id)?;
        if self.others().any(|other| *other.id == *id) {
            return Err(Leaf::new("validation_invalid_or_existing_id", "There is a collection with this id."));
        }
        if self.catalog.all().len() > MAX_COLLECTIONS {
            return Err(Leaf::new("validation_invalid_or_existing_id", "There are too many collections."));
        }
        Ok(())
    }

    fn name(&self) -> Result<(), Leaf> {
        let name = &*self.new.name;
        length(name, 1, 255)?;
        not_via(name)?;
        word(name)?;
        if self.original.is_some_and(|original| original.system && original.name != self.new.name) {
            let message = "The name of a system collection cannot be changed.";
            return Err(Leaf::new("validation_collection_system_name_change", message));
        }
        if self.others().any(|other| other.name.eq_ignore_ascii_case(name)) {
            return Err(Leaf::new("validation_collection_name_exists", "There is a collection with this name."));
        }
        // The id of a stored collection itself counts as well, as on the reference; a new one has none yet.
        let stored = self.saved || self.original.is_some();
        if self.others().any(|other| *other.id == *name) || stored && *self.new.id == *name {
            let message = "The name must not be the id of a collection.";
            return Err(Leaf::new("validation_collection_name_id_duplicate", message));
        }
        Ok(())
    }

    fn system_flag(&self) -> Result<(), Leaf> {
        if self.original.is_some_and(|original| original.system != self.new.system) {
            let message = "Whether a collection is a system one cannot be changed.";
            return Err(Leaf::new("validation_collection_system_flag_change", message));
        }
        Ok(())
    }

    fn api_rule(&self, key: &str, rule: &Rule) -> Result<(), Leaf> {
        let read_only = self.new.is_view() && matches!(key, "createRule" | "updateRule" | "deleteRule");
        if read_only && rule.is_some() {
            return Err(Leaf::new("validation_nil", "Records of a view cannot be written."));
        }
        self.rule(rule)?;
        let original =
            |original: &Collection| original.rules().into_iter().find(|(name, _)| *name == key).map(|it| it.1.clone());
        self.system_rule(rule, original)
    }

    /// Whether the rule compiles over this collection.
    pub fn rule(&self, rule: &Rule) -> Result<(), Leaf> {
        let Some(rule) = rule.as_deref().filter(|rule| !rule.is_empty()) else { return Ok(()) };
        if rule.len() > MAX_EXPRESSION {
            return Err(Leaf::new("validation_invalid_rule", "The rule is too long."));
        }
        let checked = self.rules.check(self.catalog, self.new, rule);
        checked.map_err(|reason| Leaf::new("validation_invalid_rule", format!("Invalid rule: {reason}.")))
    }

    /// The rules of the wire's system collections stay as they are. `of` reads the same rule from the stored collection.
    pub fn system_rule(&self, rule: &Rule, of: impl Fn(&Collection) -> Option<Rule>) -> Result<(), Leaf> {
        let changed =
            |original: &Collection| !original.rules_may_change() && of(original).is_some_and(|old| old != *rule);
        if self.original.is_some_and(changed) {
            let message = "The rules of a system collection cannot be changed.";
            return Err(Leaf::new("validation_collection_system_rule_change", message));
        }
        Ok(())
    }

    fn query(&self, query: &str, bad_fields: bool) -> Option<Leaf> {
        if query.is_empty() {
            return Some(Leaf::required());
        }
        let invalid = || Leaf::new("validation_invalid_view_query", "The query has columns that are no valid fields.");
        self.view_issue.clone().or_else(|| bad_fields.then(invalid))
    }
}

/// True when a table or view of this name exists.
pub(super) fn table_exists(tx: &ReadTx<'_>, name: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) = lower(?1)";
    Ok(tx.query_one(sql, [name], |_| Ok(()))?.is_some())
}

/// The name of a new table must be free: not one of ours, not one that somebody made by hand.
pub(super) fn free_table_name(tx: &ReadTx<'_>, name: &str) -> Result<Result<(), Leaf>> {
    let ours = name.to_ascii_lowercase().starts_with("__conch_");
    if ours || table_exists(tx, name)? {
        let message = "The name is taken by an internal table.";
        return Ok(Err(Leaf::new("validation_collection_name_invalid", message)));
    }
    Ok(Ok(()))
}

/// Between `min` and `max` characters.
pub(super) fn length(text: &str, min: usize, max: usize) -> Result<(), Leaf> {
    if text.is_empty() {
        return Err(Leaf::required());
    }
    if (min..=max).contains(&text.chars().count()) {
        return Ok(());
    }
    let message = format!("The length must be between {min} and {max}.");
    Err(Leaf::new("validation_length_out_of_range", message).param("min", json!(min)).param("max", json!(max)))
}

/// Letters, digits and underscores only.
pub(super) fn word(text: &str) -> Result<(), Leaf> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(());
    }
    Err(Leaf::new("validation_match_invalid", "Only letters, digits and underscores are allowed."))
}

/// `_via_` is how the rule language spells back-relations.
pub(super) fn not_via(text: &str) -> Result<(), Leaf> {
    if text.to_ascii_lowercase().contains("_via_") {
        return Err(Leaf::new("validation_found_via", "\"_via_\" must not be part of the name."));
    }
    Ok(())
}
