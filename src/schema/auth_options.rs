//! What auth collections have on top: rules, login methods, tokens and mail templates
//! (`docs/wire/records-collections.md` §3, `docs/wire/auth.md` §1.2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use super::templates::EmailTemplate;
use super::{Rule, ids, templates};

/// In wire key order. Stored with secrets; [`AuthOptions::redacted`] is what the API returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthOptions {
    pub auth_rule: Rule,
    pub manage_rule: Rule,
    pub auth_alert: AuthAlert,
    pub oauth2: OAuth2,
    pub password_auth: PasswordAuth,
    pub mfa: Mfa,
    pub otp: Otp,
    pub auth_token: TokenOptions,
    pub password_reset_token: TokenOptions,
    pub email_change_token: TokenOptions,
    pub verification_token: TokenOptions,
    pub file_token: TokenOptions,
    pub verification_template: EmailTemplate,
    pub reset_password_template: EmailTemplate,
    pub confirm_email_change_template: EmailTemplate,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthAlert {
    pub enabled: bool,
    pub email_template: EmailTemplate,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2 {
    pub providers: Vec<Provider>,
    pub mapped_fields: MappedFields,
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MappedFields {
    pub id: String,
    pub name: String,
    pub username: String,
    #[serde(rename = "avatarURL")]
    pub avatar_url: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Provider {
    pub pkce: Option<bool>,
    pub name: String,
    pub client_id: String,
    pub client_secret: String,
    #[serde(rename = "authURL")]
    pub auth_url: String,
    #[serde(rename = "tokenURL")]
    pub token_url: String,
    #[serde(rename = "userInfoURL")]
    pub user_info_url: String,
    pub display_name: String,
    pub extra: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordAuth {
    pub enabled: bool,
    pub identity_fields: Vec<String>,
}

/// Durations are seconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mfa {
    pub enabled: bool,
    pub duration: i64,
    pub rule: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Otp {
    pub enabled: bool,
    pub duration: i64,
    pub length: i64,
    pub email_template: EmailTemplate,
}

/// A kind of token: part of its signing key, and its lifetime in seconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TokenOptions {
    pub secret: String,
    pub duration: i64,
}

impl Default for AuthOptions {
    /// The options of a new auth collection, with fresh secrets.
    fn default() -> Self {
        Self {
            auth_rule: Some(String::new()),
            manage_rule: None,
            auth_alert: AuthAlert { enabled: true, email_template: templates::auth_alert() },
            oauth2: OAuth2::default(),
            password_auth: PasswordAuth { enabled: true, identity_fields: vec!["email".to_owned()] },
            mfa: Mfa { enabled: false, duration: 600, rule: String::new() },
            otp: Otp { enabled: false, duration: 180, length: 8, email_template: templates::otp() },
            auth_token: TokenOptions::lasting(432_000),
            password_reset_token: TokenOptions::lasting(1800),
            email_change_token: TokenOptions::lasting(1800),
            verification_token: TokenOptions::lasting(86_400),
            file_token: TokenOptions::lasting(180),
            verification_template: templates::verification(),
            reset_password_template: templates::reset_password(),
            confirm_email_change_template: templates::confirm_email_change(),
        }
    }
}

impl TokenOptions {
    /// A fresh secret and this lifetime.
    fn lasting(seconds: i64) -> Self {
        Self { secret: ids::secret(), duration: seconds }
    }
}

impl AuthOptions {
    /// The stored form, with secrets.
    pub fn to_stored(&self) -> Json {
        serde_json::to_value(self).expect("options are plain data with string keys")
    }

    /// From the stored form. Missing keys take their defaults, also within groups; unknown ones are ignored.
    pub fn from_stored(stored: Json) -> Result<Self, String> {
        let mut complete = Self::default().to_stored();
        if let Json::Object(stored) = stored {
            merge(&mut complete, stored);
        }
        serde_json::from_value(complete).map_err(|error| error.to_string())
    }

    /// The wire's JSON: keys that hold secrets are absent.
    pub fn redacted(&self) -> Json {
        let mut object = self.to_stored();
        for token in TOKENS {
            if let Some(token) = object.get_mut(token).and_then(Json::as_object_mut) {
                token.shift_remove("secret");
            }
        }
        let providers = object.pointer_mut("/oauth2/providers").and_then(Json::as_array_mut);
        for provider in providers.into_iter().flatten().filter_map(Json::as_object_mut) {
            provider.shift_remove("clientSecret");
        }
        object
    }

    /// These options changed by a request's body: objects merge key by key, lists are replaced, providers keep what
    /// the stored one of the same name had. A value of a wrong JSON type is an error.
    pub fn merged(&self, body: &Map<String, Json>) -> Result<Self, String> {
        let mut stored = self.to_stored();
        let known = |key: &str| stored.as_object().is_some_and(|it| it.keys().any(|it| it.eq_ignore_ascii_case(key)));
        let patch =
            body.iter().filter(|(key, _)| known(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
        merge(&mut stored, patch);
        serde_json::from_value(stored).map_err(|error| error.to_string())
    }

    /// The token kinds under their wire names.
    pub fn tokens(&self) -> [(&'static str, &TokenOptions); 5] {
        let [auth, reset, change, verification, file] = TOKENS;
        [
            (auth, &self.auth_token),
            (reset, &self.password_reset_token),
            (change, &self.email_change_token),
            (verification, &self.verification_token),
            (file, &self.file_token),
        ]
    }
}

const TOKENS: [&str; 5] = ["authToken", "passwordResetToken", "emailChangeToken", "verificationToken", "fileToken"];

/// Keys for which JSON `null` is a value of its own; elsewhere it stands for the zero value.
const NULLABLE: [&str; 3] = ["authRule", "manageRule", "pkce"];

/// Merges `patch` into an object of complete options.
fn merge(base: &mut Json, patch: Map<String, Json>) {
    let Json::Object(base) = base else { return };
    for (key, value) in patch {
        // Keys are known in any case (`docs/wire/auth.md` §0.2).
        let key = base.keys().find(|known| known.eq_ignore_ascii_case(&key)).cloned().unwrap_or(key);
        let Some(old) = base.get_mut(&key) else {
            base.insert(key, value);
            continue;
        };
        match value {
            Json::Null if NULLABLE.contains(&key.as_str()) => *old = Json::Null,
            // A free map, not a group with fixed keys.
            Json::Null if key == "extra" => *old = Json::Object(Map::new()),
            Json::Null => *old = zero(old),
            Json::Object(patch) if old.is_object() => merge(old, patch),
            Json::Array(list) if key == "providers" => *old = merge_providers(old, list),
            value => *old = value,
        }
    }
}

/// A submitted provider starts from the stored one of the same name, so that it may leave out its secret.
fn merge_providers(stored: &Json, submitted: Vec<Json>) -> Json {
    let stored = stored.as_array().map(Vec::as_slice).unwrap_or_default();
    let complete = |entry: Json| {
        let Json::Object(patch) = entry else { return entry };
        let name = patch.get("name").filter(|name| name.as_str().is_some_and(|name| !name.is_empty()));
        let known = name.and_then(|name| stored.iter().find(|provider| provider.get("name") == Some(name)));
        let blank = || serde_json::to_value(Provider::default()).expect("a provider is plain data");
        let mut provider = known.cloned().unwrap_or_else(blank);
        merge(&mut provider, patch);
        provider
    };
    submitted.into_iter().map(complete).collect()
}

/// The zero value of the same JSON type.
fn zero(value: &Json) -> Json {
    match value {
        Json::Null => Json::Null,
        Json::Bool(_) => false.into(),
        Json::Number(_) => 0.into(),
        Json::String(_) => "".into(),
        Json::Array(_) => Json::Array(Vec::new()),
        Json::Object(object) => object.iter().map(|(key, value)| (key.clone(), zero(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(json: Json) -> Map<String, Json> {
        json.as_object().cloned().expect("an object")
    }

    #[test]
    fn secrets_are_stored_but_never_shown() {
        let patch = json!({"oauth2": {"providers": [{"name": "google", "clientId": "a", "clientSecret": "s3"}]}});
        let options = AuthOptions::default().merged(&body(patch)).expect("valid");
        assert_eq!(options.auth_token.secret.len(), 50);
        let shown = options.redacted().to_string();
        assert!(!shown.contains("secret") && !shown.contains("clientSecret") && !shown.contains("s3"), "{shown}");
        assert_eq!(AuthOptions::from_stored(options.to_stored()), Ok(options));
    }

    #[test]
    fn objects_merge_and_providers_keep_what_they_leave_out() {
        let first = json!({"otp": {"enabled": true}, "oauth2": {"providers": [
            {"name": "google", "clientId": "g", "clientSecret": "gs", "extra": {"a": 1}},
            {"name": "github", "clientId": "h", "clientSecret": "hs", "pkce": true}]}});
        let options = AuthOptions::default().merged(&body(first)).expect("valid");
        assert!(options.otp.enabled && options.otp.duration == 180 && options.otp.length == 8);
        let second =
            json!({"oauth2": {"providers": [{"name": "github", "pkce": null}, {"name": "google", "clientId": "x"}]}});
        let again = options.merged(&body(second)).expect("valid");
        let [github, google] = again.oauth2.providers.as_slice() else { panic!("two providers") };
        assert_eq!((github.client_secret.as_str(), github.pkce), ("hs", None));
        assert_eq!((google.client_id.as_str(), google.client_secret.as_str()), ("x", "gs"));
        assert_eq!(google.extra.get("a"), Some(&json!(1)));
        assert_eq!(again.otp, options.otp);
    }

    #[test]
    fn null_is_zero_and_wrong_types_are_refused() {
        let options = AuthOptions::default();
        let zeroed =
            options.merged(&body(json!({"otp": null, "authRule": null, "mfa": {"rule": null}}))).expect("valid");
        assert_eq!(zeroed.otp, Otp::default());
        assert_eq!(zeroed.auth_rule, None);
        for wrong in [
            json!({"oauth2": 5}),
            json!({"otp": {"duration": "5"}}),
            json!({"otp": {"duration": 5.5}}),
            json!({"passwordAuth": {"identityFields": [1]}}),
            json!({"oauth2": {"providers": ["google"]}}),
        ] {
            assert!(options.merged(&body(wrong.clone())).is_err(), "{wrong}");
        }
        assert_eq!(options.merged(&body(json!({"zzz": 1, "otp": {"zz": 4}}))).expect("valid"), options);
    }

    #[test]
    fn missing_keys_take_their_defaults() {
        let stored = json!({"authToken": {"secret": "kept"}, "unknown": true, "mfa": {"enabled": true}});
        let options = AuthOptions::from_stored(stored).expect("valid");
        assert_eq!((options.auth_token.secret.as_str(), options.auth_token.duration), ("kept", 432_000));
        assert!(options.mfa.enabled && options.mfa.duration == 600);
        assert_eq!(options.auth_rule.as_deref(), Some(""));
    }
}
