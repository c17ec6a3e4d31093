//! Account linking (`docs/wire/auth-oauth2.md` §3.10): every combination of what may be true of two records and the
//! provider's account, and who ends up where.

use super::{
    provider::{Provider, code},
    *,
};

/// With which record the provider's account is linked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linked {
    Nobody,
    ToAnn,
    ToBob,
}

/// Who is signed in when the provider's account arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignedInAs {
    Guest,
    Ann,
    Bob,
}

/// The provider's account always has Ann's address. She knows a password of her record, or nobody does.
#[derive(Debug, Clone, Copy)]
struct Case {
    /// Whether Ann's record is. Bob's always is.
    ann_verified: bool,
    /// Whether the provider vouches for the address.
    vouched: bool,
    linked: Linked,
    caller: SignedInAs,
    password: bool,
}

/// Who ends up where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// In Ann's record: with her password and sessions as they were, or with none; verified or not; with the link to
    /// another provider that she had, or without.
    Ann { secrets: Secrets, verified: bool, other_link: bool },
    /// In Bob's record, which stays as it is; Ann's does too.
    Bob,
    /// Nobody is let in and nothing is changed.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Kept,
    /// No old password and no old session is good any more.
    Ended,
}

use Linked::{Nobody, ToAnn, ToBob};
use Secrets::{Ended, Kept};
use SignedInAs::{Ann as AsAnn, Bob as AsBob, Guest};

/// Ann's record verified, address vouched for, linked, signed in as; who ends up where.
type Row = (Option<bool>, Option<bool>, Linked, Option<SignedInAs>, Outcome);

/// What the spec's rules come to. `None` is any value.
/// Each case has exactly one row. The password is in none: whether somebody knows one decides nothing.
///
/// | who | gains |
/// | --- | --- |
/// | whoever registered Ann's address before her | nothing: her first sign-in ends his password, sessions and links |
/// | whoever has an account elsewhere with her address that nobody vouches for | nothing: it is no address |
/// | whoever linked his account with a record that is not verified | nothing: the link goes when the owner comes |
/// | Bob, who makes Ann's provider account come back in his session | her provider account, as she was the one to sign in there |
#[rustfmt::skip]
const TABLE: [Row; 16] = [
    // The link counts before everything, whoever is signed in and whatever the address is.
    (None, None, ToBob, None, Outcome::Bob),
    (Some(true), None, ToAnn, None, Outcome::Ann { secrets: Kept, verified: true, other_link: true }),
    // An unverified record trusts its links no more than its password: somebody else may have made both.
    (Some(false), Some(true), ToAnn, Some(Guest), Outcome::Ann { secrets: Ended, verified: true, other_link: false }),
    (Some(false), Some(true), ToAnn, Some(AsBob), Outcome::Ann { secrets: Ended, verified: true, other_link: false }),
    (Some(false), Some(false), ToAnn, Some(Guest), Outcome::Ann { secrets: Ended, verified: false, other_link: false }),
    (Some(false), Some(false), ToAnn, Some(AsBob), Outcome::Ann { secrets: Ended, verified: false, other_link: false }),
    // Her own session proves that she may stay. Other links prove nothing, and the address has to be vouched for.
    (Some(false), Some(true), ToAnn, Some(AsAnn), Outcome::Ann { secrets: Kept, verified: true, other_link: false }),
    (Some(false), Some(false), ToAnn, Some(AsAnn), Outcome::Ann { secrets: Kept, verified: false, other_link: false }),
    // Then the session: whoever is signed in links to their own record, also if the address belongs to somebody else.
    (None, None, Nobody, Some(AsBob), Outcome::Bob),
    (Some(true), None, Nobody, Some(AsAnn), Outcome::Ann { secrets: Kept, verified: true, other_link: true }),
    (Some(false), Some(true), Nobody, Some(AsAnn), Outcome::Ann { secrets: Kept, verified: true, other_link: false }),
    (Some(false), Some(false), Nobody, Some(AsAnn), Outcome::Ann { secrets: Kept, verified: false, other_link: false }),
    // Then the address, if the provider vouches for it.
    (Some(true), Some(true), Nobody, Some(Guest), Outcome::Ann { secrets: Kept, verified: true, other_link: true }),
    (Some(false), Some(true), Nobody, Some(Guest), Outcome::Ann { secrets: Ended, verified: true, other_link: false }),
    // Nobody vouches: there is no address, and no account without one in this collection.
    (Some(true), Some(false), Nobody, Some(Guest), Outcome::Refused),
    (Some(false), Some(false), Nobody, Some(Guest), Outcome::Refused),
];

fn expected(case: &Case) -> Outcome {
    let fits = |wanted: &Option<bool>, value: bool| wanted.is_none_or(|wanted| wanted == value);
    let rows = TABLE.iter().filter(|(verified, vouched, linked, caller, _)| {
        fits(verified, case.ann_verified)
            && fits(vouched, case.vouched)
            && *linked == case.linked
            && caller.is_none_or(|caller| caller == case.caller)
    });
    let found: Vec<Outcome> = rows.map(|(.., outcome)| *outcome).collect();
    let [outcome] = found.as_slice() else { panic!("{case:?} has {} rows: {found:?}", found.len()) };
    *outcome
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for ann_verified in [true, false] {
        for vouched in [true, false] {
            for linked in [Nobody, ToAnn, ToBob] {
                for caller in [Guest, AsAnn, AsBob] {
                    for password in [true, false] {
                        cases.push(Case { ann_verified, vouched, linked, caller, password });
                    }
                }
            }
        }
    }
    cases
}

const PASSWORD: &str = "longenough1";
const USERS: &str = "_pb_users_auth_";

/// Ann and Bob of one case.
struct Scene<'a> {
    house: &'a House,
    number: usize,
    case: Case,
}

impl Scene<'_> {
    fn email(&self, name: &str) -> String {
        format!("{name}{}@x.co", self.number)
    }

    async fn set_up(&self) {
        // A password that is not known is any other one.
        let password = if self.case.password { PASSWORD } else { "nobody-knows-this-1" };
        for (name, verified, password) in [("ann", self.case.ann_verified, password), ("bob", true, PASSWORD)] {
            let values = json!({"email": self.email(name), "verified": verified, "password": password,
                "passwordConfirm": password});
            self.house.create("users", values).await;
            self.link(name, "oidc2", &format!("other-{name}{}", self.number)).await;
        }
        match self.case.linked {
            Nobody => {}
            ToAnn => self.link("ann", "oidc", &self.account()).await,
            ToBob => self.link("bob", "oidc", &self.account()).await,
        }
    }

    /// The id of the provider's account.
    fn account(&self) -> String {
        format!("account-{}", self.number)
    }

    async fn link(&self, name: &str, provider: &str, account: &str) {
        let id = self.house.user(&self.email(name)).await.id;
        let link = json!({"collectionRef": USERS, "recordRef": &*id, "provider": provider, "providerId": account});
        let body = Body { values: object(link), uploads: Vec::new() };
        let request = Request { caller: Caller::system(), ..Request::default() };
        self.house.auth.records.create(request, "_externalAuths", body, Shape::default()).await.unwrap();
    }

    async fn session(&self, name: &str) -> String {
        self.house.mint(&self.email(name), Grant::Auth { refreshable: true }).await
    }

    /// Links of a record as `provider:account`, sorted.
    async fn links(&self, name: &str) -> Vec<String> {
        let id = self.house.user(&self.email(name)).await.id;
        self.house.links(&id).await
    }

    async fn sign_in(&self, session: &str) -> Result<Json> {
        let user = json!({"sub": self.account(), "email": self.email("ann"), "email_verified": self.case.vouched});
        let body = json!({"provider": "oidc", "code": code(user, json!({})), "codeVerifier": "v"});
        self.house.with_oauth2(session, body).await
    }

    async fn password_works(&self, name: &str) -> bool {
        let body = json!({"identity": self.email(name), "password": PASSWORD});
        self.house.login("users", body).await.is_ok()
    }
}

impl House {
    pub(super) async fn with_oauth2(&self, session: &str, body: Json) -> Result<Json> {
        let mut login = self.attempt(body);
        login.request.caller = self.auth.caller(session).await.unwrap();
        answer(self.auth.with_oauth2(login, "users").await?)
    }

    pub(super) async fn links(&self, record: &str) -> Vec<String> {
        let record = record.to_owned();
        let sql = "SELECT provider || ':' || providerId FROM _externalAuths WHERE recordRef = ?1 ORDER BY 1";
        self.auth.db.read(move |tx| tx.query_all(sql, [&record], |row| row.get(0))).await.unwrap()
    }

    /// Switches the providers on.
    pub(super) async fn offer(&self, entries: Json) {
        self.configure(json!({"oauth2": {"enabled": true, "providers": entries}})).await;
    }
}

#[tokio::test]
async fn every_combination_ends_where_the_rules_say() {
    let (house, provider) = (house().await, Provider::start().await);
    house.offer(json!([provider.entry("oidc"), provider.entry("oidc2")])).await;
    for (number, case) in cases().into_iter().enumerate() {
        let scene = Scene { house: &house, number, case };
        check(&scene).await;
    }
}

async fn check(scene: &Scene<'_>) {
    let Scene { house, case, .. } = scene;
    scene.set_up().await;
    let (ann, bob) = (scene.session("ann").await, scene.session("bob").await);
    let session = match case.caller {
        Guest => "",
        AsAnn => &ann,
        AsBob => &bob,
    };
    let (before, seq) = (scene.links("ann").await, house.seq().await);
    let outcome = expected(case);
    let answer = scene.sign_in(session).await;

    let ended_in = answer.as_ref().map(|answer| answer["record"]["email"].as_str().unwrap_or_default().to_owned());
    let (secrets, verified, other_link) = match outcome {
        Outcome::Ann { secrets, verified, other_link } => {
            assert_eq!(ended_in.as_deref().ok(), Some(&*scene.email("ann")), "{case:?}");
            (secrets, verified, other_link)
        }
        Outcome::Bob => {
            assert_eq!(ended_in.as_deref().ok(), Some(&*scene.email("bob")), "{case:?}");
            (Kept, case.ann_verified, true)
        }
        Outcome::Refused => {
            assert_eq!(codes(answer.as_ref().unwrap_err()), ["email=validation_required"], "{case:?}");
            assert_eq!(house.seq().await, seq, "{case:?}: something was written");
            (Kept, case.ann_verified, true)
        }
    };
    if let Ok(answer) = &answer {
        assert_eq!(answer["meta"]["isNew"], false, "{case:?}");
        let new = answer["token"].as_str().unwrap();
        assert_eq!(house.whose(new).await.as_deref(), ended_in.as_deref().ok(), "{case:?}: the new session");
    }

    let kept = secrets == Kept;
    assert_eq!(house.whose(&ann).await.is_some(), kept, "{case:?}: Ann's old session");
    assert_eq!(scene.password_works("ann").await, kept && case.password, "{case:?}: Ann's old password");
    let stored = house.user(&scene.email("ann")).await;
    assert_eq!(stored.row.get("verified"), Some(&Value::Integer(i64::from(verified))), "{case:?}");
    // Bob's record is never touched but for the link.
    assert!(house.whose(&bob).await.is_some() && scene.password_works("bob").await, "{case:?}");

    let linked = format!("oidc:{}", scene.account());
    let other = |name: &str| format!("oidc2:other-{name}{}", scene.number);
    let mut anns = if other_link { vec![other("ann")] } else { Vec::new() };
    let mut bobs = vec![other("bob")];
    match outcome {
        Outcome::Ann { .. } => anns.push(linked),
        Outcome::Bob => bobs.push(linked),
        Outcome::Refused => assert_eq!(scene.links("ann").await, before, "{case:?}"),
    }
    assert_eq!(scene.links("ann").await, anns, "{case:?}");
    assert_eq!(scene.links("bob").await, bobs, "{case:?}");
}
