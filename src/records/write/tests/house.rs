//! Scripts: the house's own writes in one transaction.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Map, Value as Json, json};

use crate::{
    error::{Error, Kind, Result},
    identity::Caller,
    records::{
        Asked, Body, Script,
        write::testing::{House, account, body, codes, id, request},
    },
};

async fn house() -> (House, String) {
    let house = House::new();
    let rules = json!({"name": "members", "type": "auth", "createRule": "nick != 'taken'", "viewRule": "",
        "fields": [{"name": "nick", "type": "text", "max": 5}]});
    house.collection(rules).await;
    let made = house.create(&Caller::Guest, "members", account("a@example.com")).await.unwrap();
    (house, id(&made).to_owned())
}

fn map(values: Json) -> Map<String, Json> {
    values.as_object().cloned().unwrap()
}

/// Fails unless the token key is still this one: what single-use tokens rest on.
fn take(script: &mut Script<'_, '_>, member: &str, key: &str) -> Result<()> {
    let row = script.load("members", member)?.ok_or_else(Error::not_found)?;
    if row.text("tokenKey") != Some(key) {
        return Err(Error::forbidden("used"));
    }
    script.update("members", member, map(json!({"password": "another one", "verified": true}))).map(drop)
}

#[tokio::test]
async fn of_many_at_once_one_wins() {
    let (house, member) = house().await;
    let key = house.stored("members", &member, "tokenKey").await;
    let attempts = (0..20).map(|_| {
        let (records, member, key) = (house.records.clone(), member.clone(), key.clone());
        tokio::spawn(async move { records.transact(None, move |script| take(script, &member, &key)).await })
    });
    let mut won = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(()) => won += 1,
            Err(error) => assert_eq!(error.kind, Kind::Forbidden, "{error}"),
        }
    }
    assert_eq!(won, 1);
    assert_ne!(house.stored("members", &member, "tokenKey").await, key);
    assert_eq!(house.view("members", &member).await["verified"], json!(true));
}

#[tokio::test]
async fn a_failure_undoes_everything_and_hashes_nothing() {
    let (house, member) = house().await;
    let before = house.view("members", &member).await;
    let (seq, runs) = (house.log().await.len(), Arc::new(AtomicUsize::new(0)));
    let (counted, changed) = (runs.clone(), member.clone());
    let outcome: Result<()> = house
        .records
        .transact(None, move |script| {
            counted.fetch_add(1, Ordering::SeqCst);
            script.update("members", &changed, map(json!({"nick": "x", "password": "another one"})))?;
            script.create("members", map(json!({"email": "b@example.com", "password": "12345678"})))?;
            script.delete("members", &changed)?;
            Err(Error::forbidden("no"))
        })
        .await;
    assert_eq!(outcome.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(house.view("members", &member).await, before);
    assert_eq!(house.log().await.len(), seq);
}

#[tokio::test]
async fn no_rule_applies_to_the_house_but_validation_does() {
    let (house, member) = house().await;
    for (values, expected) in [
        (json!({"nick": "taken"}), ""),
        (json!({"nick": "too long"}), "nick=validation_max_text_constraint"),
        (json!({"password": "short"}), "password=validation_min_text_constraint"),
        (json!({"email": ""}), "email=validation_required"),
    ] {
        let member = member.clone();
        let asked = map(values.clone());
        let outcome =
            house.records.transact(None, move |script| script.update("members", &member, asked.clone())).await;
        match outcome {
            Ok(_) => assert_eq!(expected, "", "{values}"),
            Err(error) => assert_eq!(codes(&error).join(" "), expected, "{values}"),
        }
    }
    let gone = house.records.transact(None, |script| script.delete("members", "nobody000000000")).await;
    assert_eq!(gone.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn a_random_password_need_not_look_like_a_chosen_one() {
    let (house, member) = house().await;
    let pattern = json!({"passwordAuth": {"enabled": true}, "fields": [{"name": "password", "type": "password",
        "system": true, "id": "password901924565", "hidden": true, "required": true, "pattern": "^never$"},
        {"name": "nick", "type": "text", "max": 5}]});
    house.change_collection("members", pattern).await;
    let (before, key) =
        (house.stored("members", &member, "password").await, house.stored("members", &member, "tokenKey").await);
    let id = member.clone();
    let change = move |script: &mut Script<'_, '_>| {
        script.update_with_random_password("members", &id, map(json!({"verified": true})), "nobody knows")
    };
    let row = house.records.transact(None, change).await.unwrap();
    assert_eq!(row.get("verified"), Some(&crate::db::Value::Integer(1)));
    let after = house.stored("members", &member, "password").await;
    assert!(after.starts_with("$argon2id$") && after != before, "{after}");
    assert_ne!(house.stored("members", &member, "tokenKey").await, key);
}

#[tokio::test]
async fn what_was_asked_for_keeps_its_own_rules() {
    let (house, _) = house().await;
    for (nick, email, expected) in [
        ("free", "b@example.com", Ok("b@example.com")),
        ("taken", "c@example.com", Err(Kind::Invalid)),
        ("free", "b@example.com", Err(Kind::Invalid)),
    ] {
        let values = body(json!({"nick": nick, "email": email}));
        let asked = Asked::create_with_random_password(request(&Caller::Guest), "members", values, "made up").await;
        let outcome = house
            .records
            .transact(Some(asked.unwrap()), |script| {
                let made = script.carry_out_asked()?;
                let id = made.text("id").unwrap_or_default();
                // A second write of the same transaction sees the first.
                script.update("members", id, map(json!({"verified": true})))
            })
            .await;
        match (outcome, expected) {
            (Ok(row), Ok(email)) => {
                assert_eq!(row.text("email"), Some(email));
                assert_eq!(row.get("verified"), Some(&crate::db::Value::Integer(1)));
            }
            (Err(error), Err(kind)) => assert_eq!(error.kind, kind, "{nick} {email}: {error}"),
            (outcome, _) => panic!("{nick} {email}: {outcome:?}"),
        }
    }
    let nothing = house.records.transact(None, |script| script.carry_out_asked()).await;
    assert_eq!(nothing.unwrap_err().kind, Kind::Internal);
}

#[tokio::test]
async fn an_uploaded_file_comes_with_the_record_it_was_asked_for() {
    let house = House::new();
    let rules = json!({"name": "members", "type": "auth", "createRule": "",
        "fields": [{"name": "avatar", "type": "file", "maxSelect": 1}]});
    house.collection(rules).await;
    let mut values: Body = body(json!({"email": "b@example.com"}));
    values.uploads.push(house.upload("avatar", "portrait.png", b"png"));
    let asked = Asked::create_with_random_password(request(&Caller::Guest), "members", values, "made up").await;
    let row = house.records.transact(Some(asked.unwrap()), |script| script.carry_out_asked()).await.unwrap();
    let (id, file) = (row.text("id").unwrap(), row.text("avatar").unwrap());
    assert!(file.starts_with("portrait_"), "{file}");
    assert!(house.has_file("members", id, file, true).await);
}
