//! How long auth tokens last, and `auth-refresh`.

use super::*;

#[tokio::test]
async fn tokens_end_with_their_time_their_key_and_their_record() {
    let house = house().await;
    let token = house.token().await;
    assert!(house.whose(&token).await.is_some());
    house.set("tokenKey", &"n".repeat(50)).await;
    assert_eq!(house.whose(&token).await, None, "a new token key");

    let token = house.token().await;
    assert!(house.whose(&token).await.is_some());
    house.configure(json!({"authToken": {"secret": "n".repeat(50)}})).await;
    assert_eq!(house.whose(&token).await, None, "a new secret");

    let token = house.token().await;
    let start = house.clock.now().millis();
    let lifetime = 432_000_000;
    house.clock.set(Timestamp(start + lifetime - 1000));
    assert!(house.whose(&token).await.is_some());
    house.clock.set(Timestamp(start + lifetime));
    assert_eq!(house.whose(&token).await, None, "expired");

    let token = house.token().await;
    let id = house.get("id").await;
    let request = Request { caller: Caller::system(), ..Request::default() };
    assert!(house.whose(&token).await.is_some());
    house.auth.records.delete(request, "users", &id).await.unwrap();
    assert_eq!(house.whose(&token).await, None, "a deleted record");
}

#[tokio::test]
async fn refresh_gives_a_new_token_or_the_same() {
    let house = house().await;
    let token = house.token().await;
    house.clock.set(Timestamp(house.clock.now().millis() + 5000));
    let answer = house.refresh("users", &token).await.unwrap();
    assert_eq!(answer["record"]["email"], "ann@x.co");
    assert_ne!(answer["token"], token.as_str());
    assert!(house.whose(&token).await.is_some(), "the old one stays good");

    let (users, id) = (house.auth.auth_collection("users").unwrap(), house.get("id").await);
    let row = house.auth.records.load(&users, &id).await.unwrap().unwrap();
    let fixed = house
        .auth
        .mint(&users, &auth_record(&users, id.into(), row), Grant::Auth { refreshable: false }, Some(60))
        .unwrap();
    assert_eq!(house.refresh("users", &fixed).await.unwrap()["token"], fixed.as_str());
    assert_eq!(house.refresh("users", &format!("Bearer {fixed}")).await.unwrap()["token"], fixed.as_str());

    for (collection, token, expected) in [
        ("nope", &*token, Kind::NotFound),
        ("users", "", Kind::Unauthorized),
        ("_superusers", &token, Kind::Forbidden),
        ("_mfas", &token, Kind::Forbidden),
    ] {
        assert_eq!(house.refresh(collection, token).await.unwrap_err().kind, expected, "{collection}");
    }
}
