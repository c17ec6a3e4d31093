//! `auth-methods`: what a collection lets its accounts sign in with (`docs/wire/auth.md` §3.2).

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{Auth, oauth2::provider::Provider, options};
use crate::{
    error::Result,
    random,
    schema::auth_options::{AuthOptions, OAuth2},
};

const STATE: usize = 30;
const VERIFIER: usize = 43;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Methods {
    password: PasswordMethod,
    oauth2: OAuth2Method,
    mfa: Lasting,
    otp: Lasting,
    /// For old clients: the providers without pictures.
    auth_providers: Vec<Entry>,
    username_password: bool,
    email_password: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PasswordMethod {
    identity_fields: Vec<String>,
    enabled: bool,
}

#[derive(Debug, Serialize)]
struct OAuth2Method {
    providers: Vec<Entry>,
    enabled: bool,
}

/// In seconds; 0 when disabled.
#[derive(Debug, Serialize)]
struct Lasting {
    enabled: bool,
    duration: i64,
}

/// How a client begins with one provider. State and verifier are for it to keep: nothing of this is stored.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: &'static str,
    display_name: String,
    logo: String,
    state: String,
    #[serde(rename = "authURL")]
    auth_url: String,
    /// The same under the name that old clients know.
    #[serde(rename = "authUrl")]
    old_auth_url: String,
    /// The three of them are blank without PKCE.
    code_verifier: String,
    code_challenge: String,
    code_challenge_method: &'static str,
}

impl Auth {
    /// `GET …/auth-methods` (§3.2), for everybody.
    pub fn methods(&self, collection: &str) -> Result<Methods> {
        Ok(Methods::of(options(&*self.auth_collection(collection)?)))
    }
}

impl Methods {
    fn of(options: &AuthOptions) -> Self {
        let AuthOptions { password_auth, oauth2, mfa, otp, .. } = options;
        let identity_fields = if password_auth.enabled { password_auth.identity_fields.clone() } else { Vec::new() };
        let takes = |name: &str| identity_fields.iter().any(|field| field == name);
        let providers = entries(oauth2);
        Self {
            username_password: takes("username"),
            email_password: takes("email"),
            password: PasswordMethod { identity_fields, enabled: password_auth.enabled },
            auth_providers: providers.iter().cloned().map(|entry| Entry { logo: String::new(), ..entry }).collect(),
            oauth2: OAuth2Method { providers, enabled: oauth2.enabled },
            mfa: Lasting::new(mfa.enabled, mfa.duration),
            otp: Lasting::new(otp.enabled, otp.duration),
        }
    }
}

impl Lasting {
    fn new(enabled: bool, duration: i64) -> Self {
        Self { enabled, duration: if enabled { duration } else { 0 } }
    }
}

/// In the configured order, without those that nobody knows any more.
fn entries(oauth2: &OAuth2) -> Vec<Entry> {
    let configured: &[_] = if oauth2.enabled { &oauth2.providers } else { &[] };
    configured.iter().filter_map(Provider::for_entry).map(entry).collect()
}

fn entry(provider: Provider) -> Entry {
    let state = random::string(random::ALPHANUMERIC, STATE);
    let verifier = provider.pkce.then(|| random::string(random::ALPHANUMERIC, VERIFIER));
    let challenge = verifier.as_deref().map(challenge);
    let auth_url = provider.auth_url(&state, challenge.as_deref());
    Entry {
        name: provider.key(),
        logo: provider.logo(),
        display_name: provider.display_name,
        state,
        old_auth_url: auth_url.clone(),
        auth_url,
        code_challenge_method: if verifier.is_some() { "S256" } else { "" },
        code_verifier: verifier.unwrap_or_default(),
        code_challenge: challenge.unwrap_or_default(),
    }
}

/// PKCE's S256 (RFC 7636 §4.2).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn of(change: Json) -> Json {
        let options = AuthOptions::default().merged(change.as_object().expect("an object")).expect("valid");
        serde_json::to_value(Methods::of(&options)).expect("plain data")
    }

    #[test]
    fn the_challenge_is_that_of_the_wires_vector() {
        let verifier = "MI5jlEawCUPHyTZvrWdV0OqEFFG8TFBNrGfcnvISf8n";
        assert_eq!(challenge(verifier), "veHbX3x8iwh3e7PsouEzW2hWxvZpkNC7bRav7JnndBg");
    }

    #[test]
    fn what_is_switched_off_tells_nothing() {
        let none = json!({"providers": [], "enabled": false});
        let off = json!({"duration": 0, "enabled": false});
        let google = json!({"name": "google", "clientId": "c", "clientSecret": "s"});
        for (change, expected) in [
            (
                json!({"oauth2": {"providers": [google]}}),
                json!({
                    "password": {"identityFields": ["email"], "enabled": true}, "oauth2": none, "mfa": off, "otp": off,
                    "authProviders": [], "usernamePassword": false, "emailPassword": true,
                }),
            ),
            (
                json!({
                    "passwordAuth": {"identityFields": ["username"]},
                    "otp": {"enabled": true}, "mfa": {"enabled": true, "duration": 60},
                }),
                json!({
                    "password": {"identityFields": ["username"], "enabled": true}, "oauth2": none,
                    "mfa": {"duration": 60, "enabled": true}, "otp": {"duration": 180, "enabled": true},
                    "authProviders": [], "usernamePassword": true, "emailPassword": false,
                }),
            ),
            (
                json!({"passwordAuth": {"enabled": false}, "oauth2": {"enabled": true}}),
                json!({
                    "password": {"identityFields": [], "enabled": false}, "oauth2": {"providers": [], "enabled": true},
                    "mfa": off, "otp": off, "authProviders": [], "usernamePassword": false, "emailPassword": false,
                }),
            ),
        ] {
            assert_eq!(of(change.clone()), expected, "{change}");
        }
    }

    #[test]
    fn providers_come_in_their_order_each_with_its_own_state() {
        let entry = |name: &str| json!({"name": name, "clientId": "c&d", "clientSecret": "s3cret"});
        let mut plain = entry("github");
        plain["pkce"] = false.into();
        let answer = of(json!({"oauth2": {"enabled": true, "providers": [
            entry("oidc"), plain, entry("nobody"), entry("google")]}}));
        let providers = answer["oauth2"]["providers"].as_array().unwrap();
        let names: Vec<_> = providers.iter().map(|provider| provider["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["oidc", "github", "google"]);
        assert!(!answer.to_string().contains("s3cret"));
        for (provider, old) in providers.iter().zip(answer["authProviders"].as_array().unwrap()) {
            let text = |key: &str| provider[key].as_str().unwrap();
            let pkce = text("name") != "github";
            assert_eq!(text("state").len(), 30);
            assert_eq!((text("codeVerifier").len(), text("codeChallenge").len()), if pkce { (43, 43) } else { (0, 0) });
            assert_eq!(text("codeChallengeMethod"), if pkce { "S256" } else { "" });
            assert_eq!(text("authURL"), text("authUrl"));
            assert!(text("authURL").ends_with("&redirect_uri="), "{}", text("authURL"));
            assert!(text("authURL").contains(&format!("&state={}", text("state"))));
            assert_eq!(text("authURL").contains("code_challenge="), pkce);
            let mut without = provider.clone();
            without["logo"] = "".into();
            assert!(text("logo").starts_with("<svg") && *old == without);
        }
        assert_ne!(providers[0]["state"], providers[2]["state"]);
    }
}
