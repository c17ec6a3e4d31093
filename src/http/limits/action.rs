//! What a request does to a collection, as far as rate limits tell it apart (`docs/wire/services.md` §2.4).

use actix_web::http::Method;

/// An action on a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    List,
    View,
    Create,
    Update,
    Delete,
    File,
    ListAuthMethods,
    AuthRefresh,
    AuthWithPassword,
    AuthWithOAuth2,
    AuthWithOtp,
    RequestOtp,
    RequestPasswordReset,
    ConfirmPasswordReset,
    RequestVerification,
    ConfirmVerification,
    RequestEmailChange,
    ConfirmEmailChange,
}

impl Action {
    /// The collection (name or id) and what is done to it; nothing for all other routes. `names` are the segments of the
    /// path, `method` is GET also for HEAD.
    pub fn of<'n>(method: &Method, names: &[&'n str]) -> Option<(&'n str, Self)> {
        let (collection, action) = match (method, names) {
            (&Method::GET, ["api", "collections", c, "records"]) => (c, Self::List),
            (&Method::GET, ["api", "collections", c, "records", id]) if !id.is_empty() => (c, Self::View),
            (&Method::POST, ["api", "collections", c, "records"]) => (c, Self::Create),
            (&Method::PATCH, ["api", "collections", c, "records", id]) if !id.is_empty() => (c, Self::Update),
            (&Method::DELETE, ["api", "collections", c, "records", id]) if !id.is_empty() => (c, Self::Delete),
            (&Method::GET, ["api", "files", c, _, _]) => (c, Self::File),
            (&Method::GET, ["api", "collections", c, "auth-methods"]) => (c, Self::ListAuthMethods),
            (&Method::POST, ["api", "collections", c, asked]) => (c, Self::of_account(asked)?),
            _ => return None,
        };
        Some((collection, action))
    }

    fn of_account(asked: &str) -> Option<Self> {
        Some(match asked {
            "auth-refresh" => Self::AuthRefresh,
            "auth-with-password" => Self::AuthWithPassword,
            "auth-with-oauth2" => Self::AuthWithOAuth2,
            "auth-with-otp" => Self::AuthWithOtp,
            "request-otp" => Self::RequestOtp,
            "request-password-reset" => Self::RequestPasswordReset,
            "confirm-password-reset" => Self::ConfirmPasswordReset,
            "request-verification" => Self::RequestVerification,
            "confirm-verification" => Self::ConfirmVerification,
            "request-email-change" => Self::RequestEmailChange,
            "confirm-email-change" => Self::ConfirmEmailChange,
            _ => return None,
        })
    }

    /// What rules call it, the most particular first.
    pub fn tags(self) -> &'static [&'static str] {
        match self {
            Self::List => &["list"],
            Self::View => &["view"],
            Self::Create => &["create"],
            Self::Update => &["update"],
            Self::Delete => &["delete"],
            Self::File => &["file"],
            Self::ListAuthMethods => &["listAuthMethods"],
            Self::AuthRefresh => &["authRefresh"],
            Self::AuthWithPassword => &["authWithPassword", "auth"],
            Self::AuthWithOAuth2 => &["authWithOAuth2", "auth"],
            Self::AuthWithOtp => &["authWithOTP", "auth"],
            Self::RequestOtp => &["requestOTP"],
            Self::RequestPasswordReset => &["requestPasswordReset"],
            Self::ConfirmPasswordReset => &["confirmPasswordReset"],
            Self::RequestVerification => &["requestVerification"],
            Self::ConfirmVerification => &["confirmVerification"],
            Self::RequestEmailChange => &["requestEmailChange"],
            Self::ConfirmEmailChange => &["confirmEmailChange"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_collections_are_told_from_others() {
        for (method, path, expected) in [
            ("GET", "api/collections/c/records", Some("list")),
            ("POST", "api/collections/c/records", Some("create")),
            ("PUT", "api/collections/c/records", None),
            ("GET", "api/collections/c/records/x", Some("view")),
            ("GET", "api/collections/c/records/", None),
            ("PATCH", "api/collections/c/records/x", Some("update")),
            ("DELETE", "api/collections/c/records/x", Some("delete")),
            ("GET", "api/files/c/x/y", Some("file")),
            ("POST", "api/files/token", None),
            ("GET", "api/collections/c/auth-methods", Some("listAuthMethods")),
            ("GET", "api/collections/c/auth-refresh", None),
            ("POST", "api/collections/c/auth-refresh", Some("authRefresh")),
            ("POST", "api/collections/c/auth-with-password", Some("authWithPassword,auth")),
            ("POST", "api/collections/c/auth-with-oauth2", Some("authWithOAuth2,auth")),
            ("POST", "api/collections/c/auth-with-otp", Some("authWithOTP,auth")),
            ("POST", "api/collections/c/request-otp", Some("requestOTP")),
            ("POST", "api/collections/c/request-password-reset", Some("requestPasswordReset")),
            ("POST", "api/collections/c/confirm-password-reset", Some("confirmPasswordReset")),
            ("POST", "api/collections/c/request-verification", Some("requestVerification")),
            ("POST", "api/collections/c/confirm-verification", Some("confirmVerification")),
            ("POST", "api/collections/c/request-email-change", Some("requestEmailChange")),
            ("POST", "api/collections/c/confirm-email-change", Some("confirmEmailChange")),
            ("POST", "api/collections/c/impersonate/x", None),
            ("GET", "api/collections/c", None),
            ("DELETE", "api/collections/c/truncate", None),
            ("GET", "api/health", None),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let names: Vec<&str> = path.split('/').collect();
            let found = Action::of(&method, &names);
            assert!(found.is_none_or(|(collection, _)| collection == "c"), "{path}");
            let tags = found.map(|(_, action)| action.tags().join(","));
            assert_eq!(tags.as_deref(), expected, "{method} {path}");
        }
    }
}
