//! The mails that a new auth collection starts with (`docs/wire/auth.md` §10).

use serde::{Deserialize, Serialize};

/// One mail of a collection, with placeholders.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailTemplate {
    pub subject: String,
    pub body: String,
}

/// Sent when an account is used from an unknown place.
pub fn auth_alert() -> EmailTemplate {
    template(
        "New sign-in to your {APP_NAME} account",
        "<p>Hello,</p>\n<p>your {APP_NAME} account was just used from a device or place we have not seen before:</p>\n\
         <p><em>{ALERT_INFO}</em></p>\n<p>If it was you, there is nothing to do.</p>\n\
         <p><strong>If not, change your password now: that signs everybody else out.</strong></p>\n",
    )
}

/// Carries a one-time password.
pub fn otp() -> EmailTemplate {
    template(
        "Your {APP_NAME} one-time password",
        "<p>Hello,</p>\n<p>your one-time password is <strong>{OTP}</strong></p>\n\
         <p><em>Nobody but you needs it. If you did not ask for it, ignore this mail.</em></p>\n",
    )
}

/// Proves that an address belongs to its account.
pub fn verification() -> EmailTemplate {
    template(
        "Confirm your e-mail address for {APP_NAME}",
        "<p>Hello,</p>\n<p>thank you for signing up to {APP_NAME}. Please confirm that this address is yours:</p>\n\
         <p><a class=\"btn\" href=\"{APP_URL}/_/#/auth/confirm-verification/{TOKEN}\" target=\"_blank\" rel=\"noopener\">\
         Confirm address</a></p>\n<p><em>If you did not sign up, ignore this mail.</em></p>\n",
    )
}

/// Lets somebody choose a new password.
pub fn reset_password() -> EmailTemplate {
    template(
        "Choose a new {APP_NAME} password",
        "<p>Hello,</p>\n<p>somebody, hopefully you, asked for a new {APP_NAME} password:</p>\n\
         <p><a class=\"btn\" href=\"{APP_URL}/_/#/auth/confirm-password-reset/{TOKEN}\" target=\"_blank\" rel=\"noopener\">\
         Choose a password</a></p>\n<p><em>If it was not you, ignore this mail: nothing changes.</em></p>\n",
    )
}

/// Proves that a new address belongs to its account.
pub fn confirm_email_change() -> EmailTemplate {
    template(
        "Confirm your new e-mail address for {APP_NAME}",
        "<p>Hello,</p>\n<p>please confirm that your {APP_NAME} account shall use this address from now on:</p>\n\
         <p><a class=\"btn\" href=\"{APP_URL}/_/#/auth/confirm-email-change/{TOKEN}\" target=\"_blank\" rel=\"noopener\">\
         Confirm new address</a></p>\n<p><em>If you did not ask for this, ignore this mail.</em></p>\n",
    )
}

fn template(subject: &str, body: &str) -> EmailTemplate {
    EmailTemplate { subject: subject.to_owned(), body: format!("{body}<p>{{APP_NAME}}</p>") }
}
