//! Auth collections: the form, the side effects, system collections, superusers (`auth.md` §4, §5, §9).

use serde_json::{Value as Json, json};

use crate::{
    error::Kind,
    identity::Caller,
    records::write::testing::{House, account, codes, id, superuser},
};

pub(super) async fn house() -> (House, String) {
    let house = House::new();
    let fields = json!([{"name": "nick", "type": "text"}, {"name": "secret", "type": "text", "hidden": true}]);
    let rules = json!({"name": "members", "type": "auth", "fields": fields, "createRule": "", "updateRule": "",
        "deleteRule": "", "viewRule": ""});
    house.collection(rules).await;
    let made = house.create(&Caller::Guest, "members", account("a@example.com")).await.unwrap();
    (house, id(&made).to_owned())
}

#[tokio::test]
async fn a_password_is_stored_as_a_hash_and_nothing_secret_enters_the_log() {
    let (house, member) = house().await;
    let hash = house.stored("members", &member, "password").await;
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let token_key = house.stored("members", &member, "tokenKey").await;
    assert_eq!(token_key.len(), 50);
    let change = json!({"password": "second password", "passwordConfirm": "second password"});
    house.update(&superuser(), "members", &member, change).await.unwrap();
    house.delete(&superuser(), "members", &member).await.unwrap();
    for entry in house.log().await {
        let before = entry.before.unwrap_or_default();
        assert!(!before.contains("argon2id") && !before.contains(&token_key), "{before}");
    }
}

#[tokio::test]
async fn form_checks_of_a_create() {
    let (house, member) = house().await;
    let caller = house.caller("members", &member).await;
    let cases = [
        (json!({"email": "b@example.com"}), "password=validation_required passwordConfirm=validation_required"),
        (json!({"email": "b@example.com", "password": "12345678"}), "passwordConfirm=validation_required"),
        (json!({"password": "12345678", "passwordConfirm": "other"}), "passwordConfirm=validation_values_mismatch"),
        (
            json!({"email": "b@example.com", "password": "12345678", "passwordConfirm": "12345678", "verified": true}),
            "verified=validation_values_mismatch",
        ),
        // The form first, and alone.
        (
            json!({"email": "bad", "password": "1", "passwordConfirm": "2"}),
            "passwordConfirm=validation_values_mismatch",
        ),
        (
            json!({"email": "bad", "password": "1", "passwordConfirm": "1"}),
            "email=validation_is_email password=validation_min_text_constraint",
        ),
        (account("a@example.com"), "email=validation_not_unique"),
    ];
    for (values, expected) in cases {
        for who in [Caller::Guest, caller.clone()] {
            let error = house.create(&who, "members", values.clone()).await.unwrap_err();
            assert_eq!(codes(&error).join(" "), expected, "{values}");
        }
    }
    let mut verified = account("v@example.com");
    verified["verified"] = json!(true);
    assert_eq!(house.create(&superuser(), "members", verified).await.unwrap()["verified"], true);
    let long = "é".repeat(40);
    let long = json!({"email": "l@example.com", "password": long, "passwordConfirm": long});
    let error = house.create(&Caller::Guest, "members", long.clone()).await.unwrap_err();
    assert!(error.kind == Kind::Invalid && error.issues.is_empty());
    let error = house.create(&superuser(), "members", long).await.unwrap_err();
    assert_eq!(codes(&error), ["password=validation_invalid_value"]);
}

#[tokio::test]
async fn form_checks_of_an_update() {
    let (house, member) = house().await;
    let me = house.caller("members", &member).await;
    let old = "first password";
    let cases = [
        (json!({"email": "b@example.com"}), "email=validation_values_mismatch", ""),
        (json!({"verified": true}), "verified=validation_values_mismatch", ""),
        (
            json!({"password": "12345678"}),
            "oldPassword=validation_required passwordConfirm=validation_required",
            "passwordConfirm=validation_required",
        ),
        (
            json!({"password": "12345678", "passwordConfirm": "12345678", "oldPassword": "wrong"}),
            "oldPassword=validation_invalid_old_password",
            "",
        ),
        (
            json!({"password": "12345678", "passwordConfirm": "1", "oldPassword": "wrong"}),
            "oldPassword=validation_invalid_old_password passwordConfirm=validation_values_mismatch",
            "passwordConfirm=validation_values_mismatch",
        ),
        (
            json!({"oldPassword": old}),
            "password=validation_required passwordConfirm=validation_required",
            "password=validation_required passwordConfirm=validation_required",
        ),
        (json!({"password": ""}), "password=validation_required", "password=validation_required"),
        (
            json!({"password": null, "passwordConfirm": null, "oldPassword": null}),
            "password=validation_required",
            "password=validation_required",
        ),
        (json!({"tokenKey": "x"}), "", "tokenKey=validation_min_text_constraint"),
        (json!({"nick": "x", "secret": "x", "emailVisibility": true}), "", ""),
        (json!({"password": "12345678", "passwordConfirm": "12345678", "oldPassword": old}), "", ""),
    ];
    for (change, mine, managed) in cases {
        for (who, expected) in [(&me, mine), (&superuser(), managed)] {
            let made = house
                .create(
                    &superuser(),
                    "members",
                    json!({"email": "", "password": old,
                "passwordConfirm": old}),
                )
                .await;
            assert_eq!(codes(&made.unwrap_err()), ["email=validation_required"]);
            let result = house.update(who, "members", &member, change.clone()).await;
            let found = result.err().map(|error| codes(&error).join(" ")).unwrap_or_default();
            assert_eq!(found, expected, "{change}");
            let reset = json!({"email": "a@example.com", "verified": false, "password": old, "passwordConfirm": old});
            house.update(&superuser(), "members", &member, reset).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_manager_needs_no_old_password() {
    let (house, member) = house().await;
    let boss = house.create(&superuser(), "members", account("boss@example.com")).await.unwrap();
    house.change_collection("members", json!({"manageRule": "@request.auth.email = 'boss@example.com'"})).await;
    let (boss, me) = (house.caller("members", id(&boss)).await, house.caller("members", &member).await);
    let change = json!({"email": "new@example.com", "verified": true, "secret": "no"});
    let error = house.update(&me, "members", &member, change.clone()).await.unwrap_err();
    assert_eq!(codes(&error), ["email=validation_values_mismatch", "verified=validation_values_mismatch"]);
    house.update(&boss, "members", &member, change).await.unwrap();
    assert_eq!(house.stored("members", &member, "email").await, "new@example.com");
    assert_eq!(house.stored("members", &member, "secret").await, "", "hidden fields are the superusers'");
    let mut verified = account("v@example.com");
    verified["verified"] = json!(true);
    assert!(house.create(&boss, "members", verified.clone()).await.is_ok());
    verified["email"] = json!("w@example.com");
    assert!(house.create(&me, "members", verified).await.is_err());
}

#[tokio::test]
async fn rows_of_system_collections_refer_to_accounts() {
    let (house, member) = house().await;
    let members = house.schema.find("members").unwrap().id.to_string();
    let base = house.schema.find("_mfas").unwrap().id.to_string();
    let cases = [
        (
            json!({"collectionRef": "x", "recordRef": "q", "method": "m"}),
            "collectionRef=validation_invalid_collection_id",
        ),
        (
            json!({"collectionRef": "members", "recordRef": "q", "method": "m"}),
            "collectionRef=validation_invalid_collection_id",
        ),
        (
            json!({"collectionRef": base, "recordRef": "q", "method": "m"}),
            "collectionRef=validation_invalid_collection_type",
        ),
        (json!({"collectionRef": members, "recordRef": "q", "method": "m"}), "recordRef=validation_invalid_record"),
        (json!({"collectionRef": "x", "recordRef": "q"}), "method=validation_required"),
        (json!({"collectionRef": members, "recordRef": member, "method": "m"}), ""),
    ];
    for (row, expected) in cases {
        let result = house.create(&superuser(), "_mfas", row.clone()).await;
        assert_eq!(result.err().map(|error| codes(&error).join(" ")).unwrap_or_default(), expected, "{row}");
    }
    let link = json!({"collectionRef": members, "recordRef": member, "provider": "zz", "providerId": "1"});
    let error = house.create(&superuser(), "_externalAuths", link).await.unwrap_err();
    assert_eq!(codes(&error), ["provider=validation_in_invalid"]);
    let guest = house.create(&Caller::Guest, "_mfas", json!({})).await.unwrap_err();
    assert_eq!(guest.kind, Kind::Forbidden);
}

#[tokio::test]
async fn an_id_belongs_to_one_account_only() {
    let (house, member) = house().await;
    house.collection(json!({"name": "staff", "type": "auth"})).await;
    let mut twin = account("twin@example.com");
    twin["id"] = json!(member);
    let error = house.create(&superuser(), "staff", twin).await.unwrap_err();
    assert_eq!(codes(&error), ["id=validation_invalid_auth_id"]);
}

#[tokio::test]
async fn superusers_are_verified_and_the_last_one_stays() {
    let house = House::new();
    let installer = house.create(&superuser(), "_superusers", account("__pbinstaller@example.com")).await.unwrap();
    assert_eq!(installer["verified"], true);
    let mut unverified = account("root@example.com");
    unverified["verified"] = json!(false);
    let root = house.create(&superuser(), "_superusers", unverified).await.unwrap();
    assert_eq!(root["verified"], true);
    assert_eq!(house.view("_superusers", id(&installer)).await, Json::Null, "the installer has gone");
    let after = house.update(&superuser(), "_superusers", id(&root), json!({"verified": false})).await.unwrap();
    assert_eq!(after["verified"], true);
    let error = house.delete(&superuser(), "_superusers", id(&root)).await.unwrap_err();
    assert_eq!((error.kind, error.issues.is_empty()), (Kind::Invalid, true));
    assert_eq!(house.records.truncate("_superusers").await.unwrap_err().kind, Kind::Invalid);
    let second = house.create(&superuser(), "_superusers", account("second@example.com")).await.unwrap();
    house.delete(&superuser(), "_superusers", id(&root)).await.unwrap();
    assert_eq!(house.count("_superusers").await, 1);
    assert_ne!(house.view("_superusers", id(&second)).await, Json::Null);
}

#[tokio::test]
async fn two_changes_of_one_password_cannot_both_use_the_old_one() {
    let (house, member) = house().await;
    let me = house.caller("members", &member).await;
    let change = |new: &str| json!({"password": new, "passwordConfirm": new, "oldPassword": "first password"});
    let (one, two) = tokio::join!(
        house.update(&me, "members", &member, change("one password")),
        house.update(&me, "members", &member, change("two password")),
    );
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(won.is_ok());
    assert_eq!(codes(&lost.unwrap_err()), ["oldPassword=validation_invalid_old_password"]);
}

#[tokio::test]
async fn an_old_password_is_not_to_be_guessed() {
    let (house, member) = house().await;
    let me = house.caller("members", &member).await;
    let change = |old: &str| json!({"password": "12345678", "passwordConfirm": "12345678", "oldPassword": old});
    for _ in 0..6 {
        let error = house.update(&me, "members", &member, change("wrong")).await.unwrap_err();
        assert_eq!(codes(&error), ["oldPassword=validation_invalid_old_password"]);
    }
    let error = house.update(&me, "members", &member, change("first password")).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after.is_some()), (Kind::TooMany, true));
    house.update(&me, "members", &member, json!({"nick": "x"})).await.unwrap();
    house.update(&superuser(), "members", &member, change("")).await.unwrap();
}
