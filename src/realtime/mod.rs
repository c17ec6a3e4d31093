//! Realtime: live readers of the change log (`docs/wire/services-realtime.md`, `docs/realtime.md`).
//!
//! The writer tells the [`feed`] what it committed; the hub's one task takes the changes in their order, finds who
//! listens ([`registry`]), judges and renders each once for all who see the same ([`witness`]), and queues the events at
//! the [`client`]s, whose connections send them. Who was away and says what it saw last is told the rest from the log
//! ([`replay`]).
//!
//! May touch `auth` (types), `records`, `rules`, `schema`, `identity` and `db`. Main type: [`Hub`].

mod client;
mod feed;
mod registry;
mod replay;
mod standpoint;
#[cfg(test)]
mod tests;
mod topic;
mod witness;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value as Json;

pub use self::client::Client;
use self::{
    client::Event,
    feed::{Feed, News},
    registry::{Joining, Refusal, Registry, Subscription, View},
    replay::Resume,
    topic::{OAUTH2, Topic},
    witness::{Report, Witnessed},
};
use crate::{
    clock::Timestamp,
    db::{Change, Db, Kind},
    error::{Error, Issues, Leaf, Result},
    identity::{AuthRecord, Caller, SUPERUSERS_ID},
    random,
    records::Records,
    schema::{Collection, Schema},
};

/// Clients at once; one more is answered busy.
const MAX_CLIENTS: usize = 100_000;
/// Topics of one client (§2).
const MAX_TOPICS: usize = 1000;
/// Bytes of one topic (§2).
const MAX_TOPIC: usize = 2500;
/// Bytes of all topics of one client.
const MAX_TOPIC_BYTES: usize = 256 << 10;
/// Characters of a client id that are looked at (§2).
const MAX_CLIENT_ID: usize = 255;
const CLIENT_ID: usize = 40;
/// Changes that are read from the log at once.
const PAGE: usize = 500;

/// Everything live. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    schema: Schema,
    records: Records,
    registry: Mutex<Registry>,
    feed: Arc<Feed>,
    closed: AtomicBool,
}

/// Where a subscriber stands after subscribing, if it asked to resume.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// Nothing was missed, or all of it follows.
    pub recovered: bool,
    /// Opaque: another one means another log, other rules or another account.
    pub epoch: String,
    /// The number of the last change before the live ones.
    pub seq: u64,
}

/// A client with its subscriptions in place.
struct Joined {
    client: Arc<Client>,
    subscriptions: Vec<Subscription>,
    /// The last change that is not told live.
    since: u64,
    /// Of the log, and of all else that decides what is seen.
    epoch: String,
}

/// What a `POST /api/realtime` asks for.
#[derive(Debug, Default)]
pub struct Subscribe {
    pub client: String,
    pub topics: Vec<String>,
    pub resume: Option<Resume>,
}

impl Hub {
    /// Over an opened database. Listens to its commits, so it is made once per database; [`Hub::run`] does the work.
    pub fn new(db: Db, schema: Schema, records: Records) -> Self {
        let feed = Arc::new(Feed::new(*db.watch().borrow()));
        let (commits, epochs) = (feed.clone(), feed.clone());
        db.on_commit(move |commit| commits.note(commit));
        db.on_new_epoch(move |_| epochs.note_epoch());
        let (registry, closed) = (Mutex::default(), AtomicBool::new(false));
        Self { inner: Arc::new(Inner { db, schema, records, registry, feed, closed }) }
    }

    /// A new stream (§1). Its first event is queued.
    pub fn connect(&self, address: IpAddr) -> Result<Connection> {
        let id: Arc<str> = random::string(random::ALPHANUMERIC, CLIENT_ID).into();
        let client = Arc::new(Client::new(id.clone(), address));
        let hello = serde_json::json!({"clientId": &*id}).to_string();
        client.send([Event { topic: "PB_CONNECT".into(), data: hello.into() }]);
        let mut registry = self.inner.registry.lock();
        if self.inner.closed.load(Ordering::Acquire) || registry.len() >= MAX_CLIENTS {
            return Err(Error::busy(Duration::from_secs(2)));
        }
        if let Some(last) = self.inner.feed.start() {
            registry.cursor = last;
        }
        registry.add(client.clone());
        Ok(Connection { client, hub: self.clone() })
    }

    /// Replaces the subscriptions of a stream (§2) and binds it to the caller.
    pub async fn subscribe(&self, ask: Subscribe, caller: Caller, address: IpAddr) -> Result<Option<Position>> {
        check(&ask)?;
        let topics = ask.topics.iter().filter(|text| !text.is_empty());
        let mut seen = std::collections::HashSet::new();
        let topics: Vec<(Arc<str>, Topic)> = topics
            .filter(|text| seen.insert(text.as_str()))
            .map(|text| (Arc::from(text.as_str()), Topic::parse(text)))
            .collect();
        let catalog = self.inner.schema.catalog();
        let secret = caller.record().and_then(|record| catalog.by_id(&record.collection_id)?.auth());
        let secret = secret.map(|options| options.auth_token.secret.clone()).unwrap_or_default();

        let resumes = ask.resume.is_some();
        let joined = self.join(&ask.client, address, resumes, caller, secret, topics)?;
        match ask.resume {
            Some(resume) => Ok(Some(self.resume(joined, resume).await)),
            None => Ok(None),
        }
    }

    /// Puts a client's subscriptions in place; live events of one that resumes are held.
    fn join(
        &self,
        id: &str,
        address: IpAddr,
        resumes: bool,
        caller: Caller,
        secret: String,
        topics: Vec<(Arc<str>, Topic)>,
    ) -> Result<Joined> {
        let mut registry = self.inner.registry.lock();
        let catalog = self.inner.schema.catalog();
        registry.follow(&catalog);
        if resumes && registry.client(id).is_some_and(|client| client.is_held()) {
            // It is still being told what it missed the last time.
            return Err(Error::busy(Duration::from_secs(1)));
        }
        // What was committed before is fetched, or comes from the log; what comes now is told live.
        let since = self.inner.feed.last();
        let standpoint = resumes.then(|| standpoint::of(&catalog, &caller, topics.iter().map(|(_, topic)| topic)));
        let joining = Joining { caller, secret, topics, since, standpoint: standpoint.clone() };
        let (client, subscriptions) = registry.subscribe(id, address, joining).map_err(refused)?;
        if resumes {
            client.number();
            client.hold();
        }
        let epoch = [&*self.inner.db.epoch(), ".", &standpoint.unwrap_or_default()].concat();
        Ok(Joined { client, subscriptions, since, epoch })
    }

    /// Whoever waits for the signal of a login popup under this state (§6), to be told it once. `None` when nobody does
    /// from this address.
    pub fn popup(&self, state: &str, address: IpAddr) -> Option<impl FnOnce(Json) + use<>> {
        let client = self.inner.registry.lock().take_popup(state, address)?;
        Some(move |signal: Json| client.send([Event { topic: OAUTH2.into(), data: signal.to_string().into() }]))
    }

    /// Takes changes and tells them, until the hub is closed.
    pub async fn run(&self) {
        let mut schema = self.inner.schema.watch();
        schema.mark_changed();
        while !self.inner.closed.load(Ordering::Acquire) {
            tokio::select! {
                news = self.inner.feed.next() => self.take(news).await,
                // The schema's own end is the end of the house.
                Ok(()) = schema.changed() => self.inner.registry.lock().follow(&self.inner.schema.catalog()),
            }
        }
    }

    /// Ends all streams; clients come back to whoever takes over.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        for client in self.inner.registry.lock().clients() {
            client.end();
        }
    }

    async fn take(&self, news: News) {
        if news.new_epoch {
            // What the log said before does not lead to what the data is now: whoever counts starts over.
            for client in self.inner.registry.lock().clients() {
                if client.is_numbered() {
                    client.end();
                }
            }
        }
        for commit in &news.commits {
            for (seq, change) in &commit.changes {
                self.tell(*seq, change, commit.at).await;
            }
        }
        if let Some(until) = news.behind {
            self.catch_up(until).await;
        }
    }

    /// Reads from the log what did not fit into memory.
    async fn catch_up(&self, until: u64) {
        loop {
            let after = self.inner.registry.lock().cursor;
            if after >= until {
                return;
            }
            let story = self.story(after, PAGE).await;
            let Ok(story) = story.map_err(|error| tracing::error!(%error, "realtime cannot read the log")) else {
                break;
            };
            if !story.complete {
                break;
            }
            let now = self.inner.db.clock().now();
            for (seq, change) in &story.changes {
                self.tell(*seq, change, now).await;
            }
            self.inner.registry.lock().advance(story.read, None, "");
        }
        // The gap cannot be told: everybody starts over.
        let mut registry = self.inner.registry.lock();
        registry.advance(until, None, "");
        registry.clients().for_each(|client| client.end());
    }

    /// One change to all who listen.
    async fn tell(&self, seq: u64, change: &Arc<Change>, at: Timestamp) {
        let catalog = self.inner.schema.catalog();
        let collection = catalog.by_id(&change.collection);
        self.inner.registry.lock().follow(&catalog);
        let is_account = collection.is_some_and(|collection| collection.is_auth());
        // An account hears of its own end as itself, and of a new password as a guest (§2.1, §4.1).
        if is_account && change.kind != Kind::Delete {
            self.rebind(change).await;
        }
        self.tell_listeners(seq, change, at, collection.map(|collection| &**collection)).await;
        if is_account && change.kind == Kind::Delete {
            self.rebind(change).await;
        }
    }

    async fn tell_listeners(&self, seq: u64, change: &Arc<Change>, at: Timestamp, collection: Option<&Collection>) {
        let groups = {
            let mut registry = self.inner.registry.lock();
            if seq <= registry.cursor {
                return;
            }
            registry.advance(seq, collection, &change.record)
        };
        if groups.is_empty() {
            return;
        }
        let views: Vec<Arc<View>> = groups.iter().map(|group| group.view.clone()).collect();
        let witnessed = Witnessed { seq, change: change.clone(), at };
        let told = self.report(&witnessed, &views).await;
        for (group, report) in groups.iter().zip(told) {
            let Some(report) = report else { continue };
            for member in group.members.iter().filter(|member| member.since < seq) {
                member.client.send([Event { topic: member.topic.clone(), data: report.data(&member.client) }]);
            }
        }
    }

    /// What each view is told. A failure is told to nobody, and said in the log.
    async fn report(&self, witnessed: &Witnessed, views: &[Arc<View>]) -> Vec<Option<Report>> {
        let catalog = || self.inner.schema.catalog();
        match witnessed.report(&self.inner.db, &self.inner.records, catalog, views).await {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(%error, seq = witnessed.seq, "a change could not be told");
                vec![None; views.len()]
            }
        }
    }

    /// An account that streams are bound to has changed: that is settled before anybody hears of the change (§2.1).
    async fn rebind(&self, change: &Change) {
        if !self.inner.registry.lock().is_bound(&change.collection, &change.record) {
            return;
        }
        let catalog = self.inner.schema.catalog();
        let Some(collection) = catalog.by_id(&change.collection) else { return };
        let row = self.inner.records.load(collection, &change.record).await;
        let now = row.unwrap_or_default().map(|row| {
            let (collection_id, collection_name) = (collection.id.clone(), collection.name.clone());
            let account =
                Arc::new(AuthRecord { collection_id, collection_name, id: change.record.as_str().into(), row });
            if &*collection.id == SUPERUSERS_ID { Caller::Superuser(account) } else { Caller::Record(account) }
        });
        self.inner.registry.lock().rebind(&change.collection, &change.record, now.as_ref(), &catalog);
    }

    fn leave(&self, client: &Client) {
        let mut registry = self.inner.registry.lock();
        registry.remove(&client.id);
        if registry.is_empty() {
            self.inner.feed.stop();
        }
    }
}

/// One open stream. Dropping it forgets the client.
pub struct Connection {
    client: Arc<Client>,
    hub: Hub,
}

impl Connection {
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.leave(&self.client);
    }
}

impl Report {
    fn data(&self, client: &Client) -> Bytes {
        if client.is_numbered() { self.numbered.clone() } else { self.plain.clone() }
    }
}

/// The form of a subscription (§2).
fn check(ask: &Subscribe) -> Result<()> {
    let mut issues = Issues::default();
    let too_long = |max: usize| {
        Leaf::new("validation_length_too_long", format!("May have {max} at most.")).param("min", 0).param("max", max)
    };
    if ask.client.is_empty() {
        issues.insert("clientId", Leaf::required());
    } else if ask.client.len() > MAX_CLIENT_ID {
        let leaf = Leaf::new("validation_length_out_of_range", "The length must be between 1 and 255.");
        issues.insert("clientId", leaf.param("min", 1).param("max", MAX_CLIENT_ID));
    }
    if ask.topics.len() > MAX_TOPICS {
        issues.insert("subscriptions", too_long(MAX_TOPICS));
    } else {
        let mut items = Issues::default();
        for (index, _) in ask.topics.iter().enumerate().filter(|(_, topic)| topic.len() > MAX_TOPIC) {
            items.insert(&index.to_string(), too_long(MAX_TOPIC));
        }
        issues.nest("subscriptions", items);
    }
    issues.into_result("The subscriptions are not valid.")?;
    match ask.topics.iter().map(String::len).sum::<usize>() > MAX_TOPIC_BYTES {
        true => Err(Error::invalid("The subscriptions are too long altogether.")),
        false => Ok(()),
    }
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Unknown => Error::not_found(),
        Refusal::OtherAddress => Error::invalid("The stream was opened from another address."),
        Refusal::OtherAccount => Error::forbidden("The stream belongs to another account."),
    }
}
