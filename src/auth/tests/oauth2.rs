//! Signing in with accounts of other sites (`docs/wire/auth-oauth2.md` §3.10), against a provider of the tests.

use std::net::IpAddr;

use super::{
    provider::{Provider, code},
    *,
};
use crate::auth::oauth2::Outside;

/// A server whose users may come from `provider` under two names.
async fn offered() -> (House, Provider) {
    let (house, provider) = (house().await, Provider::start().await);
    house.offer(json!([provider.entry("oidc"), provider.entry("oidc2"), provider.entry("github")])).await;
    (house, provider)
}

/// The login of a user of the provider.
fn with(user: Json) -> Json {
    json!({"provider": "oidc", "code": code(user, json!({})), "codeVerifier": "v"})
}

/// A user of the provider, whose address it vouches for.
fn eve() -> Json {
    json!({"sub": "e1", "name": "Eve", "preferred_username": "eve", "email": "eve@x.co", "email_verified": true,
        "picture": "http://pictures.invalid/eve.png", "more": [1]})
}

/// `body` with other members.
fn but(mut body: Json, changes: Json) -> Json {
    body.as_object_mut().unwrap().extend(object(changes));
    body
}

#[tokio::test]
async fn somebody_new_becomes_a_record_and_comes_back_to_it() {
    let (house, _provider) = offered().await;
    let first = house.with_oauth2("", with(eve())).await.unwrap();
    let meta = &first["meta"];
    assert_eq!(meta["isNew"], true);
    for (key, value) in [("id", "e1"), ("name", "Eve"), ("username", "eve"), ("email", "eve@x.co"), ("expiry", "")] {
        assert_eq!(meta[key], value, "{key}");
    }
    assert_eq!(meta["avatarURL"], meta["avatarUrl"]);
    assert_eq!(meta["rawUser"], eve());
    let record = &first["record"];
    assert_eq!(
        (&record["email"], &record["verified"], &record["name"]),
        (&json!("eve@x.co"), &json!(true), &json!("Eve"))
    );
    assert_eq!(record["avatar"], "", "a picture that cannot be had is none");
    let id = record["id"].as_str().unwrap();
    assert_eq!(house.links(id).await, ["oidc:e1"]);

    // The address may change at the provider: the link counts. What the record has is never overwritten.
    let moved = but(eve(), json!({"email": "other@x.co", "name": "Other"}));
    let second = house.with_oauth2("", with(moved)).await.unwrap();
    assert_eq!((&second["record"]["id"], &second["meta"]["isNew"]), (&json!(id), &json!(false)));
    assert_eq!((&second["record"]["email"], &second["record"]["name"]), (&json!("eve@x.co"), &json!("Eve")));
    let old = first["token"].as_str().unwrap();
    assert!(house.whose(old).await.is_some(), "a verified record keeps its sessions");
}

#[tokio::test]
async fn the_code_is_exchanged_as_the_provider_wants_it() {
    let (house, provider) = offered().await;
    let basic = "Basic bXkraWQ6cyUyRmU=";
    let login = |tokens: Json| but(with(eve()), json!({"code": code(eve(), tokens)}));

    house.with_oauth2("", but(login(json!({})), json!({"redirectUrl": "http://a/b?c"}))).await.unwrap();
    let seen = provider.seen();
    let token = &seen[0];
    assert_eq!((token.target.as_str(), token.authorization.as_str()), ("POST /token", basic));
    let form: Vec<String> = token.body.split('&').map(str::to_owned).collect();
    assert_eq!(form[0], "grant_type=authorization_code");
    assert_eq!(&form[2..], ["redirect_uri=http%3A%2F%2Fa%2Fb%3Fc", "code_verifier=v"]);
    assert_eq!(seen[1].target, "GET /user");

    house.with_oauth2("", login(json!({"style": "form"}))).await.unwrap();
    let seen = provider.seen();
    assert_eq!((seen[0].authorization.as_str(), seen[1].authorization.as_str()), (basic, ""));
    assert!(seen[1].body.ends_with("&code_verifier=v&client_id=my+id&client_secret=s%2Fe"), "{}", seen[1].body);
    assert!(!seen[1].body.contains("redirect_uri"));

    let now = house.clock.now();
    for (tokens, expiry) in [
        (json!({"style": "encoded"}), Timestamp(now.millis() + 60_000).to_string()),
        (json!({"expires_in": "60"}), Timestamp(now.millis() + 60_000).to_string()),
        (json!({"expires_in": 0}), String::new()),
        (json!({"expires_in": null, "refresh_token": "r"}), String::new()),
    ] {
        let answer = house.with_oauth2("", login(tokens.clone())).await.unwrap();
        assert_eq!(answer["meta"]["expiry"], expiry, "{tokens}");
        assert_eq!(answer["meta"]["refreshToken"], tokens["refresh_token"].as_str().unwrap_or_default());
    }

    house.offer(json!([but(provider.entry("oidc"), json!({"pkce": false}))])).await;
    provider.seen();
    house.with_oauth2("", login(json!({}))).await.unwrap();
    assert!(!provider.seen()[0].body.contains("code_verifier"));
}

#[tokio::test]
async fn whatever_goes_wrong_at_the_provider_is_one_refusal_without_effect() {
    let (house, provider) = offered().await;
    let seq = house.seq().await;
    let wrong = |user: Json, tokens: Json| but(with(eve()), json!({"code": code(user, tokens)}));
    for body in [
        but(with(eve()), json!({"code": "made up"})),
        wrong(eve(), json!({"style": "refused"})),
        wrong(eve(), json!({"style": "endless"})),
        wrong(eve(), json!({"style": "elsewhere"})),
        wrong(eve(), json!({"access_token": ""})),
        wrong(eve(), json!({"access_token": 5})),
        wrong(eve(), json!({"access_token": "another"})),
        wrong(eve(), json!({"expires_in": "soon"})),
        wrong(json!("text"), json!({})),
        wrong(but(eve(), json!({"sub": 5})), json!({})),
        wrong(but(eve(), json!({"name": {"first": "Eve"}})), json!({})),
    ] {
        let error = house.with_oauth2("", body.clone()).await.unwrap_err();
        assert_eq!((error.kind, codes(&error)), (Kind::Invalid, vec![]), "{body}");
    }
    house.offer(json!([but(provider.entry("oidc"), json!({"tokenURL": "http://127.0.0.1:1/"}))])).await;
    assert_eq!(refusal(house.with_oauth2("", with(eve())).await), invalid(&[]));
    house.offer(json!([but(provider.entry("oidc"), json!({"userInfoURL": provider.url("/nothing")}))])).await;
    assert_eq!(refusal(house.with_oauth2("", with(eve())).await), invalid(&[]));
    // An account without an id is nobody's.
    house.offer(json!([provider.entry("oidc")])).await;
    let nobody = with(but(eve(), json!({"sub": ""})));
    assert_eq!(refusal(house.with_oauth2("", nobody).await), invalid(&["providerId=validation_required"]));
    assert_eq!(house.seq().await, seq);
}

#[tokio::test]
async fn the_form_is_checked_before_anybody_is_asked() {
    let (house, provider) = offered().await;
    let long = "x".repeat(101);
    for (body, expected) in [
        (json!({}), vec!["code=validation_required", "provider=validation_required"]),
        (json!({"provider": null, "code": "x"}), vec!["provider=validation_required"]),
        (json!({"provider": long, "code": "x"}), vec!["provider=validation_length_too_long"]),
        (json!({"provider": "google", "code": "x"}), vec!["provider=validation_invalid_provider"]),
        (json!({"provider": "myspace", "code": "x"}), vec!["provider=validation_invalid_provider"]),
        (json!({"provider": "oidc", "code": ""}), vec!["code=validation_required"]),
        (json!({"provider": "oidc", "code": 5}), vec![]),
        (json!({"provider": "oidc", "code": "x", "createData": []}), vec![]),
        (json!({"provider": "oidc", "code": "x", "createData": "{}"}), vec![]),
    ] {
        assert_eq!(refusal(house.with_oauth2("", body.clone()).await), invalid(&expected), "{body}");
    }
    house.configure(json!({"oauth2": {"enabled": false}})).await;
    assert_eq!(house.with_oauth2("", with(eve())).await.unwrap_err().kind, Kind::Forbidden);
    let root = house.auth.with_oauth2(house.attempt(with(eve())), "_superusers").await;
    assert_eq!(root.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(house.auth.with_oauth2(house.attempt(with(eve())), "nothing").await.unwrap_err().kind, Kind::NotFound);
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn a_new_record_passes_the_collections_own_rules() {
    let (house, _provider) = offered().await;
    let seq = house.seq().await;
    let create = |data: Json| but(with(eve()), json!({"createData": data}));
    let context = "@request.context = 'oauth2' && @request.body.name = 'Eve' && @request.query.q:isset = false";
    for (rule, data, expected) in [
        (json!(null), json!({}), Some((Kind::Forbidden, vec![]))),
        (json!("@request.context = 'default'"), json!({}), invalid(&[])),
        (json!(""), json!({"verified": true}), invalid(&["verified=validation_values_mismatch"])),
        (json!(""), json!({"email": "ann@x.co"}), invalid(&["email=validation_not_unique"])),
        (json!(""), json!({"email": "no address"}), invalid(&["email=validation_is_email"])),
        (json!(""), json!({"password": "longenough1"}), invalid(&["passwordConfirm=validation_required"])),
        (
            json!(""),
            json!({"password": "x", "passwordConfirm": "x"}),
            invalid(&["password=validation_min_text_constraint"]),
        ),
    ] {
        house.configure(json!({"createRule": rule})).await;
        assert_eq!(refusal(house.with_oauth2("", create(data.clone())).await), expected, "{rule} {data}");
        assert_eq!(house.seq().await, seq, "{rule} {data}");
    }
    house.configure(json!({"createRule": context})).await;
    let data =
        json!({"email": "else@x.co", "password": "longenough1", "passwordConfirm": "longenough1", "tokenKey": "x"});
    let mut login = house.attempt(create(data));
    login.request.query = object(json!({"q": "1"}));
    let answer = answer(house.auth.with_oauth2(login, "users").await.unwrap()).unwrap();
    let record = &answer["record"];
    assert_eq!((&record["email"], &record["verified"]), (&json!("else@x.co"), &json!(false)), "another address");
    assert!(house.login("users", json!({"identity": "else@x.co", "password": "longenough1"})).await.is_ok());
    assert!(
        house.user("else@x.co").await.row.text("tokenKey").unwrap().len() > 10,
        "a hidden field is not the client's"
    );
}

#[tokio::test]
async fn mapped_fields_are_filled_unless_the_client_did() {
    let (house, provider) = offered().await;
    let field = |name: &str, pattern: &str| json!({"name": name, "type": "text", "pattern": pattern, "max": 10});
    let users = house.auth.auth_collection("users").unwrap();
    let mut fields: Vec<Json> = users.fields.iter().map(|field| field.to_json()).collect();
    fields.extend([field("account", ""), field("nick", "^[a-zA-Z]+$"), field("photo", "")]);
    let unique = "CREATE UNIQUE INDEX `nicks` ON `users` (`nick` COLLATE NOCASE) WHERE `nick` != ''";
    house.configure(json!({"fields": fields, "indexes": [unique]})).await;
    let mapped = json!({"id": "account", "name": "name", "username": "nick", "avatarURL": "photo"});
    house.configure(json!({"oauth2": {"mappedFields": mapped}})).await;
    house.offer(json!([provider.entry("oidc")])).await;

    let user = |n: u8, changes: Json| {
        let own = json!({"sub": format!("s{n}"), "email": format!("m{n}@x.co"), "picture": "http://p/"});
        with(but(but(eve(), own), changes))
    };
    for (n, changes, data, expected) in [
        (1, json!({}), json!({}), ["s1", "Eve", "eve", "http://p/"]),
        (2, json!({"preferred_username": "EVE"}), json!({}), ["s2", "Eve", "", "http://p/"]),
        (3, json!({"preferred_username": "Eve!"}), json!({}), ["s3", "Eve", "", "http://p/"]),
        (4, json!({"preferred_username": "farlongerthanten"}), json!({}), ["s4", "Eve", "", "http://p/"]),
        (5, json!({"picture": ""}), json!({"account": "a", "name": "", "nick": "own"}), ["a", "", "own", ""]),
    ] {
        let answer = house.with_oauth2("", but(user(n, changes), json!({"createData": data}))).await.unwrap();
        let record = &answer["record"];
        assert_eq!(["account", "name", "nick", "photo"].map(|key| record[key].as_str().unwrap()), expected, "{n}");
    }
}

#[tokio::test]
async fn pictures_become_files_and_bad_ones_fail() {
    fn home(address: IpAddr) -> bool {
        address.is_loopback()
    }
    let (mut house, provider) = offered().await;
    house.auth.outside = Arc::new(Outside::with_pictures_from(home));
    // The provider answers JSON under any address: an avatar has to be an image.
    let json_picture = with(but(eve(), json!({"picture": provider.url("/user")})));
    let answer = house.with_oauth2("", json_picture).await;
    assert_eq!(answer.unwrap()["record"]["avatar"], "", "status 401 is no picture");

    let svg = super::provider::picture(r#"<svg xmlns="http://www.w3.org/2000/svg"></svg>"#).await;
    let user = |n: u8, url: String| {
        with(but(eve(), json!({"sub": format!("p{n}"), "email": format!("p{n}@x.co"), "picture": url})))
    };
    let answer = house.with_oauth2("", user(1, format!("{svg}/face.svg"))).await.unwrap();
    let name = answer["record"]["avatar"].as_str().unwrap();
    assert!(name.starts_with("face_") && name.ends_with(".svg"), "{name}");
    let text = super::provider::picture("just text").await;
    let refused = refusal(house.with_oauth2("", user(2, format!("{text}/face.png"))).await);
    assert_eq!(refused, invalid(&["avatar=validation_invalid_mime_type"]));
}

#[tokio::test]
async fn a_second_account_of_one_provider_is_refused_whole() {
    let (house, _provider) = offered().await;
    let first = house.with_oauth2("", with(eve())).await.unwrap();
    let session = first["token"].as_str().unwrap();
    let seq = house.seq().await;
    let second = with(json!({"sub": "e2", "email": "eve2@x.co", "email_verified": true}));
    let unique = ["collectionRef", "provider", "recordRef"].map(|name| format!("{name}=validation_not_unique"));
    let unique = unique.each_ref().map(String::as_str);
    assert_eq!(refusal(house.with_oauth2(session, second).await), invalid(&unique));
    assert_eq!(house.seq().await, seq);
    // An account of another provider is a further one.
    let other = but(with(json!({"sub": "e2"})), json!({"provider": "oidc2"}));
    let answer = house.with_oauth2(session, other).await.unwrap();
    assert_eq!(answer["record"]["id"], first["record"]["id"]);
    assert_eq!(house.links(first["record"]["id"].as_str().unwrap()).await, ["oidc2:e2", "oidc:e1"]);
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_links_nothing() {
    let (house, _provider) = offered().await;
    let mut login = house.attempt(with(json!({"sub": "e9"})));
    login.request.caller = house.auth.caller(&house.token().await).await.unwrap();
    house.set("tokenKey", &"n".repeat(50)).await;
    let seq = house.seq().await;
    assert_eq!(refusal(house.auth.with_oauth2(login, "users").await), invalid(&[]));
    assert_eq!(house.seq().await, seq);
}

#[tokio::test]
async fn many_at_once_become_one_record() {
    let (house, _provider) = offered().await;
    let house = Arc::new(house);
    let logins: Vec<_> = (0..8)
        .map(|_| {
            let house = house.clone();
            tokio::spawn(async move { house.with_oauth2("", with(eve())).await })
        })
        .collect();
    let (mut new, mut ids) = (0, std::collections::HashSet::new());
    for login in logins {
        let answer = login.await.unwrap().unwrap();
        new += u8::from(answer["meta"]["isNew"] == true);
        ids.insert(answer["record"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!((new, ids.len(), house.count("_externalAuths").await), (1, 1, 1));
}

#[tokio::test]
async fn a_record_without_address_takes_the_one_that_is_vouched_for() {
    let (house, _provider) = offered().await;
    let users = house.auth.auth_collection("users").unwrap();
    let mut fields: Vec<Json> = users.fields.iter().map(|field| field.to_json()).collect();
    for field in &mut fields {
        if field["name"] == "email" {
            field["required"] = false.into();
        }
    }
    house.configure(json!({"fields": fields})).await;
    let unvouched = but(eve(), json!({"email_verified": false}));
    let first = house.with_oauth2("", with(unvouched)).await.unwrap();
    // Nothing is claimed, so nothing has to be verified.
    assert_eq!((&first["record"]["email"], &first["record"]["verified"]), (&json!(""), &json!(true)));
    let second = house.with_oauth2("", with(eve())).await.unwrap();
    assert_eq!(second["record"]["id"], first["record"]["id"]);
    assert_eq!(second["record"]["email"], "eve@x.co");
    assert!(house.whose(first["token"].as_str().unwrap()).await.is_none(), "a new address ends old sessions");
}

#[tokio::test]
async fn whoever_may_not_sign_in_is_registered_nevertheless() {
    let (house, _provider) = offered().await;
    house.configure(json!({"authRule": "name = 'nobody'"})).await;
    assert_eq!(house.with_oauth2("", with(eve())).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(house.user("eve@x.co").await.row.get("verified"), Some(&Value::Integer(1)));
    house.configure(json!({"authRule": "", "mfa": {"enabled": true}})).await;
    let answer = house.with_oauth2("", with(eve())).await.unwrap();
    assert!(answer["mfaId"].is_string() && answer.get("token").is_none(), "{answer}");
}

#[tokio::test]
async fn a_forges_address_is_asked_for() {
    let (house, provider) = offered().await;
    let login = |user: Json| json!({"provider": "github", "code": code(user, json!({})), "codeVerifier": "v"});
    let entry =
        |email: &str, verified: bool, primary: bool| json!({"email": email, "verified": verified, "primary": primary});
    let emails = json!([entry("a@x.co", true, false), entry("b@x.co", false, true), entry("git@x.co", true, true)]);
    let answer = house.with_oauth2("", login(json!({"id": 7, "login": "g", "emails": emails}))).await.unwrap();
    assert_eq!((&answer["meta"]["id"], &answer["meta"]["email"]), (&json!("7"), &json!("git@x.co")));
    assert_eq!(provider.seen().last().unwrap().target, "GET /user/emails");
    for emails in [json!([]), json!(null), json!([entry("b@x.co", false, true)])] {
        let refused = refusal(house.with_oauth2("", login(json!({"id": 8, "emails": emails}))).await);
        assert_eq!(refused, invalid(&["email=validation_required"]), "{emails}");
    }
}

#[tokio::test]
async fn an_id_token_says_who_it_is_where_there_is_no_user_info() {
    use crate::auth::oauth2::id_token::tests::Issuer;
    let (house, provider) = offered().await;
    let (ours, other) = (Issuer::rsa("k1"), Issuer::rsa("k1"));
    let keys = super::provider::picture(&json!({"keys": [{"kid": "k0"}, ours.public]}).to_string()).await;
    let entry = but(provider.entry("oidc"), json!({"userInfoURL": "", "extra": {"jwksURL": keys, "issuers": ["me"]}}));
    house.offer(json!([entry])).await;
    let now = house.clock.now().seconds();
    let header = json!({"alg": "RS256", "kid": "k1"});
    let claims = |changes: Json| {
        but(
            json!({"iss": "me", "aud": "my id", "sub": "t1", "exp": now + 60,
        "email": "tok@x.co", "email_verified": true}),
            changes,
        )
    };
    let login = |token: String| but(with(json!({})), json!({"code": code(json!({}), json!({"id_token": token}))}));

    let good = ours.sign(header.clone(), claims(json!({})));
    let answer = house.with_oauth2("", login(good.clone())).await.unwrap();
    assert_eq!((&answer["meta"]["id"], &answer["record"]["email"]), (&json!("t1"), &json!("tok@x.co")));
    assert_eq!(answer["meta"]["rawUser"], claims(json!({})));
    let seq = house.seq().await;
    let unsigned = good.rsplit_once('.').unwrap().0;
    for token in [
        String::new(),
        "a.b.c".to_owned(),
        other.sign(header.clone(), claims(json!({}))),
        ours.sign(json!({"alg": "RS256", "kid": "k2"}), claims(json!({}))),
        ours.sign(json!({"alg": "RS256", "kid": "k0"}), claims(json!({}))),
        ours.sign(json!({"alg": "none", "kid": "k1"}), claims(json!({}))),
        ours.sign(json!({"alg": "HS256", "kid": "k1"}), claims(json!({}))),
        ours.sign(json!({"alg": "RS256"}), claims(json!({}))),
        ours.sign(header.clone(), claims(json!({"aud": "other"}))),
        ours.sign(header.clone(), claims(json!({"iss": "other"}))),
        ours.sign(header.clone(), claims(json!({"exp": now - 301}))),
        format!("{unsigned}."),
        unsigned.to_owned(),
    ] {
        assert_eq!(refusal(house.with_oauth2("", login(token.clone())).await), invalid(&[]), "{token}");
    }
    assert_eq!(house.seq().await, seq);
}

#[tokio::test]
async fn a_name_that_apple_told_is_for_apples_sign_in_only() {
    let (house, _provider) = offered().await;
    let (login, now) = (with(eve()), house.clock.now());
    let (names, code) = (&house.auth.outside.names, login["code"].as_str().unwrap());
    names.keep(code, r#"{"name":{"firstName":"App","lastName":"Le"}}"#, now);
    assert_eq!(house.with_oauth2("", login.clone()).await.unwrap()["meta"]["name"], "Eve");
    assert_eq!(names.take(code, now).as_deref(), Some("App Le"), "it still waits for Apple");
}

#[tokio::test]
async fn apple_tells_a_name_once_on_the_way_back() {
    use crate::auth::oauth2::{
        id_token::tests::Issuer,
        returned::{Landing, Returned},
    };
    let (house, provider) = offered().await;
    house.offer(json!([provider.entry("apple")])).await;
    let issuer = Issuer::rsa("a1");
    let now = house.clock.now();
    house.auth.outside.keys.learn("https://appleid.apple.com/auth/keys", vec![issuer.public.clone()], now);
    let claims = |issued_by: &str| {
        json!({"iss": issued_by, "aud": "my id", "sub": "apple-1", "exp": now.seconds() + 60, "iat": now.seconds(),
            "email": "app@x.co", "email_verified": "true"})
    };
    let token = |issued_by: &str| issuer.sign(json!({"alg": "RS256", "kid": "a1"}), claims(issued_by));
    let code = |token: String| code(json!({}), json!({"id_token": token}));
    let login = |code: &str| json!({"provider": "apple", "code": code, "codeVerifier": "v"});

    let code_of = code(token("https://appleid.apple.com"));
    let user = r#"{"name":{"firstName":"App","lastName":"Le"}}"#;
    let back = Returned { state: "s".into(), code: code_of.clone(), user: user.into(), ..Returned::default() };
    // Nobody waits: nothing is kept.
    assert_eq!(house.auth.returned(&back, None::<fn(Json)>), Landing::Failure);
    let mut told = Vec::new();
    let denied = Returned { error: "access_denied".into(), ..back.clone() };
    assert_eq!(house.auth.returned(&denied, Some(|signal| told.push(signal))), Landing::Failure);
    assert_eq!(house.auth.returned(&Returned::default(), Some(|_| ())), Landing::Failure, "no code");
    assert_eq!(house.auth.outside.names.take(&code_of, now), None);
    assert_eq!(house.auth.returned(&back, Some(|signal| told.push(signal))), Landing::Success);
    assert_eq!(told[0], json!({"state": "s", "code": code_of, "error": "access_denied"}));
    assert_eq!(told[1], json!({"state": "s", "code": code_of}));

    let answer = house.with_oauth2("", login(&code_of)).await.unwrap();
    assert_eq!((&answer["record"]["name"], &answer["record"]["email"]), (&json!("App Le"), &json!("app@x.co")));
    assert_eq!(house.with_oauth2("", login(&code_of)).await.unwrap()["meta"]["name"], "");
    let foreign = code(token("https://evil.example"));
    assert_eq!(refusal(house.with_oauth2("", login(&foreign)).await), invalid(&[]));
}
