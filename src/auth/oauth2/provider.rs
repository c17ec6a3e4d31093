//! A provider as a collection has configured it: the defaults of [`providers`] under what its entry says
//! (`docs/wire/auth-oauth2.md` §6.1, §6.4).

use url::form_urlencoded;

use crate::schema::{
    auth_options,
    providers::{self, Known},
};

/// A configured provider.
#[derive(Debug, Clone)]
pub struct Provider {
    pub known: &'static Known,
    pub client_id: String,
    pub client_secret: String,
    pub auth_url: String,
    pub token_url: String,
    /// Blank: the id_token says who it is.
    pub user_info_url: String,
    /// What people read.
    pub display_name: String,
    /// Whether the code is bound to a verifier (RFC 7636).
    pub pkce: bool,
    pub extra: Extra,
}

/// What only some providers know (§6.4).
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// `oidc*`: where the keys of id_tokens are; blank leaves their signatures unchecked.
    pub jwks_url: String,
    /// `oidc*`: who may issue id_tokens; empty lets everybody.
    pub issuers: Vec<String>,
    /// `microsoft`: from which claims of the id_token the e-mail address is taken.
    pub email_claim: Option<EmailClaim>,
}

/// `idTokenEmailClaim` (§6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailClaim {
    /// `verified_primary_email`, else `email` if `xms_edov` vouches for it.
    AnyVerified,
    VerifiedPrimaryEmail,
    EmailAndXmsEdov,
    /// `email`, whoever vouches for it.
    Email,
    /// A value that means nothing to us: no address.
    Unknown,
}

impl Provider {
    /// The provider of a collection's entry; `None` when nobody knows it.
    pub fn for_entry(entry: &auth_options::Provider) -> Option<Self> {
        let known = providers::find(&entry.name)?;
        let or = |own: &str, default: &str| if own.is_empty() { default.to_owned() } else { own.to_owned() };
        Some(Self {
            known,
            client_id: entry.client_id.clone(),
            client_secret: entry.client_secret.clone(),
            auth_url: or(&entry.auth_url, known.auth_url),
            token_url: or(&entry.token_url, known.token_url),
            user_info_url: or(&entry.user_info_url, known.user_info_url),
            display_name: or(&entry.display_name, known.display_name),
            pkce: entry.pkce.unwrap_or(known.pkce),
            extra: Extra::read(known.key, &entry.extra),
        })
    }

    /// The name of the entry, which also names the links to its accounts.
    pub fn key(&self) -> &'static str {
        self.known.key
    }

    /// True for the entries that may be any OpenID Connect server.
    pub fn is_oidc(&self) -> bool {
        matches!(self.key(), "oidc" | "oidc2" | "oidc3")
    }

    /// What is asked for, separated by spaces.
    pub fn scopes(&self) -> String {
        match self.extra.email_claim {
            // Without it there is no id_token.
            Some(_) => format!("{} openid", self.known.scopes),
            None => self.known.scopes.to_owned(),
        }
    }

    /// Where the client sends its user. Ends with `&redirect_uri=`, to which the client appends its own URL
    /// (`auth.md` §3.2). `challenge` is that of PKCE, if the provider uses it.
    pub fn auth_url(&self, state: &str, challenge: Option<&str>) -> String {
        let scopes = self.scopes();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", &self.client_id);
        if let Some(challenge) = challenge {
            query.append_pair("code_challenge", challenge).append_pair("code_challenge_method", "S256");
        }
        if self.key() == "apple" {
            // Apple sends the user's name only so.
            query.append_pair("response_mode", "form_post");
        }
        query.append_pair("response_type", "code");
        if !scopes.is_empty() {
            query.append_pair("scope", &scopes);
        }
        query.append_pair("state", state);
        let separator = if self.auth_url.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}&redirect_uri=", self.auth_url, query.finish())
    }

    /// A picture for the button: an SVG.
    pub fn logo(&self) -> String {
        logo(self.known)
    }
}

impl Extra {
    fn read(key: &str, extra: &serde_json::Map<String, serde_json::Value>) -> Self {
        let text = |name: &str| extra.get(name).and_then(|value| value.as_str()).unwrap_or_default();
        match key {
            "oidc" | "oidc2" | "oidc3" => {
                let issuers = extra.get("issuers").and_then(|list| list.as_array()).into_iter().flatten();
                Self {
                    jwks_url: text("jwksURL").to_owned(),
                    issuers: issuers.filter_map(|issuer| issuer.as_str()).map(str::to_owned).collect(),
                    email_claim: None,
                }
            }
            "microsoft" => Self { email_claim: EmailClaim::read(text("idTokenEmailClaim")), ..Self::default() },
            _ => Self::default(),
        }
    }
}

impl EmailClaim {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "" => return None,
            "any_verified" => Self::AnyVerified,
            "verified_primary_email" => Self::VerifiedPrimaryEmail,
            "email_and_xms_edov" => Self::EmailAndXmsEdov,
            "email" => Self::Email,
            _ => Self::Unknown,
        })
    }
}

/// A plain SVG with the provider's initial: the brands' own signs are not ours to hand out.
pub fn logo(known: &Known) -> String {
    let initial = known.display_name.chars().take(1).flat_map(char::to_uppercase).collect::<String>();
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="#5a6675"/><text x="12" y="17" font-family="sans-serif" font-size="14" text-anchor="middle" fill="#fff">{initial}</text></svg>"##
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn provider(entry: Json) -> Provider {
        Provider::for_entry(&serde_json::from_value(entry).unwrap()).unwrap()
    }

    #[test]
    fn entries_stand_over_the_defaults() {
        let plain = provider(json!({"name": "gitea", "clientId": "c"}));
        assert_eq!(plain.token_url, "https://gitea.com/login/oauth/access_token");
        assert_eq!((plain.display_name.as_str(), plain.pkce), ("Gitea/Forgejo", true));
        let own = provider(json!({"name": "gitea", "tokenURL": "http://git.local/t", "displayName": "Ours",
            "pkce": false}));
        assert_eq!(
            (own.token_url.as_str(), own.user_info_url.as_str()),
            ("http://git.local/t", plain.user_info_url.as_str())
        );
        assert_eq!((own.display_name.as_str(), own.pkce), ("Ours", false));
        assert!(!provider(json!({"name": "vk"})).pkce && provider(json!({"name": "vk", "pkce": true})).pkce);
        assert!(Provider::for_entry(&auth_options::Provider::default()).is_none());
    }

    /// What the reference answers for the same entries.
    #[test]
    fn authorisation_urls_are_those_of_the_wire() {
        let end = "&redirect_uri=";
        for (entry, challenge, expected) in [
            (
                json!({"name": "google", "clientId": "c id"}),
                Some("ch"),
                "https://accounts.google.com/o/oauth2/v2/auth?client_id=c+id&code_challenge=ch&code_challenge_method=S256&response_type=code&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fuserinfo.profile+https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fuserinfo.email&state=st",
            ),
            (
                json!({"name": "apple", "clientId": "c", "authURL": "http://x.y/?a=b"}),
                Some("ch"),
                "http://x.y/?a=b&client_id=c&code_challenge=ch&code_challenge_method=S256&response_mode=form_post&response_type=code&scope=name+email&state=st",
            ),
            (
                json!({"name": "vk", "clientId": "c"}),
                None,
                "https://oauth.vk.com/authorize?client_id=c&response_type=code&scope=email&state=st",
            ),
            (
                json!({"name": "notion", "clientId": "c"}),
                None,
                "https://api.notion.com/v1/oauth/authorize?client_id=c&response_type=code&state=st",
            ),
            (
                json!({"name": "microsoft", "clientId": "c", "extra": {"idTokenEmailClaim": "email"}}),
                None,
                "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=c&response_type=code&scope=User.Read+openid&state=st",
            ),
        ] {
            assert_eq!(provider(entry).auth_url("st", challenge), format!("{expected}{end}"));
        }
    }

    #[test]
    fn extra_options_belong_to_their_providers() {
        let extra = json!({"jwksURL": "http://k", "issuers": ["a", 1, "b"], "idTokenEmailClaim": "any_verified"});
        let oidc = provider(json!({"name": "oidc2", "extra": extra})).extra;
        assert_eq!((oidc.jwks_url.as_str(), oidc.issuers.len(), oidc.email_claim), ("http://k", 2, None));
        let microsoft = provider(json!({"name": "microsoft", "extra": extra})).extra;
        assert_eq!((microsoft.jwks_url.as_str(), microsoft.email_claim), ("", Some(EmailClaim::AnyVerified)));
        assert_eq!(provider(json!({"name": "google", "extra": extra})).extra.email_claim, None);
    }

    #[test]
    fn logos_are_svg() {
        assert!(providers::PROVIDERS.iter().map(logo).all(|svg| svg.starts_with("<svg") && svg.ends_with("</svg>")));
    }
}
