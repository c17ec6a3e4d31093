//! What a provider tells of its user, read out of its JSON (`docs/wire/auth-oauth2.md` §6.2).

#[cfg(test)]
mod tests;

use serde_json::Value as Json;

use crate::{
    address::is_email,
    error::{Error, Result},
};

/// An account of a provider. Blank is what it does not tell.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The provider's own, stable id.
    pub id: String,
    pub name: String,
    pub username: String,
    /// Only an address that the provider vouches for.
    pub email: String,
    pub avatar_url: String,
    /// All that the provider told.
    pub raw: Json,
}

/// What a provider's answer says before anything else is asked.
///
/// A value of another JSON type than expected fails: better nobody than somebody else.
pub fn read(key: &str, answer: &Json) -> Result<User> {
    let user = match key {
        "google" | "oidc" | "oidc2" | "oidc3" | "apple" => claims(key, answer),
        "github" | "gitea" | "gitee" | "gitlab" | "bitbucket" => forge(key, answer),
        "patreon" | "planningcenter" | "linear" | "monday" | "notion" | "twitter" | "wakatime" | "lark" | "vk"
        | "twitch" => nested(key, answer),
        "mailcow" | "box" | "livechat" | "strava" | "trakt" | "spotify" => flat(key, answer),
        _ => network(key, answer),
    };
    user.map_err(|wrong| refused(format!("{key}: {wrong}")))
}

/// OpenID Connect's names.
fn claims(key: &str, answer: &Json) -> Read<User> {
    let at = At(answer);
    let user = User { id: at.text("sub")?, name: at.text("name")?, ..at.nobody() };
    let email = at.text("email")?;
    Ok(match key {
        "apple" => User { email: when(at.truthy("email_verified"), email), ..user },
        "google" => User { email: when(at.flag("email_verified")?, email), avatar_url: at.text("picture")?, ..user },
        _ => User {
            email: when(at.truthy("email_verified"), email),
            username: at.text("preferred_username")?,
            avatar_url: at.text("picture")?,
            ..user
        },
    })
}

/// Where code is kept. Most tell the address elsewhere: see [`super::ask`].
fn forge(key: &str, answer: &Json) -> Read<User> {
    let at = At(answer);
    if key == "bitbucket" {
        at.require(at.text("account_status")? == "active")?;
        return Ok(User {
            id: at.text("uuid")?,
            name: at.text("display_name")?,
            username: at.text("username")?,
            avatar_url: at.text("links.avatar.href")?,
            ..at.nobody()
        });
    }
    let name = if key == "gitea" { "full_name" } else { "name" };
    let login = if key == "gitlab" { "username" } else { "login" };
    let user = User {
        id: at.number("id")?,
        name: at.text(name)?,
        username: at.text(login)?,
        avatar_url: at.text("avatar_url")?,
        ..at.nobody()
    };
    Ok(match key {
        "gitea" => {
            at.require(at.flag("active")?)?;
            user
        }
        "gitlab" => {
            let confirmed = at.text("confirmed_at")?.parse::<jiff::Timestamp>().is_ok();
            User { email: when(confirmed, at.text("email")?), ..user }
        }
        "gitee" => {
            let email = at.text("email")?;
            User { email: when(is_email(&email), email), ..user }
        }
        _ => user,
    })
}

/// Those that wrap their user into something.
fn nested(key: &str, answer: &Json) -> Read<User> {
    let root = At(answer);
    let inside = |path: &str| root.get(path).map(|found| At(found.unwrap_or(&Json::Null)));
    let nobody = root.nobody();
    Ok(match key {
        "patreon" => {
            let at = inside("data.attributes")?;
            User {
                id: root.text("data.id")?,
                name: at.text("full_name")?,
                username: at.text("vanity")?,
                avatar_url: at.text("image_url")?,
                email: when(at.flag("is_email_verified")?, at.text("email")?),
                ..nobody
            }
        }
        "planningcenter" => {
            let at = inside("data.attributes")?;
            at.require(at.text("status")? == "active")?;
            User { id: root.text("data.id")?, name: at.text("name")?, avatar_url: at.text("avatar")?, ..nobody }
        }
        "linear" => {
            let at = inside("data.viewer")?;
            at.require(at.flag("active")?)?;
            User {
                id: at.text("id")?,
                name: at.text("name")?,
                username: at.text("displayName")?,
                avatar_url: at.text("avatarUrl")?,
                email: at.text("email")?,
                ..nobody
            }
        }
        "monday" => {
            let at = inside("data.me")?;
            at.require(at.flag("enabled")?)?;
            User {
                id: at.text("id")?,
                name: at.text("name")?,
                avatar_url: at.text("photo_small")?,
                email: when(at.flag("is_verified")?, at.text("email")?),
                ..nobody
            }
        }
        "notion" => {
            let at = inside("bot.owner.user")?;
            User {
                id: at.text("id")?,
                name: at.text("name")?,
                avatar_url: at.text("avatar_url")?,
                email: at.text("person.email")?,
                ..nobody
            }
        }
        "twitter" => {
            let at = inside("data")?;
            User {
                id: at.text("id")?,
                name: at.text("name")?,
                username: at.text("username")?,
                avatar_url: at.text("profile_image_url")?,
                email: at.text("confirmed_email")?,
                ..nobody
            }
        }
        "wakatime" => {
            let at = inside("data")?;
            User {
                id: at.text("id")?,
                name: at.text("display_name")?,
                username: at.text("username")?,
                avatar_url: when(at.flag("photo_public")?, at.text("photo")?),
                email: when(at.flag("is_email_confirmed")?, at.text("email")?),
                ..nobody
            }
        }
        "vk" => {
            root.require(root.get("response.0")?.is_some())?;
            let at = inside("response.0")?;
            User {
                id: at.number("id")?,
                name: words(&at.text("first_name")?, &at.text("last_name")?),
                username: at.text("screen_name")?,
                avatar_url: at.text("photo_max")?,
                ..nobody
            }
        }
        "twitch" => {
            root.require(root.get("data.0")?.is_some())?;
            let at = inside("data.0")?;
            User {
                id: at.text("id")?,
                name: at.text("display_name")?,
                username: at.text("login")?,
                avatar_url: at.text("profile_image_url")?,
                email: at.text("email")?,
                ..nobody
            }
        }
        _ => {
            let at = inside("data")?;
            User { id: at.text("union_id")?, name: at.text("name")?, avatar_url: at.text("avatar_url")?, ..nobody }
        }
    })
}

/// Services whose user stands at the top.
fn flat(key: &str, answer: &Json) -> Read<User> {
    let at = At(answer);
    let nobody = at.nobody();
    Ok(match key {
        "mailcow" => {
            at.require(at.number("active")? == "1")?;
            let username = at.text("username")?;
            User {
                id: at.text("id")?,
                name: at.text("full_name")?,
                username: username.split('@').next().unwrap_or_default().to_owned(),
                email: at.text("email")?,
                ..nobody
            }
        }
        "box" => {
            at.require(at.text("status")? == "active")?;
            User {
                id: at.text("id")?,
                name: at.text("name")?,
                avatar_url: at.text("avatar_url")?,
                email: at.text("login")?,
                ..nobody
            }
        }
        "livechat" => User {
            id: at.text("account_id")?,
            name: at.text("name")?,
            avatar_url: at.text("avatar_url")?,
            email: when(at.flag("email_verified")?, at.text("email")?),
            ..nobody
        },
        "strava" => User {
            id: at.number("id")?,
            name: words(&at.text("firstname")?, &at.text("lastname")?),
            username: at.text("username")?,
            avatar_url: at.text("profile")?,
            ..nobody
        },
        "trakt" => User {
            id: at.text("user.ids.uuid")?,
            name: at.text("user.name")?,
            username: at.text("user.username")?,
            avatar_url: at.text("user.images.avatar.full")?,
            ..nobody
        },
        _ => {
            User { id: at.text("id")?, name: at.text("display_name")?, avatar_url: at.text("images.0.url")?, ..nobody }
        }
    })
}

/// Networks of people.
fn network(key: &str, answer: &Json) -> Read<User> {
    let at = At(answer);
    let nobody = at.nobody();
    Ok(match key {
        // The address may come from elsewhere: see `super::ask`.
        "microsoft" => User { id: at.text("id")?, name: at.text("displayName")?, email: at.text("mail")?, ..nobody },
        "yandex" => {
            let avatar = at.text("default_avatar_id")?;
            let url = format!("https://avatars.yandex.net/get-yapic/{avatar}/islands-200");
            User {
                id: at.text("id")?,
                name: at.text("real_name")?,
                username: at.text("login")?,
                avatar_url: when(!at.flag("is_avatar_empty")? && !avatar.is_empty(), url),
                email: at.text("default_email")?,
                ..nobody
            }
        }
        "facebook" => User {
            id: at.text("id")?,
            name: at.text("name")?,
            avatar_url: at.text("picture.data.url")?,
            email: at.text("email")?,
            ..nobody
        },
        "instagram2" => User {
            id: at.text("user_id")?,
            name: at.text("name")?,
            username: at.text("username")?,
            avatar_url: at.text("profile_picture_url")?,
            ..nobody
        },
        "discord" => {
            let (id, username, avatar) = (at.text("id")?, at.text("username")?, at.text("avatar")?);
            let numbered = match at.text("discriminator")?.as_str() {
                "" | "0" => username.clone(),
                number => format!("{username}#{number}"),
            };
            let name = at.text("global_name")?;
            User {
                name: if name.is_empty() { numbered } else { name },
                avatar_url: when(!avatar.is_empty(), format!("https://cdn.discordapp.com/avatars/{id}/{avatar}.png")),
                email: when(at.flag("verified")?, at.text("email")?),
                id,
                username,
                ..nobody
            }
        }
        "kakao" => {
            let vouched = at.flag("kakao_account.is_email_valid")? && at.flag("kakao_account.is_email_verified")?;
            User {
                id: at.number("id")?,
                username: at.text("properties.nickname")?,
                avatar_url: at.text("properties.profile_image")?,
                email: when(vouched, at.text("kakao_account.email")?),
                ..nobody
            }
        }
        other => return Err(format!("nobody knows how to read the users of {other}")),
    })
}

type Read<T> = Result<T, String>;

fn when(condition: bool, text: String) -> String {
    if condition { text } else { String::new() }
}

/// Both joined by a space, if both are there.
fn words(first: &str, second: &str) -> String {
    format!("{first} {second}").trim().to_owned()
}

/// What is wrong with a provider's answer; only the log is told.
pub fn refused(why: String) -> Error {
    Error::invalid("The provider did not tell who you are.").because(anyhow::anyhow!(why))
}

/// A place in a provider's answer. Paths are keys and indexes joined by dots; what is absent or `null` is blank.
#[derive(Clone, Copy)]
pub(super) struct At<'a>(pub &'a Json);

impl<'a> At<'a> {
    fn nobody(self) -> User {
        let blank = String::new;
        User { id: blank(), name: blank(), username: blank(), email: blank(), avatar_url: blank(), raw: self.0.clone() }
    }

    pub fn get(self, path: &str) -> Read<Option<&'a Json>> {
        let mut found = self.0;
        for key in path.split('.') {
            let next = match (found, key.parse::<usize>()) {
                (Json::Null, _) => None,
                (Json::Object(object), Err(_)) => object.get(key),
                (Json::Array(list), Ok(index)) => list.get(index),
                _ => return Err(format!("{path} is not where it should be")),
            };
            match next {
                Some(next) => found = next,
                None => return Ok(None),
            }
        }
        Ok(Some(found).filter(|value| !value.is_null()))
    }

    pub fn text(self, path: &str) -> Read<String> {
        match self.get(path)? {
            None => Ok(String::new()),
            Some(Json::String(text)) => Ok(text.clone()),
            Some(_) => Err(format!("{path} is no text")),
        }
    }

    pub fn flag(self, path: &str) -> Read<bool> {
        match self.get(path)? {
            None => Ok(false),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("{path} is neither true nor false")),
        }
    }

    /// An integer as a text. No account has the number 0.
    fn number(self, path: &str) -> Read<String> {
        match self.get(path)? {
            None => Ok(String::new()),
            Some(Json::Number(number)) if number.as_i64() == Some(0) => Ok(String::new()),
            Some(Json::Number(number)) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
            Some(_) => Err(format!("{path} is no integer")),
        }
    }

    /// A flag that some spell as a text or a number.
    pub fn truthy(self, path: &str) -> bool {
        match self.get(path) {
            Ok(Some(Json::Bool(flag))) => *flag,
            Ok(Some(Json::String(text))) => matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"),
            Ok(Some(Json::Number(number))) => number.as_f64().is_some_and(|number| number != 0.0),
            _ => false,
        }
    }

    fn require(self, condition: bool) -> Read<()> {
        if condition { Ok(()) } else { Err("there is no active account".to_owned()) }
    }
}
