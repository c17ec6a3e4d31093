//! What else happens when an account changes or goes (`auth.md` §9).

use std::time::Duration;

use serde_json::{Map, json};

use super::accounts::house;
use crate::{
    identity::Caller,
    records::{
        BatchAction, BatchItem, Script, Shape,
        write::testing::{House, account, body, id, request, superuser},
    },
};

/// One row in each of the account's collections.
async fn furnish(house: &House, member: &str) {
    let collection = house.schema.find("members").unwrap().id.to_string();
    let rows = [
        ("_otps", json!({"password": "12345678"})),
        ("_mfas", json!({"method": "password"})),
        ("_authOrigins", json!({"fingerprint": "f"})),
        ("_externalAuths", json!({"provider": "google", "providerId": member})),
    ];
    for (name, mut row) in rows {
        row["collectionRef"] = json!(collection);
        row["recordRef"] = json!(member);
        house.create(&superuser(), name, row).await.unwrap();
    }
}

const ROWS: [&str; 4] = ["_otps", "_mfas", "_authOrigins", "_externalAuths"];

/// How many rows the account's collections hold, a bystander's one in each not counted.
async fn left(house: &House) -> [i64; 4] {
    let mut left = [-1; 4];
    for (name, left) in ROWS.into_iter().zip(&mut left) {
        *left += house.count(name).await;
    }
    left
}

/// A furnished house: its member and, in the same collection, a bystander.
async fn furnished() -> (House, String) {
    let (house, member) = house().await;
    let bystander = house.create(&Caller::Guest, "members", account("other@example.com")).await.unwrap();
    for member in [member.as_str(), id(&bystander)] {
        furnish(&house, member).await;
    }
    (house, member)
}

/// The matrix of `auth.md` §9, line by line.
#[tokio::test]
async fn what_an_account_change_takes_along() {
    let password = json!({"password": "another password", "passwordConfirm": "another password"});
    let same = json!({"password": "first password", "passwordConfirm": "first password"});
    let key = "k".repeat(40);
    let all = json!({"password": "another password", "passwordConfirm": "another password", "email": "new@example.com",
        "verified": true, "tokenKey": key});
    // The change, whether the token key is new, and what is left of otps, mfas, origins, links.
    let cases = [
        (password, true, [0, 0, 0, 1]),
        (same, true, [0, 0, 0, 1]),
        (json!({"email": "new@example.com"}), true, [0, 1, 1, 1]),
        (json!({"email": "A@example.com"}), true, [0, 1, 1, 1]),
        (json!({"verified": true}), true, [0, 1, 1, 0]),
        (json!({"tokenKey": key}), true, [0, 1, 1, 1]),
        (json!({"tokenKey": key, "email": "new@example.com"}), true, [0, 1, 1, 1]),
        (json!({"tokenKey:autogenerate": ""}), true, [0, 1, 1, 1]),
        (all, true, [0, 0, 0, 0]),
        (json!({"nick": "x", "emailVisibility": true}), false, [1, 1, 1, 1]),
        (json!({"email": "a@example.com", "verified": false}), false, [1, 1, 1, 1]),
        (json!({}), false, [1, 1, 1, 1]),
    ];
    for (change, renewed, expected) in cases {
        let (house, member) = furnished().await;
        let before = house.stored("members", &member, "tokenKey").await;
        house.update(&superuser(), "members", &member, change.clone()).await.unwrap();
        let after = house.stored("members", &member, "tokenKey").await;
        assert_eq!(before != after, renewed, "{change}: token key");
        if change.get("tokenKey").is_some() {
            assert_eq!(after, key);
        }
        assert_eq!(left(&house).await, expected, "{change}");
    }
}

/// Whoever sets a password, and however: the owner, a superuser, a batch, the house.
#[tokio::test]
async fn a_password_set_on_any_path_takes_the_same_along() {
    let (old, new) = ("first password", "another password");
    let own = json!({"password": new, "passwordConfirm": new, "oldPassword": old});
    for path in ["owner", "superuser", "batch", "house", "random"] {
        let (house, member) = furnished().await;
        let before = house.stored("members", &member, "tokenKey").await;
        let me = house.caller("members", &member).await;
        let values = json!({"password": new}).as_object().cloned().unwrap();
        match path {
            "owner" => drop(house.update(&me, "members", &member, own.clone()).await.unwrap()),
            "superuser" => drop(house.update(&superuser(), "members", &member, own.clone()).await.unwrap()),
            "batch" => {
                let mut upsert = own.clone();
                upsert["id"] = json!(member);
                let (body, request) = (body(upsert), request(&me));
                let (action, collection) = (BatchAction::Upsert, "members".into());
                let item = BatchItem { action, collection, body, shape: Shape::default(), request };
                house.records.batch(vec![item], Duration::from_secs(10)).await.unwrap();
            }
            _ => {
                let (id, random) = (member.clone(), path == "random");
                let script = move |script: &mut Script<'_, '_>| match random {
                    true => script.update_with_random_password("members", &id, Map::new(), new).map(drop),
                    false => script.update("members", &id, values.clone()).map(drop),
                };
                house.records.transact(None, script).await.unwrap();
            }
        }
        assert_ne!(house.stored("members", &member, "tokenKey").await, before, "{path}");
        assert_eq!(left(&house).await, [0, 0, 0, 1], "{path}");
    }
}

#[tokio::test]
async fn verifying_without_links_takes_nothing_along() {
    let (house, member) = furnished().await;
    let sql = "SELECT id FROM _externalAuths WHERE recordRef = ?1";
    let of = member.clone();
    let link: Option<String> = house.db.read(move |tx| tx.query_one(sql, [&of], |row| row.get(0))).await.unwrap();
    house.delete(&superuser(), "_externalAuths", &link.unwrap()).await.unwrap();
    let before = house.stored("members", &member, "tokenKey").await;
    house.update(&superuser(), "members", &member, json!({"verified": true})).await.unwrap();
    assert_eq!(house.stored("members", &member, "tokenKey").await, before);
    assert_eq!(left(&house).await, [1, 1, 1, 0]);
}

#[tokio::test]
async fn a_new_secret_or_rule_of_the_collection_leaves_the_rows_alone() {
    for change in [json!({"authToken": {"secret": "s".repeat(40)}}), json!({"authRule": "verified = true"})] {
        let (house, member) = furnished().await;
        let before = house.stored("members", &member, "tokenKey").await;
        house.change_collection("members", change).await;
        assert_eq!(house.stored("members", &member, "tokenKey").await, before);
        assert_eq!(left(&house).await, [1, 1, 1, 1]);
    }
}

#[tokio::test]
async fn accounts_and_their_collections_leave_nothing_behind() {
    let (house, member) = furnished().await;
    house.delete(&superuser(), "members", &member).await.unwrap();
    assert_eq!((house.count("members").await, left(&house).await), (1, [0; 4]));
    house.schema.delete("members").await.unwrap();
    assert_eq!(left(&house).await, [-1; 4], "with the collection, the bystander's rows");
}
