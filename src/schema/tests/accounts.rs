//! What auth collections have on top.

use super::*;

#[tokio::test]
async fn auth_options_are_checked_in_the_wires_order() {
    let house = House::new();
    for (body, expected) in [
        (
            json!({"authRule": "nope", "manageRule": "", "passwordAuth": {"identityFields": []}, "otp": {"enabled": true,
                "duration": 5, "length": 0, "emailTemplate": {"subject": ""}}, "mfa": {"enabled": true, "duration": 0,
                "rule": "nope"}, "authToken": {"secret": "", "duration": 3}, "fileToken": {"secret": "x".repeat(256),
                "duration": 0}, "resetPasswordTemplate": null}),
            "authRule=validation_invalid_rule authToken.duration=validation_min_greater_equal_than_required \
             authToken.secret=validation_required fileToken.duration=validation_required \
             fileToken.secret=validation_length_out_of_range manageRule=validation_nil_or_not_empty_required \
             mfa.duration=validation_required otp.duration=validation_min_greater_equal_than_required \
             otp.emailTemplate.subject=validation_required otp.length=validation_required \
             passwordAuth.identityFields=validation_required resetPasswordTemplate.body=validation_required \
             resetPasswordTemplate.subject=validation_required",
        ),
        (json!({"mfa": {"enabled": true, "rule": "nope"}}), "mfa.enabled=validation_mfa_not_enough_auths"),
        (
            json!({"mfa": {"enabled": true, "rule": "nope"}, "otp": {"enabled": true}}),
            "mfa.rule=validation_invalid_rule",
        ),
        (
            json!({"passwordAuth": {"identityFields": ["email", "zz"]}}),
            "passwordAuth.identityFields=validation_missing_field",
        ),
        (
            json!({"passwordAuth": {"identityFields": ["email", "name"]}}),
            "passwordAuth.identityFields=validation_missing_unique_constraint",
        ),
        (
            json!({"oauth2": {"enabled": true, "providers": [{"name": "google"}, {"name": "google"}, {"name": "zz"}]}}),
            "oauth2.providers.1.name=validation_duplicated_provider",
        ),
        (
            json!({"oauth2": {"enabled": true, "providers": [{"name": "google"}, {"name": "zz", "clientId": "a",
                "clientSecret": "b"}, {"name": "oidc", "clientId": "a", "clientSecret": "b", "authURL": "zz"}]}}),
            "oauth2.providers.0.clientId=validation_required oauth2.providers.0.clientSecret=validation_required \
             oauth2.providers.1.name=validation_missing_provider oauth2.providers.2.authURL=validation_is_url",
        ),
        (json!({"otp": {"duration": "5"}}), ""),
    ] {
        assert_eq!(house.update_codes("users", body.clone()).await.join(" "), expected, "{body}");
    }
    let secret = |house: &House| house.schema.find("users").unwrap().auth().unwrap().auth_token.secret.clone();
    let first = secret(&house);
    house.update("users", json!({"authRule": null})).await.unwrap();
    assert_eq!(secret(&house), first, "null and blank are equal");
    house.update("users", json!({"authRule": "verified = true"})).await.unwrap();
    assert_ne!(secret(&house), first);
    let mapped = json!({"oauth2": {"mappedFields": {"username": "zz", "name": "name"}}});
    let users = house.update("users", mapped).await.unwrap();
    assert_eq!((users.auth().unwrap().oauth2.mapped_fields.username.as_str(), names(&users).len()), ("", 10));
    let bare = house.update("users", json!({"indexes": [], "fields": null})).await.unwrap();
    assert_eq!(bare.indexes, users.indexes, "automatic indexes come back");
    assert_eq!(names(&bare).join(" "), "id password tokenKey email emailVisibility verified");
}

#[tokio::test]
async fn superusers_are_forced() {
    let house = House::new();
    let body = json!({"oauth2": {"enabled": true, "providers": [{"name": "google", "clientId": "a", "clientSecret": "b"}]},
        "passwordAuth": {"enabled": false}, "otp": {"enabled": true}});
    let superusers = house.update("_superusers", body).await.unwrap();
    let options = superusers.auth().unwrap();
    assert!(!options.oauth2.enabled && options.oauth2.providers.is_empty());
    assert!(options.password_auth.enabled && options.mfa.enabled);
    let off = json!({"otp": {"enabled": false}});
    assert_eq!(house.update_codes("_superusers", off).await, ["mfa.enabled=validation_mfa_not_enough_auths"]);
    house.update("_superusers", json!({"otp": {"enabled": false}, "mfa": {"enabled": false}})).await.unwrap();
}

#[tokio::test]
async fn rows_about_an_auth_collection_go_with_it_and_are_logged() {
    let house = House::new();
    let staff = house.create(json!({"name": "staff", "type": "auth"})).await.unwrap();
    house.run(&format!(
        "INSERT INTO _otps (id, collectionRef, recordRef, password) VALUES ('o1', '{0}', 'r', 'hash'), ('o2', 'other', 'r', 'h');
         INSERT INTO _mfas (id, collectionRef, recordRef, method) VALUES ('m1', '{0}', 'r', 'otp')",
        staff.id
    ));
    house.schema.delete("staff").await.unwrap();
    assert_eq!(house.rows("SELECT id FROM _otps UNION SELECT id FROM _mfas"), ["o2"]);
    let page = house.schema.db.read_blocking(|tx| Db::read_after(tx, 0, 10)).unwrap();
    let mut found: Vec<_> = page.entries.iter().map(|entry| entry.record.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["m1", "o1"]);
    assert!(page.entries.iter().all(|entry| entry.before.as_ref().is_some_and(|before| !before.contains("hash"))));
}
