//! Superusers: their addresses, and the first one.

use super::*;

#[tokio::test]
async fn superusers_may_be_bound_to_addresses() {
    let house = house().await;
    house.create("_superusers", json!({"email": "root@x.co"})).await;
    let body = json!({"identity": "root@x.co", "password": "longenough1"});
    let answer = house.login("_superusers", body.clone()).await.unwrap();
    assert!(house.auth.caller(answer["token"].as_str().unwrap()).await.unwrap().is_superuser());
    house.auth.settings.patch(object(json!({"superuserIPs": ["10.0.0.0/8"]}))).await.unwrap();
    assert_eq!(house.login("_superusers", body).await.unwrap_err().kind, Kind::Forbidden);
    let wrong = json!({"identity": "root@x.co", "password": "longenough2"});
    assert_eq!(house.login("_superusers", wrong).await.unwrap_err().kind, Kind::Invalid);
    assert!(house.login("users", ann()).await.is_ok(), "others are not meant");
}

#[tokio::test]
async fn the_installer_opens_the_door_until_somebody_is_in() {
    let house = house().await;
    let token = house.auth.installer().await.unwrap().unwrap();
    assert!(house.auth.caller(&token).await.unwrap().is_superuser());
    let again = house.auth.installer().await.unwrap().unwrap();
    assert!(house.auth.caller(&again).await.unwrap().is_superuser());
    assert!(house.auth.caller(&token).await.unwrap().is_superuser(), "the account is reused");
    assert_eq!(house.refresh("_superusers", &token).await.unwrap()["token"], token.as_str(), "it cannot be prolonged");

    house.auth.create_superuser("root@x.co", "longenough1").await.unwrap();
    assert!(matches!(house.auth.caller(&token).await.unwrap(), Caller::Guest));
    assert_eq!(house.auth.installer().await.unwrap(), None);
    let token = house.auth.superuser_token("root@x.co").await.unwrap();
    assert!(house.auth.caller(&token).await.unwrap().is_superuser());
}

#[tokio::test]
async fn the_account_is_looked_for_in_the_transaction_that_changes_it() {
    let house = house().await;
    let upserts = (0..8).map(|n| house.auth.upsert_superuser("root@x.co", ["longenough1", "longenough2"][n % 2]));
    let created = futures_util::future::join_all(upserts).await;
    let created: Vec<bool> = created.into_iter().map(Result::unwrap).collect();
    assert_eq!(created.iter().filter(|created| **created).count(), 1, "{created:?}");
    assert!(house.auth.set_superuser_password("root@x.co", "longenough3").await.unwrap());
    for email in ["nobody@x.co", ""] {
        assert!(!house.auth.set_superuser_password(email, "longenough3").await.unwrap());
        assert!(!house.auth.delete_superuser(email).await.unwrap());
    }
    assert!(house.auth.delete_superuser("root@x.co").await.is_err(), "the last one stays");
    house.auth.create_superuser("other@x.co", "longenough1").await.unwrap();
    assert!(house.auth.delete_superuser("root@x.co").await.unwrap());
}
