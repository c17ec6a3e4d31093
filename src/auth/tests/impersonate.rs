//! Sessions that superusers take over, and file tokens (`docs/wire/auth.md` §3.5, §2.7).

use super::*;

#[tokio::test]
async fn a_superuser_gets_a_session_that_cannot_be_prolonged() {
    let house = house().await;
    house.create("_superusers", json!({"email": "root@x.co"})).await;
    // What stops others does not stop them.
    house.configure(json!({"authRule": "verified = true"})).await;
    let users = house.auth.auth_collection("users").unwrap();
    let superusers = house.auth.auth_collection("_superusers").unwrap();
    let root = house.auth.superuser("root@x.co").await.unwrap().unwrap();
    for (collection, record, seconds, lifetime) in [
        (&users, house.user("ann@x.co").await, 0, 432_000),
        (&users, house.user("ann@x.co").await, 5, 5),
        (&superusers, root, 0, 86_400),
    ] {
        let request = Request { caller: Caller::system(), now: house.clock.now(), ..Request::default() };
        let answer = house.auth.impersonate(request, &record, seconds, Shape::default()).await.unwrap();
        let answer: Json = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["record"]["id"], *record.id);
        let token = answer["token"].as_str().unwrap();
        let start = house.clock.now();
        assert!(house.whose(token).await.is_some());
        if collection.id == superusers.id {
            assert_eq!(house.refresh("_superusers", token).await.unwrap()["token"], token);
        }
        house.clock.set(Timestamp(start.millis() + lifetime * 1000 - 1));
        assert!(house.whose(token).await.is_some());
        house.clock.set(Timestamp(start.millis() + lifetime * 1000));
        assert_eq!(house.whose(token).await, None);
    }
    let request = Request { caller: Caller::system(), ..Request::default() };
    let error = house.auth.impersonate(request, &house.user("ann@x.co").await, -1, Shape::default()).await;
    assert_eq!(refusal(error), invalid(&["duration=validation_min_greater_equal_than_required"]));
    for (collection, id) in [("nope", "x"), ("_mfas", "x"), ("users", "x")] {
        assert_eq!(house.auth.account(collection, id).await.unwrap_err().kind, Kind::NotFound);
    }
}

#[tokio::test]
async fn whoever_is_signed_in_gets_a_file_token() {
    let house = house().await;
    assert_eq!(house.auth.file_token(&Caller::Guest).unwrap_err().kind, Kind::Unauthorized);
    let caller = house.auth.caller(&house.token().await).await.unwrap();
    let token = house.auth.file_token(&caller).unwrap();
    let redeemed = house.auth.redeem(&token, Purpose::File).await.unwrap().unwrap();
    assert_eq!(redeemed.row.text("email"), Some("ann@x.co"));
    assert_eq!(house.whose(&token).await, None, "it is no session");
    house.wait(180);
    assert!(house.auth.redeem(&token, Purpose::File).await.unwrap().is_none());
}
