//! The OAuth2 providers that collections may name (`docs/wire/records-collections.md` §8).

use serde::Serialize;

/// Name and display name, in the wire's order.
const PROVIDERS: [(&str, &str); 32] = [
    ("apple", "Apple"),
    ("google", "Google"),
    ("microsoft", "Microsoft"),
    ("yandex", "Yandex"),
    ("facebook", "Facebook"),
    ("instagram2", "Instagram"),
    ("github", "GitHub"),
    ("gitlab", "GitLab"),
    ("bitbucket", "Bitbucket"),
    ("gitee", "Gitee"),
    ("gitea", "Gitea/Forgejo"),
    ("discord", "Discord"),
    ("twitter", "X/Twitter"),
    ("kakao", "Kakao"),
    ("vk", "ВКонтакте"),
    ("linear", "Linear"),
    ("notion", "Notion"),
    ("monday", "monday.com"),
    ("lark", "Lark"),
    ("box", "Box"),
    ("spotify", "Spotify"),
    ("trakt", "Trakt"),
    ("twitch", "Twitch"),
    ("patreon", "Patreon"),
    ("strava", "Strava"),
    ("wakatime", "WakaTime"),
    ("livechat", "LiveChat"),
    ("mailcow", "mailcow"),
    ("planningcenter", "Planning Center"),
    ("oidc", "OIDC"),
    ("oidc2", "OIDC"),
    ("oidc3", "OIDC"),
];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    name: &'static str,
    display_name: &'static str,
    logo: String,
}

pub fn all() -> Vec<Provider> {
    PROVIDERS
        .iter()
        .map(|&(name, display_name)| Provider { name, display_name, logo: monogram(display_name) })
        .collect()
}

/// A plain SVG with the provider's initial: the brands' own signs are not ours to hand out.
fn monogram(display_name: &str) -> String {
    let initial = display_name.chars().take(1).flat_map(char::to_uppercase).collect::<String>();
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="#5a6675"/><text x="12" y="17" font-family="sans-serif" font-size="14" text-anchor="middle" fill="#fff">{initial}</text></svg>"##
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_logos_are_svg() {
        let all = all();
        assert_eq!(all.iter().map(|provider| provider.name).collect::<HashSet<_>>().len(), 32);
        assert!(all.iter().all(|provider| provider.logo.starts_with("<svg") && provider.logo.contains("</text>")));
    }
}
