//! The checks that only auth collections have, made before any field is looked at (`auth.md` §4.1).

use super::{
    draft::Draft,
    facts::{Facts, Need},
    plan::{AuthColumns, text},
};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

/// What the checks know besides the draft.
pub(super) struct Form<'a> {
    pub columns: AuthColumns,
    /// The stored values, `None` for a new record.
    pub stored: Option<&'a [Value]>,
    /// A superuser, or somebody whom the manage rule admits.
    pub manager: bool,
    pub facts: &'a Facts,
}

impl Form<'_> {
    /// All failed checks together. An old password that nobody has verified yet is noted and believed.
    pub fn check(&self, draft: &Draft<'_>, needs: &mut Vec<Need>) -> Issues {
        let mut issues = Issues::default();
        let AuthColumns { password, email, verified, .. } = self.columns;
        let was = |index: usize| self.stored.map(|stored| &stored[index]);
        let is_new = self.stored.is_none();
        if !self.manager {
            if !is_new && was(email) != Some(&draft.values[email]) {
                issues.insert("email", mismatch());
            }
            if *was(verified).unwrap_or(&Value::Integer(0)) != draft.values[verified] {
                issues.insert("verified", mismatch());
            }
        }
        let plain = draft.plain(password).unwrap_or_default();
        let (confirm, old) = (draft.password_confirm.as_str(), draft.old_password.as_str());
        if plain.is_empty() && (is_new || !confirm.is_empty() || !old.is_empty()) {
            issues.insert("password", Leaf::required());
        }
        if confirm.is_empty() && (is_new || !plain.is_empty() || !old.is_empty()) {
            issues.insert("passwordConfirm", Leaf::required());
        } else if confirm != plain {
            issues.insert("passwordConfirm", mismatch());
        }
        if !self.manager && !is_new && (!plain.is_empty() || !confirm.is_empty()) {
            self.check_old(text(was(password)), old, needs, &mut issues);
        }
        issues
    }

    fn check_old(&self, hash: &str, old: &str, needs: &mut Vec<Need>, issues: &mut Issues) {
        if old.is_empty() {
            return issues.insert("oldPassword", Leaf::required());
        }
        match self.facts.verified(hash, old) {
            Some(true) => {}
            Some(false) => {
                issues.insert("oldPassword", Leaf::new("validation_invalid_old_password", "The password is wrong."));
            }
            None => needs.push(Need::Verify { hash: hash.to_owned(), plain: old.to_owned() }),
        }
    }
}

fn mismatch() -> Leaf {
    Leaf::new("validation_values_mismatch", "The values do not match.")
}
