//! Every provider's answer, good and bad.

use serde_json::json;

use super::*;
use crate::schema::providers::PROVIDERS;

/// For each provider an answer and (id, name, username, avatarURL, email).
fn answers() -> Vec<(&'static str, Json, [&'static str; 5])> {
    vec![
        (
            "apple",
            json!({"sub": "1", "name": "N", "email": "e@x.co", "email_verified": "true"}),
            ["1", "N", "", "", "e@x.co"],
        ),
        (
            "google",
            json!({"sub": "1", "name": "N", "picture": "p", "email": "e@x.co", "email_verified": true}),
            ["1", "N", "", "p", "e@x.co"],
        ),
        ("microsoft", json!({"id": "1", "displayName": "N", "mail": "e@x.co"}), ["1", "N", "", "", "e@x.co"]),
        (
            "yandex",
            json!({"id": "1", "real_name": "N", "login": "u", "default_avatar_id": "a/b", "is_avatar_empty": false, "default_email": "e@x.co"}),
            ["1", "N", "u", "https://avatars.yandex.net/get-yapic/a/b/islands-200", "e@x.co"],
        ),
        (
            "facebook",
            json!({"id": "1", "name": "N", "email": "e@x.co", "picture": {"data": {"url": "p"}}}),
            ["1", "N", "", "p", "e@x.co"],
        ),
        (
            "instagram2",
            json!({"id": "9", "user_id": "1", "name": "N", "username": "u", "profile_picture_url": "p"}),
            ["1", "N", "u", "p", ""],
        ),
        (
            "github",
            json!({"id": 1, "name": "N", "login": "u", "avatar_url": "p", "email": "e@x.co"}),
            ["1", "N", "u", "p", ""],
        ),
        (
            "gitlab",
            json!({"id": 1, "name": "N", "username": "u", "avatar_url": "p", "email": "e@x.co", "confirmed_at": "2024-01-02T03:04:05.678Z"}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
        (
            "bitbucket",
            json!({"uuid": "{1}", "display_name": "N", "username": "u", "account_status": "active", "links": {"avatar": {"href": "p"}}}),
            ["{1}", "N", "u", "p", ""],
        ),
        (
            "gitee",
            json!({"id": 1, "name": "N", "login": "u", "avatar_url": "p", "email": "e@x.co"}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
        (
            "gitea",
            json!({"id": 1, "full_name": "N", "login": "u", "avatar_url": "p", "email": "e@x.co", "active": true}),
            ["1", "N", "u", "p", ""],
        ),
        (
            "discord",
            json!({"id": "1", "username": "u", "discriminator": "0", "avatar": "a", "verified": true, "email": "e@x.co"}),
            ["1", "u", "u", "https://cdn.discordapp.com/avatars/1/a.png", "e@x.co"],
        ),
        (
            "twitter",
            json!({"data": {"id": "1", "name": "N", "username": "u", "profile_image_url": "p", "confirmed_email": "e@x.co"}}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
        (
            "kakao",
            json!({"id": 1, "properties": {"nickname": "u", "profile_image": "p"}, "kakao_account": {"email": "e@x.co", "is_email_valid": true, "is_email_verified": true}}),
            ["1", "", "u", "p", "e@x.co"],
        ),
        (
            "vk",
            json!({"response": [{"id": 1, "first_name": "N", "last_name": "M", "screen_name": "u", "photo_max": "p"}]}),
            ["1", "N M", "u", "p", ""],
        ),
        (
            "linear",
            json!({"data": {"viewer": {"id": "1", "name": "N", "displayName": "u", "avatarUrl": "p", "email": "e@x.co", "active": true}}}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
        (
            "notion",
            json!({"bot": {"owner": {"user": {"id": "1", "name": "N", "avatar_url": "p", "person": {"email": "e@x.co"}}}}}),
            ["1", "N", "", "p", "e@x.co"],
        ),
        (
            "monday",
            json!({"data": {"me": {"id": "1", "name": "N", "photo_small": "p", "email": "e@x.co", "is_verified": true, "enabled": true}}}),
            ["1", "N", "", "p", "e@x.co"],
        ),
        (
            "lark",
            json!({"data": {"union_id": "1", "name": "N", "avatar_url": "p", "email": "e@x.co"}}),
            ["1", "N", "", "p", ""],
        ),
        (
            "box",
            json!({"id": "1", "name": "N", "avatar_url": "p", "login": "e@x.co", "status": "active"}),
            ["1", "N", "", "p", "e@x.co"],
        ),
        (
            "spotify",
            json!({"id": "1", "display_name": "N", "images": [{"url": "p"}], "email": "e@x.co"}),
            ["1", "N", "", "p", ""],
        ),
        (
            "trakt",
            json!({"user": {"name": "N", "username": "u", "ids": {"uuid": "1"}, "images": {"avatar": {"full": "p"}}}}),
            ["1", "N", "u", "p", ""],
        ),
        (
            "twitch",
            json!({"data": [{"id": "1", "display_name": "N", "login": "u", "profile_image_url": "p", "email": "e@x.co"}]}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
        (
            "patreon",
            json!({"data": {"id": "1", "attributes": {"full_name": "N", "vanity": "u", "image_url": "p", "email": "e@x.co", "is_email_verified": true}}}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
        (
            "strava",
            json!({"id": 1, "firstname": "N", "lastname": "M", "username": "u", "profile": "p"}),
            ["1", "N M", "u", "p", ""],
        ),
        (
            "wakatime",
            json!({"data": {"id": "1", "display_name": "N", "username": "u", "photo": "p", "photo_public": true, "email": "e@x.co", "is_email_confirmed": true}}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
        (
            "livechat",
            json!({"account_id": "1", "name": "N", "avatar_url": "p", "email": "e@x.co", "email_verified": true}),
            ["1", "N", "", "p", "e@x.co"],
        ),
        (
            "mailcow",
            json!({"id": "1", "full_name": "N", "username": "u@x.co", "email": "e@x.co", "active": 1}),
            ["1", "N", "u", "", "e@x.co"],
        ),
        (
            "planningcenter",
            json!({"data": {"id": "1", "attributes": {"name": "N", "avatar": "p", "status": "active"}}}),
            ["1", "N", "", "p", ""],
        ),
        (
            "oidc",
            json!({"sub": "1", "name": "N", "preferred_username": "u", "picture": "p", "email": "e@x.co", "email_verified": true}),
            ["1", "N", "u", "p", "e@x.co"],
        ),
    ]
}

fn told(user: &User) -> [&str; 5] {
    [&user.id, &user.name, &user.username, &user.avatar_url, &user.email]
}

#[test]
fn every_provider_is_read() {
    let answers = answers();
    for known in &PROVIDERS {
        let key = known.key.trim_end_matches(['2', '3']);
        let key = if key == "instagram" { "instagram2" } else { key };
        let (_, answer, expected) = answers.iter().find(|(name, ..)| *name == key).expect(key);
        let user = read(known.key, answer).unwrap_or_else(|error| panic!("{}: {error}", known.key));
        assert_eq!(&told(&user), expected, "{}", known.key);
        assert_eq!(&user.raw, answer);
    }
}

#[test]
fn what_nobody_vouches_for_is_no_address() {
    for (key, path, value) in [
        ("apple", "/email_verified", json!("false")),
        ("apple", "/email_verified", Json::Null),
        ("google", "/email_verified", json!(false)),
        ("gitlab", "/confirmed_at", json!("")),
        ("gitlab", "/confirmed_at", json!("yesterday")),
        ("gitee", "/email", json!("***")),
        ("discord", "/verified", json!(false)),
        ("kakao", "/kakao_account/is_email_valid", json!(false)),
        ("kakao", "/kakao_account/is_email_verified", Json::Null),
        ("monday", "/data/me/is_verified", json!(false)),
        ("patreon", "/data/attributes/is_email_verified", Json::Null),
        ("wakatime", "/data/is_email_confirmed", json!(false)),
        ("livechat", "/email_verified", json!(false)),
        ("oidc", "/email_verified", json!("no")),
        ("oidc", "/email_verified", json!(0)),
        ("oidc", "/email_verified", json!([true])),
    ] {
        let answer = changed(key, path, value);
        assert_eq!(read(key, &answer).unwrap().email, "", "{key} {answer}");
    }
    for spelling in [json!(true), json!("true"), json!("1"), json!(1)] {
        assert_eq!(read("oidc", &changed("oidc", "/email_verified", spelling)).unwrap().email, "e@x.co");
    }
}

#[test]
fn inactive_accounts_and_wrong_types_are_refused() {
    for (key, path, value) in [
        ("bitbucket", "/account_status", json!("closed")),
        ("gitea", "/active", json!(false)),
        ("linear", "/data/viewer/active", json!(false)),
        ("monday", "/data/me/enabled", Json::Null),
        ("box", "/status", json!("inactive")),
        ("mailcow", "/active", json!(0)),
        ("planningcenter", "/data/attributes/status", json!("inactive")),
        ("oidc", "/sub", json!(1)),
        ("oidc", "/name", json!(["N"])),
        ("google", "/email_verified", json!("true")),
        ("github", "/id", json!("1")),
        ("github", "/id", json!(1.5)),
        ("twitter", "/data", json!("x")),
        ("vk", "/response", json!({"0": "x"})),
        ("spotify", "/images", json!("x")),
    ] {
        let answer = changed(key, path, value);
        assert!(read(key, &answer).is_err(), "{key} {answer}");
    }
    // Nobody is account number 0 of all accounts without a number.
    for (key, answer) in [("github", json!({})), ("strava", json!({"id": 0})), ("oidc", json!({"sub": null}))] {
        assert_eq!(read(key, &answer).unwrap().id, "", "{key}");
    }
    assert!(read("myspace", &json!({"id": "1"})).is_err());
}

/// The provider's answer of [`answers`] with another value there.
fn changed(key: &str, path: &str, value: Json) -> Json {
    let (_, mut answer, _) = answers().into_iter().find(|(name, ..)| *name == key).unwrap();
    *answer.pointer_mut(path).unwrap() = value;
    answer
}
