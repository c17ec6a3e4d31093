//! Whether the options of an auth collection may be stored (`docs/wire/auth.md` §1.2, §1.3).

use serde_json::json;

use super::{Check, MAX_EXPRESSION};
use crate::schema::{
    auth_options::{AuthOptions, EmailTemplate, Mfa, OAuth2, Otp, PasswordAuth, Provider, TokenOptions},
    field::{FieldType, Url},
    providers,
};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

/// More providers than this are refused.
const MAX_PROVIDERS: usize = 100;
/// More identity fields than this are refused.
const MAX_IDENTITY_FIELDS: usize = 20;

/// The options by themselves first; what they mean together only when each is right.
pub(super) fn check(check: &Check<'_>, options: &AuthOptions) -> Issues {
    let issues = each(check, options);
    if issues.is_empty() { together(check, options) } else { issues }
}

fn each(check: &Check<'_>, options: &AuthOptions) -> Issues {
    let mut issues = Issues::default();
    if let Err(leaf) = check.rule(&options.auth_rule) {
        issues.insert("authRule", leaf);
    } else if let Err(leaf) = check.system_rule(&options.auth_rule, |old| old.auth().map(|old| old.auth_rule.clone())) {
        issues.insert("authRule", leaf);
    }
    let system = || check.system_rule(&options.manage_rule, |old| old.auth().map(|old| old.manage_rule.clone()));
    if let Err(leaf) = manage_rule(check, options).and_then(|()| system()) {
        issues.insert("manageRule", leaf);
    }
    issues.nest("authAlert", nested("emailTemplate", template(&options.auth_alert.email_template)));
    issues.nest("passwordAuth", password_auth(&options.password_auth));
    issues.nest("oauth2", oauth2(&options.oauth2));
    issues.nest("mfa", mfa(&options.mfa));
    issues.nest("otp", otp(&options.otp));
    for (name, options) in options.tokens() {
        issues.nest(name, token(options));
    }
    issues.nest("verificationTemplate", template(&options.verification_template));
    issues.nest("resetPasswordTemplate", template(&options.reset_password_template));
    issues.nest("confirmEmailChangeTemplate", template(&options.confirm_email_change_template));
    issues
}

/// Enough ways to sign in for MFA, its rule, and identity fields that identify.
fn together(check: &Check<'_>, options: &AuthOptions) -> Issues {
    if options.mfa.enabled {
        let ways = [options.password_auth.enabled, options.oauth2.enabled, options.otp.enabled];
        if ways.iter().filter(|enabled| **enabled).count() < 2 {
            let message = "At least two ways to sign in must be enabled.";
            return nested("mfa", leaf_at("enabled", Leaf::new("validation_mfa_not_enough_auths", message)));
        }
        if let Err(leaf) = check.rule(&Some(options.mfa.rule.clone())) {
            return nested("mfa", leaf_at("rule", leaf));
        }
    }
    // Also while MFA is off: a system collection's rule stays as it is.
    let rule = Some(options.mfa.rule.clone());
    if let Err(leaf) = check.system_rule(&rule, |old| old.auth().map(|old| Some(old.mfa.rule.clone()))) {
        return nested("mfa", leaf_at("rule", leaf));
    }
    if options.password_auth.enabled
        && let Err(leaf) = identity_fields(check, &options.password_auth)
    {
        return nested("passwordAuth", leaf_at("identityFields", leaf));
    }
    Issues::default()
}

fn manage_rule(check: &Check<'_>, options: &AuthOptions) -> Result<(), Leaf> {
    if options.manage_rule.as_deref() == Some("") {
        let message = "The rule must be null or not blank: everybody would manage everybody.";
        return Err(Leaf::new("validation_nil_or_not_empty_required", message));
    }
    check.rule(&options.manage_rule)
}

fn identity_fields(check: &Check<'_>, options: &PasswordAuth) -> Result<(), Leaf> {
    for name in &options.identity_fields {
        if check.new.field(name).is_none() {
            let leaf = Leaf::new("validation_missing_field", "There is no such field.");
            return Err(leaf.param("fieldName", name.as_str()));
        }
        if !check.new.has_unique_index(name) {
            let message = "The field needs a unique index of its own.";
            return Err(Leaf::new("validation_missing_unique_constraint", message).param("fieldName", name.as_str()));
        }
    }
    Ok(())
}

fn template(template: &EmailTemplate) -> Issues {
    let mut issues = Issues::default();
    for (name, text) in [("subject", &template.subject), ("body", &template.body)] {
        if text.is_empty() {
            issues.insert(name, Leaf::required());
        } else if text.len() > MAX_EXPRESSION {
            let message = format!("The length must be no more than {MAX_EXPRESSION}.");
            let leaf = Leaf::new("validation_length_too_long", message);
            issues.insert(name, leaf.param("min", 0).param("max", json!(MAX_EXPRESSION)));
        }
    }
    issues
}

fn password_auth(options: &PasswordAuth) -> Issues {
    if !options.enabled {
        return Issues::default();
    }
    if options.identity_fields.is_empty() {
        return leaf_at("identityFields", Leaf::required());
    }
    if options.identity_fields.len() > MAX_IDENTITY_FIELDS {
        let message = format!("There must be no more than {MAX_IDENTITY_FIELDS}.");
        return leaf_at("identityFields", Leaf::new("validation_length_too_long", message));
    }
    Issues::default()
}

/// Providers are checked only while they can be used; duplicates before the entries themselves.
fn oauth2(options: &OAuth2) -> Issues {
    let mut list = Issues::default();
    if !options.enabled {
        return list;
    }
    if options.providers.len() > MAX_PROVIDERS {
        let message = format!("There must be no more than {MAX_PROVIDERS}.");
        return leaf_at("providers", Leaf::new("validation_length_too_long", message));
    }
    for (position, entry) in options.providers.iter().enumerate() {
        let earlier = options.providers.iter().take(position);
        if earlier.into_iter().any(|earlier| !entry.name.is_empty() && earlier.name == entry.name) {
            let leaf = Leaf::new("validation_duplicated_provider", "The provider is already in the list.");
            list.nest(&position.to_string(), leaf_at("name", leaf.param("name", entry.name.as_str())));
            return nested("providers", list);
        }
    }
    for (position, entry) in options.providers.iter().enumerate() {
        list.nest(&position.to_string(), provider(entry));
    }
    nested("providers", list)
}

fn provider(provider: &Provider) -> Issues {
    let mut issues = Issues::default();
    if provider.name.is_empty() {
        issues.insert("name", Leaf::required());
    } else if providers::find(&provider.name).is_none() {
        let leaf = Leaf::new("validation_missing_provider", "There is no such provider.");
        issues.insert("name", leaf.param("name", provider.name.as_str()));
    }
    for (key, text) in [("clientId", &provider.client_id), ("clientSecret", &provider.client_secret)] {
        if text.is_empty() {
            issues.insert(key, Leaf::required());
        }
    }
    let urls =
        [("authURL", &provider.auth_url), ("tokenURL", &provider.token_url), ("userInfoURL", &provider.user_info_url)];
    for (key, text) in urls {
        if Url::default().check(false, &Value::Text(text.clone())).is_err() {
            issues.insert(key, Leaf::new("validation_is_url", "This is no URL."));
        }
    }
    issues
}

fn mfa(options: &Mfa) -> Issues {
    let mut issues = Issues::default();
    if options.enabled
        && let Err(leaf) = number(options.duration, 10, 86_400)
    {
        issues.insert("duration", leaf);
    }
    issues
}

fn otp(options: &Otp) -> Issues {
    let mut issues = nested("emailTemplate", template(&options.email_template));
    if options.enabled {
        if let Err(leaf) = number(options.duration, 10, 86_400) {
            issues.insert("duration", leaf);
        }
        // The upper end is ours.
        if let Err(leaf) = number(options.length, 4, 255) {
            issues.insert("length", leaf);
        }
    }
    issues
}

fn token(options: &TokenOptions) -> Issues {
    let mut issues = Issues::default();
    if options.secret.is_empty() {
        issues.insert("secret", Leaf::required());
    } else if !(30..=255).contains(&options.secret.len()) {
        let leaf = Leaf::new("validation_length_out_of_range", "The length must be between 30 and 255.");
        issues.insert("secret", leaf.param("min", 30).param("max", 255));
    }
    if let Err(leaf) = number(options.duration, 10, 94_670_856) {
        issues.insert("duration", leaf);
    }
    issues
}

/// A required number (0 is missing) within these bounds.
fn number(value: i64, min: i64, max: i64) -> Result<(), Leaf> {
    match value {
        0 => Err(Leaf::required()),
        _ if value < min => {
            let leaf = Leaf::new("validation_min_greater_equal_than_required", format!("Must be no less than {min}."));
            Err(leaf.param("threshold", min))
        }
        _ if value > max => {
            let message = format!("Must be no greater than {max}.");
            Err(Leaf::new("validation_max_less_equal_than_required", message).param("threshold", max))
        }
        _ => Ok(()),
    }
}

fn leaf_at(name: &str, leaf: Leaf) -> Issues {
    let mut issues = Issues::default();
    issues.insert(name, leaf);
    issues
}

fn nested(name: &str, group: Issues) -> Issues {
    let mut issues = Issues::default();
    issues.nest(name, group);
    issues
}
