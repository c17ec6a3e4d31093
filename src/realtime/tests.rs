//! The hub over a real database: what each kind of listener is told, in order, and what it is told later.

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc, task::Poll, time::Duration};

use serde_json::{Map, Value as Json, json};

use super::{Connection, Hub, Position, Resume, Subscribe};
use crate::{
    db::{Db, Durability, Options},
    error::Kind,
    files::Storage,
    identity::{AuthRecord, Caller, Cost, Passwords},
    jobs::Jobs,
    random,
    records::{Body, Records, Shape},
    rules::{Checker, Request},
    schema::Schema,
};

const HOME: std::net::IpAddr = std::net::IpAddr::V4(Ipv4Addr::LOCALHOST);

struct House {
    dir: PathBuf,
    schema: Schema,
    records: Records,
    hub: Hub,
}

impl Drop for House {
    fn drop(&mut self) {
        self.hub.close();
        // A directory that stays behind in the system's temporary one breaks nothing.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl House {
    /// `notes` with an owner, seen by their owner or if they are public; `members` with accounts.
    async fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("conch-realtime-{}", random::record_id()));
        std::fs::create_dir_all(&dir).unwrap();
        let options =
            Options { durability: Durability::Off, functions: vec![crate::rules::register], ..Options::default() };
        let db = Db::open(&dir, options).unwrap();
        let schema = Schema::open(db.clone(), Arc::new(Checker)).unwrap();
        let storage = Storage::open(&dir, false).unwrap();
        let records =
            Records::new(db.clone(), schema.clone(), storage, Passwords::new(Cost::Cheap), Jobs::new(db.clone()));
        let hub = Hub::new(db, schema.clone(), records.clone());
        let house = Self { dir, schema, records, hub };
        let text = |name: &str| json!({"name": name, "type": "text"});
        house
            .define(json!({"name": "members", "type": "auth", "createRule": "", "listRule": "", "viewRule": "",
            "updateRule": "", "fields": [text("nick")]}))
            .await;
        let rule = "public = true || owner = @request.auth.id";
        house
            .define(json!({"name": "notes", "type": "base", "listRule": rule, "viewRule": rule, "fields": [
            text("title"), text("owner"), {"name": "public", "type": "bool"},
            {"name": "secret", "type": "text", "hidden": true}]}))
            .await;
        house
    }

    async fn define(&self, definition: Json) {
        self.schema.create(object(definition)).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn create(&self, collection: &str, values: Json) -> String {
        let request = Request { method: "POST".into(), caller: Caller::system(), ..Request::default() };
        let body = Body { values: object(values), uploads: Vec::new() };
        let answer = self.records.create(request, collection, body, Shape::default()).await.unwrap();
        let made: Json = serde_json::from_slice(&answer).unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    async fn update(&self, collection: &str, id: &str, values: Json) {
        let request = Request { method: "PATCH".into(), caller: Caller::system(), ..Request::default() };
        let body = Body { values: object(values), uploads: Vec::new() };
        self.records.update(request, collection, id, body, Shape::default()).await.unwrap();
    }

    async fn delete(&self, collection: &str, id: &str) {
        let request = Request { method: "DELETE".into(), caller: Caller::system(), ..Request::default() };
        self.records.delete(request, collection, id).await.unwrap();
    }

    async fn member(&self, nick: &str) -> Caller {
        let password = json!("12345678");
        let values = json!({"nick": nick, "email": format!("{nick}@example.com"), "password": password,
            "passwordConfirm": password});
        let id = self.create("members", values).await;
        self.caller(&id).await
    }

    async fn caller(&self, id: &str) -> Caller {
        Caller::Record(self.account("members", id).await)
    }

    async fn superuser(&self) -> Caller {
        let password = json!("1234567890");
        let values = json!({"email": "root@example.com", "password": password, "passwordConfirm": password});
        let id = self.create("_superusers", values).await;
        Caller::Superuser(self.account("_superusers", &id).await)
    }

    async fn account(&self, collection: &str, id: &str) -> Arc<AuthRecord> {
        let collection = self.schema.find(collection).unwrap();
        let row = self.records.load(&collection, id).await.unwrap().unwrap();
        let (collection_id, collection_name) = (collection.id.clone(), collection.name.clone());
        Arc::new(AuthRecord { collection_id, collection_name, id: id.into(), row })
    }

    /// A stream with these subscriptions, and the events that it has got so far.
    async fn listen(&self, caller: &Caller, topics: &[&str]) -> Listener {
        let mut listener = Listener { connection: self.hub.connect(HOME).unwrap(), text: String::new() };
        listener.poll();
        listener.text.clear();
        self.subscribe(&listener, caller, topics, None).await.unwrap();
        listener
    }

    async fn subscribe(
        &self,
        listener: &Listener,
        caller: &Caller,
        topics: &[&str],
        resume: Option<Resume>,
    ) -> crate::error::Result<Option<Position>> {
        let ask = Subscribe {
            client: listener.connection.client().id.to_string(),
            topics: topics.iter().map(ToString::to_string).collect(),
            resume,
        };
        self.hub.subscribe(ask, async || Ok(caller.clone()), HOME).await
    }

    /// Runs the hub until it has told everything that was committed.
    async fn settle(&self) {
        let run = self.hub.run();
        // Nothing else happens: what is to be told is told at once.
        let _ = tokio::time::timeout(Duration::from_millis(150), run).await;
    }
}

struct Listener {
    connection: Connection,
    text: String,
}

impl Listener {
    fn poll(&mut self) -> bool {
        let context = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            match self.connection.client().poll(&context) {
                Poll::Ready(Some(piece)) => self.text.push_str(std::str::from_utf8(&piece).unwrap()),
                Poll::Ready(None) => return false,
                Poll::Pending => return true,
            }
        }
    }

    /// Topic and data of everything new.
    fn events(&mut self) -> Vec<(String, Json)> {
        self.poll();
        let text = std::mem::take(&mut self.text);
        let frames = text.split_terminator("\n\n").map(|frame| {
            let line = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
            assert_eq!(line("id:"), *self.connection.client().id);
            (line("event:"), serde_json::from_str(&line("data:")).unwrap())
        });
        frames.collect()
    }

    /// What happened to which title, in short.
    fn told(&mut self) -> Vec<String> {
        let events = self.events();
        let short = |(_, data): &(String, Json)| {
            let moved = data["transition"].as_str().map(|moved| format!(" {moved}")).unwrap_or_default();
            format!("{} {}{moved}", data["action"].as_str().unwrap(), data["record"]["title"].as_str().unwrap_or("-"))
        };
        events.iter().map(short).collect()
    }
}

fn object(value: Json) -> Map<String, Json> {
    value.as_object().cloned().unwrap()
}

fn with_query(topic: &str, query: &Json) -> String {
    let options = json!({ "query": query }).to_string();
    let escaped: String = url::form_urlencoded::byte_serialize(options.as_bytes()).collect();
    format!("{topic}?options={escaped}")
}

#[tokio::test]
async fn everybody_is_told_what_their_rule_lets_them_see() {
    let house = House::new().await;
    let (ann, bob) = (house.member("ann").await, house.member("bob").await);
    let owner = ann.record().unwrap().id.to_string();
    let mut guest = house.listen(&Caller::Guest, &["notes/*"]).await;
    let mut hers = house.listen(&ann, &["notes/*"]).await;
    let mut his = house.listen(&bob, &["notes"]).await;
    let mut root = house.listen(&house.superuser().await, &["notes/*"]).await;
    let mut other = house.listen(&Caller::Guest, &["members/*", "nothing/*", "@other"]).await;
    let id = house.create("notes", json!({"title": "a", "owner": owner, "secret": "hush"})).await;
    let mut one = house.listen(&ann, &[&format!("notes/{id}")]).await;
    house.update("notes", &id, json!({"title": "b", "public": true})).await;
    house.update("notes", &id, json!({"title": "c", "public": false})).await;
    house.delete("notes", &id).await;
    house.settle().await;
    assert_eq!(guest.told(), ["update b"]);
    assert_eq!(hers.told(), ["create a", "update b", "update c", "delete c"]);
    assert_eq!(his.told(), ["update b"]);
    assert_eq!(one.told(), ["update b", "update c", "delete c"]);
    assert_eq!(other.events(), []);
    let all = root.events();
    assert_eq!(all.len(), 4);
    assert_eq!(all[0].1["record"]["secret"], json!("hush"), "superusers see hidden fields");
    assert_eq!(all[0].1["seq"], Json::Null, "only who asks gets numbers");
}

#[tokio::test]
async fn hidden_fields_reach_nobody_and_options_shape_what_is_told() {
    let house = House::new().await;
    let topics = [
        "notes/*".to_owned(),
        with_query("notes/*", &json!({"filter": "title = 'b'"})),
        with_query("notes/*", &json!({"fields": "id,title"})),
        with_query("notes/*", &json!({"filter": "secret = 'hush'"})),
        with_query("notes/*", &json!({"filter": "title = @request.auth.id || true = true"})),
        with_query("notes/*", &json!({"filter": "nonsense ="})),
    ];
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut guest = house.listen(&Caller::Guest, &topics).await;
    for title in ["a", "b"] {
        house.create("notes", json!({"title": title, "public": true, "secret": "hush"})).await;
    }
    house.settle().await;
    let events = guest.events();
    let of = |topic: &str| events.iter().filter(|(name, _)| name == topic).map(|(_, data)| data).collect::<Vec<_>>();
    assert_eq!((of(topics[0]).len(), of(topics[1]).len(), of(topics[2]).len()), (2, 1, 2));
    assert_eq!(of(topics[1])[0]["record"]["title"], json!("b"));
    assert_eq!(of(topics[2])[0]["record"].as_object().unwrap().len(), 2);
    assert_eq!(events.len(), 5, "bad filters tell nothing");
    assert!(!format!("{events:?}").contains("hush"));
}

#[tokio::test]
async fn who_asks_is_told_when_a_record_enters_or_leaves() {
    let house = House::new().await;
    let topic = with_query("notes/*", &json!({"transitions": "true"}));
    let mut guest = house.listen(&Caller::Guest, &[&topic]).await;
    let id = house.create("notes", json!({"title": "a", "owner": "nobody"})).await;
    for public in [true, true, false, false] {
        house.update("notes", &id, json!({"public": public, "title": "x"})).await;
    }
    house.delete("notes", &id).await;
    house.settle().await;
    let events = guest.events();
    let short: Vec<_> = events.iter().map(|(_, data)| data["transition"].as_str().unwrap_or("-")).collect();
    assert_eq!(short, ["enter", "-", "leave"]);
    let last = &events[2].1["record"];
    assert_eq!((last["id"].as_str(), last.as_object().unwrap().len()), (Some(id.as_str()), 3), "only which one it was");
}

#[tokio::test]
async fn who_was_away_is_told_the_rest_in_order() {
    let house = House::new().await;
    let mut live = house.listen(&Caller::Guest, &[]).await;
    let position =
        house.subscribe(&live, &Caller::Guest, &["notes/*"], Some(Resume::default())).await.unwrap().unwrap();
    assert!(!position.recovered, "who saw nothing has to fetch first");
    let id = house.create("notes", json!({"title": "a", "owner": "nobody", "public": true})).await;
    for (title, public) in [("b", true), ("c", false), ("d", true), ("e", true)] {
        house.update("notes", &id, json!({"title": title, "public": public})).await;
    }
    house.delete("notes", &id).await;
    house.create("notes", json!({"id": id.clone(), "title": "again", "public": true})).await;
    house.settle().await;
    let expected = live.events();
    assert_eq!(expected.len(), 6);
    let seen = expected[1].1["seq"].as_u64().unwrap();
    for (from, rest) in [(position.seq, 0), (seen, 2)] {
        let mut back = house.listen(&Caller::Guest, &[]).await;
        let resume = Resume { epoch: position.epoch.to_string(), seq: from };
        let now = house.subscribe(&back, &Caller::Guest, &["notes/*"], Some(resume)).await.unwrap().unwrap();
        assert!(now.recovered);
        house.create("notes", json!({"title": format!("live {from}"), "public": true})).await;
        house.settle().await;
        let mut got = back.events();
        assert_eq!(got.pop().unwrap().1["record"]["title"], json!(format!("live {from}")), "live ones follow the past");
        got.truncate(expected.len() - rest);
        assert_eq!(got, expected[rest..], "the same as live, from {from}");
    }
    for (epoch, seq) in [("another", seen), (position.epoch.as_str(), u64::MAX)] {
        let back = house.listen(&Caller::Guest, &[]).await;
        let resume = Some(Resume { epoch: epoch.to_owned(), seq });
        let now = house.subscribe(&back, &Caller::Guest, &["notes/*"], resume).await.unwrap().unwrap();
        assert!(!now.recovered, "{epoch} {seq}");
    }
}

#[tokio::test]
async fn who_follows_deliveries_hears_how_they_end_live_and_later() {
    let house = House::new().await;
    let root = house.superuser().await;
    let mut live = house.listen(&root, &[]).await;
    let position = house.subscribe(&live, &root, &["_deliveries/*"], Some(Resume::default())).await.unwrap().unwrap();
    let values = json!({"notification": "n", "channel": "push", "state": "scheduled"});
    let id = house.create("_deliveries", values).await;
    for change in [
        json!({"state": "sending", "attempts": 1}),
        json!({"state": "failed", "reason": "gone"}),
        json!({"openedAt": "2026-11-22 10:00:00.000Z"}),
        json!({"state": "scheduled", "reason": ""}),
        json!({"state": "sending", "attempts": 2}),
        json!({"state": "sent", "sentAt": "2026-11-22 11:00:00.000Z"}),
    ] {
        house.update("_deliveries", &id, change).await;
    }
    house.settle().await;
    let short = |events: Vec<(String, Json)>| -> Vec<String> {
        let told = |(_, data): (String, Json)| {
            let record = &data["record"];
            let rest = ["state", "attempts", "reason", "openedAt", "sentAt"].map(|key| record[key].to_string());
            format!("{} {}", data["action"], rest.join(" "))
        };
        events.into_iter().map(told).collect()
    };
    let told = short(live.events());
    assert_eq!(
        told,
        [
            r#""update" "failed" 1 "gone" "" """#,
            r#""update" "failed" 1 "gone" "2026-11-22 10:00:00.000Z" """#,
            r#""update" "scheduled" 1 "" "2026-11-22 10:00:00.000Z" """#,
            r#""update" "sent" 2 "" "2026-11-22 10:00:00.000Z" "2026-11-22 11:00:00.000Z""#,
        ]
    );
    let mut back = house.listen(&root, &[]).await;
    let resume = Resume { epoch: position.epoch.to_string(), seq: position.seq };
    let now = house.subscribe(&back, &root, &["_deliveries/*"], Some(resume)).await.unwrap().unwrap();
    assert!(now.recovered);
    house.settle().await;
    let later = short(back.events());
    assert_eq!((&later[..2], &later[3..]), (&told[..2], &told[3..]), "settled rows are told as they were");
    assert_eq!(later[2], r#""update" "sending" 2 "" "2026-11-22 10:00:00.000Z" """#, "one on its way as it went on");
}

#[tokio::test]
async fn a_stream_is_bound_to_one_account_until_its_tokens_end() {
    let house = House::new().await;
    let (ann, bob) = (house.member("ann").await, house.member("bob").await);
    let owner = ann.record().unwrap().id.to_string();
    let mut stream = house.listen(&ann, &["notes/*", "members/*"]).await;
    for other in [&Caller::Guest, &bob, &Caller::system()] {
        let refused = house.subscribe(&stream, other, &[], None).await;
        assert_eq!(refused.unwrap_err().kind, Kind::Forbidden);
    }
    house.create("notes", json!({"title": "hers", "owner": owner})).await;
    house.update("members", &owner, json!({"nick": "anna"})).await;
    house.settle().await;
    let password = json!({"password": "another one", "passwordConfirm": "another one"});
    house.update("members", &owner, password).await;
    house.create("notes", json!({"title": "late", "owner": owner})).await;
    house.settle().await;
    let events = stream.events();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[0].1["record"]["title"], json!("hers"));
    assert!(events[1].1["record"].get("email").is_some(), "her own address while she is signed in");
    assert_eq!(events[2].1["record"].get("email"), None, "and not once she is not");
    // The stream is a guest's now, and may become anybody's.
    house.subscribe(&stream, &bob, &["notes/*"], None).await.unwrap();
    // A new secret ends all of a collection's tokens.
    let secret = json!({"authToken": {"secret": random::string(random::ALPHANUMERIC, 50)}});
    house.schema.update("members", object(secret)).await.unwrap();
    house.subscribe(&stream, &Caller::Guest, &["notes/*"], None).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_says_why() {
    let house = House::new().await;
    let stream = house.listen(&Caller::Guest, &[]).await;
    let id = stream.connection.client().id.to_string();
    let many = vec!["a".to_owned(); 1001];
    let long = vec!["a".to_owned(), "b".repeat(2501)];
    let fat: Vec<String> = (0..200).map(|index| format!("{index}{}", "c".repeat(2000))).collect();
    for (client, topics, address, expected) in [
        ("", vec![], HOME, (Kind::Invalid, "clientId: validation_required;")),
        (&*"x".repeat(256), vec![], HOME, (Kind::Invalid, "clientId: validation_length_out_of_range;")),
        ("nobody", vec![], HOME, (Kind::NotFound, "")),
        (&*id, many, HOME, (Kind::Invalid, "subscriptions: validation_length_too_long;")),
        (&*id, long, HOME, (Kind::Invalid, "subscriptions.1: validation_length_too_long;")),
        (&*id, fat, HOME, (Kind::Invalid, "")),
        (&*id, vec![], Ipv4Addr::new(10, 0, 0, 1).into(), (Kind::Invalid, "")),
    ] {
        let ask = Subscribe { client: client.to_owned(), topics, resume: None };
        let error = house.hub.subscribe(ask, async || Ok(Caller::Guest), address).await.unwrap_err();
        assert_eq!(error.kind, expected.0, "{error}");
        assert!(error.to_string().contains(expected.1), "{error}");
    }
}

#[tokio::test]
async fn the_signal_of_a_login_popup_comes_once_and_only_from_its_own_address() {
    let house = House::new().await;
    let mut stream = house.listen(&Caller::Guest, &["@oauth2"]).await;
    let id = stream.connection.client().id.to_string();
    assert!(house.hub.popup("nobody", HOME).is_none());
    assert!(house.hub.popup(&id, Ipv4Addr::new(10, 0, 0, 1).into()).is_none());
    house.hub.popup(&id, HOME).unwrap()(json!({"state": id, "code": "c"}));
    assert!(house.hub.popup(&id, HOME).is_none());
    assert_eq!(stream.events(), [("@oauth2".to_owned(), json!({"state": id, "code": "c"}))]);
    house.subscribe(&stream, &Caller::Guest, &["@oauth2?options=%7B%7D"], None).await.unwrap();
    assert!(house.hub.popup(&id, HOME).is_none());
}

#[tokio::test]
async fn closing_ends_every_stream_and_nobody_gets_in() {
    let house = House::new().await;
    let mut stream = house.listen(&Caller::Guest, &["notes/*"]).await;
    assert!(stream.poll());
    house.hub.close();
    assert!(!stream.poll());
    assert_eq!(house.hub.connect(HOME).err().map(|error| error.kind), Some(Kind::Busy));
}

#[tokio::test]
async fn a_new_epoch_ends_the_streams_that_count() {
    let house = House::new().await;
    let mut counting = house.listen(&Caller::Guest, &[]).await;
    house.subscribe(&counting, &Caller::Guest, &["notes/*"], Some(Resume::default())).await.unwrap();
    let mut plain = house.listen(&Caller::Guest, &["notes/*"]).await;
    house.hub.inner.db.new_epoch().await.unwrap();
    house.settle().await;
    assert!(!counting.poll());
    assert!(plain.poll());
}

#[tokio::test]
async fn who_counts_starts_over_when_the_rules_or_the_account_are_others() {
    let house = House::new().await;
    let ann = house.member("ann").await;
    let id = ann.record().unwrap().id.to_string();
    let away = async |caller: &Caller, topic: &str| {
        let stream = house.listen(caller, &[]).await;
        house.subscribe(&stream, caller, &[topic], Some(Resume::default())).await.unwrap().unwrap()
    };
    let back = async |caller: &Caller, topic: &str, position: &Position| {
        let stream = house.listen(caller, &[]).await;
        let resume = Resume { epoch: position.epoch.clone(), seq: position.seq };
        house.subscribe(&stream, caller, &[topic], Some(resume)).await.unwrap().unwrap().recovered
    };
    let position = away(&ann, "notes/*").await;
    house.create("notes", json!({"title": "a"})).await;
    assert!(back(&ann, "notes/*", &position).await);
    assert!(!back(&Caller::Guest, "notes/*", &position).await, "another account");
    assert!(!back(&ann, "members/*", &position).await, "another topic");
    for (query, expected) in [(json!({"filter": "title = 'a'"}), false), (json!({"fields": "id"}), false)] {
        let topic = with_query("notes/*", &query);
        assert_eq!(back(&ann, &topic, &position).await, expected, "{topic}");
        assert!(back(&ann, &topic, &away(&ann, &topic).await).await, "{topic}");
    }
    let position_of_one = away(&ann, "notes/aaaaaaaaaaaaaaa").await;
    assert!(back(&ann, "notes/aaaaaaaaaaaaaaa", &position_of_one).await);
    assert!(!back(&ann, "notes/bbbbbbbbbbbbbbb", &position_of_one).await, "another record");
    let both = async |topics: &[&str], resume: Resume| {
        let stream = house.listen(&ann, &[]).await;
        house.subscribe(&stream, &ann, topics, Some(resume)).await.unwrap().unwrap()
    };
    let Position { epoch, seq, .. } = both(&["notes/*", "members/*", "@oauth2"], Resume::default()).await;
    assert!(both(&["members/*", "notes/*"], Resume { epoch, seq }).await.recovered, "the same in another order");
    // An account that no rule looks at may change.
    house.update("members", &id, json!({"nick": "anna"})).await;
    let anna = house.caller(&id).await;
    assert!(back(&anna, "notes/*", &position).await);
    let mut live = house.listen(&anna, &[]).await;
    house.subscribe(&live, &anna, &["notes/*"], Some(Resume::default())).await.unwrap();
    house.schema.update("notes", object(json!({"listRule": "@request.auth.nick = 'anna'"}))).await.unwrap();
    house.settle().await;
    assert!(!live.poll(), "other rules end a stream that counts");
    assert!(!back(&anna, "notes/*", &position).await, "other rules");
    // Now one does.
    let position = away(&anna, "notes/*").await;
    let mut live = house.listen(&anna, &[]).await;
    house.subscribe(&live, &anna, &["notes/*"], Some(Resume::default())).await.unwrap();
    house.update("members", &id, json!({"nick": "annabel"})).await;
    house.settle().await;
    assert!(!live.poll());
    assert!(!back(&house.caller(&id).await, "notes/*", &position).await);
}

#[tokio::test]
async fn a_topic_that_stays_goes_on_without_a_gap() {
    let house = House::new().await;
    let mut stream = house.listen(&Caller::Guest, &["notes/*"]).await;
    house.create("notes", json!({"title": "before", "public": true})).await;
    // The hub has not come to it yet.
    house.subscribe(&stream, &Caller::Guest, &["members/*", "notes/*", "notes"], None).await.unwrap();
    house.create("notes", json!({"title": "after", "public": true})).await;
    house.settle().await;
    let events: Vec<_> =
        stream.events().into_iter().map(|(topic, data)| (topic, data["record"]["title"].clone())).collect();
    let told =
        |topic: &str| events.iter().filter(|(name, _)| name == topic).map(|(_, title)| title).collect::<Vec<_>>();
    assert_eq!(told("notes/*"), ["before", "after"]);
    assert_eq!(told("notes"), ["after"], "what is new begins now");
}

#[tokio::test]
async fn an_account_that_changed_while_it_subscribed_is_not_bound_as_it_was() {
    let house = House::new().await;
    let ann = house.member("ann").await;
    let owner = ann.record().unwrap().id.to_string();
    house.update("members", &owner, json!({"password": "another one", "passwordConfirm": "another one"})).await;
    let mut stream = house.listen(&ann, &["notes/*"]).await;
    house.create("notes", json!({"title": "hers", "owner": owner})).await;
    house.settle().await;
    assert_eq!(stream.told(), [""; 0]);
}

#[tokio::test]
async fn a_collection_that_was_dropped_and_made_again_is_another() {
    let house = House::new().await;
    let definition = json!({"id": "fixed0000000001", "name": "things", "type": "base", "listRule": "", "viewRule": "",
        "created": "2026-01-01 00:00:00.000Z", "fields": [{"id": "text0001", "name": "title", "type": "text"}]});
    house.define(definition.clone()).await;
    let stream = house.listen(&Caller::Guest, &[]).await;
    let position =
        house.subscribe(&stream, &Caller::Guest, &["things/*"], Some(Resume::default())).await.unwrap().unwrap();
    house.create("things", json!({"title": "a"})).await;
    house.schema.delete("things").await.unwrap();
    house.define(definition).await;
    let back = house.listen(&Caller::Guest, &[]).await;
    let resume = Resume { epoch: position.epoch, seq: position.seq };
    let now = house.subscribe(&back, &Caller::Guest, &["things/*"], Some(resume)).await.unwrap().unwrap();
    assert!(!now.recovered);
}

#[tokio::test]
async fn what_did_not_fit_into_memory_is_read_from_the_log_once() {
    let house = House::new().await;
    let mut stream = house.listen(&Caller::Guest, &["notes/*"]).await;
    for index in 0..600 {
        house.create("notes", json!({"title": format!("n{index}"), "owner": "nobody", "public": index % 2 == 0})).await;
    }
    house.hub.catch_up(house.hub.inner.feed.last()).await;
    house.create("notes", json!({"title": "last", "public": true})).await;
    house.settle().await;
    let mut expected: Vec<_> = (0..600).step_by(2).map(|index| format!("create n{index}")).collect();
    expected.push("create last".to_owned());
    assert_eq!(stream.told(), expected);
    assert!(stream.poll());
    // A log that does not reach so far ends the streams rather than waiting for it.
    house.hub.catch_up(house.hub.inner.feed.last() + 1).await;
    assert!(!stream.poll());
}

#[tokio::test]
async fn who_asks_for_something_else_during_a_replay_gets_that() {
    let house = House::new().await;
    let first = house.listen(&Caller::Guest, &[]).await;
    let position =
        house.subscribe(&first, &Caller::Guest, &["notes/*"], Some(Resume::default())).await.unwrap().unwrap();
    for index in 0..1000 {
        house.create("notes", json!({"title": format!("n{index} {}", "x".repeat(1000)), "public": true})).await;
    }
    let mut back = house.listen(&Caller::Guest, &[]).await;
    let resume = || Some(Resume { epoch: position.epoch.clone(), seq: position.seq });
    let now = house.subscribe(&back, &Caller::Guest, &["notes/*"], resume()).await.unwrap().unwrap();
    assert!(now.recovered);
    // It reads nothing, so the replay waits for it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let again = house.subscribe(&back, &Caller::Guest, &["notes/*"], resume()).await;
    assert_eq!(again.unwrap_err().kind, Kind::Busy);
    house.subscribe(&back, &Caller::Guest, &["members/*"], None).await.unwrap();
    back.poll();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(back.told().len() < 1000, "the rest is not wanted any more");
    house.member("ann").await;
    house.settle().await;
    let events = back.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "members/*");
}

/// Waits for events until there are so many, or for too long.
async fn events_of(listener: &mut Listener, count: usize) -> Vec<(String, Json)> {
    let mut events = Vec::new();
    for _ in 0..500 {
        events.extend(listener.events());
        if events.len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    events
}

#[tokio::test]
async fn a_replay_beside_a_busy_topic_loses_and_doubles_nothing() {
    let house = House::new().await;
    let first = house.listen(&Caller::Guest, &[]).await;
    let position =
        house.subscribe(&first, &Caller::Guest, &["notes/*"], Some(Resume::default())).await.unwrap().unwrap();
    drop(first);
    let note = async || house.create("notes", json!({"title": "x".repeat(4500), "public": true})).await;
    for _ in 0..400 {
        note().await;
    }
    let running = tokio::spawn({
        let hub = house.hub.clone();
        async move { hub.run().await }
    });
    let mut back = house.listen(&Caller::Guest, &[]).await;
    let resume = Resume { epoch: position.epoch, seq: position.seq };
    let now = house.subscribe(&back, &Caller::Guest, &["notes/*"], Some(resume)).await.unwrap().unwrap();
    assert!(now.recovered);
    let mut events = Vec::new();
    let context = std::task::Context::from_waker(std::task::Waker::noop());
    for index in 0..1300 {
        note().await;
        tokio::task::yield_now().await;
        // It reads, and less than what is written.
        if index % 100 == 0
            && let Poll::Ready(Some(piece)) = back.connection.client().poll(&context)
        {
            back.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
    assert!(back.connection.client().is_held(), "the replay has not ended yet");
    events.extend(events_of(&mut back, 1700).await);
    note().await;
    events.extend(events_of(&mut back, 1).await);
    let numbers: Vec<u64> = events.iter().map(|(_, data)| data["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (position.seq + 1..=position.seq + 1701).collect::<Vec<_>>());
    assert!(back.poll() && !back.connection.client().is_held());
    running.abort();
}

#[tokio::test]
async fn a_subscription_that_nobody_waits_for_is_carried_through() {
    let house = House::new().await;
    let first = house.listen(&Caller::Guest, &[]).await;
    let position =
        house.subscribe(&first, &Caller::Guest, &["notes/*"], Some(Resume::default())).await.unwrap().unwrap();
    for title in ["a", "b"] {
        house.create("notes", json!({"title": title, "public": true})).await;
    }
    let mut back = house.listen(&Caller::Guest, &[]).await;
    let resume = || Some(Resume { epoch: position.epoch.clone(), seq: position.seq });
    {
        let _reading = house.hub.inner.recent.reading.lock().await;
        let asking = house.subscribe(&back, &Caller::Guest, &["notes/*"], resume());
        assert!(tokio::time::timeout(Duration::from_millis(50), asking).await.is_err(), "it has to read the log");
        assert!(back.connection.client().is_held());
    }
    assert_eq!(events_of(&mut back, 2).await.len(), 2);
    assert!(!back.connection.client().is_held());
    house.subscribe(&back, &Caller::Guest, &["notes/*"], Some(Resume::default())).await.unwrap();
}

#[tokio::test]
async fn an_account_is_looked_at_again_also_when_nobody_waits_for_it() {
    let house = House::new().await;
    let ann = house.member("ann").await;
    let owner = ann.record().unwrap().id.to_string();
    house.update("members", &owner, json!({"password": "another one", "passwordConfirm": "another one"})).await;
    let mut stream = house.listen(&Caller::Guest, &[]).await;
    let asking = house.subscribe(&stream, &ann, &["notes/*"], None);
    // Dropped as soon as it waits for anything.
    let mut asking = Box::pin(asking);
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    let _ = std::future::Future::poll(asking.as_mut(), context);
    drop(asking);
    tokio::time::sleep(Duration::from_millis(50)).await;
    house.create("notes", json!({"title": "hers", "owner": owner})).await;
    house.settle().await;
    assert_eq!(stream.told(), [""; 0]);
}

#[tokio::test]
async fn a_held_stream_that_nobody_releases_ends() {
    let house = House::new().await;
    let mut stream = house.listen(&Caller::Guest, &["notes/*"]).await;
    let id = stream.connection.client().id.clone();
    let client = house.hub.inner.registry.lock().client(&id).unwrap().clone();
    let hold = super::Hold::new(client, 0);
    assert!(stream.poll());
    let panicking = tokio::spawn(async move {
        let _hold = hold;
        panic!("on purpose");
    });
    assert!(panicking.await.unwrap_err().is_panic());
    assert!(!stream.poll());
}

#[tokio::test]
async fn who_no_longer_resumes_gets_no_numbers() {
    let house = House::new().await;
    let mut stream = house.listen(&Caller::Guest, &[]).await;
    house.subscribe(&stream, &Caller::Guest, &["notes/*"], Some(Resume::default())).await.unwrap();
    house.create("notes", json!({"title": "a", "public": true})).await;
    house.settle().await;
    house.subscribe(&stream, &Caller::Guest, &["notes/*", "members/*"], None).await.unwrap();
    house.create("notes", json!({"title": "b", "public": true})).await;
    house.settle().await;
    let numbered: Vec<_> = stream.events().iter().map(|(_, data)| data["seq"].is_u64()).collect();
    assert_eq!(numbered, [true, false]);
    house.hub.inner.db.new_epoch().await.unwrap();
    house.settle().await;
    assert!(stream.poll());
}

#[tokio::test]
async fn what_was_read_of_an_older_epoch_is_not_told() {
    let house = House::new().await;
    for title in ["a", "b", "c"] {
        house.create("notes", json!({"title": title})).await;
    }
    let last = house.hub.inner.feed.last();
    assert_eq!(house.hub.changes(last - 3, last).await.unwrap().unwrap().len(), 3);
    // Nobody is connected, so the hub hears nothing of it.
    let forget = |tx: &mut crate::db::WriteTx<'_>| {
        tx.execute("DELETE FROM __conch_log", [])?;
        tx.new_epoch()
    };
    house.hub.inner.db.write_alone(forget).await.unwrap();
    assert!(house.hub.changes(last - 3, last).await.unwrap().is_none());
}

#[tokio::test]
async fn neither_an_older_catalog_nor_an_older_account_is_put_over_a_newer_one() {
    let house = House::new().await;
    let id = house.member("ann").await.record().unwrap().id.to_string();
    let older = house.schema.catalog();
    let secret = json!({"authToken": {"secret": random::string(random::ALPHANUMERIC, 50)}});
    house.schema.update("members", object(secret)).await.unwrap();
    let ann = house.caller(&id).await;
    let mut stream = house.listen(&ann, &["notes/*"]).await;
    house.hub.inner.registry.lock().follow(&older);
    let hers = async |title: &str| {
        house.create("notes", json!({"title": title, "owner": id})).await;
        house.settle().await;
    };
    hers("a").await;
    assert_eq!(stream.told(), ["create a"]);
    // Somebody has read the account, and is late with it: the hub has heard of a change meanwhile.
    let rebinds = house.hub.inner.registry.lock().rebinds();
    house.update("members", &id, json!({"nick": "anna"})).await;
    house.settle().await;
    assert!(!house.hub.settle(ann.record().unwrap(), None, rebinds), "it has to look again");
    hers("b").await;
    assert_eq!(stream.told(), ["create b"]);
}

#[tokio::test]
async fn one_large_record_that_changes_often_is_told_whole() {
    let house = House::new().await;
    let open = json!({"name": "large", "type": "base", "listRule": "", "viewRule": "",
        "fields": [{"name": "n", "type": "number"}, {"name": "value", "type": "json"}]});
    house.define(open).await;
    let value = |number: u64| json!({"n": number, "value": format!("{number}{}", "x".repeat(900 << 10))});
    let id = house.create("large", value(0)).await;
    for number in 1..30 {
        house.update("large", &id, value(number)).await;
    }
    let last = house.hub.inner.feed.last();
    let (mut after, mut told) = (last - 30, 0);
    while after < last {
        let (records, schema) = (house.records.clone(), house.schema.clone());
        let story = house.hub.inner.db.read(move |tx| records.story(tx, &schema.catalog(), after, 250)).await.unwrap();
        assert!(story.complete && story.read > after);
        assert!(story.changes.iter().map(|(_, change)| change.weight()).sum::<usize>() < 12 << 20);
        for (seq, change) in story.changes {
            assert_eq!(seq, last - 29 + told);
            let starts = |row: &crate::db::Row, number: u64| {
                let expected = format!("\"{number}x");
                row.values
                    .iter()
                    .any(|value| matches!(value, crate::db::Value::Text(text) if text.starts_with(&expected)))
            };
            assert!(starts(change.new.as_ref().unwrap(), told), "{told}");
            assert!(change.old.as_ref().is_none_or(|old| starts(old, told - 1)), "{told}");
            told += 1;
        }
        after = story.read;
    }
    assert_eq!(told, 30);
}
