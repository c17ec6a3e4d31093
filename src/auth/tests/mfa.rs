//! Second factors (`docs/wire/auth.md` §3.8).

use super::*;

impl House {
    async fn demand_two(&self, rule: &str) {
        self.configure(json!({"mfa": {"enabled": true, "rule": rule}, "otp": {"enabled": true}})).await;
    }

    /// A login by a credential that was right. `mfa_id` comes in the query, `body` may have another.
    async fn factor(&self, method: Method, email: &str, mfa_id: &str, body: Json) -> Result<Json> {
        let record = self.user(email).await;
        self.proven(method, &record, mfa_id, body).await
    }

    async fn proven(&self, method: Method, record: &AuthRecord, mfa_id: &str, body: Json) -> Result<Json> {
        let users = self.auth.auth_collection("users").unwrap();
        let login = Login { mfa_id: mfa_id.into(), ..self.attempt(body) };
        answer(self.auth.sign_in(method, login, &users, record, None).await?)
    }

    /// The id of Ann's first factor.
    async fn first(&self, method: Method) -> String {
        let answer = self.factor(method, "ann@x.co", "", json!({})).await.unwrap();
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
        answer["mfaId"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn two_different_methods_let_in_and_use_the_first_up() {
    let house = house().await;
    house.demand_two("").await;
    let methods = [Method::Password, Method::OAuth2, Method::Otp];
    for first in methods {
        for second in methods {
            let id = house.first(first).await;
            let outcome = house.factor(second, "ann@x.co", &id, json!({})).await;
            assert_eq!(outcome.is_ok(), first != second, "{first:?} {second:?}");
            assert_eq!(house.count("_mfas").await, i64::from(first == second), "{first:?} {second:?}");
            if first == second {
                // The row was kept: another method may still redeem it, once.
                let other = methods.into_iter().find(|method| *method != first).unwrap();
                assert!(house.factor(other, "ann@x.co", &id, json!({})).await.unwrap()["token"].is_string());
            }
            assert_eq!(house.factor(second, "ann@x.co", &id, json!({})).await.unwrap_err().kind, Kind::Invalid);
        }
    }
}

#[tokio::test]
async fn the_query_names_the_first_factor_before_the_body() {
    let house = house().await;
    house.demand_two("").await;
    for (query, body, expected) in [
        ("?", json!({}), Some("token")),
        ("", json!({"mfaId": "?"}), Some("token")),
        ("", json!({"MFAID": "?"}), Some("token")),
        ("?", json!({"mfaId": "other"}), Some("token")),
        ("other", json!({"mfaId": "?"}), None),
        ("", json!({"mfaId": "?' OR 1=1 --"}), None),
        ("", json!({"mfaId": 5}), None),
        ("", json!({"mfaId": null}), Some("mfaId")),
        ("", json!({"mfaId": ""}), Some("mfaId")),
    ] {
        let id = house.first(Method::Password).await;
        let shown = format!("{query} {body}");
        let body = serde_json::from_str(&shown[query.len()..].replace('?', &id)).unwrap();
        let outcome = house.factor(Method::Otp, "ann@x.co", &query.replace('?', &id), body).await;
        let key = outcome.as_ref().ok().map(|answer| if answer["token"].is_string() { "token" } else { "mfaId" });
        assert_eq!(key, expected, "{shown}");
        assert!(outcome.is_ok() || codes(&outcome.unwrap_err()).is_empty(), "{shown}");
    }
}

#[tokio::test]
async fn only_whom_the_rule_means_needs_two() {
    let house = house().await;
    house.create("_superusers", json!({"email": "root@x.co"})).await;
    let superuser = house.auth.superuser("root@x.co").await.unwrap().unwrap();
    for (rule, expected) in [
        ("", "mfaId"),
        ("name = 'bob'", "token"),
        ("name = 'ann' && @request.context = 'password'", "mfaId"),
        ("@request.auth.collectionName = '_superusers'", "token"),
    ] {
        house.demand_two(rule).await;
        assert!(house.login("users", ann()).await.unwrap()[expected].is_string(), "{rule}");
    }
    // A superuser's header replaces no factor, but the rule sees it.
    for (rule, expected) in [("", "mfaId"), ("name = 'bob'", "token"), ("@request.auth.id != ''", "mfaId")] {
        house.demand_two(rule).await;
        let (users, ann) = (house.auth.auth_collection("users").unwrap(), house.user("ann@x.co").await);
        let mut login = house.attempt(json!({}));
        login.request.caller = Caller::Superuser(Arc::new(superuser.clone()));
        let outcome = house.auth.sign_in(Method::Password, login, &users, &ann, None).await.unwrap();
        assert!(answer(outcome).unwrap()[expected].is_string(), "{rule}");
    }
}

#[tokio::test]
async fn a_first_factor_is_one_accounts_and_does_not_last() {
    let house = house().await;
    house.demand_two("").await;
    let id = house.first(Method::Password).await;
    assert_eq!(house.factor(Method::Otp, "bob@x.co", &id, json!({})).await.unwrap_err().kind, Kind::Invalid);
    assert_eq!(house.count("_mfas").await, 1, "Bob cannot use it up");
    house.wait(600);
    assert!(house.factor(Method::Otp, "ann@x.co", &id, json!({})).await.is_ok(), "to the very end");

    let id = house.first(Method::Password).await;
    house.clock.set(Timestamp(house.clock.now().millis() + 600_001));
    assert_eq!(house.factor(Method::Otp, "ann@x.co", &id, json!({})).await.unwrap_err().kind, Kind::Invalid);
    assert_eq!(house.count("_mfas").await, 0, "what has expired is gone");
}

#[tokio::test]
async fn of_many_second_factors_at_once_one_succeeds() {
    let house = Arc::new(house().await);
    house.demand_two("").await;
    let id = house.first(Method::Password).await;
    let second = |method| {
        let (house, id) = (house.clone(), id.clone());
        tokio::spawn(async move { house.factor(method, "ann@x.co", &id, json!({})).await.is_ok() })
    };
    let tasks: Vec<_> = (0..16).map(|n| second(if n % 2 == 0 { Method::Otp } else { Method::OAuth2 })).collect();
    let mut successes = 0;
    for task in tasks {
        successes += usize::from(task.await.unwrap());
    }
    assert_eq!((successes, house.count("_mfas").await), (1, 0));
}

#[tokio::test]
async fn a_new_password_ends_first_factors_also_those_on_their_way() {
    let house = house().await;
    house.demand_two("").await;
    let before = house.user("ann@x.co").await;
    let id = house.first(Method::Password).await;
    let new = json!({"password": "longenough2", "passwordConfirm": "longenough2"});
    house.edit("users", "ann@x.co", new).await;
    assert_eq!(house.count("_mfas").await, 0);
    assert!(house.factor(Method::Otp, "ann@x.co", &id, json!({})).await.is_err());
    // Its credential was checked before the change, its row would have been written after.
    for mfa_id in ["", &id] {
        let error = house.proven(Method::Password, &before, mfa_id, json!({})).await.unwrap_err();
        assert_eq!((error.kind, house.count("_mfas").await), (Kind::Invalid, 0));
    }
}
