//! What clients write into the collections of notifications (`docs/notifications.md`), superusers as well. The house writes
//! these rows in bulk, past all of this.

use super::{
    draft::Draft,
    plan::{Plan, text},
};
use crate::{
    clock::Timestamp,
    db::Value,
    error::{Issues, Leaf},
    schema::{
        Catalog,
        bootstrap::notify::{LONGEST_SNOOZE, OF_ACCOUNTS},
        field::value::moment,
    },
};

const NOTIFICATIONS: &str = "_notifications";
const INBOX: &str = "_inbox";
const SUPPRESSIONS: &str = "_suppressions";

/// What of a notification only the engine says.
const OF_ENGINE: [&str; 4] = ["state", "reason", "cursor", "recipients"];
/// What its deliveries are made of: nobody asks for it again when they are there.
const DECIDED: [&str; 7] = ["to", "when", "channels", "category", "priority", "collapse", "digest"];
/// Where a notification stands that nobody has looked at.
const NEW: [&str; 2] = ["", "new"];

/// Brings what was said into the form in which it is kept, before rules are asked and values are checked.
pub(super) fn settle(catalog: &Catalog, plan: &Plan, draft: &mut Draft<'_>, is_new: bool) {
    if !plan.collection.system {
        return;
    }
    let name = &*plan.collection.name;
    if name == SUPPRESSIONS {
        change(plan, draft, "address", |address| Some(address.trim().to_lowercase()));
    } else if name == NOTIFICATIONS && is_new {
        change(plan, draft, "state", |state| state.is_empty().then(|| "new".to_owned()));
    } else if OF_ACCOUNTS.contains(&name) {
        // Its name is what everybody knows.
        change(plan, draft, "collectionRef", |named| match catalog.by_id(named) {
            Some(_) => None,
            None => catalog.by_name(named).map(|found| found.id.to_string()),
        });
    }
}

/// What is wrong with a row; `stored` is none for a new one.
pub(super) fn check(
    catalog: &Catalog,
    plan: &Plan,
    values: &[Value],
    stored: Option<&[Value]>,
    now: Timestamp,
) -> Issues {
    let mut issues = Issues::default();
    if !plan.collection.system {
        return issues;
    }
    let row = Row { plan, values, stored };
    let name = &*plan.collection.name;
    if name == NOTIFICATIONS {
        row.check_notification(&mut issues);
    } else if OF_ACCOUNTS.contains(&name) {
        row.check_owner(catalog, &mut issues);
    }
    if name == INBOX {
        row.check_snoozed(now, &mut issues);
    }
    issues
}

/// A row under check.
struct Row<'a> {
    plan: &'a Plan,
    values: &'a [Value],
    stored: Option<&'a [Value]>,
}

impl<'a> Row<'a> {
    fn value(&self, name: &str) -> &'a str {
        position(self.plan, name).map_or("", |index| text(self.values.get(index)))
    }

    /// Whether the client says something else than there is; of a new row, than nothing.
    fn changes(&self, name: &str) -> bool {
        let Some(index) = position(self.plan, name) else { return false };
        match self.stored {
            Some(stored) => self.values.get(index) != stored.get(index),
            None => {
                let zero = self.plan.collection.fields[index].kind.as_type().zero();
                let is_blank =
                    |value: &Value| matches!(value, Value::Text(text) if ["", "null"].contains(&text.as_str()));
                self.values.get(index).is_some_and(|value| *value != zero && !is_blank(value))
            }
        }
    }

    fn check_notification(&self, issues: &mut Issues) {
        let is_new = self.stored.is_none();
        for name in OF_ENGINE.into_iter().filter(|name| self.changes(name)) {
            if is_new && name == "state" && NEW.contains(&self.value("state")) {
                continue;
            }
            let message = match is_new {
                true => "Is not to be said: whoever sends it says how far it is.",
                false => "Cannot be changed; POST /api/notify/cancel calls a notification back.",
            };
            issues.insert(name, Leaf::new("validation_not_allowed", message));
        }
        let state = self.stored.and_then(|stored| Some(text(stored.get(position(self.plan, "state")?))));
        if state.is_none_or(|state| NEW.contains(&state)) {
            return;
        }
        for name in DECIDED.into_iter().filter(|name| self.changes(name)) {
            let message = "Its deliveries are decided already: call the notification back, and send another.";
            issues.insert(name, Leaf::new("validation_decided", message));
        }
    }

    fn check_owner(&self, catalog: &Catalog, issues: &mut Issues) {
        let owner = self.value("collectionRef");
        if owner.is_empty() || !self.changes("collectionRef") {
            return;
        }
        match catalog.by_id(owner) {
            Some(found) if found.is_auth() => {}
            Some(_) => {
                let leaf = Leaf::new("validation_invalid_collection_type", "The collection has no accounts.");
                issues.insert("collectionRef", leaf);
            }
            None => {
                let message = "Must be the id or the name of a collection with accounts.";
                issues.insert("collectionRef", Leaf::new("validation_invalid_collection_id", message));
            }
        }
    }

    fn check_snoozed(&self, now: Timestamp, issues: &mut Issues) {
        let until = moment::parse(self.value("snoozed")).filter(|_| self.changes("snoozed"));
        if until.is_some_and(|until| now.until(until) > LONGEST_SNOOZE) {
            issues.insert("snoozed", Leaf::new("validation_invalid_value", "Must lie within a year."));
        }
    }
}

fn position(plan: &Plan, name: &str) -> Option<usize> {
    plan.columns.iter().position(|column| &**column == name)
}

/// Another text in the place of this one, unless `other` has none.
fn change(plan: &Plan, draft: &mut Draft<'_>, name: &str, other: impl FnOnce(&str) -> Option<String>) {
    let Some(index) = position(plan, name) else { return };
    if let Some(other) = other(text(draft.values.get(index))) {
        draft.values[index] = Value::Text(other);
    }
}
