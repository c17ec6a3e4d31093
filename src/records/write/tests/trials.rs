//! Rules tried before anybody meets them: what decided, what is told of it, and that nothing is written.

use serde_json::{Map, Value as Json, json};

use crate::{
    db::Asker,
    error::{Kind, Result},
    records::{
        Act, Trial, Tried,
        write::testing::{House, account, codes, id, object, superuser},
    },
    rules::Request,
};

struct Stage {
    house: House,
    ann: String,
    bob: String,
    /// Ann's, with the tags a and b, and two notes: one of 1 by ann, one of 5 by bob.
    post: String,
}

impl Stage {
    async fn new() -> Self {
        let house = House::new();
        let fields = json!([{"name": "name", "type": "text"}, {"name": "pin", "type": "text", "hidden": true}]);
        let members = house.collection(json!({"name": "members", "type": "auth", "fields": fields})).await;
        let owner = |name: &str, to: &str, most: u8| json!({"name": name, "type": "relation", "collectionId": to, "maxSelect": most});
        let fields = json!([
            {"name": "title", "type": "text"},
            {"name": "open", "type": "bool"},
            {"name": "data", "type": "json"},
            {"name": "tags", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
            owner("owner", &members.id, 1),
            owner("readers", &members.id, 9),
        ]);
        let posts = house.collection(json!({"name": "posts", "fields": fields, "listRule": ""})).await;
        let fields =
            json!([owner("post", &posts.id, 1), owner("by", &members.id, 1), {"name": "score", "type": "number"}]);
        house.collection(json!({"name": "notes", "fields": fields})).await;
        let mut people = Vec::new();
        for name in ["ann", "bob"] {
            let mut body = account(&format!("{name}@example.com"));
            body["name"] = name.into();
            body["pin"] = "1234".into();
            people.push(id(&house.create(&superuser(), "members", body).await.unwrap()).to_owned());
        }
        let [ann, bob] = people.try_into().unwrap();
        let post = json!({
            "title": "Grüße 😀", "open": true, "data": {"a": [1, 2]}, "tags": ["a", "b"], "owner": ann, "readers": [ann, bob],
        });
        let post = id(&house.create(&superuser(), "posts", post).await.unwrap()).to_owned();
        for (by, score) in [(&ann, 1), (&bob, 5)] {
            house.create(&superuser(), "notes", json!({"post": post, "by": by, "score": score})).await.unwrap();
        }
        Self { house, ann, bob, post }
    }

    /// Somebody viewing the post, which everything else is put on top of.
    fn trial(&self, rule: &str, member: Option<&str>) -> Trial {
        Trial {
            collection: "posts".to_owned(),
            act: Act::View,
            rule: Some(Some(rule.to_owned())),
            record: self.post.clone(),
            body: Map::new(),
            caller: member.map(|id| ("members".to_owned(), id.to_owned())),
            request: Request { method: "GET".to_owned(), ..Request::default() },
        }
    }

    async fn run(&self, trial: Trial) -> Result<Tried> {
        self.house.records.try_rule(trial, Asker::HOUSE).await
    }

    async fn view(&self, rule: &str, member: Option<&str>) -> Tried {
        self.run(self.trial(rule, member)).await.unwrap_or_else(|error| panic!("{rule}: {error}"))
    }
}

/// What decided, as it stands in the rule; UTF-16 as in JavaScript.
fn decided(rule: &str, tried: &Tried) -> String {
    let units: Vec<u16> = rule.encode_utf16().collect();
    tried.decided.clone().map_or(String::new(), |place| String::from_utf16(&units[place]).unwrap())
}

#[tokio::test]
async fn the_smallest_part_that_decided_is_told() {
    let stage = Stage::new().await;
    for (rule, as_ann, decisive) in [
        ("title = 'x'", false, "title = 'x'"),
        ("title ~ '😀' && owner = @request.auth.id && open = false", false, "open = false"),
        ("open = false || title = '😀' || owner = @request.auth.id", true, "owner = @request.auth.id"),
        ("open = false || title = 'x'", false, "open = false || title = 'x'"),
        (
            "title ~ '😀' && (open = false || owner.name = 'ann')",
            true,
            "title ~ '😀' && (open = false || owner.name = 'ann')",
        ),
        (
            "(open = false || (owner.name = 'ann' && title = 'x'))",
            false,
            "(open = false || (owner.name = 'ann' && title = 'x'))",
        ),
        ("open = true && (owner.name = 'bob' || title = 'x')", false, "(owner.name = 'bob' || title = 'x')"),
        // Each is true of some note, and not of the same.
        (
            "notes_via_post.score ?= 1 && notes_via_post.by.name ?= 'bob'",
            false,
            "notes_via_post.score ?= 1 && notes_via_post.by.name ?= 'bob'",
        ),
        (
            "notes_via_post.score ?= 5 && notes_via_post.by.name ?= 'bob'",
            true,
            "notes_via_post.score ?= 5 && notes_via_post.by.name ?= 'bob'",
        ),
        ("@collection.notes.score ?> 4", true, "@collection.notes.score ?> 4"),
        ("@request.method = 'GET' // why", true, "@request.method = 'GET'"),
    ] {
        let tried = stage.view(rule, Some(&stage.ann)).await;
        assert_eq!((tried.allowed, decided(rule, &tried).as_str()), (as_ann, decisive), "{rule} {tried:?}");
        assert!(tried.reason.ends_with('.') && tried.reason.contains('`'), "{}", tried.reason);
    }
    assert!(!stage.view("owner = @request.auth.id", None).await.allowed);
}

#[tokio::test]
async fn values_are_told_as_they_are_written_and_secrets_are_not() {
    let stage = Stage::new().await;
    for (side, expected) in [
        ("title", json!("Grüße 😀")),
        ("open", json!(true)),
        ("data.a", json!([1, 2])),
        ("data.a.1", json!(2)),
        ("tags", json!(["a", "b"])),
        ("tags:each", json!(["a", "b"])),
        ("tags:length", json!(2)),
        ("owner.name", json!("ann")),
        ("readers.name", json!(["ann", "bob"])),
        ("notes_via_post.score", json!([1, 5])),
        ("'x'", json!("x")),
        ("1.50", json!(1.5)),
        ("null", json!(null)),
        ("@request.auth.name", json!("bob")),
        ("@request.auth.nope", json!(null)),
        ("@request.query.q", json!("1")),
        ("@request.body.open:isset", json!(false)),
        ("geoDistance(0, 0, 0, 0)", json!(0)),
        ("strftime('%Y', '2024-05-01')", json!("2024")),
        // What nobody is told, or its owner has hidden.
        ("@request.auth.tokenKey", json!("******")),
        ("@request.auth.password", json!("******")),
        ("owner.tokenKey", json!("******")),
        ("owner.password:lower", json!("******")),
        ("owner.pin", json!("******")),
        ("@collection.members.tokenKey", json!("******")),
        ("@request.headers.authorization", json!("******")),
        ("@request.body.passwordConfirm", json!("******")),
        ("strftime('%Y', owner.pin)", json!("******")),
    ] {
        let mut trial = stage.trial(&format!("{side} != 'nothing'"), Some(&stage.bob));
        trial.request.query = object(json!({"q": "1"}));
        trial.request.headers = object(json!({"authorization": "secret"}));
        let parts = stage.run(trial).await.unwrap().parts.unwrap();
        assert_eq!((parts.left, parts.right), (Some(expected), Some(json!("nothing"))), "{side}");
        assert_eq!(parts.sign.as_deref(), Some("!="));
    }
    let parts = stage.view("title = 'x' && (open = true || open = false)", None).await.parts.unwrap();
    let shape: Vec<_> = parts.children.iter().map(|part| (part.op, part.result, part.children.len())).collect();
    assert_eq!((parts.op, parts.result), ("and", Some(false)));
    assert_eq!(shape, [("compare", Some(false), 0), ("or", Some(true), 2)], "all parts are asked, whatever decided");
}

#[tokio::test]
async fn writes_are_judged_as_they_would_be_and_do_not_happen() {
    let stage = Stage::new().await;
    let before = (stage.house.log().await.len(), stage.house.view("posts", &stage.post).await);
    for (act, rule, body, allowed) in [
        (Act::Create, "title = 'x' && owner = @request.auth.id", json!({"title": "x", "owner": stage.bob}), true),
        (Act::Create, "title = 'x'", json!({}), false),
        (Act::Create, "owner.name = 'ann'", json!({"owner": stage.ann}), true),
        (Act::Create, "notes_via_post.score > 1", json!({}), false),
        (Act::Update, "title ~ 'G' && @request.body.title = 'x'", json!({"title": "x"}), true),
        (Act::Update, "@request.body.title:changed = true", json!({"title": "Grüße 😀"}), false),
        (Act::Update, "@request.body.tags:length = 3", json!({"tags+": "c"}), true),
        (Act::Delete, "@request.body.sure = true", json!({"sure": true}), true),
        (Act::List, "open = true", json!({}), true),
    ] {
        let body = object(body);
        let trial = Trial { act, body, ..stage.trial(rule, Some(&stage.bob)) };
        let tried = stage.run(trial).await.unwrap();
        assert_eq!(tried.allowed, allowed, "{act:?} {rule} {tried:?}");
    }
    assert_eq!((stage.house.log().await.len(), stage.house.view("posts", &stage.post).await), before);
}

#[tokio::test]
async fn what_needs_no_parts_is_said_in_a_sentence() {
    let stage = Stage::new().await;
    let trial = |rule: Option<Json>, member: Option<&str>| Trial {
        rule: rule.map(|rule| rule.as_str().map(str::to_owned)),
        ..stage.trial("", member)
    };
    let root = Trial { caller: Some(("_superusers".into(), "x".into())), ..trial(None, None) };
    assert_eq!(codes(&stage.run(root).await.unwrap_err()), ["as=validation_missing_record"]);
    let account = json!({"email": "root@example.com", "password": "root-password", "passwordConfirm": "root-password"});
    let root = id(&stage.house.create(&superuser(), "_superusers", account).await.unwrap()).to_owned();
    let root = Trial { caller: Some(("_superusers".into(), root)), ..trial(Some(Json::Null), None) };
    for (trial, allowed, start) in [
        (root, true, "Superusers"),
        // The stored ones.
        (trial(None, None), false, "Locked"),
        (Trial { act: Act::List, ..trial(None, None) }, true, "Public"),
        (trial(Some(Json::Null), Some(&stage.ann)), false, "Locked"),
        (trial(Some("".into()), None), true, "Public"),
        (trial(Some("nope = 1".into()), None), false, "The rule is not valid"),
    ] {
        let tried = stage.run(trial).await.unwrap();
        assert_eq!((tried.allowed, tried.parts, tried.decided), (allowed, None, None));
        assert!(tried.reason.starts_with(start), "{}", tried.reason);
    }
    let of_account = |act: Act, rule: &str, member: Option<&str>| Trial {
        act,
        collection: "members".into(),
        record: stage.bob.clone(),
        ..stage.trial(rule, member)
    };
    for (trial, allowed) in [
        (of_account(Act::Manage, "@request.auth.name = 'ann'", Some(&stage.ann)), true),
        (of_account(Act::Manage, "@request.auth.name = 'ann'", Some(&stage.bob)), false),
        (of_account(Act::Manage, "", Some(&stage.ann)), true),
        (of_account(Act::Manage, "", None), false),
        (of_account(Act::Auth, "name = 'bob'", None), true),
        (of_account(Act::Auth, "verified = true", None), false),
    ] {
        assert_eq!(stage.run(trial).await.unwrap().allowed, allowed);
    }
    for (trial, code) in [
        (Trial { collection: "nope".into(), ..stage.trial("", None) }, "collection=validation_missing_record"),
        (Trial { record: "nope".into(), ..stage.trial("", None) }, "record=validation_missing_record"),
        (Trial { record: String::new(), ..stage.trial("", None) }, "record=validation_required"),
        (stage.trial("", Some("nope")), "as=validation_missing_record"),
        (Trial { caller: Some(("posts".into(), "x".into())), ..stage.trial("", None) }, "as=validation_missing_record"),
        (Trial { act: Act::Manage, ..stage.trial("", None) }, "action=validation_invalid_value"),
    ] {
        let error = stage.run(trial).await.unwrap_err();
        assert_eq!((error.kind, codes(&error)), (Kind::Invalid, vec![code.to_owned()]));
    }
}
