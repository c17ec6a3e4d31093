//! Who it is that a provider's token speaks for: one question for most, two for some
//! (`docs/wire/auth-oauth2.md` §6.1, §6.2, §6.4).

use reqwest::{
    RequestBuilder,
    header::{CONTENT_TYPE, HeaderName},
};
use serde_json::{Map, Value as Json, json};

use super::{
    answer::Answer,
    exchange::Tokens,
    id_token,
    outside::Outside,
    provider::{EmailClaim, Provider},
    user::{self, At, User, refused},
};
use crate::{address::is_email, clock::Timestamp, error::Result};

/// The account of the provider. Fails with 400 when the provider refuses, or tells nonsense.
pub async fn user(outside: &Outside, provider: &Provider, tokens: &Tokens, now: Timestamp) -> Result<User> {
    let asking = Asking { outside, provider, tokens, now };
    let answer = asking.raw().await?;
    let mut user = user::read(provider.key(), &answer)?;
    asking.complete(&mut user).await?;
    Ok(user)
}

struct Asking<'a> {
    outside: &'a Outside,
    provider: &'a Provider,
    tokens: &'a Tokens,
    now: Timestamp,
}

impl Asking<'_> {
    /// What becomes `rawUser`.
    async fn raw(&self) -> Result<Json> {
        let key = self.provider.key();
        if key == "apple" || self.provider.is_oidc() && self.provider.user_info_url.is_empty() {
            let demands = id_token::Demands::of(self.provider);
            let claims = id_token::verified(self.outside, &self.tokens.id_token, &demands, self.now).await?;
            return Ok(Json::Object(claims));
        }
        let mut answer = self.json(self.question().await?).await?;
        if key == "instagram2"
            && let Json::Object(members) = &mut answer
            && !members.contains_key("permissions")
            && let Some(permissions) = self.tokens.members.get("permissions")
        {
            members.insert("permissions".to_owned(), permissions.clone());
        }
        Ok(answer)
    }

    /// The user info request with what some providers want besides.
    async fn question(&self) -> Result<RequestBuilder> {
        let Provider { client_id, user_info_url: url, .. } = self.provider;
        let client = self.outside.client().await?;
        Ok(match self.provider.key() {
            "linear" => {
                let query = "query Me { viewer { id displayName name email avatarUrl active } }";
                client.post(url).json(&json!({ "query": query }))
            }
            "monday" => {
                let query = "query { me { id enabled name email is_verified photo_small } }";
                client.post(url).json(&json!({ "query": query }))
            }
            "notion" => client.get(url).header(HeaderName::from_static("notion-version"), "2022-06-28"),
            "twitch" => client.get(url).header(HeaderName::from_static("client-id"), client_id),
            "trakt" => {
                let request = client.get(url).header(CONTENT_TYPE, "application/json");
                request.header("trakt-api-key", client_id).header("trakt-api-version", "2")
            }
            _ => client.get(url),
        })
    }

    /// Adds what stands elsewhere.
    async fn complete(&self, user: &mut User) -> Result<()> {
        match self.provider.key() {
            "github" | "gitea" => user.email = self.address_of_forge().await?,
            "bitbucket" => user.email = self.address_of_bitbucket().await?,
            "gitee" if user.email.is_empty() => user.email = self.address_of_gitee().await?,
            "vk" => user.email = text(&self.tokens.members, "email"),
            "microsoft" => {
                if let Some(claim) = self.provider.extra.email_claim {
                    let demands = id_token::Demands::of(self.provider);
                    let claims = id_token::verified(self.outside, &self.tokens.id_token, &demands, self.now).await?;
                    user.email = address_of_microsoft(claim, &claims);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The entry that is both verified and primary. Who may not see addresses has none.
    async fn address_of_forge(&self) -> Result<String> {
        let Some(list) = self.more(&self.emails_url(), &[401, 403, 404]).await? else { return Ok(String::new()) };
        address_in(&list, "verified", "primary").map_err(|why| self.failed(why))
    }

    async fn address_of_bitbucket(&self) -> Result<String> {
        let any_error: Vec<u16> = (300..600).collect();
        let Some(answer) = self.more(&self.emails_url(), &any_error).await? else { return Ok(String::new()) };
        let list = At(&answer).get("values").map(|list| list.cloned().unwrap_or_default());
        list.and_then(|list| address_in(&list, "is_confirmed", "is_primary")).map_err(|why| self.failed(why))
    }

    async fn address_of_gitee(&self) -> Result<String> {
        let url = "https://gitee.com/api/v5/emails";
        let Some(list) = self.more(url, &[401, 403, 404]).await? else { return Ok(String::new()) };
        for entry in entries(&list).map_err(|why| self.failed(why))? {
            let primary = match entry.0.get("scope") {
                Some(Json::Array(scopes)) => scopes.iter().any(|scope| scope == "primary"),
                Some(scope) => scope == "primary",
                None => false,
            };
            let email = entry.text("email").map_err(|why| self.failed(why))?;
            if primary && entry.0.get("state").is_some_and(|state| state == "confirmed") && is_email(&email) {
                return Ok(email);
            }
        }
        Ok(String::new())
    }

    fn emails_url(&self) -> String {
        format!("{}/emails", self.provider.user_info_url)
    }

    /// A further question; `None` when it is answered with one of these statuses.
    async fn more(&self, url: &str, none: &[u16]) -> Result<Option<Json>> {
        let request = self.outside.client().await?.get(url).bearer_auth(&self.tokens.access);
        let answer = Answer::of(request).await.map_err(|why| self.failed(why))?;
        if none.contains(&answer.status.as_u16()) {
            return Ok(None);
        }
        answer.json().map(Some).map_err(|why| self.failed(why))
    }

    async fn json(&self, request: RequestBuilder) -> Result<Json> {
        let answer = Answer::of(request.bearer_auth(&self.tokens.access)).await;
        answer.and_then(|answer| answer.json()).map_err(|why| self.failed(why))
    }

    fn failed(&self, why: String) -> crate::error::Error {
        refused(format!("{}: {why}", self.provider.key()))
    }
}

/// The first address of a list that both flags speak for. Wrong types fail, wherever they are.
fn address_in(list: &Json, vouched: &str, primary: &str) -> Result<String, String> {
    let mut found = String::new();
    for entry in entries(list)? {
        let (vouched, primary, email) = (entry.flag(vouched)?, entry.flag(primary)?, entry.text("email")?);
        if found.is_empty() && vouched && primary {
            found = email;
        }
    }
    Ok(found)
}

fn entries(list: &Json) -> Result<Vec<At<'_>>, String> {
    match list {
        Json::Null => Ok(Vec::new()),
        Json::Array(list) => Ok(list.iter().map(At).collect()),
        _ => Err("the addresses are no list".to_owned()),
    }
}

fn text(members: &Map<String, Json>, name: &str) -> String {
    members.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// Which claim may be trusted is the superuser's choice (§6.4).
fn address_of_microsoft(claim: EmailClaim, claims: &Map<String, Json>) -> String {
    let whole = Json::Object(claims.clone());
    let primary = || match claims.get("verified_primary_email") {
        Some(Json::Array(list)) => list.first().and_then(Json::as_str).unwrap_or_default().to_owned(),
        _ => text(claims, "verified_primary_email"),
    };
    let vouched = || if At(&whole).truthy("xms_edov") { text(claims, "email") } else { String::new() };
    match claim {
        EmailClaim::AnyVerified => Some(primary()).filter(|email| !email.is_empty()).unwrap_or_else(vouched),
        EmailClaim::VerifiedPrimaryEmail => primary(),
        EmailClaim::EmailAndXmsEdov => vouched(),
        EmailClaim::Email => text(claims, "email"),
        EmailClaim::Unknown => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_both_flags() {
        let entry = |email: &str, vouched: bool, primary: bool| json!({"email": email, "v": vouched, "p": primary});
        let (one, two, both) =
            (entry("a@x.co", true, false), entry("b@x.co", false, true), entry("c@x.co", true, true));
        for (list, expected) in [
            (json!([one, two, both, entry("d@x.co", true, true)]), Some("c@x.co")),
            (json!([one, two]), Some("")),
            (json!([null, {}]), Some("")),
            (Json::Null, Some("")),
            (json!([both, {"v": "true"}]), None),
            (json!([{"email": 5}]), None),
            (json!(["c@x.co"]), None),
            (json!({"email": "c@x.co"}), None),
        ] {
            assert_eq!(address_in(&list, "v", "p").ok().as_deref(), expected, "{list}");
        }
    }

    #[test]
    fn microsofts_address_comes_from_the_chosen_claims() {
        let claims = |json: Json| json.as_object().unwrap().clone();
        let both = claims(json!({"verified_primary_email": ["v@x.co"], "email": "e@x.co", "xms_edov": "1"}));
        let plain = claims(json!({"email": "e@x.co"}));
        let denied = claims(json!({"email": "e@x.co", "xms_edov": false}));
        for (claim, [of_both, of_plain, of_denied]) in [
            (EmailClaim::AnyVerified, ["v@x.co", "", ""]),
            (EmailClaim::VerifiedPrimaryEmail, ["v@x.co", "", ""]),
            (EmailClaim::EmailAndXmsEdov, ["e@x.co", "", ""]),
            (EmailClaim::Email, ["e@x.co", "e@x.co", "e@x.co"]),
            (EmailClaim::Unknown, ["", "", ""]),
        ] {
            assert_eq!(address_of_microsoft(claim, &both), of_both, "{claim:?}");
            assert_eq!(address_of_microsoft(claim, &plain), of_plain, "{claim:?}");
            assert_eq!(address_of_microsoft(claim, &denied), of_denied, "{claim:?}");
        }
    }
}
