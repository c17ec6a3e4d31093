//! The login providers that collections may name, and what an entry may leave out (`docs/wire/auth-oauth2.md` §6.1).

/// A provider with its defaults. The order of [`PROVIDERS`] is the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The `name` of an entry.
    pub key: &'static str,
    pub display_name: &'static str,
    /// Separated by spaces; may be blank.
    pub scopes: &'static str,
    /// Blank where every entry has to bring its own.
    pub auth_url: &'static str,
    pub token_url: &'static str,
    /// Blank also where an id_token says who it is.
    pub user_info_url: &'static str,
    /// Whether the code is bound to a verifier (RFC 7636) unless the entry says otherwise.
    pub pkce: bool,
}

/// The provider of this key.
pub fn find(key: &str) -> Option<&'static Known> {
    PROVIDERS.iter().find(|known| known.key == key)
}

const fn known(
    key: &'static str,
    display_name: &'static str,
    scopes: &'static str,
    [auth_url, token_url, user_info_url]: [&'static str; 3],
) -> Known {
    Known { key, display_name, scopes, auth_url, token_url, user_info_url, pkce: true }
}

impl Known {
    const fn without_pkce(self) -> Self {
        Self { pkce: false, ..self }
    }
}

/// Keys, display names, scopes and the URLs for authorisation, token and user info.
pub const PROVIDERS: [Known; 32] = [
    known(
        "apple",
        "Apple",
        "name email",
        ["https://appleid.apple.com/auth/authorize", "https://appleid.apple.com/auth/token", ""],
    ),
    known(
        "google",
        "Google",
        "https://www.googleapis.com/auth/userinfo.profile https://www.googleapis.com/auth/userinfo.email",
        [
            "https://accounts.google.com/o/oauth2/v2/auth",
            "https://oauth2.googleapis.com/token",
            "https://www.googleapis.com/oauth2/v3/userinfo",
        ],
    ),
    known(
        "microsoft",
        "Microsoft",
        "User.Read",
        [
            "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "https://graph.microsoft.com/v1.0/me",
        ],
    ),
    known(
        "yandex",
        "Yandex",
        "login:email login:avatar login:info",
        ["https://oauth.yandex.com/authorize", "https://oauth.yandex.com/token", "https://login.yandex.ru/info"],
    ),
    known(
        "facebook",
        "Facebook",
        "email",
        [
            "https://www.facebook.com/v3.2/dialog/oauth",
            "https://graph.facebook.com/v3.2/oauth/access_token",
            "https://graph.facebook.com/me?fields=name,email,picture.type(large)",
        ],
    ),
    known(
        "instagram2",
        "Instagram",
        "instagram_business_basic",
        [
            "https://www.instagram.com/oauth/authorize",
            "https://api.instagram.com/oauth/access_token",
            concat!(
                "https://graph.instagram.com/me",
                "?fields=id,username,account_type,user_id,name,profile_picture_url,followers_count,follows_count,media_count"
            ),
        ],
    ),
    known(
        "github",
        "GitHub",
        "read:user user:email",
        [
            "https://github.com/login/oauth/authorize",
            "https://github.com/login/oauth/access_token",
            "https://api.github.com/user",
        ],
    ),
    known(
        "gitlab",
        "GitLab",
        "read_user",
        ["https://gitlab.com/oauth/authorize", "https://gitlab.com/oauth/token", "https://gitlab.com/api/v4/user"],
    ),
    known(
        "bitbucket",
        "Bitbucket",
        "account",
        [
            "https://bitbucket.org/site/oauth2/authorize",
            "https://bitbucket.org/site/oauth2/access_token",
            "https://api.bitbucket.org/2.0/user",
        ],
    )
    .without_pkce(),
    known(
        "gitee",
        "Gitee",
        "user_info emails",
        ["https://gitee.com/oauth/authorize", "https://gitee.com/oauth/token", "https://gitee.com/api/v5/user"],
    ),
    known(
        "gitea",
        "Gitea/Forgejo",
        "read:user user:email",
        [
            "https://gitea.com/login/oauth/authorize",
            "https://gitea.com/login/oauth/access_token",
            "https://gitea.com/api/v1/user",
        ],
    ),
    known(
        "discord",
        "Discord",
        "identify email",
        [
            "https://discord.com/api/oauth2/authorize",
            "https://discord.com/api/oauth2/token",
            "https://discord.com/api/users/@me",
        ],
    ),
    known(
        "twitter",
        "X/Twitter",
        "users.read users.email tweet.read",
        [
            "https://x.com/i/oauth2/authorize",
            "https://api.x.com/2/oauth2/token",
            "https://api.x.com/2/users/me?user.fields=id,name,username,profile_image_url,confirmed_email",
        ],
    ),
    known(
        "kakao",
        "Kakao",
        "account_email profile_nickname profile_image",
        [
            "https://kauth.kakao.com/oauth/authorize",
            "https://kauth.kakao.com/oauth/token",
            "https://kapi.kakao.com/v2/user/me",
        ],
    ),
    known(
        "vk",
        "ВКонтакте",
        "email",
        [
            "https://oauth.vk.com/authorize",
            "https://oauth.vk.com/access_token",
            "https://api.vk.com/method/users.get?fields=photo_max,screen_name&v=5.131",
        ],
    )
    .without_pkce(),
    known(
        "linear",
        "Linear",
        "read",
        ["https://linear.app/oauth/authorize", "https://api.linear.app/oauth/token", "https://api.linear.app/graphql"],
    )
    .without_pkce(),
    known(
        "notion",
        "Notion",
        "",
        [
            "https://api.notion.com/v1/oauth/authorize",
            "https://api.notion.com/v1/oauth/token",
            "https://api.notion.com/v1/users/me",
        ],
    ),
    known(
        "monday",
        "monday.com",
        "me:read",
        [
            "https://auth.monday.com/oauth2/authorize",
            "https://auth.monday.com/oauth2/token",
            "https://api.monday.com/v2",
        ],
    ),
    known(
        "lark",
        "Lark",
        "",
        [
            "https://accounts.feishu.cn/open-apis/authen/v1/authorize",
            "https://open.feishu.cn/open-apis/authen/v2/oauth/token",
            "https://open.feishu.cn/open-apis/authen/v1/user_info",
        ],
    ),
    known(
        "box",
        "Box",
        "root_readonly",
        [
            "https://account.box.com/api/oauth2/authorize",
            "https://api.box.com/oauth2/token",
            "https://api.box.com/2.0/users/me",
        ],
    ),
    known(
        "spotify",
        "Spotify",
        "user-read-private",
        [
            "https://accounts.spotify.com/authorize",
            "https://accounts.spotify.com/api/token",
            "https://api.spotify.com/v1/me",
        ],
    ),
    known(
        "trakt",
        "Trakt",
        "",
        ["https://trakt.tv/oauth/authorize", "https://api.trakt.tv/oauth/token", "https://api.trakt.tv/users/settings"],
    ),
    known(
        "twitch",
        "Twitch",
        "user:read:email",
        [
            "https://id.twitch.tv/oauth2/authorize",
            "https://id.twitch.tv/oauth2/token",
            "https://api.twitch.tv/helix/users",
        ],
    ),
    known(
        "patreon",
        "Patreon",
        "identity identity[email]",
        [
            "https://www.patreon.com/oauth2/authorize",
            "https://www.patreon.com/api/oauth2/token",
            concat!(
                "https://www.patreon.com/api/oauth2/v2/identity",
                "?fields%5Buser%5D=full_name,email,vanity,image_url,is_email_verified"
            ),
        ],
    ),
    known(
        "strava",
        "Strava",
        "profile:read_all",
        [
            "https://www.strava.com/oauth/authorize",
            "https://www.strava.com/api/v3/oauth/token",
            "https://www.strava.com/api/v3/athlete",
        ],
    ),
    known(
        "wakatime",
        "WakaTime",
        "email",
        [
            "https://wakatime.com/oauth/authorize",
            "https://wakatime.com/oauth/token",
            "https://wakatime.com/api/v1/users/current",
        ],
    ),
    known(
        "livechat",
        "LiveChat",
        "",
        [
            "https://accounts.livechat.com/",
            "https://accounts.livechat.com/token",
            "https://accounts.livechat.com/v2/accounts/me",
        ],
    ),
    known("mailcow", "mailcow", "profile", ["", "", ""]),
    known(
        "planningcenter",
        "Planning Center",
        "people",
        [
            "https://api.planningcenteronline.com/oauth/authorize",
            "https://api.planningcenteronline.com/oauth/token",
            "https://api.planningcenteronline.com/people/v2/me",
        ],
    ),
    known("oidc", "OIDC", "openid email profile", ["", "", ""]),
    known("oidc2", "OIDC", "openid email profile", ["", "", ""]),
    known("oidc3", "OIDC", "openid email profile", ["", "", ""]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_unique_and_urls_are_urls() {
        assert_eq!(PROVIDERS.iter().map(|known| known.key).collect::<HashSet<_>>().len(), PROVIDERS.len());
        for known in &PROVIDERS {
            assert_eq!(find(known.key), Some(known));
            for url in [known.auth_url, known.token_url, known.user_info_url] {
                assert!(url.is_empty() || crate::address::is_url(url) && url.starts_with("https://"), "{url}");
            }
        }
        assert_eq!(find("myspace"), None);
    }
}
